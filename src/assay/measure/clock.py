"""The clock, and the rule for how long an artifact is run before it counts.

The calls of a warm-up are taken in windows of at least two calls and a quarter of a second. It ends as soon as the
medians of two windows in a row differ by no more than 5 % and no longer fall: after four calls and half a second at the
earliest. They fall if the second is lower by more than 0.2 % and by more than the calls' own scatter explains, or if
each of the last three is below the one before and the last below the first by more than 1 %.

After 20 s its time is up, though never before two calls; where these are so slow that there were no two windows, the
last two calls are held against each other instead. A warm-up whose time was up without that was not steady.
"""

from __future__ import annotations

import math
import statistics
from array import array
from collections.abc import Callable, Sequence
from itertools import pairwise
from time import perf_counter as now

import numpy as np
import numpy.typing as npt

from assay.records import WarmUp

WINDOW_CALLS = 2
WINDOW_SECONDS = 0.25
AGREEMENT = 0.05
"""By how much the medians of two windows may differ, as a share of the smaller one."""
FALL = 0.01
"""By how much the medians of the last windows may fall in all, as a share of the first of them."""
CLEAR_FALL = 0.002
"""The same of two windows whose calls scatter less than they fall."""
_SURE = 3.0
"""Standard errors beyond which a fall is none by chance."""
WARM_UP_LIMIT_SECONDS = 20.0
LEAST_CALLS = 2


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


def warm_up(call: Callable[[], object], limit: float = WARM_UP_LIMIT_SECONDS) -> WarmUp:
    """Repeats a call until its times are steady, or until the time is up."""
    begin = opened = left = now()
    window: list[float] = []
    earlier: list[float] = []
    medians: list[float] = []
    calls, before, last = 0, 0.0, 0.0
    while True:
        call()
        ended = now()
        before, last, left = last, ended - left, ended
        window.append(last)
        calls += 1
        if len(window) >= WINDOW_CALLS and ended - opened >= WINDOW_SECONDS:
            medians.append(statistics.median(window))
            falls = _falls(medians[-3:]) or _falls_clearly(earlier, window)
            earlier, window, opened = window, [], ended
            if _agree(medians[-2:]) and not falls:
                return WarmUp(calls=calls, seconds=ended - begin, steady=True)
        if ended - begin >= limit and calls >= LEAST_CALLS:
            steady = len(medians) < 2 and _agree([before, last])
            return WarmUp(calls=calls, seconds=ended - begin, steady=steady)


def _agree(times: Sequence[float]) -> bool:
    """Whether there are two times that differ by little."""
    return len(times) == 2 and max(times) <= (1 + AGREEMENT) * min(times)


def _falls(medians: Sequence[float]) -> bool:
    """Whether times still go down: a slow decline passes any bound on two neighbours."""
    ever_lower = all(later < earlier for earlier, later in pairwise(medians))
    return ever_lower and medians[-1] < (1 - FALL) * medians[0]


def _falls_clearly(earlier: Sequence[float], later: Sequence[float]) -> bool:
    """Whether the calls of a window take less than those of the one before, by more than their scatter explains.

    The standard error of a median of n is about 1.2533 · 1.4826 · MAD / √n, of normal samples. (Huber and Ronchetti,
    Robust Statistics, 2nd edition, chapter 1.)
    """
    if not earlier:
        return False
    middles = [statistics.median(calls) for calls in (earlier, later)]
    errors = [
        1.858 * statistics.median([abs(call - middle) for call in calls]) / math.sqrt(len(calls))
        for calls, middle in zip((earlier, later), middles, strict=True)
    ]
    fall = middles[0] - middles[1]
    return fall > max(CLEAR_FALL * middles[0], _SURE * math.hypot(*errors))


__all__ = ["Intervals", "now", "warm_up"]
