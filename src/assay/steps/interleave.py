"""Several artifacts measured in turn, in short blocks, so that a machine that drifts drifts for each of them.

All sessions are open at once. A round has one block of each artifact. The order is drawn by lot, and the next round
has the reverse: a steady drift takes as much from one as from the other, and nothing periodic can favour one.

A block has the same number of images for every artifact and in every round, so that the ratio of two rates is that of
their totals: as many as take half a second on average, or a twentieth of the duration if that is less, and a few calls
at least if they leave time for ten rounds. Where no such number is a multiple of all batch sizes, each artifact has the
nearest. How many they are is counted once, in a block that is thrown away. So there are twenty rounds or more, unless
single calls last longer than that. A block begins with an empty pipeline and ends with one; the time that its filling
takes is in the end-to-end throughput, and not in the interface's.
"""

from __future__ import annotations

import itertools
import math
import random
import string
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from assay.backends import opening
from assay.errors import Option, Remedy, UsageError
from assay.measure import machine
from assay.progress import Progress, Stopwatch
from assay.records import BatchResult, Runnable, RunRecord
from assay.steps import profile
from assay.steps.bench import LAYOUT as RUN_LAYOUT
from assay.steps.bench import quietness, record_of
from assay.steps.blocks import ArtifactBlocks
from assay.steps.measurement import (
    SYNTHETIC_SECONDS,
    Length,
    Measuring,
    Passage,
    new_home,
)
from assay.steps.pixel_sources import Data, source_of
from assay.steps.results import RUN_RECORD
from assay.storage import locks, store
from assay.storage.layout import Folder

BLOCK_SECONDS = 0.5
BLOCKS = 20
"""At least so many, where single calls are short enough."""
_FEW_CALLS = 3
_ROUNDS_OF_LONG_CALLS = 10
_SHORT = 1.2
"""Blocks that are no longer than this share of what is wanted are of short calls."""
_LONGEST = 4
"""How many times longer than wanted a block may be for the sake of batch sizes that do not divide each other."""
LETTERS = string.ascii_uppercase

LAYOUT = Folder(folders={"[A-Z]": RUN_LAYOUT})
"""A folder for each artifact, by its letter."""
Enough = Callable[[npt.NDArray[np.float64]], bool]
"""Whether the ratios so far, of the first artifact's rate over the second's in each round, say enough."""


@dataclass(frozen=True)
class Turns:
    """In how many blocks artifacts are measured in turn."""

    blocks: int = BLOCKS
    """At least, when measuring for seconds and single calls are short."""
    enough: Enough | None = None
    """Ends a measurement before its time."""


def bench_interleaved(
    runnables: Sequence[Runnable],
    data: Data,
    folder: Path,
    measuring: Measuring = Measuring(),
    turns: Turns = Turns(),
    command: str | None = None,
) -> dict[str, RunRecord]:
    """Measures artifacts in turn; writes `A/run.json`, `B/run.json` … into the folder, in the order given.

    Each is measured for a number of seconds on average (by default 10) or of batches, around and around the data: there
    are no predictions. Raises `UsageError` for fewer than two artifacts, or more than letters.
    """
    if not 2 <= len(runnables) <= len(LETTERS):
        raise UsageError(
            f"2 to {len(LETTERS)} artifacts are measured in turn, and here are {len(runnables)}",
            remedy=Remedy("give so many, or leave {} away", Option("interleave")),
        )
    if measuring.profile:
        profile.require(one.compiled for one in runnables)
    watch, progress = Stopwatch(), measuring.progress
    with locks.lock(folder, again=True):
        results = _measured(runnables, data, folder, _Plan.of(measuring.length, turns), measuring)
        progress.finish(
            "bench",
            f"{len(results)} artifacts in turn",
            quietness(list(results.values())),
            watch.seconds,
        )
        records = _written(results, folder, command)
        if measuring.profile:
            # What is measured stays, whatever a backend's profiler makes of it.
            profiled = profile.profiled(list(results.values()), progress)
            records = _written(dict(zip(results, profiled, strict=True)), folder, command)
    return records


def _written(results: Mapping[str, BatchResult], folder: Path, command: str | None) -> dict[str, RunRecord]:
    """The record of each artifact, in the folder of its letter."""
    records = {letter: record_of(one.compiled.model, None, (one,), command) for letter, one in results.items()}
    for letter, record in records.items():
        store.write(folder / letter / RUN_RECORD, record)
    return records


