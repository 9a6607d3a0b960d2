from __future__ import annotations

import shlex

import pytest

from assay import command_line
from assay.cli.main import parser


def test_options_are_written_in_the_order_given() -> None:
    written = command_line.of("bench", "a model.om", batch=16, precision="fp32", out="BENCH")
    assert written == "assay bench 'a model.om' --batch 16 --precision fp32 -o BENCH"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (True, "--keep-float"),
        (False, ""),
        (None, ""),
        ({"threads": 2, "pinned": True}, "--keep-float threads=2 --keep-float pinned=true"),
        ({}, ""),
        (["first", "last"], "--keep-float first --keep-float last"),
        ([], ""),
        ((-0.5, 0.25), "--keep-float=-0.5,0.25"),
        (0, "--keep-float 0"),
    ],
)
def test_a_value_is_written_as_its_kind_is_read(value: object, words: str) -> None:
    assert command_line.of("quantize", keep_float=value) == f"assay quantize {words}".rstrip()


def test_the_command_line_reads_what_was_written() -> None:
    written = command_line.of("compile", "m.onnx", batch=16, set={"threads": 2}, mean=(-0.5, 0.0, 1e-05), out="a.om")
    read = parser().parse_args(shlex.split(written)[1:])
    assert (str(read.model), read.batch, dict(read.set), tuple(read.mean), str(read.out)) == (
        "m.onnx",
        16,
        {"threads": "2"},
        (-0.5, 0.0, 1e-05),
        "a.om",
    )
