"""The interval of a percentile of calls that depend on each other holds the true one, where one is given.

Held to a bound are calls that depend on their neighbours in one time scale; those of several are shown.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from scipy import special

from assay.score import statistics
from proof.claims import Claim, Share, counted, shown
from proof.coverage import estimated
from proof.series import Process, Random, autoregression, jitter_and_slow, one_over_f, sticky

RUNS = 1500
SAMPLES = 1000
SPREAD = 0.1
PERCENTS = (50, 90, 99)
CORRELATIONS = (0, 0.5, 0.9)
LEAST = 0.93
SHOWN = (sticky(10), jitter_and_slow(0.97, 0.05), one_over_f())
_DRAWN = 3_000_000
"""Calls from which the true percentile of what has no formula is taken."""


def prove(seed: int, *, fewer: int = 1) -> list[Claim]:
    """Two claims a correlation, and what is shown; from so many times fewer runs."""
    random, runs, found = np.random.default_rng([seed, 3]), RUNS // fewer, list[Claim]()
    for correlation in CORRELATIONS:
        source = _source(correlation)
        for percent in PERCENTS:
            truth = math.exp(SPREAD * float(special.ndtri(percent / 100)))
            given, covered = _counted(source, random, runs, percent, truth)
            name = f"{source.name}, p{percent} of {SAMPLES:,} calls"
            found.append(counted(f"{name}: an interval covers", [covered], least=LEAST))
            found.append(shown(f"{name}: an interval is given", [given.value]))
    for source in SHOWN:
        all_calls = source.draw(random, _DRAWN // fewer // SAMPLES, SAMPLES)
        for percent in PERCENTS:
            given, covered = _counted(source, random, runs, percent, float(np.percentile(all_calls, percent)))
            shares = [given.value, covered.value] if covered.total else [given.value]
            found.append(shown(f"{source.name}, p{percent} of {SAMPLES:,} calls: given, and covers", shares))
    return found


def _source(correlation: float) -> Process:
    return Process(
        name=f"lognormal of spread {SPREAD:g}, correlation {correlation:g}",
        mean=math.exp(SPREAD**2 / 2),
        draw=lambda random, runs, calls: np.exp(SPREAD * autoregression(random, runs, calls, correlation)),
    )


def _counted(source: Process, random: Random, runs: int, percent: float, truth: float) -> tuple[Share, Share]:
    """The runs with an interval, and the intervals that hold the truth."""
    estimates = estimated(source, random, runs, SAMPLES, partial(statistics.percentile, percent=percent))
    given = [one.interval for one in estimates if one.interval is not None]
    return Share(len(given), runs), Share(sum(low <= truth <= high for low, high in given), len(given))
