"""What the machine does before, during and after a measurement, and who else is at work on it.

Looks at every process are taken at both ends of a measurement, outside of what is timed. During it a thread of its
own reads a few counters once a second; only where these say that others are at work does it look at all processes,
and then once in five seconds, to know the names of those that end before the measurement does.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import sleep
from types import TracebackType
from typing import Self

import psutil

from assay import environment, units
from assay.environment import BUSY_SHARE
from assay.measure import accelerators, cgroup, processes
from assay.measure.clock import now
from assay.measure.memory import PeakMemory
from assay.measure.processes import Account, Key, Process
from assay.processes import workers
from assay.progress import Progress, Silent
from assay.records import DeviceUser, Machine, MachineState

LOOK_SECONDS = 0.3
FADING_SECONDS = 1.0
"""Over which a device tells its use: that of a measurement which has just ended is not in it after so long."""
PERIOD_SECONDS = 1.0
NAMING_SECONDS = 5.0
_HOT = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "soc_thermal")
"""The names of processors' sensors."""


@dataclass(frozen=True)
class Counters:
    """What the system had counted at one moment; differences of two of them tell what went on between."""

    at: float
    total: float
    """Seconds of all processors."""
    busy: float
    stolen: float | None
    context_switches: int
    limit: cgroup.Limit | None = None

    @staticmethod
    def now() -> Counters:
        """As they stand, of the processors that this process may use: what goes on beside those takes nothing away."""
        times = _processor_times()
        # What guests of this machine use is among what its users use.
        guests = times.get("guest", 0.0) + times.get("guest_nice", 0.0)
        total = sum(times.values()) - guests
        stolen = times.get("steal")
        resting = times.get("idle", 0.0) + times.get("iowait", 0.0) + (stolen or 0.0)
        switches = psutil.cpu_stats().ctx_switches
        return Counters(
            at=now(),
            total=total,
            busy=total - resting,
            stolen=stolen,
            context_switches=switches,
            limit=cgroup.limit(),
        )


@dataclass(frozen=True)
class Look:
    """The machine and all of its processes at one moment."""

    counters: Counters
    processes: Mapping[Key, Process]

    @staticmethod
    def now() -> Look:
        """As they are."""
        return Look(Counters.now(), processes.everyone())


@dataclass
class Sensors:
    """Frequency and temperature over some looks."""

    frequencies: list[float] = field(default_factory=list)
    temperatures: list[float] = field(default_factory=list)

    def look(self) -> None:
        """Takes what the system gives; some systems fail where others have nothing to say."""
        with suppress(OSError, NotImplementedError, RuntimeError, AttributeError):
            frequency = psutil.cpu_freq()
            if frequency is not None and frequency.current:
                self.frequencies.append(float(frequency.current))
        with suppress(OSError, NotImplementedError, RuntimeError, AttributeError):
            parts = psutil.sensors_temperatures()
            self.temperatures += [float(part.current) for name in _HOT for part in parts.get(name, []) if part.current]


def state(begin: Look, end: Look, sensors: Sensors, device_share: float | None = None) -> MachineState:
    """What went on between two looks, without this process and its children."""
    first, last = begin.counters, end.counters
    seconds = max(last.at - first.at, 1e-9)
    total = max(last.total - first.total, 1e-9)
    own = processes.own_seconds(end.processes) - processes.own_seconds(begin.processes)
    stolen = None
    if first.stolen is not None and last.stolen is not None:
        stolen = _share((last.stolen - first.stolen) / total)
    return MachineState(
        seconds=seconds,
        busy_share=_share((last.busy - first.busy - own) / total),
        steal_share=stolen,
        load=_load(),
        context_switches=max(last.context_switches - first.context_switches, 0) / seconds,
        frequency_mhz=sum(sensors.frequencies) / len(sensors.frequencies) if sensors.frequencies else None,
        temperature_celsius=max(sensors.temperatures, default=None),
        allowed_processors=last.limit.processors if last.limit is not None else None,
        throttled_share=last.limit.throttled_since(first.limit) if last.limit is not None else None,
        device_busy_share=device_share,
    )


def look(device: str = processes.PROCESSORS, seconds: float | None = None) -> Machine:
    """What the machine does over a short while before a measurement on a device, and who else is there."""
    begin, sensors = Look.now(), Sensors()
    sleep(LOOK_SECONDS if seconds is None else seconds)
    end = Look.now()
    sensors.look()
    account = Account(begin.processes)
    account.add(end.processes)
    use = accelerators.use_of(device)
    machine = state(begin, end, sensors, use.others_share)
    users = account.users(machine.seconds, _processors())
    return Machine(before=machine, users=processes.merged((*users, *use.users)))


def after(before: Machine, during: MachineState, users: tuple[DeviceUser, ...], device: str) -> Machine:
    """The whole record of a measurement on a device that has just ended."""
    machine = look(device, FADING_SECONDS if accelerators.tells(device) else LOOK_SECONDS)
    return Machine(
        before=before.before,
        during=during,
        after=machine.before,
        users=processes.merged((*before.users, *users, *machine.users)),
    )


def is_idle(machine: Machine) -> bool:
    """Whether others took so little that a measurement is worth its name."""
    return machine.busiest <= BUSY_SHARE


