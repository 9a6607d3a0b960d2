"""The clock, and the rule for how long an artifact is run before it counts."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from time import perf_counter as now

import numpy as np
import numpy.typing as npt

WARM_UP_CALLS = 3
WARM_UP_SECONDS = 0.5
WARM_UP_LIMIT_SECONDS = 20.0


class Intervals:
    """Start and end of calls, 24 bytes each, in seconds of the clock."""

    def __init__(self) -> None:
        self._flat = array("d")

    def add(self, index: int, start: float, end: float) -> None:
        """Keeps one call."""
        self._flat.extend((index, start, end))

    @staticmethod
    def merged(parts: list[Intervals], begin: float) -> npt.NDArray[np.float64]:
        """All calls in the order of their indices: float64 [calls, 2], in seconds from `begin`."""
        rows = np.concatenate([np.frombuffer(part._flat or array("d"), dtype=np.float64) for part in parts])
        rows = rows.reshape(-1, 3)
        return rows[np.argsort(rows[:, 0], kind="stable")][:, 1:] - begin


def warm_up(call: Callable[[], object]) -> tuple[int, float]:
    """Repeats a call at least three times and for half a second, 20 s at most; returns the calls and seconds."""
    begin = now()
    calls = 0
    while True:
        call()
        calls += 1
        spent = now() - begin
        if (calls >= WARM_UP_CALLS and spent >= WARM_UP_SECONDS) or spent >= WARM_UP_LIMIT_SECONDS:
            return calls, spent


__all__ = ["Intervals", "now", "warm_up"]
