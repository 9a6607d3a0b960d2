"""What the benchmarks of the search share: a search, the defaults that are to be beaten, and both measured in turn."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.errors import AssayError
from assay.progress import Lines
from assay.records import BuildOptions, CompiledModel, Runnable
from assay.score import figures
from assay.tuning.records import Candidate, Tuning
from assay.tuning.request import Goal, space_of
from assay.tuning.tune import SearchFolder, find_fastest
from benchmarks import runnables
from benchmarks.harness import Measured
from benchmarks.subjects import Subject


@dataclass(frozen=True)
class Durations:
    """How many seconds each measurement has."""

    compared: float
    """Of a search's result and of what is to be beaten, in turn."""
    warm_up: float = 0.1
    glance: float = 0.5
    final: float = 2.0
    finalists: int = 4
    """So many of the fastest at a glance are measured again in turn: a glance is as noisy as the machine."""


SHORT = Durations(compared=0.2, warm_up=0.01, glance=0.02, final=0.1, finalists=2)
"""For the small forms."""


def folder_of(folder: Path) -> Path:
    """Where subjects of searches lie: several benchmarks share them."""
    return folder / "tuning"


def searched(subject: Subject, request: Goal, name: str) -> Tuning:
    """A search from its start; of an earlier one only the reference is kept, which does not hang on the search."""
    out = subject.folder / name
    for place in out.iterdir() if out.is_dir() else ():
        if place.is_dir() and place.name != "reference":
            shutil.rmtree(place)
        elif place.is_file():
            place.unlink()
    return find_fastest(subject.model, subject.data, SearchFolder(out), request, Lines())


def gain(subject: Subject, name: str, request: Goal, usual: Goal, durations: Durations) -> Measured:
    """How many times faster a search's result is than the fastest defaults of what is usual, in turn."""
    tuning = searched(subject, request, name)
    theirs = fastest(subject, compiled(subject, space_of(subject.model, usual).defaults()), durations)
    found = over(subject, result(tuning), theirs, durations.compared)
    return Measured(found.value, f"{len(tuning.trials)} trials: {found.against}")


def result(tuning: Tuning) -> Runnable:
    """What a search found, as it is run."""
    assert tuning.compiled is not None, f"no candidate of {tuning.model.name} was right"
    return Runnable(tuning.compiled, next(one for one in tuning.trials if one.number == tuning.best).candidate.run)


def compiled(subject: Subject, candidates: Iterable[Candidate]) -> list[Runnable]:
    """The candidates that compile within the bounds of the parity; each artifact is made once and kept."""
    artifacts: dict[str, CompiledModel | None] = {}
    made = []
    for one in candidates:
        options = BuildOptions(
            backend=one.backend, device=one.device, batch=one.batch, precision=one.precision, settings=one.build
        )
        if str(options) not in artifacts:
            artifacts[str(options)] = _artifact(subject, options)
        if (artifact := artifacts[str(options)]) is not None:
            made.append(Runnable(artifact, one.run))
    return made


def fastest(subject: Subject, candidates: Sequence[Runnable], durations: Durations) -> Runnable:
    """The fastest of many: each has a glance, in an order drawn by lot, and the first few are measured in turn."""
    order: list[Runnable] = [candidates[place] for place in np.random.default_rng(0).permutation(len(candidates))]
    glances = [runnables.glanced_at(one, durations.warm_up, durations.glance) for one in order]
    ranked: list[Runnable] = [order[place] for place in np.argsort(glances)[::-1][: durations.finalists]]
    if len(ranked) == 1:
        return ranked[0]
    measured = runnables.measured_in_turn(ranked, subject.folder / "turns", durations.final)
    rates = [one.interface_throughput for one in measured]
    return ranked[rates.index(max(rates))]


def over(subject: Subject, ours: Runnable, theirs: Runnable, seconds: float) -> Measured:
    """How many times faster one is, measured in turn for so many seconds each."""
    one, other = runnables.measured_in_turn([ours, theirs], subject.folder / "turns", seconds)
    found = figures.ratio(one, other, "interface")
    rates = f"{one.interface_throughput:.4g} to {other.interface_throughput:.4g} images/s"
    bounds = f", interval {found.low:.3f} to {found.high:.3f}" if found.low is not None and found.high else ""
    return Measured(found.value, f"{_described(ours)} to {_described(theirs)}: {rates}{bounds}")


def _artifact(subject: Subject, options: BuildOptions) -> CompiledModel | None:
    """None if it does not compile, or not within the bounds."""
    try:
        return runnables.compiled(subject.model, options, subject.folder / "artifacts")
    except AssayError:
        return None


def _described(runnable: Runnable) -> str:
    """An artifact and its settings in a few words."""
    options = runnable.compiled.options
    settings = (f"{key}={value}" for key, value in {**options.settings, **runnable.run_settings}.items())
    return " ".join([options.backend, options.precision, f"batch {options.batch}", *settings])
