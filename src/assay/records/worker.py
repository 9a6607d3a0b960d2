"""Records of the workers that shared a run."""

from __future__ import annotations

from assay.records.base import Natural, Record, Seconds


class WorkerIdentity(Record, frozen=True, kw_only=True):
    """Who a worker is."""

    name: str
    """The machine's name, what tells it from others of that name, and the device."""
    machine: str
    """Its name, as the machine itself has it."""
    device: str
    processor: str
    artifact_sha256: str
    """Of the file that it runs: one for each kind of processor."""


class Share(Record, frozen=True, kw_only=True):
    """What one worker did of a run that several shared."""

    worker: WorkerIdentity
    shards: Natural
    images: Natural
    interface_seconds: Seconds
    """In which it had an inference call in flight."""
    lost: bool = False
    """Whether it died before the end; what it had not given back was done again by others."""

    @property
    def interface_throughput(self) -> float:
        """Images a second over the time in which it had an inference call in flight."""
        return self.images / self.interface_seconds if self.interface_seconds else 0.0
