from __future__ import annotations

import pickle

import pytest

from assay import errors
from assay.cli.words import flag
from assay.errors import AssayError, MissingExtraError, Option, Remedy, StalledError, UnknownNameError, UsageError
from assay.processes import child


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
        ("UnknownNameError", 2),
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
    assert str(UnknownNameError("device", "gpu", [], where="x")) == "unknown device 'gpu' in x; known: none"


def test_a_missing_extra_gives_the_pip_command() -> None:
    said = str(MissingExtraError("exporting a checkpoint", "torch"))
    assert (
        said == "exporting a checkpoint needs an optional part; install it with: pip install 'assay-inference[torch]'"
    )


GIVE = Remedy("give {} or {} to {}", Option("labels", "FILE"), Option("class_list"), "evaluate")


def test_a_remedy_is_worded_by_who_prints_it() -> None:
    error = AssayError("the classes are unknown", ["a.png"], remedy=GIVE)
    assert error.message == "the classes are unknown"
    assert error.line() == "the classes are unknown; give labels=FILE or class_list to evaluate"
    assert str(error) == f"{error.line()}\n  a.png"
    assert error.worded(flag) == "the classes are unknown; give --labels FILE or --class-list to evaluate\n  a.png"


def test_a_remedy_knows_its_options() -> None:
    assert GIVE.options == (Option("labels", "FILE"), Option("class_list"))
    assert Remedy("copy it again").options == ()


def test_remedies_of_the_same_words_are_equal() -> None:
    same = Remedy(GIVE.text, *GIVE.values)
    assert same == GIVE
    assert hash(same) == hash(GIVE)
    assert Remedy(GIVE.text, *GIVE.values[:2], "bench") != GIVE


def test_braces_in_values_do_no_harm() -> None:
    odd = Remedy("give {} to {}", Option("model", "{0}{}.onnx"), "{file}")
    assert odd.worded(flag) == "give --model {0}{}.onnx to {file}"
    assert str(AssayError("a {brace}", remedy=odd)) == "a {brace}; give model={0}{}.onnx to {file}"


def test_a_remedy_steers_no_terminal() -> None:
    assert str(AssayError("odd", remedy=Remedy("remove {}", "a\x1b[2J\nb"))) == "odd; remove a\\x1b[2J\\nb"


def test_a_long_remedy_is_bounded() -> None:
    said = str(AssayError("long", remedy=Remedy("remove {}", "x" * 10_000)))
    assert len(said) < 2_000


@pytest.mark.parametrize(
    "error",
    [
        AssayError("odd", ["a"], remedy=GIVE),
        UsageError("odd", remedy=GIVE),
        UnknownNameError("device", "gpu", ["cpu"], GIVE),
        StalledError("infer", "a batch", 2.0),
        MissingExtraError("exporting", "torch"),
    ],
)
def test_an_error_crosses_a_process_whole(error: AssayError) -> None:
    there = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(there) is type(error)
    assert (there.message, there.files, there.remedy) == (error.message, error.files, error.remedy)
    assert there.worded(flag) == error.worded(flag)


def _refuse() -> None:
    raise UsageError("odd", ["a"], remedy=GIVE)


def test_an_error_of_a_child_keeps_its_remedy() -> None:
    with pytest.raises(UsageError) as caught:
        child.run(_refuse, call=child.Call(name="the test", doing="refusing", timeout=60.0))
    assert caught.value.remedy == GIVE
    assert caught.value.files == ("a",)
