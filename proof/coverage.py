"""The interval of a mean holds the true mean in 93 to 97 % of runs, wherever it is given and the run is long enough.

A sample knows its autocorrelation time by estimate alone. So of runs with just 20 true times a third to a half have no
interval, and of runs with fewer a part has one; both shares are counted here. What is beyond the method is shown beside
it, and held to nothing.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np

from assay.score import statistics
from proof.claims import COVERAGE, Claim, shown, within
from proof.series import Process, Random, bursts, lognormal, normal

PROCESSES = {
    found.name: found
    for found in (
        *(normal(correlation) for correlation in (0, 0.2, 0.4, 0.6, 0.8)),
        *(lognormal(correlation) for correlation in (0, 0.4, 0.8)),
        bursts(0.5, 5),
        bursts(0.5, 20),
        bursts(0.3, 5),
    )
}
BEYOND = {found.name: found for found in (bursts(0.1, 5),)}
"""What the method cannot do, shown and not held to a bound: a run that is short for rare bursts has met few or none,
and takes the calls between them for all there is."""
LONG = {20: 5000, 40: 4000, 100: 3000, 400: 2000}
"""Runs by the autocorrelation times they hold. Many, for a bound on 1,000 is crossed by chance alone now and then; most
where part of them has no interval."""
SHORT = {5: 1000, 10: 1000}
# A burst now and then makes a mean as lopsided as few independent samples: 20 autocorrelation times do not do.
SINCE = {bursts(0.3, 5).name: 40}

Answer = Literal["covers", "misses", "not stationary", "too short"]


@dataclass(frozen=True)
class Cell:
    """What became of the runs of one source and length."""

    process: str
    times: int
    answers: Counter[Answer]

    @property
    def printed(self) -> float:
        """The share of runs with an interval."""
        return (self.answers["covers"] + self.answers["misses"]) / self.answers.total()

    @property
    def coverage(self) -> float:
        """The share of intervals that hold the true mean."""
        return self.answers["covers"] / (self.answers["covers"] + self.answers["misses"])

    @property
    def alarms(self) -> float:
        """The share of runs wrongly called not stationary."""
        return self.answers["not stationary"] / self.answers.total()


def prove(seed: int) -> list[Claim]:
    """One claim a source, then the shares of runs with an interval and of false alarms."""
    return claims(_simulated(seed))


def _simulated(seed: int) -> list[Cell]:
    """All sources at all lengths, by two processes, the longest first."""
    lengths = SHORT | LONG
    wanted = [(process, times) for process in (*PROCESSES, *BEYOND) for times in lengths]
    wanted.sort(key=lambda one: _source(one[0]).calls(one[1]), reverse=True)
    with ProcessPoolExecutor(max_workers=2, mp_context=multiprocessing.get_context("spawn")) as workers:
        jobs = [
            workers.submit(cell, process, times, lengths[times], [seed, place])
            for place, (process, times) in enumerate(wanted)
        ]
        return [job.result() for job in jobs]


def cell(process: str, times: int, runs: int, seed: list[int]) -> Cell:
    """So many runs of one source and length, a few at a time to spare memory."""
    source, random, answers = _source(process), np.random.default_rng(seed), Counter[Answer]()
    while answers.total() < runs:
        answers.update(_answers(source, random, min(500, runs - answers.total()), source.calls(times)))
    return Cell(process=process, times=times, answers=answers)


def claims(cells: list[Cell]) -> list[Claim]:
    """What must hold of the cells, and what is shown of those that nothing is said of."""
    beyond = sorted((one for one in cells if _is_beyond(one)), key=lambda one: (one.process, one.times))
    cells = [one for one in cells if one.process in PROCESSES]
    long = [one for one in cells if one.times in LONG]
    found = [
        within(f"{name}: from {SINCE.get(name, min(LONG))} times on, an interval covers", shares, *COVERAGE)
        for name, shares in _coverages(long).items()
    ]
    return [
        *found,
        within("an interval is given at 20 times", [one.printed for one in long if one.times == 20], least=0.4),
        within("an interval is given from 40 times on", [one.printed for one in long if one.times >= 40], least=0.9),
        within("an interval is given at 10 times", [one.printed for one in cells if one.times == 10], most=0.25),
        within("an interval is given at 5 times", [one.printed for one in cells if one.times == 5], most=0.2),
        within("a stationary run is called not stationary", [one.alarms for one in long], most=0.03),
        *(
            shown(f"{one.process}, {one.times} times: an interval is given, and covers", [one.printed, one.coverage])
            for one in beyond
        ),
    ]


def _source(name: str) -> Process:
    return (PROCESSES | BEYOND)[name]


def _is_beyond(one: Cell) -> bool:
    """Whether the cell is of what the method cannot do."""
    return one.process in BEYOND or min(LONG) <= one.times < SINCE.get(one.process, 0)


def _coverages(cells: list[Cell]) -> dict[str, list[float]]:
    return {
        name: [one.coverage for one in cells if one.process == name and one.times >= SINCE.get(name, min(LONG))]
        for name in PROCESSES
    }


def _answers(source: Process, random: Random, runs: int, calls: int) -> list[Answer]:
    estimates = (statistics.mean(run) for run in source.draw(random, runs, calls))
    return [_answer(estimate.interval, estimate.obstacle, source.mean) for estimate in estimates]


def _answer(interval: tuple[float, float] | None, obstacle: str | None, truth: float) -> Answer:
    if interval is not None:
        return "covers" if interval[0] <= truth <= interval[1] else "misses"
    return "not stationary" if obstacle == "not stationary" else "too short"
