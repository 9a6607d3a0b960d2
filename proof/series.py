"""Simulated batch times whose true mean and true autocorrelation time are known. A row is a run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import signal

Runs = npt.NDArray[np.float64]
Random = np.random.Generator


@dataclass(frozen=True)
class Process:
    """A stationary source of batch times."""

    name: str
    mean: float
    autocorrelation_time: float
    """One plus twice the sum of all autocorrelations."""
    draw: Callable[[Random, int, int], Runs]
    """Of a source of randomness, a number of runs and the calls of each."""

    def calls(self, times: float) -> int:
        """The fewest calls that hold so many autocorrelation times."""
        return math.ceil(times * self.autocorrelation_time)


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
        autocorrelation_time=(1 + correlation) / (1 - correlation),
        draw=lambda random, runs, calls: 1 + spread * autoregression(random, runs, calls, correlation),
    )


def lognormal(correlation: float, spread: float = 0.3) -> Process:
    """Batch times with a tail to the slow side; the correlation is of their logarithms.

    The autocorrelation at lag k is (exp(s² r^k) - 1) / (exp(s²) - 1), r being the logarithms'.
    """
    lags = np.arange(1, 1000)
    correlations = np.expm1(spread**2 * correlation**lags) / math.expm1(spread**2)
    return Process(
        name=f"lognormal, correlation {correlation:g}",
        mean=math.exp(spread**2 / 2),
        autocorrelation_time=1 + 2 * float(correlations.sum()),
        draw=lambda random, runs, calls: np.exp(spread * autoregression(random, runs, calls, correlation)),
    )


def bursts(share: float, length: int, noise: float = 0.1) -> Process:
    """Calls that take twice as long in bursts: so many on average, for such a share of the time.

    Two states that a coin tosses between: the autocorrelation of the state at lag k is (1 - p - q)^k, p and q being the
    chances to leave either.
    """
    ends = 1 / length
    begins = ends * share / (1 - share)
    variance = share * (1 - share)
    kept = 1 - begins - ends
    return Process(
        name=f"bursts of {length}, {share:.0%} of the time",
        mean=1 + share,
        autocorrelation_time=1 + 2 * variance / (variance + noise**2) * kept / (1 - kept),
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
