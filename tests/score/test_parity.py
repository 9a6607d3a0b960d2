from __future__ import annotations

import numpy as np
import pytest

from assay.errors import ParityError
from assay.records import Parity
from assay.score import parity
from tests.messages import assert_says

Rows = list[list[float]]
INF, NAN = float("inf"), float("nan")


def _compare(expected: list[Rows], found: list[Rows], bound: float = 1e-4) -> Parity:
    """Each side's callable returns the batch that it is given."""
    pairs = [
        (np.array(ours, dtype=np.float32), np.array(theirs, dtype=np.float32))
        for ours, theirs in zip(expected, found, strict=True)
    ]
    return parity.compare(lambda batch: batch, lambda batch: batch, pairs, name="torch", bound=bound)


def test_equal_scores_differ_by_nothing() -> None:
    rows = [[[1.0, 2.0]], [[3.0, 4.0], [6.0, 5.0], [0.0, 1.0]]]
    assert _compare(rows, rows) == Parity(
        reference="torch", batches=(1, 3), images=4, largest_difference=0.0, top1_agreement=1.0, bound=1e-4
    )


def test_the_difference_is_relative_to_the_references_largest_score_of_all_batches() -> None:
    # 0.5 is the largest difference, in the first batch; -8 the largest score, in the second.
    found = _compare([[[1.0, 2.0]], [[-8.0, 4.0]]], [[[1.5, 2.0]], [[-8.0, 4.25]]])
    assert found.largest_difference == 0.0625


def test_images_with_another_first_class_are_counted() -> None:
    found = _compare([[[1.0, 2.0], [2.0, 1.0], [2.0, 1.0], [2.0, 1.0]]], [[[2.0, 1.0]] * 4], bound=9.0)
    assert found.top1_agreement == 0.75
    assert not found.holds


@pytest.mark.parametrize("score", [0.0, 0.25])
def test_scores_that_are_all_the_same_prove_nothing(score: float) -> None:
    with pytest.raises(ParityError) as caught:
        _compare([[[score, score]], [[score, score]]], [[[score, score]], [[score, score]]])
    assert_says(caught, "torch gives every class of every image the same score, so no comparison can fail")
    assert_says(caught, "the weights look untrained; give others")


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ([1.0, 0.0], [1.0, NAN]),
        ([1.0, 2.0], [1.0, INF]),
        ([1.0, 2.0], [1.0, -INF]),
        ([-INF, 1.0, 2.0], [-8.0, 1.0, 2.0]),
    ],
)
def test_scores_that_are_no_numbers_never_pass(expected: list[float], found: list[float]) -> None:
    assert not _compare([[expected]], [[found]], bound=1e30).holds


def test_a_masked_class_is_equal_to_itself() -> None:
    rows = [[[-INF, 1.0, 2.0], [-INF, 4.0, 3.0]]]
    assert _compare(rows, rows).largest_difference == 0.0
    found = _compare(rows, [[[-INF, 1.0, 2.0], [-INF, 4.0, 3.5]]])
    assert found.largest_difference == 0.125


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ([[1.0, NAN], [1.0, 2.0]], "NaN for class 1 (image 1)"),
        ([[NAN, NAN], [NAN, NAN]], "NaN for classes 0, 1 (image 1)"),
        ([[1.0, 2.0], [INF, 2.0]], "infinity for class 0 (image 2)"),
        ([[1.0, -INF], [1.0, 2.0]], "minus infinity on some images alone for class 1 (image 1)"),
        ([[-INF, -INF], [-INF, -INF]], "minus infinity"),
    ],
)
def test_a_reference_that_gives_no_numbers_is_at_fault_itself(expected: Rows, said: str) -> None:
    with pytest.raises(ParityError) as caught:
        _compare([expected], [expected])
    assert_says(caught, "torch itself gives", said)


def test_scores_of_different_shapes_are_refused() -> None:
    with pytest.raises(ParityError) as caught:
        _compare([[[1.0, 2.0]]], [[[1.0, 2.0, 3.0]]])
    assert_says(caught, "torch", "different shapes")


def test_parity_that_holds_is_handed_on() -> None:
    found = _compare([[[1.0, 2.0]]], [[[1.0, 2.0]]])
    assert parity.require(found, "the export") is found


def test_parity_that_is_missed_says_by_how_much() -> None:
    found = _compare([[[1.0, 2.0], [2.0, 1.0]]], [[[1.0, 2.0], [0.0, 1.0]]])
    with pytest.raises(ParityError) as caught:
        parity.require(found, "the export")
    assert_says(caught, "the export", "1.0e+00", "torch", "allowed 1.0e-04", "50 % of 2 images")


def test_a_precision_may_allow_an_image_to_change_its_first_class() -> None:
    rows = np.array([[3.0, 2.9], [3.0, 1.0]], np.float32)
    other = rows + np.array([[0.0, 0.2], [0.0, 0.0]], np.float32)
    strict = parity.compare(lambda _: rows, lambda _: other, [(None, None)], name="x", bound=0.1)
    loose = parity.compare(lambda _: rows, lambda _: other, [(None, None)], name="x", bound=0.1, top1_bound=0.5)
    assert not strict.holds
    assert loose.holds
