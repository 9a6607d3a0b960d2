"""What the guide's programs say in place of assay's own options."""

from __future__ import annotations

import re

import pytest

from assay.cli.guide import words
from assay.errors import Option, RecordError, Remedy, StalledError
from tests.options import OPTIONS

OF_ANOTHER_COMMAND = re.compile(r"assay( \w+( [A-Z]+)?)? --[a-z0-9-]+")


def said(remedy: Remedy | None) -> str:
    found = words.remedy(remedy)
    assert found is not None
    return found.worded()


@pytest.mark.parametrize("option", sorted(OPTIONS))
@pytest.mark.parametrize("value", [None, "224"])
def test_no_remedy_names_an_option_of_assays_own(option: str, value: str | None) -> None:
    shown = said(Remedy("give {} or nothing", Option(option.removeprefix("--").replace("-", "_"), value)))
    assert shown
    assert "or nothing" not in shown
    # Those of a command that is named with it are of use.
    left = OF_ANOTHER_COMMAND.sub("", shown)
    assert not [word for word in re.findall(r"--[\w-]+", left) if word in OPTIONS]


@pytest.mark.parametrize(
    ("remedy", "sentence"),
    [
        (RecordError.AGAIN, "remove it, and run the guide's line that made it again"),
        (StalledError("infer", "a batch", 1.0).remedy, "look at that, or measure it with assay bench --timeout"),
        (Remedy("use {}", Option("batch", 4)), "give 4 in --input_shape, or export it with a free batch size"),
        (Remedy("give {} or {}", Option("resize"), Option("crop", 64)), "give 64,64 in --input_shape"),
        (Remedy("try {}, or look again", Option("seed")), words._NONE),
        (Remedy("give {}", Option("arch", "a{0}b")), "assay export WEIGHTS --arch a{0}b exports that one"),
    ],
)
def test_a_sentence_of_the_guide_stands_in_place_of_the_remedy(remedy: Remedy, sentence: str) -> None:
    assert said(remedy).endswith(sentence)


def test_a_remedy_without_options_is_kept() -> None:
    plain = Remedy("copy {} again", "a.om")
    assert words.remedy(plain) is plain
    assert words.remedy(None) is None