def named(users: tuple[DeviceUser, ...], most: int = 3) -> str:
    """Who is at work, `pytest (4711) 43 %, python (12) on GPU 0 (H100) 1.2 GiB`; empty where none can be named."""
    return units.names(tuple(_named(user) for user in users), most)


def _named(user: DeviceUser) -> str:
    place = "" if user.device == processes.PROCESSORS else f" on {user.device}"
    if user.share is not None:
        return f"{user.name} ({user.process}){place} {units.share(user.share)}"
    held = f" {units.memory(user.memory_bytes)}" if user.memory_bytes is not None else ""
    return f"{user.name} ({user.process}){place}{held}"


class Patience:
    """So many seconds in all to wait for an idle machine, over all measurements of a command."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._asked = self._left = seconds

    def look(self, device: str, progress: Progress = Silent()) -> Machine:
        """The machine as soon as it is idle, or as it is once the time is up, which is said with who uses it."""
        machine = look(device)
        if self._asked <= 0 or is_idle(machine):
            return machine
        begin = now()
        progress.note(f"the machine is busy ({_who(machine)}); waiting for it, {units.seconds(self._left)} at most")
        while not is_idle(machine) and now() - begin < self._left:
            machine = look(device, min(PERIOD_SECONDS, max(self._left - (now() - begin), LOOK_SECONDS)))
        self._left = max(0.0, self._left - (now() - begin))
        if not is_idle(machine):
            progress.note(
                f"the machine was not idle in {units.seconds(self._asked)} ({_who(machine)}); it is measured all the "
                "same, and marked"
            )
        return machine


AT_ONCE = Patience()
"""None at all: a measurement begins whatever the machine does."""


def _who(machine: Machine) -> str:
    return f"{units.share(machine.busiest)}: {named(machine.users) or 'by none that can be seen from here'}"


class Watch:
    """A context that watches the machine while something is measured; costs a look at its counters once a second."""

    def __init__(self, device: str = processes.PROCESSORS, period: float = PERIOD_SECONDS) -> None:
        self._device, self._period = device, period
        self._sensors = Sensors()
        self._stop = threading.Event()
        self._thread = workers.thread(self._run, "watch")
        self._device_bytes: int | None = None
        self._device_shares: list[float] = []
        self._device_users: tuple[DeviceUser, ...] = ()
        self._named_at = 0.0
        self.during: MachineState
        self.users: tuple[DeviceUser, ...]
        self.peak_memory_bytes: int
        self.device_peak_memory_bytes: int | None = None

    def __enter__(self) -> Self:
        self._begin = Look.now()
        self._account = Account(self._begin.processes)
        self._since = self._begin.counters, _own_quickly()
        self._memory = PeakMemory()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the watch and says what it saw; nothing where the measurement failed."""
        self._stop.set()
        self._thread.join()
        if error is not None:
            return
        end = Look.now()
        self._sensors.look()
        self._look_at_device()
        self._account.add(end.processes)
        shares = self._device_shares
        device_share = sum(shares) / len(shares) if shares else None
        self.during = state(self._begin, end, self._sensors, device_share)
        users = self._account.users(self.during.seconds, _processors())
        self.users = processes.merged((*users, *self._device_users))
        self.peak_memory_bytes = self._memory.bytes()
        self.device_peak_memory_bytes = self._device_bytes

    def _run(self) -> None:
        while not self._stop.wait(self._period):
            self._memory.look()
            self._sensors.look()
            if accelerators.tells_quickly(self._device):
                self._look_at_device()
            self._look_at_others()

    def _look_at_device(self) -> None:
        use = accelerators.use_of(self._device)
        if use.own_bytes is not None:
            self._device_bytes = max(use.own_bytes, self._device_bytes or 0)
        # While it is measured, a device that knows the use of all together says nothing of that of others.
        if use.told_apart and use.others_share is not None:
            self._device_shares.append(use.others_share)
        self._device_users = processes.merged((*self._device_users, *use.users))

    def _look_at_others(self) -> None:
        """Looks at all processes where others are at work, so that those are named that will have ended."""
        (first, own_first), last, own_last = self._since, Counters.now(), _own_quickly()
        self._since = last, own_last
        others = (last.busy - first.busy - (own_last - own_first)) / max(last.total - first.total, 1e-9)
        if others > BUSY_SHARE and last.at - self._named_at >= NAMING_SECONDS:
            self._account.add(processes.everyone())
            self._named_at = last.at


def _processor_times() -> dict[str, float]:
    """Seconds by use, summed over the processors that this process may use."""
    each = psutil.cpu_times(percpu=True)
    usable = environment.usable_processors()
    mine = [times for number, times in enumerate(each) if number in usable] or each
    return {name: sum(getattr(times, name) for times in mine) for name in each[0]._fields}


def _own_quickly() -> float:
    """The processors' time of this process alone, without a look at all others for its children."""
    times = os.times()
    return times.user + times.system


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _processors() -> int:
    return psutil.cpu_count() or 1


def _share(value: float) -> float:
    """Between 0 and 1, also where the system's counts are too coarse for a short look."""
    return min(1.0, max(0.0, value))