def _measured(
    runnables: Sequence[Runnable], data: Data, folder: Path, plan: _Plan, measuring: Measuring
) -> dict[str, BatchResult]:
    # The processor comes last: whichever other device takes part is the one to be looked at.
    device = max((one.compiled.options.device for one in runnables), key=lambda name: name != "cpu")
    before = measuring.patience.look(device, measuring.progress)
    with ExitStack() as opened:
        turns = []
        for one in runnables:
            session = opened.enter_context(opening.open_compiled(one.compiled, one.run_settings, plan.length.timeout))
            turns.append(ArtifactBlocks(Passage(one, session, source_of(data), plan.length)))
        measuring.progress.start("bench", None)
        for turn in turns:
            turn.warm_up(plan.length.warm_up, plan.block_seconds)
        _size_blocks(turns, plan)
        with machine.Watch(device) as watch:
            _take_turns(turns, plan, measuring.progress)
        seen = machine.after(before, watch.during, watch.users, device)
        interleaving = uuid.uuid4().hex
        return {
            letter: turn.result(new_home(folder / letter / "bench", turn.passage.compiled), interleaving, seen)
            for letter, turn in zip(LETTERS, turns, strict=False)
        }


def _size_blocks(turns: Sequence[ArtifactBlocks], plan: _Plan) -> None:
    """Gives every artifact's blocks the same number of images, or the nearest that its batch size allows."""
    seconds_an_image = sum(1 / turn.rate for turn in turns) / len(turns)
    units = [turn.images_at_once for turn in turns]
    few = _FEW_CALLS * max(units)
    wanted = (
        max(plan.block_seconds, min(few * seconds_an_image, plan.seconds / _ROUNDS_OF_LONG_CALLS)) / seconds_an_image
    )
    common = math.lcm(*units)
    if common <= max(_LONGEST * wanted, *units):
        wanted = common * max(1, int(wanted / common))
    for turn in turns:
        turn.size_block(wanted)


def _take_turns(turns: Sequence[ArtifactBlocks], plan: _Plan, progress: Progress) -> None:
    """Rounds until the artifacts have been measured for long enough, or there is enough to tell."""
    order = _orders(turns)
    if plan.length.batches is not None:
        for calls in _shared_out(plan.length.batches, turns):
            _round(next(order), calls, progress)
        return
    number = 0
    # Where calls were counted at a slow moment, the time is up before the rounds are done.
    block_seconds = sum(turn.expected_block_seconds for turn in turns) / len(turns)
    least = plan.turns.blocks if block_seconds <= _SHORT * plan.block_seconds else 0
    # A faster artifact is done with its images sooner: the time is that of all together.
    while number % 2 or number < least or sum(turn.seconds for turn in turns) < len(turns) * plan.seconds:
        _round(next(order), None, progress)
        number += 1
        if plan.turns.enough is not None and number % 2 == 0 and plan.turns.enough(turns[0].rates / turns[1].rates):
            return


def _orders(turns: Sequence[ArtifactBlocks]) -> Iterator[Sequence[ArtifactBlocks]]:
    """The order of each round: one drawn by lot, then the reverse."""
    lot = random.SystemRandom()
    while True:
        order = lot.sample(turns, len(turns))
        yield order
        yield order[::-1]


def _round(turns: Sequence[ArtifactBlocks], calls: int | None, progress: Progress) -> None:
    """A block of each artifact, in this order."""
    for turn in turns:
        turn.block(calls or turn.calls_a_block, progress)


def _shared_out(batches: int, turns: Sequence[ArtifactBlocks]) -> list[int]:
    """So many batches of each in blocks of half a second, in twenty where they suffice for so many.

    Where batch sizes differ, so do the images of the blocks; those of one artifact are as many in every round.
    """
    at_once = max(turn.passage.session.slots for turn in turns)
    calls = min(min(turn.calls_a_block for turn in turns), batches // BLOCKS)
    shares = batches // at_once
    rounds = shares // max(1, calls // at_once)
    rounds = max(1, rounds - rounds % 2)
    ends = [at_once * (shares * number // rounds) for number in range(rounds)]
    return [end - begin for begin, end in itertools.pairwise([*ends, batches])]


@dataclass(frozen=True)
class _Plan:
    """How long to measure, and in how many blocks at least."""

    length: Length
    """Of each artifact: seconds or batches, never once over the data."""
    seconds: float
    turns: Turns

    @classmethod
    def of(cls, length: Length, turns: Turns) -> _Plan:
        """The plan for a length, which by default is of ten seconds."""
        seconds = length.seconds or SYNTHETIC_SECONDS
        return cls(replace(length, seconds=seconds) if length.once else length, seconds, turns)

    @property
    def block_seconds(self) -> float:
        """That a block is to last."""
        return min(BLOCK_SECONDS, self.seconds / self.turns.blocks)
