"""A container's limit on the processors, as Linux's control groups have it, of either version.

Files and their meaning: Linux kernel documentation, `admin-guide/cgroup-v2.rst` (cpu.max, cpu.stat) and
`scheduler/sched-bwc.rst` (cpu.cfs_quota_us, cpu.cfs_period_us, cpu.stat).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Limit:
    """The quota of the control group, or of one above it, that allows least."""

    processors: float
    """Of whose time so much may be used, 1.5 of 16 for example."""
    periods: int
    """That have passed; a quota is given anew for each."""
    throttled: int
    """Of those, the periods in which the group had used its quota up and was stopped."""

    def throttled_since(self, earlier: Limit | None) -> float:
        """The share of the periods since an earlier look in which the group was stopped, 0 to 1."""
        periods = self.periods - (earlier.periods if earlier else 0)
        throttled = self.throttled - (earlier.throttled if earlier else 0)
        return throttled / periods if periods > 0 else 0.0


def limit(root: Path = _ROOT, own: Path = _OWN) -> Limit | None:
    """The limit on this process; None where there is none, or the system has no control groups."""
    limits = [found for folder in _folders(root, own) if (found := _limit(folder)) is not None]
    return min(limits, key=lambda one: one.processors, default=None)


def _folders(root: Path, own: Path) -> Iterator[Path]:
    """The folders of this process's control group and of those above it."""
    with suppress(OSError):
        for line in own.read_text(encoding="utf-8").splitlines():
            number, controllers, place = line.split(":", 2)
            path = PurePosixPath(place)
            bases = [root] if number == "0" else [root / controllers] if "cpu" in controllers.split(",") else []
            yield from (base / above.relative_to("/") for base in bases for above in (path, *path.parents))


def _limit(folder: Path) -> Limit | None:
    # A file that is missing, or says that there is no quota, is no limit.
    with suppress(OSError, ValueError, KeyError):
        if (folder / "cpu.max").is_file():
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota, period = (
                (folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii").strip() for name in ("quota", "period")
            )
        processors = int(quota) / int(period)
        words = [line.split() for line in (folder / "cpu.stat").read_text(encoding="ascii").splitlines()]
        counts = {name: int(value) for name, value in words}
        if processors > 0:
            return Limit(processors, counts["nr_periods"], counts["nr_throttled"])
    return None
