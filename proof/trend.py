"""A run that drifts, or takes a step, has no interval of its mean and is called not stationary."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from assay.records import Estimate
from assay.score import statistics
from proof.claims import Claim, within
from proof.series import Random, normal

RUNS = 500
TIMES = 400
"""Autocorrelation times that a run holds."""
SPREAD = 0.05
CHANGE = 0.1
"""Twice the spread of single batch times."""
CORRELATIONS = (0, 0.4, 0.8)

Shape = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]

SHAPES: dict[str, Shape] = {
    "slower by 10 % from begin to end": lambda moment: moment,
    "a step of 10 % halfway": lambda moment: (moment >= 0.5).astype(float),
    "a step of 10 % after a quarter": lambda moment: (moment >= 0.25).astype(float),
}
"""From the moment in the run, 0 to 1, to the share of the change that has come by then."""


def prove(seed: int) -> list[Claim]:
    """Two claims a shape, each over all correlations."""
    random = np.random.default_rng([seed, 1])
    found = []
    for name, shape in SHAPES.items():
        estimates = [_estimates(random, shape, correlation, RUNS) for correlation in CORRELATIONS]
        called = [np.mean([one.obstacle == "not stationary" for one in some]) for some in estimates]
        printed = [np.mean([one.interval is not None for one in some]) for some in estimates]
        found.append(within(f"{name}: called not stationary", [float(one) for one in called], least=0.95))
        found.append(within(f"{name}: an interval is given", [float(one) for one in printed], most=0.03))
    return found


def _estimates(random: Random, shape: Shape, correlation: float, runs: int) -> list[Estimate]:
    source = normal(correlation, SPREAD)
    calls = math.ceil(TIMES * (1 + correlation) / (1 - correlation))
    change = CHANGE * shape(np.arange(calls) / calls)
    return [statistics.mean(run + change) for run in source.draw(random, runs, calls)]
