"""Who uses the processors: this process with its children, and every other one by its name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from assay.records import DeviceUser

PROCESSORS = "cpu"
LEAST_SHARE = 0.03
"""Of all processors' time: who used less is not worth a name."""
MOST_USERS = 8
_INTERPRETERS = ("python", "bash", "sh")
_CODE = ("-c", "-")
"""Options after which the program itself stands, or that read it from elsewhere."""
_WITH_VALUE = ("-W", "-X")


class Key(NamedTuple):
    """One process; a number alone is given to another one some time after its end."""

    process: int
    created: float


@dataclass(frozen=True)
class Process:
    """What a process had used when it was looked at."""

    name: str
    parent: int
    seconds: float
    """Of processors' time, its own threads' alone."""
    ended_children: float
    """Of processors' time, of those of its children that have ended."""


def everyone() -> dict[Key, Process]:
    """Every process that this one can see."""
    running = {}
    for process in psutil.process_iter():
        # One that ends while it is looked at, or that may not be looked at, is passed over.
        with suppress(psutil.Error, OSError), process.oneshot():
            times = process.cpu_times()
            running[Key(process.pid, process.create_time())] = Process(
                name=process.name(),
                parent=process.ppid(),
                seconds=times.user + times.system,
                ended_children=getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0),
            )
    return running


def family(processes: Mapping[Key, Process], ancestor: int) -> set[Key]:
    """A process and all that descend from it."""
    children: dict[int, list[Key]] = {}
    for key, process in processes.items():
        children.setdefault(process.parent, []).append(key)
    members = {key for key in processes if key.process == ancestor}
    waiting = list(members)
    while waiting:
        for child in children.get(waiting.pop().process, []):
            if child not in members:
                members.add(child)
                waiting.append(child)
    return members


def own_seconds(processes: Mapping[Key, Process]) -> float:
    """The processors' time that this process and its children had used, those that have ended included."""
    ours = [processes[key] for key in family(processes, os.getpid())]
    return sum(process.seconds + process.ended_children for process in ours)


class Account:
    """Who used the processors since it was opened, over as many looks as were taken."""

    def __init__(self, begin: Mapping[Key, Process]) -> None:
        self._first = dict(begin)
        self._last: dict[Key, Process] = {}
        self._ours: set[Key] = set()

    def add(self, processes: Mapping[Key, Process]) -> None:
        """Takes one more look; a process that ends between two of them is known from the one before."""
        self._last.update(processes)
        self._ours |= family(processes, os.getpid())

    def users(self, seconds: float, processors: int) -> tuple[DeviceUser, ...]:
        """The others, those that used most first."""
        users = [
            DeviceUser(device=PROCESSORS, process=key.process, name=_program(key, process.name), share=share)
            for key, process in self._last.items()
            if key not in self._ours and (share := self._used(key, process) / (seconds * processors)) >= LEAST_SHARE
        ]
        return tuple(sorted(users, key=lambda user: -(user.share or 0.0))[:MOST_USERS])

    def _used(self, key: Key, process: Process) -> float:
        """What was there at the beginning had used something before; all that a later one used is of since then."""
        return process.seconds - (self._first[key].seconds if key in self._first else 0.0)


def _program(key: Key, name: str) -> str:
    """A process's name, and behind that of an interpreter the script or module that it runs, as far as that is seen."""
    if not name.startswith(_INTERPRETERS):
        return name
    with suppress(psutil.Error, OSError):
        process = psutil.Process(key.process)
        if process.create_time() == key.created:
            return f"{name} {_script(process.cmdline()[1:])}".strip()
    return name


def _script(words: Sequence[str]) -> str:
    """The script or module that an interpreter runs; nothing else of its words, some of which may be secret."""
    position = 0
    while position < len(words):
        word = words[position]
        if word in _CODE:
            return ""
        if word == "-m":
            return words[position + 1] if position + 1 < len(words) else ""
        if not word.startswith("-"):
            return Path(word).name
        position += 2 if word in _WITH_VALUE else 1
    return ""


def merged(users: Iterable[DeviceUser]) -> tuple[DeviceUser, ...]:
    """Each process once a device, as the look has it that saw it use most."""
    most: dict[tuple[str, int, str], DeviceUser] = {}
    for user in users:
        seen = most.setdefault((user.device, user.process, user.name), user)
        if (user.share or 0.0, user.memory_bytes or 0) > (seen.share or 0.0, seen.memory_bytes or 0):
            most[user.device, user.process, user.name] = user
    return tuple(sorted(most.values(), key=lambda user: (user.device, -(user.share or 0.0))))
