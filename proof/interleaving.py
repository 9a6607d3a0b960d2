"""A difference of 2 % under a common drift of 10 %: measuring in turns decides rightly, one after the other does not.

B takes 2 % longer than A. Batch times of both are multiplied by what the machine does meanwhile, which is noise with
memory and a drift, up or down, of 10 % over the whole measurement. The gate is that A is at least 1 % faster.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from assay.records import Estimate
from assay.score import statistics
from proof.claims import COVERAGE, Claim, Share, counted, within
from proof.power import in_turn
from proof.series import Random, Runs, autoregression

RUNS = 2000
PAIRS = 20
CALLS = 4000
TRUTH = 1.02
GATE = 1.01
DRIFT = 0.1
SPREAD = 0.05
CORRELATION = 0.4
SHORT_PAIRS = 200
SHORT_CORRELATION = 0.8
"""Blocks of ten calls that depend on each other over nine."""

DRIFTS: dict[str, Callable[[Runs], Runs]] = {
    "a slow drift": lambda moment: moment,
    "a step halfway": lambda moment: (moment >= 0.5).astype(float),
}


def prove(seed: int, *, fewer: int = 1) -> list[Claim]:
    """Three claims a kind of drift, and two where there is none; from so many times fewer runs."""
    random, runs, found = np.random.default_rng([seed, 2]), RUNS // fewer, list[Claim]()
    for name, drift in DRIFTS.items():
        machine = _machine(random, runs, drift)
        turns = [in_turn(one, random, longer=TRUTH, pairs=PAIRS) for one in machine]
        apart = [_apart(one, first) for one, first in zip(machine, random.random(runs) < 0.5, strict=True)]
        found.append(within(f"{name}: in turns, decided rightly", [_passed(turns)], least=0.95))
        found.append(counted(f"{name}: in turns, the ratio's interval covers", [_covered(turns)], least=COVERAGE[0]))
        found.append(within(f"{name}: apart, decided rightly", [_passed(apart)], most=0.6))
    still = [_apart(one, True) for one in _machine(random, runs, np.zeros_like)]
    found.append(counted("no drift: apart, the ratio's interval covers", [_covered(still)], least=COVERAGE[0]))
    short = [
        in_turn(one, random, longer=TRUTH, pairs=SHORT_PAIRS)
        for one in _machine(random, runs, np.zeros_like, SHORT_CORRELATION)
    ]
    return [*found, counted("short blocks: in turns, the ratio's interval covers", [_covered(short)], *COVERAGE)]


def _machine(random: Random, runs: int, drift: Callable[[Runs], Runs], correlation: float = CORRELATION) -> Runs:
    """What every call's time is multiplied by."""
    change = DRIFT * random.choice([-1, 1], (runs, 1)) * drift(np.arange(CALLS) / CALLS)
    return (1 + change) * (1 + SPREAD * autoregression(random, runs, CALLS, correlation))


def _apart(machine: Runs, first: bool) -> Estimate:
    """All of one, then all of the other."""
    begin, end = machine[: CALLS // 2], machine[CALLS // 2 :]
    mine, other = (begin, end) if first else (end, begin)
    return statistics.ratio(statistics.mean(TRUTH * other), statistics.mean(mine))


def _passed(ratios: list[Estimate]) -> float:
    return float(np.mean([one.interval is not None and one.interval[0] >= GATE for one in ratios]))


def _covered(ratios: list[Estimate]) -> Share:
    given = [one.interval for one in ratios if one.interval is not None]
    return Share(sum(low <= TRUTH <= high for low, high in given), len(given))
