"""The interval of a mean holds the true mean: in 93 to 97 % of plain series, and in at least 90 % of heavy ones.

Plain series have one time scale and are not far from normal. Heavy ones have several, two speeds or rare events, which
a short run may not have met: there the interval is wider than 95 % need, and still holds less often. Series of fewer
than 200 samples have no interval.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from assay.records import Estimate
from assay.score import statistics
from proof.claims import COVERAGE, Claim, Share, counted
from proof.series import (
    Process,
    Random,
    Runs,
    bursts,
    hiccups,
    jitter_and_slow,
    lognormal,
    normal,
    one_over_f,
    sticky,
)

PLAIN = {
    one.name: one
    for one in (
        *(normal(correlation) for correlation in (0, 0.2, 0.5, 0.8)),
        *(lognormal(correlation) for correlation in (0, 0.4, 0.8)),
        bursts(0.5, 5),
        bursts(0.3, 5),
        sticky(10),
    )
}
HEAVY = {
    one.name: one
    for one in (
        normal(0.9),
        bursts(0.5, 20),
        bursts(0.1, 5),
        jitter_and_slow(0.97, 0.05),
        jitter_and_slow(0.99, 0.03),
        one_over_f(),
        sticky(50),
        hiccups(0.02, 5),
        hiccups(0.01, 20),
        lognormal(0, 1.0),
    )
}
LEAST_OF_HEAVY = 0.9
LENGTHS = {60: 200, 240: 4000, 1000: 2000, 4000: 2000}
"""How many runs of each number of samples."""
POWER = (normal(0.5).name, 240)
"""Of this source and length an interval is given in 90 % and more: silence is no way out."""


@dataclass(frozen=True)
class Cell:
    """What became of the runs of one source and length."""

    process: str
    samples: int
    covered: int
    given: int
    alarms: int
    """Runs that were called not stationary."""
    runs: int

    @property
    def coverage(self) -> Share:
        """The intervals that hold the true mean."""
        return Share(self.covered, self.given)

    @property
    def printed(self) -> Share:
        """The runs with an interval."""
        return Share(self.given, self.runs)


def prove(seed: int) -> list[Claim]:
    """One claim a source, then on how often there is an interval."""
    return claims(simulated(seed))


def simulated(seed: int) -> list[Cell]:
    """All sources at all lengths, by two processes, the longest first."""
    wanted = [(name, samples) for samples in sorted(LENGTHS, reverse=True) for name in (*PLAIN, *HEAVY)]
    with ProcessPoolExecutor(max_workers=2, mp_context=multiprocessing.get_context("spawn")) as workers:
        jobs = [
            workers.submit(cell, name, samples, LENGTHS[samples], [seed, place])
            for place, (name, samples) in enumerate(wanted)
        ]
        return [job.result() for job in jobs]


def cell(process: str, samples: int, runs: int, seed: list[int]) -> Cell:
    """So many runs of one source and length, a few at a time to spare memory."""
    source, random = (PLAIN | HEAVY)[process], np.random.default_rng(seed)
    estimates = estimated(source, random, runs, samples, statistics.mean)
    given = [one.interval for one in estimates if one.interval is not None]
    return Cell(
        process=process,
        samples=samples,
        covered=sum(low <= source.mean <= high for low, high in given),
        given=len(given),
        alarms=sum(one.obstacle == "not stationary" for one in estimates),
        runs=runs,
    )


def estimated(
    source: Process,
    random: Random,
    runs: int,
    samples: int,
    estimate: Callable[[Runs], Estimate],
) -> list[Estimate]:
    """The estimates of so many runs, which are drawn some hundred at a time."""
    sizes = [min(500, runs - begin) for begin in range(0, runs, 500)]
    return [estimate(run) for size in sizes for run in source.draw(random, size, samples)]


def claims(cells: Sequence[Cell]) -> list[Claim]:
    """What must hold of the cells."""
    long = [one for one in cells if one.samples >= statistics.LEAST_SAMPLES]
    found = []
    for names, bounds in ((PLAIN, COVERAGE), (HEAVY, (LEAST_OF_HEAVY, 1.0))):
        for name in names:
            of_name = [one for one in long if one.process == name]
            lengths = ", ".join(f"{one.samples:,}" for one in sorted(of_name, key=lambda one: one.samples))
            if of_name:
                said = f"{name}, {lengths} samples: an interval covers"
                found.append(
                    counted(said, [one.coverage for one in sorted(of_name, key=lambda one: one.samples)], *bounds)
                )
    plain = [one for one in long if one.process in PLAIN]
    short = [one for one in cells if one.samples < statistics.LEAST_SAMPLES]
    power = [one.printed for one in cells if (one.process, one.samples) == POWER]
    return [
        *found,
        counted("plain series: an interval is given", [one.printed for one in plain], least=0.95),
        counted("normal, correlation 0.5, 240 samples: an interval is given", power, least=0.9),
        counted("60 samples: an interval is given", [one.printed for one in short], most=0.0),
        counted("plain series: called not stationary", [Share(one.alarms, one.runs) for one in plain], most=0.01),
    ]


def table(cells: Sequence[Cell]) -> str:
    """The table of `docs/judging.md`: how often an interval holds the truth, of how many runs; seeds are pooled."""
    lengths = [length for length in LENGTHS if length >= statistics.LEAST_SAMPLES]
    headers = " | ".join(f"{length:,} calls" for length in lengths)
    lines = [f"| series | {headers} |", "|---" * (len(lengths) + 1) + "|"]
    for name in (*PLAIN, *HEAVY):
        of_name = [[one for one in cells if (one.process, one.samples) == (name, length)] for length in lengths]
        lines.append(f"| {name} | {' | '.join(map(_figure, of_name))} |")
    return "\n".join(lines)


def _figure(cells: Sequence[Cell]) -> str:
    covered, given, runs = (sum(getattr(one, field) for one in cells) for field in ("covered", "given", "runs"))
    return f"{100 * covered / given:.1f} % of {100 * given / runs:.0f} %" if given else "none given"
