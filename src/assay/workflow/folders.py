"""A folder is one process's at a time, and holds a run or a scenario: a verdict beside both could be of either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from assay.errors import RecordError
from assay.loadgen.records import ScenarioRecord
from assay.records import Predictions
from assay.storage import locks, store
from assay.workflow import judgement

SCENARIO_RECORD = "scenario.json"

_OTHER = {"run": SCENARIO_RECORD, "scenario": judgement.RUN_RECORD}
"""The record that a folder for one of them may not hold."""


@contextmanager
def held(folder: Path, kind: Literal["run", "scenario"], *, again: bool = False) -> Iterator[None]:
    """Holds a folder for a run or a scenario; `again` lets in who holds it already.

    Raises `RecordError` where another process holds it, or where it has a record of the other kind.
    """
    with locks.lock(folder, again=again):
        other = folder / _OTHER[kind]
        if other.is_file():
            raise RecordError(f"{other} is there, and a {kind} needs a folder without one; give another with -o")
        yield


def load_predictions(path: Path) -> list[tuple[str, Predictions]]:
    """The predictions at a path, each with a name: of a scenario, or of what `judgement.load_predictions` takes.

    Raises `RecordError` where a scenario ran without its accuracy mode.
    """
    record = path / SCENARIO_RECORD if path.is_dir() else path
    if record.name != SCENARIO_RECORD or not record.is_file() or holds_both(path):
        return judgement.load_predictions(path)
    found = store.read(record, ScenarioRecord)
    if found.predictions is None:
        raise RecordError(
            f"{path} holds a scenario without predictions; run it with --mlperf, whose accuracy mode scores every "
            "image, or run assay bench without --scenario"
        )
    return [(found.scenario, found.predictions)]


def holds_both(folder: Path) -> bool:
    """Whether an earlier assay wrote a run and a scenario into one folder."""
    return all((folder / record).is_file() for record in _OTHER.values())
