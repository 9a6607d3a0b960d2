"""What intervals find: a difference if there is one, none if there is none, and how many more samples settle a gate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from assay.records import Estimate
from assay.score import statistics
from proof.claims import Claim, Share, counted
from proof.series import Process, Random, Runs, jitter_and_slow, normal, one_over_f, sticky

RUNS = 2000
PAIRS = 20
BLOCK_SPREAD = 0.03
DIFFERENCE = 1.05
SAME = 200
"""Runs of one artifact against itself."""
CALLS = 50
"""Of each block of these."""
SURE = 0.99
"""The false decisions are within the binomial bound if so few of a fair count, at least, are higher by chance."""
SOURCES = (normal(0), normal(0.9), jitter_and_slow(0.97, 0.05), one_over_f(), sticky(50))
LEAST_SETTLED = 0.9
MOST_SAMPLES = 20_000
"""Longer ones are not simulated."""


def prove(seed: int, *, fewer: int = 1) -> list[Claim]:
    """The claims, from so many times fewer runs."""
    random, runs = np.random.default_rng([seed, 4]), RUNS // fewer
    return [
        _found(random, runs),
        *(_same(random, source) for source in SOURCES),
        *_settled(random, runs // 2),
    ]


def _found(random: Random, runs: int) -> Claim:
    rates = 1 + BLOCK_SPREAD * random.standard_normal((runs, 2, PAIRS))
    ratios = [statistics.paired_ratio(DIFFERENCE * mine, other) for mine, other in rates]
    name = f"a difference of 5 % is found by {PAIRS} pairs of blocks that vary by 3 %"
    return counted(name, [Share(sum(one.low is not None and one.low > 1 for one in ratios), runs)], least=0.95)


def _same(random: Random, source: Process) -> Claim:
    """One artifact against itself, in blocks in turn, on one machine that both share."""
    ratios = [in_turn(run, random) for run in source.draw(random, SAME, 2 * PAIRS * CALLS)]
    wrong = sum(one.interval is not None and not one.interval[0] <= 1 <= one.interval[1] for one in ratios)
    most = int(special.bdtrik(SURE, SAME, 1 - statistics.CONFIDENCE)) + 1
    return Claim(
        name=f"{source.name}: of {SAME} runs of A against A, those decided",
        measured=f"{wrong} of {sum(one.interval is not None for one in ratios)}",
        bound=f"at most {most}, the binomial bound",
        holds=wrong <= most and all(one.interval is not None for one in ratios),
    )


def in_turn(machine: Runs, random: Random, *, longer: float = 1.0, pairs: int = PAIRS) -> Estimate:
    """The ratio of A's rate to B's, which takes so much longer.

    The order of a round is drawn by lot, and the next round has the reverse, as `steps/interleave.py` does it.
    """
    blocks = machine.reshape(pairs, 2, -1).sum(axis=2)
    turned = np.repeat(random.random(pairs // 2) < 0.5, 2)
    turned[1::2] = ~turned[1::2]
    blocks[turned] = blocks[turned, ::-1]
    return statistics.paired_ratio(1 / blocks[:, 0], 1 / (longer * blocks[:, 1]))


def _settled(random: Random, runs: int) -> list[Claim]:
    """Estimates in doubt are made again with as many samples as are said to settle them, around the same value."""
    calls, sources = 240, (normal(0, 0.03), normal(0.5, 0.03))
    found = [
        _settled_by(
            f"blocks in turn, {PAIRS}",
            random,
            runs,
            (PAIRS, statistics.BLOCK_FREEDOM),
            lambda number: statistics.mean_of_blocks(1 + BLOCK_SPREAD * random.standard_normal(number)),
        )
    ]
    for source in sources:

        def estimate(number: int, source: Process = source) -> Estimate:
            return statistics.mean(source.draw(random, 1, number)[0])

        name = f"{source.name}, {calls} calls"
        found.append(_settled_by(name, random, runs, (calls, statistics.MEAN_FREEDOM), estimate))
    return found


def _settled_by(
    name: str, random: Random, runs: int, first: tuple[int, int], estimate: Callable[[int], Estimate]
) -> Claim:
    """`first` is the number of samples of the estimates in doubt, and the degrees of freedom of their intervals."""
    samples, freedom = first
    settled = list[bool]()
    for one in (estimate(samples) for _ in range(runs)):
        if one.interval is None:
            continue
        half = one.interval[1] - one.value
        # The bound lies somewhere within the interval, but not so near that more samples than are simulated are wanted.
        bound = one.value + half * random.uniform(0.2, 1) * random.choice([-1, 1])
        wanted = statistics.samples_for(one, samples, bound, freedom)
        if wanted is None or wanted > MOST_SAMPLES:
            continue
        again = estimate(wanted)
        # The true value is one: an estimate around which the bound lies as far is one that was shifted.
        distance = bound - one.value
        settled.append(again.interval is not None and not again.interval[0] <= 1 + distance <= again.interval[1])
    return counted(
        f"{name}: the samples named settle a gate in doubt", [Share(sum(settled), len(settled))], least=LEAST_SETTLED
    )
