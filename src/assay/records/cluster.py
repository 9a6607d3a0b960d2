"""Records of a run that several workers shared."""

from __future__ import annotations

from assay.records.base import ArrayFile, Record
from assay.records.data import ImageWarning
from assay.records.measurement import StageTime
from assay.records.worker import WorkerIdentity


class ShardAnswer(Record, frozen=True, kw_only=True):
    """What one worker made of consecutive images, whole: a run that was killed goes on without them."""

    first: int
    """The number of the first image."""
    images: int
    worker: WorkerIdentity
    scores: ArrayFile
    """float32 [images, classes]."""
    calls: tuple[tuple[float, float], ...]
    """Start and end of each inference call, in seconds from the start of the run."""
    stages: tuple[StageTime, ...]
    image_sha256: tuple[str, ...] = ()
    """Of images that came as files."""
    warnings: tuple[ImageWarning, ...] = ()
