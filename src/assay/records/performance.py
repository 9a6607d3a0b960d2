"""Records of one measured run of one artifact: its calls, its stages, and who shared it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from assay.errors import RecordError
from assay.records.base import ArrayFile, Count, Natural, PixelSource, Record, Seconds, Setting, SomeSeconds, require
from assay.records.machine import Machine


class StageTime(Record, frozen=True, kw_only=True):
    """What one stage of the pipeline did; times are summed over its workers, in seconds."""

    name: str
    workers: Count
    items: Natural
    busy_seconds: Seconds
    span_seconds: SomeSeconds
    """From the start of the run to this stage's last output."""
    waiting_in_seconds: Seconds
    """Waiting for work from the stage before."""
    waiting_out_seconds: Seconds
    """Waiting for room in the stage after."""
    run_seconds: SomeSeconds
    """The wall time of the whole run, of which the shares are."""

    @property
    def rate(self) -> float:
        """Images a second over the span."""
        return self.items / self.span_seconds

    @property
    def busy_share(self) -> float:
        """The share of the run in which a worker of this stage was at work."""
        return self.busy_seconds / (self.workers * self.run_seconds)

    @property
    def waiting_in_share(self) -> float:
        """The share of the run spent waiting for work."""
        return self.waiting_in_seconds / (self.workers * self.run_seconds)

    @property
    def waiting_out_share(self) -> float:
        """The share of the run spent waiting for room."""
        return self.waiting_out_seconds / (self.workers * self.run_seconds)


class WarmUp(Record, frozen=True, kw_only=True):
    """The calls before those that count."""

    calls: Natural
    seconds: Seconds
    steady: bool
    """Whether the calls' times were stable at its end; otherwise its time was up."""


class Blocks(Record, frozen=True, kw_only=True):
    """How an artifact's calls lie among those of others that were measured in turn with it."""

    interleaving: str
    """The same for all that were measured in turn; block i of each was measured in the same turn."""
    calls: tuple[Count, ...]
    """Of each block, in their order."""
    wall_seconds: tuple[SomeSeconds, ...]
    """Of each block."""

    def __post_init__(self) -> None:
        require(len(self.calls) == len(self.wall_seconds) > 0, "the calls and the seconds of each block")


class NodeTime(Record, frozen=True, kw_only=True):
    """What one node of the graph that ran costs."""

    name: str
    operator: str
    seconds: float
    """Of one inference call."""
    share: float
    """Of the time of all nodes, 0 to 1."""
    gflops: float | None = None
    """Arithmetic a second, in 1e9 operations, a multiplication and an addition being two; None where unknown."""


class Profile(Record, frozen=True, kw_only=True):
    """The costliest nodes of an artifact, by the backend's own clock; apart from what was measured without it."""

    calls: int
    seconds: float
    """Of all nodes, in one inference call."""
    nodes: tuple[NodeTime, ...]
    """The costliest first."""


