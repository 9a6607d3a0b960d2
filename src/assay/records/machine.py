"""Records of the machine: what it is, and what was at work on it."""

from __future__ import annotations

from collections.abc import Mapping

from assay.records.base import Record


class DeviceUser(Record, frozen=True, kw_only=True):
    """A process other than this one that uses a device."""

    device: str
    """`cpu`, or the device as its vendor's tool names it."""
    process: int
    name: str
    share: float | None = None
    """Of the whole device, 0 to 1; None where the system does not say."""
    memory_bytes: int | None = None


class MachineState(Record, frozen=True, kw_only=True):
    """What the machine did over some seconds; None where the system does not say."""

    seconds: float
    busy_share: float
    """Of the time of the processors that this process may use, what everything but it and its children took, 0 to 1."""
    steal_share: float | None = None
    """Of the processors' time, taken by other guests of the same host."""
    load: float | None = None
    """Processes that ran or wanted to, over the last minute."""
    context_switches: float | None = None
    """A second, on the whole machine."""
    frequency_mhz: float | None = None
    temperature_celsius: float | None = None
    """Of the hottest part of the processor."""
    allowed_processors: float | None = None
    """How many processors' time this process may use, by the quota of its control group; None without a quota."""
    throttled_share: float | None = None
    """Of the quota's periods, those in which this process was stopped for having used it up, 0 to 1."""
    device_busy_share: float | None = None
    """Of the time of the device that is measured, in use by others, where that is not the processor.

    During a measurement also None where the device knows the use of all together alone.
    """


class Machine(Record, frozen=True, kw_only=True):
    """Who else was at work before, during and after a measurement."""

    before: MachineState
    during: MachineState | None = None
    after: MachineState | None = None
    users: tuple[DeviceUser, ...] = ()
    """Processes that were seen to use the device or the processors."""

    @property
    def busiest(self) -> float:
        """The largest share of the processors' or the device's time that others took, stolen time included."""
        states = [state for state in (self.before, self.during, self.after) if state is not None]
        return max(
            max(state.busy_share + (state.steal_share or 0.0), state.device_busy_share or 0.0) for state in states
        )


class Environment(Record, frozen=True, kw_only=True):
    """The machine and the software that a result was made on."""

    assay: str
    python: str
    system: str
    machine: str
    processor: str
    cores: int
    memory_bytes: int
    packages: Mapping[str, str]
    transform_fingerprint: str | None = None
    """A hash of what this machine's decoders and resizers make of reference images."""
