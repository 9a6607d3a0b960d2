"""One artifact's part of a measurement in turn: blocks of calls, and the record of them all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from assay.measure import pipeline, stages
from assay.progress import Progress, Silent
from assay.records import BatchResult, Blocks, Machine, Performance, StageTime, WarmUp
from assay.steps.measurement import BATCH_SECONDS, PERFORMANCE_RECORD, Passage
from assay.storage import store


class ArtifactBlocks:
    """The blocks of one artifact."""

    def __init__(self, passage: Passage) -> None:
        self.passage = passage
        # Fewer would leave a part of the session idle.
        self.calls_a_block = passage.session.slots
        self.rate = 0.0
        """Images a second, counted before the first block."""
        self._blocks: list[pipeline.Outcome] = []
        self._calls = 0
        self._warm_up: WarmUp

    @property
    def images_at_once(self) -> int:
        """How many images are in flight if every slot has a call."""
        return min(self.passage.batch, self.passage.images) * self.passage.session.slots

    def size_block(self, images: float) -> None:
        """Sets the calls of a block to hold so many images, or the nearest number that fills every slot."""
        slots = self.passage.session.slots
        self.calls_a_block = slots * max(1, round(images / self.images_at_once))

    @property
    def expected_block_seconds(self) -> float:
        """How long a block will last, by the rate that was counted."""
        return self.calls_a_block * min(self.passage.batch, self.passage.images) / self.rate

    @property
    def seconds(self) -> float:
        """How long this artifact has been measured."""
        return sum(block.wall_seconds for block in self._blocks)

    @property
    def rates(self) -> npt.NDArray[np.float64]:
        """Images a second of each block."""
        return np.array([block.items / block.wall_seconds for block in self._blocks])

    def warm_up(self, limit: float, block_seconds: float) -> None:
        """Warms up for so many seconds at most, and counts how many images a second there are."""
        self._warm_up = self.passage.warm_up(limit)
        images, slots = min(self.passage.batch, self.passage.images), self.passage.session.slots
        seconds = self._warm_up.seconds / self._warm_up.calls
        # The warm-up has one call in flight at a time.
        self.rate = slots * images / seconds
        # Calls that are as long as a block fill it: there is nothing to count.
        if seconds < block_seconds:
            calls = self._run(stages.for_seconds(block_seconds)).intervals
            # From the first call on: what the filling of the pipeline takes does not grow with the block.
            self.rate = images * len(calls) / (calls[:, 1].max() - calls[:, 0].min())

    def block(self, calls: int, progress: Progress) -> None:
        """Measures one block."""
        done = self._run(lambda jobs: jobs >= calls)
        self._blocks.append(done)
        self._calls += calls
        progress.advance(done.items)

    def result(self, home: Path, interleaving: str, seen: Machine) -> BatchResult:
        """Writes the record of all blocks."""
        session, compiled = self.passage.session, self.passage.compiled
        performance = Performance(
            batch=self.passage.batch,
            images=sum(block.items for block in self._blocks),
            wall_seconds=self.seconds,
            batch_seconds=store.save_array(home / BATCH_SECONDS, _one_after_the_other(self._blocks)),
            stages=_stages(self._blocks),
            slots=session.slots,
            device=session.device,
            run_settings=self.passage.run_settings,
            warm_up=self._warm_up,
            source=self.passage.source.kind,
            machine=seen,
            blocks=Blocks(
                interleaving=interleaving,
                calls=tuple(len(block.intervals) for block in self._blocks),
                wall_seconds=tuple(block.wall_seconds for block in self._blocks),
            ),
        )
        store.write(home / PERFORMANCE_RECORD, performance)
        return BatchResult(compiled=compiled, performance=performance, predictions=None, accuracy=None)

    def _run(self, enough: Callable[[int], bool]) -> pipeline.Outcome:
        jobs = stages.repeated(self.passage.images, self.passage.batch, enough, start=self._calls)
        return self.passage.run(jobs, Silent())


def _one_after_the_other(blocks: Sequence[pipeline.Outcome]) -> npt.NDArray[np.float64]:
    """Start and end of all calls, as if each block had begun where the one before ended."""
    begins = itertools.accumulate((block.wall_seconds for block in blocks), initial=0.0)
    return np.concatenate([block.intervals + begin for block, begin in zip(blocks, begins, strict=False)])


def _stages(blocks: Sequence[pipeline.Outcome]) -> tuple[StageTime, ...]:
    """What each stage did over all blocks."""
    return tuple(
        StageTime(
            name=times[0].name,
            workers=times[0].workers,
            items=sum(time.items for time in times),
            busy_seconds=sum(time.busy_seconds for time in times),
            span_seconds=sum(time.span_seconds for time in times),
            waiting_in_seconds=sum(time.waiting_in_seconds for time in times),
            waiting_out_seconds=sum(time.waiting_out_seconds for time in times),
            run_seconds=sum(time.run_seconds for time in times),
        )
        for times in zip(*(block.stages for block in blocks), strict=True)
    )