class Performance(Record, frozen=True, kw_only=True):
    """One measured run of one artifact."""

    batch: Count
    images: Count
    wall_seconds: SomeSeconds
    batch_seconds: ArrayFile
    """float64 [calls, 2]: start and end of each inference call, in seconds from the start of the run.

    Where others were measured in turn with it, their time is left out: each block begins where the last one ended.
    """
    stages: tuple[StageTime, ...]
    slots: Count
    device: str
    run_settings: Mapping[str, Setting]
    warm_up: WarmUp
    source: PixelSource
    machine: Machine
    peak_memory_bytes: int | None = None
    """The most that the process held during the run, the opened artifact included.

    None where the system does not say, or where other artifacts were open as well.
    """
    device_peak_memory_bytes: int | None = None
    """The most that the process was seen to hold on a device with memory of its own."""
    blocks: Blocks | None = None
    """Where the calls were measured in turn with those of other artifacts."""
    repeats: tuple[Performance, ...] = ()
    """The same measured again, each in a process of its own: what differs between processes shows in these alone."""
    shares: tuple[Share, ...] = ()
    """Of the workers, where several shared the run; the calls' times are then on the clock of the one who gathers."""

    def __post_init__(self) -> None:
        shape = self.batch_seconds.shape
        require(len(shape) == 2 and shape[0] > 0 and shape[1] == 2, "a start and an end for each of the calls")
        require(bool(self.stages), "stages")
        require(self.blocks is None or sum(self.blocks.calls) == shape[0], "blocks of all calls")

    @cached_property
    def _intervals(self) -> npt.NDArray[np.float64]:
        """Start and end of each inference call; raises `RecordError` where they are none."""
        seconds = np.asarray(self.batch_seconds.load(), dtype=np.float64)
        if not (
            np.isfinite(seconds).all() and (seconds[:, 1] >= seconds[:, 0]).all() and seconds.max() > seconds.min()
        ):
            raise RecordError.damaged(self.batch_seconds.file.path, "its rows are not the start and end of calls")
        return seconds

    @cached_property
    def call_seconds(self) -> npt.NDArray[np.float64]:
        """The length of each inference call, in the order in which the batches were read."""
        return np.asarray(self._intervals[:, 1] - self._intervals[:, 0])

    @cached_property
    def call_ends(self) -> npt.NDArray[np.float64]:
        """The end of each inference call, in seconds from the start of the run, in the order of the batches."""
        return self._intervals[:, 1]

    @cached_property
    def interface_increments(self) -> npt.NDArray[np.float64]:
        """By how much each call of a whole batch made the time longer in which one was in flight, by their starts."""
        return _increments(self._intervals[:-1] if self._last_is_short else self._intervals)

    @property
    def interface_seconds(self) -> float:
        """The time in which at least one inference call was in flight."""
        return float(_increments(self._intervals).sum())

    @property
    def _last_is_short(self) -> bool:
        """Whether the last call of a run once over the data had fewer images than the others.

        A padded batch takes as long as a whole one, so that it would make the interface throughput too low.
        """
        calls, together = self.batch_seconds.shape[0], self.blocks is None and not self.shares
        return together and calls > 1 and 0 < calls * self.batch - self.images < self.batch

    @property
    def interface_images(self) -> int:
        """The images of the calls that the interface throughput is of."""
        return (len(self._intervals) - 1) * self.batch if self._last_is_short else self.images

    @property
    def end_to_end_throughput(self) -> float:
        """Images a second, from the first read to the last post."""
        return self.images / self.wall_seconds

    @property
    def interface_throughput(self) -> float:
        """Images a second over the time in which at least one call was in flight; without a last call that is short."""
        return self.interface_images / float(self.interface_increments.sum())

    @property
    def calls_in_flight(self) -> float:
        """How many inference calls were in flight at once, on average over the whole run."""
        return float(self.call_seconds.sum()) / self.wall_seconds

    @property
    def infer_busy_share(self) -> float:
        """The share of the session's slots, 0 to 1, that had a call in flight, on average over the whole run."""
        return self.calls_in_flight / self.slots

    @property
    def processes(self) -> tuple[Performance, ...]:
        """This measurement and its repeats."""
        return (self, *self.repeats)

    def latency(self, percent: float) -> float:
        """A percentile of one inference call's time, in seconds, linear between neighbours; 50 is the median."""
        return float(np.percentile(self.call_seconds, percent))

    @property
    def bottleneck(self) -> StageTime:
        """The stage that was at work for the largest share of the run."""
        return max(self.stages, key=lambda stage: stage.busy_share)


def _increments(intervals: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """By how much each call, in the order of their starts, made the time longer in which one was in flight."""
    ordered = intervals[np.argsort(intervals[:, 0], kind="stable")]
    # A call adds only what lies beyond the end of all the calls that began before it.
    ended = np.maximum.accumulate(ordered[:, 1])
    begins = np.maximum(ordered[1:, 0], ended[:-1])
    return np.concatenate([[ordered[0, 1] - ordered[0, 0]], np.maximum(ordered[1:, 1] - begins, 0)])


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

    RESUMED: ClassVar[str] = " (resumed)"
    """How the name of a worker ends that went on with what an earlier part of the run, which was stopped, had left."""

    worker: WorkerIdentity
    shards: Natural
    images: Natural
    interface_seconds: Seconds
    """In which it had an inference call in flight."""
    lost: bool = False
    """Whether it died before the end; what it had not given back was done again by others."""

    @property
    def is_resumed(self) -> bool:
        """Whether it went on with a run that was stopped."""
        return self.worker.name.endswith(self.RESUMED)

    @property
    def interface_throughput(self) -> float:
        """Images a second over the time in which it had an inference call in flight."""
        return self.images / self.interface_seconds if self.interface_seconds else 0.0
