"""One artifact's way through the pipeline: its buffers, its warm-up, and any number of passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from assay.backends.base import Session
from assay.measure import pipeline, stages
from assay.measure.pipeline import Job
from assay.measure.stages import Slot
from assay.progress import Progress
from assay.records import CompiledModel, WarmUp
from assay.workflow.pixels import Sink, Source


class Passage:
    """An open session between the stages that feed it and those that take its scores."""

    def __init__(
        self, compiled: CompiledModel, session: Session, source: Source, once: bool, timeout: float | None = None
    ) -> None:
        self.compiled, self.session, self.source = compiled, session, source
        self.batch = compiled.options.batch
        self.names = source.names
        self.timeout = timeout
        self._input_stages = source.stages(compiled, once)
        self._ring = self._filled_ring()

    @property
    def images(self) -> int:
        """How many images there are to go around; of made-up ones, as many as a batch has."""
        return len(self.names) or self.batch

    def warm_up(self, limit: float) -> WarmUp:
        """Calls until their times are steady, or so many seconds are up."""
        return stages.warm_up(self.session, self._ring[0].batch, self.timeout, limit)

    def run(
        self, jobs: Iterator[Job], progress: Progress, scores: Path | None = None, sinks: Sequence[Sink] = ()
    ) -> pipeline.Outcome:
        """All jobs through all stages; every image's scores go into the file, where there is one, and to the sinks."""
        infer = stages.infer(self.session, self._name_of)
        limit = stages.limit(self.timeout, self._name_of)
        if scores is None:
            chain = [*self._input_stages, infer]
            if self.names:
                chain.append(stages.post((), progress.advance))
            return pipeline.run(jobs, chain, self._ring, infer.name, limit)
        with scores.open("wb") as file:
            writer = stages.ScoreWriter(file.fileno(), len(self.names), self.compiled.model.classes)
            chain = [*self._input_stages, infer, stages.post((writer.write, *sinks), progress.advance)]
            return pipeline.run(jobs, chain, self._ring, infer.name, limit)

    def _name_of(self, image: int) -> str:
        return self.names[image] if self.names else "synthetic"

    def _filled_ring(self) -> list[Slot]:
        ring = stages.slots(self.session, self._in_flight())
        if not self.names:
            generator = np.random.default_rng(0)
            for slot in ring:
                slot.batch[...] = generator.integers(0, 256, slot.batch.shape, dtype=np.uint8)
        return ring

    def _in_flight(self) -> int:
        """A slot for each batch at work: one read, those preprocessed and inferred, and one that waits its turn.

        More would be slower, not faster: buffers that go around soon are still in the processor's cache.
        """
        if not self.names:
            return self.session.slots
        preprocess = self._input_stages[-1]
        return self.session.slots + preprocess.workers + 2
