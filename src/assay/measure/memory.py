"""The most memory that this process held over a time."""

from __future__ import annotations

from pathlib import Path

import psutil

_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_FORGET_THE_PEAK = b"5"
"""To the kernel, by proc(5): sets the peak of the resident set back to what it is now."""


class PeakMemory:
    """Counts from its making on: by the kernel's own mark where that can be set back, or else the most that was seen.

    The second can miss a peak between two looks.
    """

    def __init__(self) -> None:
        self._exact = _set_back()
        self._seen = 0
        self.look()

    def look(self) -> None:
        """Notes what is held now."""
        self._seen = max(self._seen, resident_bytes())

    def bytes(self) -> int:
        """The most that was held so far."""
        self.look()
        return max(self._seen, (_high_water_bytes() or 0) if self._exact else 0)


def resident_bytes() -> int:
    """What this process holds in memory."""
    return int(psutil.Process().memory_info().rss)


def _set_back() -> bool:
    """Sets the kernel's mark back; says whether it could."""
    try:
        _RESET.write_bytes(_FORGET_THE_PEAK)
    except OSError:
        return False
    return _high_water_bytes() is not None


def _high_water_bytes() -> int | None:
    """The kernel's mark."""
    try:
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    marks = [line.split() for line in lines if line.startswith("VmHWM:")]
    return int(marks[0][1]) * 1024 if marks else None
