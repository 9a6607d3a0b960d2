"""What an error advises, in words that the guide's programs know: the steps beneath speak of assay's own options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from assay.errors import AssayError

_WORDS = tuple(
    (re.compile(ours), theirs)
    for ours, theirs in (
        (
            r"; where classes stand by their names, give --class-list FILE",
            "; write the numbers of the classes, which this script reads",
        ),
        (r"give --class-list FILE", "give a file with the numbers of the classes"),
        (r"give the devkit's \.tar\.gz as --labels", "give a file with the names of the images"),
        (
            r"give --arch (\w+)",
            r"this script exports one model alone, and assay export WEIGHTS --arch \1 exports that one",
        ),
        (r"give the right --arch", "give weights of the guide's model, or use assay export"),
        (
            r"give an \.onnx file or an architecture with --weights",
            "give the .onnx file that wrn101_2_pth2onnx.py wrote",
        ),
        (
            r"choose the one of classes with --output NAME",
            "compile it with assay compile --output NAME, which chooses the one of classes",
        ),
        (r"use --batch (\d+),", r"give \1 in --input_shape,"),
        (
            r"(takes|input of) (\d+)×\2 pixels(.*); give --(preset|resize),.*",
            r"\1 \2×\2 pixels\3; give \2,\2 in --input_shape",
        ),
        (r"compile the model with --input float32", "compile the model with atc"),
        (r"or give a longer --timeout", "or measure it with assay bench --timeout"),
    )
)
"""What stands in messages, and what is said instead."""


@contextmanager
def in_the_guides_words() -> Iterator[None]:
    """Within, an error advises nothing that a line of the guide cannot hold."""
    try:
        yield
    except AssayError as error:
        for ours, theirs in _WORDS:
            error.message = ours.sub(theirs, error.message)
        raise
