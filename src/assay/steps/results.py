"""A folder is one process's at a time, and holds a run or a scenario: a verdict beside both could be of either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from assay.errors import Option, RecordError, Remedy
from assay.published import guide
from assay.records import (
    Predictions,
    Reference,
    RunRecord,
)
from assay.records.reported import ReportedReference, ReportedRun
from assay.storage import locks, store

RUN_RECORD, VERDICT_RECORD = "run.json", "verdict.json"

REPORTED_RECORD = "reported.json"
"""What LoadGen reported of a scenario."""
SCENARIO_RECORD = "scenario.json"

_OTHER = {"run": SCENARIO_RECORD, "scenario": RUN_RECORD}
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


class _ScenarioPredictions(msgspec.Struct, frozen=True):
    """What the record of a scenario holds of its accuracy mode."""

    scenario: str
    predictions: Predictions | None = None


def load_predictions(path: Path) -> list[tuple[str, Predictions]]:
    """The predictions at a path, each with a name: a predictions file, a bench folder, a run or a scenario.

    A run has one for each batch size. Raises `RecordError` where a scenario ran without its accuracy mode.
    """
    record = path / SCENARIO_RECORD if path.is_dir() else path
    if record.name == SCENARIO_RECORD and record.is_file() and not holds_both(path):
        return _scenario_predictions(path, record)
    if path.is_file() and path.name != RUN_RECORD:
        return [(path.parent.name, store.read(path, Predictions))]
    if (path / "predictions.json").is_file():
        return [(path.name, store.read(path / "predictions.json", Predictions))]
    predictions = [
        (f"batch {result.batch}", result.predictions)
        for result in load_run(path).results
        if result.predictions is not None
    ]
    if not predictions:
        raise RecordError(f"{path} holds no predictions; run assay run, or assay bench once over the data")
    return predictions


def _scenario_predictions(path: Path, record: Path) -> list[tuple[str, Predictions]]:
    scenario = store.read_part(record, _ScenarioPredictions)
    if scenario.predictions is None:
        raise RecordError(
            f"{path} holds a scenario without predictions",
            remedy=Remedy(
                "run it with {}, whose accuracy mode scores every image, or run assay bench without {}",
                Option("mlperf"),
                Option("scenario"),
            ),
        )
    return [(scenario.scenario, scenario.predictions)]


def holds_both(folder: Path) -> bool:
    """Whether an earlier assay wrote a run and a scenario into one folder."""
    return all((folder / record).is_file() for record in _OTHER.values())


def load_run(path: Path) -> RunRecord:
    """The record of a run, given its folder or the record itself."""
    record = path / RUN_RECORD if path.is_dir() else path
    if not record.is_file():
        raise RecordError(f"no run at {path}: {RUN_RECORD} is missing; make it with assay run or assay bench")
    return store.read(record, RunRecord)


def load(place: str | Path) -> RunRecord | ReportedRun:
    """The record of a run's folder or file, of a file of reported figures, or of a name such as `guide:T4`."""
    return load_record(Path(place))


def load_record(path: Path) -> RunRecord | ReportedRun:
    """The record of a run, given its folder or the record itself; a file of reported figures, or the guide's name."""
    name = str(path)
    if name.startswith(guide.PREFIX) and not path.exists():
        return guide.load(name)
    if path.is_file() and store.kind_of(path) == ReportedRun.__name__:
        return store.read(path, ReportedRun)
    reported, run = path / REPORTED_RECORD, path / RUN_RECORD
    if reported.is_file() and run.is_file():
        raise RecordError(f"{path} holds a run and reported figures; name the one that is meant: {run} or {reported}")
    if reported.is_file():
        # Every one has the name of LoadGen's file: as of a run, its folder tells them apart.
        return msgspec.structs.replace(store.read(reported, ReportedRun), name=name)
    return load_run(path)


def name_of(path: Path, record: RunRecord | ReportedRun) -> str:
    """What a gate and a table call a record: reported figures by their own name, a run by its path as it was given."""
    return record.name if isinstance(record, ReportedRun) else str(path)


def record_reference(path: Path) -> Reference:
    """Another record as a reference."""
    record = load_record(path)
    name = name_of(path, record)
    if isinstance(record, ReportedRun):
        return ReportedReference(name=name, described=name, reported=record)
    return Reference(name=name, described=name, run=record)
