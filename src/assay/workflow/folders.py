"""A folder is one process's at a time, and holds a run or a scenario: a verdict beside both could be of either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from assay import locking
from assay.errors import RecordError
from assay.workflow.judgement import RUN_RECORD

SCENARIO_RECORD = "scenario.json"

_OTHER = {"run": SCENARIO_RECORD, "scenario": RUN_RECORD}
"""The record that a folder for one of them may not hold."""


@contextmanager
def held(folder: Path, kind: Literal["run", "scenario"], *, again: bool = False) -> Iterator[None]:
    """Holds a folder for a run or a scenario; `again` lets in who holds it already.

    Raises `RecordError` where another process holds it, or where it has a record of the other kind.
    """
    with locking.lock(folder, again=again):
        other = folder / _OTHER[kind]
        if other.is_file():
            raise RecordError(f"{other} is there, and a {kind} needs a folder without one; give another with -o")
        yield


def holds_both(folder: Path) -> bool:
    """Whether an earlier assay wrote a run and a scenario into one folder."""
    return all((folder / record).is_file() for record in _OTHER.values())
