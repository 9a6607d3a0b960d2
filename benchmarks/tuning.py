"""What the benchmarks of the search share: a search, the defaults that are to be beaten, and both measured in turn."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from assay.backends import opening
from assay.errors import AssayError
from assay.measure import stages
from assay.progress import Lines, Silent
from assay.records import BuildOptions, CompiledModel, Performance, Setting
from assay.score import figures
from assay.steps.artifact import compile_into
from assay.steps.interleave import bench_interleaved
from assay.steps.measurement import Length, Passage
from assay.steps.pixel_sources import source_of
from assay.tuning.records import Candidate, Tuning
from assay.tuning.request import TuneRequest, space_of
from assay.tuning.tune import tune
from benchmarks.subjects import FOLDER, Subject

FINALISTS = 4
"""So many of the fastest at a first look are measured again in turn: a single look is as noisy as the machine."""
FIRST_SECONDS = 0.1
LOOK_SECONDS = 0.5
FINAL_SECONDS = 2.0

Runnable = tuple[CompiledModel, Mapping[str, Setting]]
"""An artifact and the settings of its run."""


def searched(subject: Subject, request: TuneRequest, name: str) -> Tuning:
    """A search from its start; of an earlier one only the reference is kept, which does not hang on the search."""
    out = subject.folder / name
    for place in out.iterdir() if out.is_dir() else ():
        if place.is_dir() and place.name != "reference":
            shutil.rmtree(place)
        elif place.is_file():
            place.unlink()
    return tune(subject.model, subject.data, out, request, Lines())


def gain(subject: Subject, request: TuneRequest, name: str, usual: TuneRequest, seconds: float) -> tuple[float, str]:
    """How many times faster a search's result is than the fastest defaults of what is usual, in turn; and in words."""
    found = searched(subject, request, name)
    theirs = fastest(compiled(subject, space_of(subject.model, usual).defaults()))
    value, said = ratio(result(found), theirs, seconds)
    return value, f"{len(found.trials)} trials: {said}"


def result(found: Tuning) -> Runnable:
    """What a search found, as it is run."""
    assert found.compiled is not None, f"no candidate of {found.model.name} was right"
    return found.compiled, next(one for one in found.trials if one.number == found.best).candidate.run


def compiled(subject: Subject, candidates: Iterable[Candidate]) -> list[Runnable]:
    """The candidates that compile within the bounds of the parity; each artifact is made once and kept."""
    made: dict[str, CompiledModel | None] = {}
    found = []
    for one in candidates:
        options = BuildOptions(
            backend=one.backend, device=one.device, batch=one.batch, precision=one.precision, settings=one.build
        )
        if str(options) not in made:
            made[str(options)] = _artifact(subject, options)
        if (artifact := made[str(options)]) is not None:
            found.append((artifact, one.run))
    return found


def fastest(runnables: Sequence[Runnable], finalists: int = FINALISTS) -> Runnable:
    """The fastest of many: each has a short look, in an order drawn by lot, and the first few are measured in turn."""
    order: list[Runnable] = [runnables[place] for place in np.random.default_rng(0).permutation(len(runnables))]
    looks = [_look(one) for one in order]
    ranked: list[Runnable] = [order[place] for place in np.argsort(looks)[::-1][:finalists]]
    rates = [one.interface_throughput for one in _in_turn(ranked, FINAL_SECONDS)]
    return ranked[rates.index(max(rates))]


def ratio(ours: Runnable, theirs: Runnable, seconds: float) -> tuple[float, str]:
    """How many times faster one is, measured in turn for so many seconds each; and both sides in words."""
    one, other = _in_turn([ours, theirs], seconds)
    found = figures.ratio(one, other, "interface")
    rates = f"{one.interface_throughput:.4g} to {other.interface_throughput:.4g} images/s"
    bounds = f", interval {found.low:.3f} to {found.high:.3f}" if found.low is not None and found.high else ""
    return found.value, f"{_described(ours)} to {_described(theirs)}: {rates}{bounds}"


def _artifact(subject: Subject, options: BuildOptions) -> CompiledModel | None:
    """None where it does not compile, or not within the bounds."""
    try:
        return compile_into(subject.model, options, subject.folder / "artifacts")[0]
    except AssayError:
        return None


def _in_turn(runnables: Sequence[Runnable], seconds: float) -> list[Performance]:
    """Each measured for so many seconds, in turn with the others."""
    records = bench_interleaved(runnables, None, FOLDER / "turns", length=Length(seconds=seconds))
    return [record.results[0].performance for record in records.values()]


def _look(runnable: Runnable) -> float:
    """Images a second of one short run, after one that does not count; hundreds of them are to be had in minutes."""
    artifact, run_settings = runnable
    with opening.open_compiled(artifact, run_settings) as session:
        passage = Passage(artifact, session, source_of(None), once=False)
        for seconds in (FIRST_SECONDS, LOOK_SECONDS):
            done = passage.run(stages.repeated(passage.images, passage.batch, stages.for_seconds(seconds)), Silent())
    return done.items / done.wall_seconds


def _described(runnable: Runnable) -> str:
    """An artifact and its settings in a few words."""
    options, run_settings = runnable[0].options, runnable[1]
    settings = (f"{key}={value}" for key, value in {**options.settings, **run_settings}.items())
    return " ".join([options.backend, options.precision, f"batch {options.batch}", *settings])
