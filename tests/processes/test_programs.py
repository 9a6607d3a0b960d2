from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from assay.processes import programs
from tests.test_examples import EXAMPLES

OURS = EXAMPLES / "guide" / "atc"


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A program of somebody else's."""
    program = tmp_path / "cann" / "atc"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec atc.bin\n")
    program.chmod(0o755)
    return program


def test_what_hands_over_to_us_is_passed_by_wherever_it_lies(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("copied", "linked"):
        (tmp_path / name).mkdir()
    shutil.copy(OURS, tmp_path / "copied")
    (tmp_path / "linked" / "atc").symlink_to(OURS)
    folders = [OURS.parent, f"{OURS.parent}/", tmp_path / "copied", tmp_path / "linked"]
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, folders)))
    assert programs.find("atc") is None
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, [*folders, real.parent])))
    assert programs.find("atc") == real


def test_a_program_on_a_relative_path_is_named_by_its_whole_path(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(real.parent)
    monkeypatch.setenv("PATH", ".")
    assert programs.find("atc") == real


def test_what_cannot_be_run_is_no_program(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(real.parent))
    real.chmod(0o644)
    assert programs.find("atc") is None
    real.unlink()
    real.mkdir()
    assert programs.find("atc") is None
