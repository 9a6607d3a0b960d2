"""Simulated batch times whose true mean is known. A row is a run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import signal

Runs = npt.NDArray[np.float64]
Random = np.random.Generator

_TIME_SCALES = (0.0, 0.5, 0.9, 0.98, 0.995)
"""Of noise that is about 1/f, by their correlation from call to call; each has an equal part."""


@dataclass(frozen=True)
class Process:
    """A stationary source of batch times."""

    name: str
    mean: float
    draw: Callable[[Random, int, int], Runs]
    """Of a source of randomness, a number of runs and the calls of each."""


def autoregression(random: Random, runs: int, calls: int, correlation: float) -> Runs:
    """Noise of variance one, each call correlated with the call before."""
    noise = random.standard_normal((runs, calls))
    noise[:, 1:] *= math.sqrt(1 - correlation**2)
    found: Runs = signal.lfilter([1], [1, -correlation], noise, axis=1)
    return found


def normal(correlation: float, spread: float = 0.1) -> Process:
    """Normal batch times around one."""
    return Process(
        name=f"normal, correlation {correlation:g}",
        mean=1,
        draw=lambda random, runs, calls: 1 + spread * autoregression(random, runs, calls, correlation),
    )


def lognormal(correlation: float, spread: float = 0.3) -> Process:
    """Batch times with a tail to the slow side; the correlation is of their logarithms."""
    return Process(
        name=f"lognormal of spread {spread:g}, correlation {correlation:g}",
        mean=math.exp(spread**2 / 2),
        draw=lambda random, runs, calls: np.exp(spread * autoregression(random, runs, calls, correlation)),
    )


def jitter_and_slow(correlation: float, slow: float) -> Process:
    """Noise of single calls on top of a slow wander: two time scales."""
    return Process(
        name=f"jitter and a wander, correlation {correlation:g}",
        mean=1,
        draw=lambda random, runs, calls: (
            1 + 0.1 * random.standard_normal((runs, calls)) + slow * autoregression(random, runs, calls, correlation)
        ),
    )


def one_over_f() -> Process:
    """Noise of many time scales at once."""

    def draw(random: Random, runs: int, calls: int) -> Runs:
        parts = [autoregression(random, runs, calls, correlation) for correlation in _TIME_SCALES]
        return np.asarray(1 + 0.05 * np.sum(parts, axis=0))

    return Process(name="1/f noise", mean=1, draw=draw)


def sticky(dwell: float) -> Process:
    """Two speeds, 30 % apart, each kept for so many calls on average: a clock that steps, a neighbour that comes."""

    def draw(random: Random, runs: int, calls: int) -> Runs:
        changes = np.cumsum(random.random((runs, calls)) < 1 / dwell, axis=1)
        state = (changes + random.integers(2, size=(runs, 1))) % 2
        return np.where(state == 1, 1.0, 1.3) + 0.03 * random.standard_normal((runs, calls))

    return Process(name=f"two speeds, kept for {dwell:g} calls", mean=1.15, draw=draw)


def hiccups(share: float, times: float) -> Process:
    """A share of the calls takes that many times as long."""
    return Process(
        name=f"hiccups, {share:.0%} of the calls {times:g} times as long",
        mean=1 + share * (times - 1),
        draw=lambda random, runs, calls: (
            1
            + 0.05 * random.standard_normal((runs, calls))
            + (times - 1) * (random.random((runs, calls)) < share).astype(float)
        ),
    )


def bursts(share: float, length: int, noise: float = 0.1) -> Process:
    """Calls that take twice as long in bursts: so many on average, for such a share of the time.

    Two states that a coin tosses between.
    """
    ends = 1 / length
    begins = ends * share / (1 - share)
    return Process(
        name=f"bursts of {length}, {share:.0%} of the time",
        mean=1 + share,
        draw=lambda random, runs, calls: (
            1 + _states(random, runs, calls, share, begins, ends) + noise * random.standard_normal((runs, calls))
        ),
    )


def _states(random: Random, runs: int, calls: int, share: float, begins: float, ends: float) -> Runs:
    tosses = random.random((calls, runs))
    busy = random.random(runs) < share
    found = np.empty((calls, runs))
    for call, toss in enumerate(tosses):
        found[call] = busy
        busy = np.where(busy, toss >= ends, toss < begins)
    return np.ascontiguousarray(found.T)
