from __future__ import annotations

import pytest

from assay import errors
from assay.errors import AssayError, MissingExtraError, UnknownNameError


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("AssayError", 1),
        ("CheckpointError", 1),
        ("ModelError", 1),
        ("DatasetError", 1),
        ("ImageError", 1),
        ("BackendError", 1),
        ("ParityError", 1),
        ("RecordError", 1),
        ("MissingExtraError", 1),
        ("UsageError", 2),
        ("UnknownNameError", 1),
    ],
)
def test_every_branch_of_the_tree_has_its_exit_status(kind: str, status: int) -> None:
    branch = getattr(errors, kind)
    assert issubclass(branch, AssayError)
    assert branch.exit_code == status


def test_the_statuses_are_those_of_the_design() -> None:
    assert (errors.EXIT_DONE, errors.EXIT_FAULT, errors.EXIT_USAGE, errors.EXIT_GATE) == (0, 1, 2, 3)
    assert errors.EXIT_INTERRUPTED == 130


def test_files_are_listed_below_the_message() -> None:
    assert str(AssayError("two files are broken", ["a.png", "b.png"])) == "two files are broken\n  a.png\n  b.png"


def test_a_message_without_files_is_one_line() -> None:
    assert str(AssayError("no model at x.onnx")) == "no model at x.onnx"


def test_twenty_files_are_listed_without_a_count() -> None:
    said = str(AssayError("broken", [f"{number}.png" for number in range(20)]))
    assert said.splitlines()[-1] == "  19.png"


def test_more_than_twenty_files_are_counted() -> None:
    error = AssayError("broken", [f"{number}.png" for number in range(23)])
    lines = str(error).splitlines()
    assert len(lines) == 22
    assert lines[-2:] == ["  19.png", "  … and 3 more"]
    assert len(error.files) == 23


def test_an_unknown_name_lists_the_known_ones_the_nearest_first() -> None:
    said = str(UnknownNameError("backend", "onnxruntme", ["null", "mnn", "onnxruntime"]))
    assert said == "unknown backend 'onnxruntme'; known: onnxruntime, mnn, null"


def test_many_known_names_are_counted() -> None:
    said = str(UnknownNameError("architecture", "zzz", [f"net{number:02}" for number in range(25)]))
    assert said.endswith("net19 … and 5 more")


def test_an_unknown_name_among_none_says_so() -> None:
    assert str(UnknownNameError("device", "gpu", [])) == "unknown device 'gpu'; known: none"


def test_a_missing_extra_gives_the_pip_command() -> None:
    said = str(MissingExtraError("exporting a checkpoint", "torch"))
    assert (
        said == "exporting a checkpoint needs an optional part; install it with: pip install 'assay-inference[torch]'"
    )
