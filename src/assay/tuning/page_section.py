"""What a page shows of the search that found a run's artifact, or of one that found none: from its record alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay import units
from assay.records import BatchResult, RunRecord
from assay.steps.results import RUN_RECORD
from assay.storage import store
from assay.tuning.records import RECORD, TrialState, Tuning, TuningTrial

_FOLDERS = (".", "tune")
"""Where the record of a search lies, seen from the folder of the run that it is the search of."""

_ENDS: Mapping[TrialState, str] = {
    "slower": "measured and not faster than the best so far",
    "wrong": "wrong on a sample already",
    "failed": "failed",
    "too large": "too large",
    "right": "right and without a speed",
}
"""At what a trial ended that was not evaluated."""


def records(folder: Path) -> list[Path]:
    """The records of searches beside the run in `folder`."""
    return [file for file in (folder / place / RECORD for place in _FOLDERS) if file.is_file()]


def alone(place: Path) -> SearchReport | None:
    """The search in a folder that holds no run, as where nothing was right; None where there is a run, or no search."""
    if (place / RUN_RECORD).is_file() or not (place / RECORD).is_file():
        return None
    return _report(store.read(place / RECORD, Tuning), ())


def search(record: RunRecord, folder: Path) -> tuple[SearchReport | None, tuple[str, ...]]:
    """The search of a run in `folder`, and what is to be said of searches beside it that are of something else."""
    notes: list[str] = []
    for file in records(folder):
        tuning = store.read(file, Tuning)
        other = _difference(tuning, record)
        if other is None:
            return _report(tuning, record.results), tuple(notes)
        notes.append(f"{file.relative_to(folder)} is left out: it is of {other}")
    return None, tuple(notes)


def _difference(tuning: Tuning, record: RunRecord) -> str | None:
    """What a search is of that a run is not of; None where they belong together."""
    if tuning.compiled is None:
        return None if tuning.model.sha256 == record.model.sha256 else f"another model, {tuning.model.name}"
    measured = {result.compiled.file.sha256 for result in record.results}
    return None if tuning.compiled.file.sha256 in measured else f"another artifact, of {tuning.model.name}"


def _report(tuning: Tuning, results: Sequence[BatchResult]) -> SearchReport:
    points = {one.number: point for one in tuning.trials if (point := _point(tuning, one)) is not None}
    best = points.get(tuning.best) if tuning.best is not None else None
    default = points.get(tuning.best_default) if tuning.best_default is not None else None
    reference = tuning.reference_accuracy.top(1) if tuning.reference_accuracy is not None else 100.0
    return SearchReport(
        record=tuning,
        evaluated=tuple(points.values()),
        frontier=tuple(points[number] for number in tuning.frontier if number in points),
        best=best,
        default=default,
        reference=reference,
        bound=reference - tuning.max_drop,
        not_evaluated=tuple(_not_evaluated(tuning)),
        failures=tuple(Counter(one.reason or "" for one in tuning.trials if one.state == "failed").most_common()),
        roles=tuple(
            "tuned" if best and _is_of(best, one) else "default" if default and _is_of(default, one) else ""
            for one in results
        ),
    )


def _point(tuning: Tuning, trial: TuningTrial) -> SearchPoint | None:
    if not trial.standing or trial.top1 is None:
        return None
    pace = 1 / trial.standing if tuning.objective == "latency" else trial.standing
    return SearchPoint(trial=trial, pace=pace, top1=trial.top1)


def _is_of(point: SearchPoint, result: BatchResult) -> bool:
    """Whether a result is of a trial's artifact, run as it was there."""
    trial = point.trial
    return trial.artifact == result.compiled.key and trial.candidate.run == result.performance.run_settings


def _not_evaluated(tuning: Tuning) -> list[str]:
    """Every trial that is not in the picture is in one of these counts."""
    states = Counter(one.state for one in tuning.trials if _point(tuning, one) is None)
    return [f"{units.counted(states[state], 'trial')} {what}" for state, what in _ENDS.items() if states[state]]


@dataclass(frozen=True)
class SearchPoint:
    """A trial that went over all images to evaluate on."""

    trial: TuningTrial
    pace: float
    """Images a second; of a search for a short latency, the seconds of the p99."""
    top1: float
    """In percent."""


@dataclass(frozen=True)
class SearchReport:
    """The search that a run's artifact is the result of."""

    record: Tuning
    evaluated: tuple[SearchPoint, ...]
    frontier: tuple[SearchPoint, ...]
    """The fastest first."""
    best: SearchPoint | None
    """None where none passed."""
    default: SearchPoint | None
    """The best of the backends' defaults, where it is another."""
    reference: float
    """Top-1 of the model in float32, in percent; without labels, what agrees with it in every image."""
    bound: float
    """The least that passes, in percent."""
    not_evaluated: tuple[str, ...]
    """How many trials ended before that, and at what."""
    failures: tuple[tuple[str, int], ...]
    """Each reason, and of how many trials."""
    roles: tuple[str, ...]
    """What each of the run's results is to the search, `tuned` or `default`; empty of any other."""
