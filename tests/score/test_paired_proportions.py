from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from assay.score.paired_proportions import difference


def test_published_value() -> None:
    # The airway example of Fagerland, Lydersen and Laake, Recommended tests and confidence intervals for paired
    # binomial proportions (2014): 1 and 7 of 21 pairs; Tango's interval is -0.517 to -0.026.
    found = difference(1, 7, 21)
    assert found.value == pytest.approx(-6 / 21)
    assert found.interval == pytest.approx((-0.517, -0.026), abs=5e-4)


@pytest.mark.parametrize("total", [1, 50, 5000])
def test_no_flips_by_hand(total: int) -> None:
    # The score is then √(n d / (1 - d)): its end is at z² / (n + z²).
    square = stats.norm.ppf(0.975) ** 2
    assert difference(0, 0, total).interval == pytest.approx((-square / (total + square), square / (total + square)))


@pytest.mark.parametrize(("one", "other", "total"), [(12, 2, 50), (40, 20, 160), (0, 1, 44), (5, 0, 5), (9, 15, 160)])
def test_the_ends_are_where_the_score_test_rejects(one: int, other: int, total: int) -> None:
    def likelihood(alone: float, assumed: float) -> float:
        """Of the other's probability, the first's being larger by the assumed difference."""
        chances = (alone + assumed, alone, 1 - 2 * alone - assumed)
        counts = (one, other, total - one - other)
        return -sum(
            count * math.log(max(chance, 1e-300)) for count, chance in zip(counts, chances, strict=True) if count
        )

    for end in difference(one, other, total).interval or ():
        if abs(end) > 1 - 1e-9:
            continue
        span = (max(0.0, -end), (1 - end) / 2)
        alone = optimize.minimize_scalar(likelihood, bounds=span, args=(end,), options={"xatol": 1e-12}).x
        variance = total * (2 * alone + end - end**2)
        assert abs(one - other - total * end) / math.sqrt(variance) == pytest.approx(1.96, abs=0.005)


def test_the_other_way_around_has_the_other_sign() -> None:
    low, high = difference(12, 2, 50).interval or (0, 0)
    assert difference(2, 12, 50).interval == pytest.approx((-high, -low))


def test_of_nothing_there_is_none() -> None:
    found = difference(0, 0, 0)
    assert (math.isnan(found.value), found.interval, found.obstacle) == (True, None, "0 samples are too few")


def test_it_covers_a_small_drop() -> None:
    random = np.random.default_rng(1)
    counts = random.multinomial(500, [0.03, 0.02, 0.95], size=1000)
    held = [low <= 0.01 <= high for low, high in (difference(a, b, 500).interval or (0, 0) for a, b, _ in counts)]
    assert 0.93 <= np.mean(held) <= 0.97


@pytest.mark.parametrize(("one", "other", "total"), [(3, 3, 5), (-1, 0, 5), (1, 0, 0)])
def test_more_pairs_than_subjects_cannot_be(one: int, other: int, total: int) -> None:
    with pytest.raises(ValueError, match=f"give 0 to {total} in all"):
        difference(one, other, total)
