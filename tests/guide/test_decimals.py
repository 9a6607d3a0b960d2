from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.guide import dumps

VALUES = st.floats(-99_999_999, 99_999_999, allow_nan=False)


@given(
    st.integers(1, 6).flatmap(
        lambda columns: st.lists(st.lists(VALUES, min_size=columns, max_size=columns), min_size=1)
    )
)
def test_every_value_is_the_double_that_python_reads(rows: list[list[float]]) -> None:
    texts = [("%f " * len(row) + "\n") % tuple(row) for row in rows]
    expected = [[float(value) for value in text.split()] for text in texts]
    found = dumps.parse([text.encode() for text in texts], len(rows[0]))
    assert found is not None
    assert np.array_equal(found, np.array(expected))
    assert np.array_equal(np.signbit(found), np.signbit(np.array(expected)))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b" \n",
        b"1.000000\n",
        b"1.000000 ",
        b"1.000000 2.000000 3.000000 \n",
        b"1.000000 \n2.000000 \n",
        b"1.000000  2.000000 \n",
        b"1.00000 2.0000000 \n",
        b"+1.000000 2.000000 \n",
        b"1,000000 2.000000 \n",
        b"1.00000x 2.000000 \n",
        b"x1.000000 2.000000 \n",
        b"--1.000000 2.000000 \n",
        b"-.000000 2.000000 \n",
        b"nan 2.000000 \n",
        b"1.000000 1e5 \n",
        b"12345678901234567890.000000 2.000000 \n",
        b"1.0000/0 2.000000 \n",
        b"1.0000:0 2.000000 \n",
        b"/.000000 2.000000 \n",
        b"1.000000\t2.000000 \n",
        b"\xff.000000 2.000000 \n",
    ],
)
def test_what_is_written_in_another_way_is_left_to_others(text: bytes) -> None:
    good = b"1.000000 2.000000 \n"
    assert dumps.parse([text], 2) is None
    assert dumps.parse([good, text, good], 2) is None


def test_a_missing_value_of_one_text_is_not_taken_from_the_next() -> None:
    assert dumps.parse([b"1.000000 \n", b"1.000000 2.000000 3.000000 \n"], 2) is None
