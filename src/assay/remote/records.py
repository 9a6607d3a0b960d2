"""Records of a run that several workers shared."""

from __future__ import annotations

from assay.records.base import ArrayFile, Count, Natural, Record, Seconds, require
from assay.records.data import ImageWarning
from assay.records.performance import StageTime, WorkerIdentity


class ShardAnswer(Record, frozen=True, kw_only=True):
    """What one worker made of consecutive images, whole: a run that was killed goes on without them."""

    first: Natural
    """The number of the first image."""
    images: Count
    worker: WorkerIdentity
    scores: ArrayFile
    """float32 [images, classes]."""
    calls: tuple[tuple[Seconds, Seconds], ...]
    """Start and end of each inference call, in seconds from the start of the run."""
    stages: tuple[StageTime, ...]
    image_sha256: tuple[str, ...] = ()
    """Of images that came as files."""
    warnings: tuple[ImageWarning, ...] = ()

    def __post_init__(self) -> None:
        require(self.scores.shape[:1] == (self.images,), "a row of scores for each image")
        require(len(self.image_sha256) in (0, self.images), "a hash for each image, or none")
        require(bool(self.calls) and bool(self.stages), "calls and stages")
