"""Intervals and tests: how far a figure can be trusted, from the samples behind it. Intervals are of 95 % by default.

Simulation shows what they cover: `make proof`. Of SciPy only `special` and `fft` are used: `scipy.stats` says the same
in fewer words, and its import takes longer than all else that a command does which only shows figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from assay.records import Estimate
from assay.score import spectrum
from assay.score.spectrum import Samples

CONFIDENCE = 0.95

LEAST_SAMPLES = 200
"""A series of fewer calls has no interval: what happens once in a hundred calls may not have happened yet."""
LEAST_PAIRS = 6
MEAN_FREEDOM = 2
"""Degrees of freedom of the interval of a series' mean: its slowest cosines that count."""
BLOCK_FREEDOM = 12
"""The same of blocks measured in turn; of thirteen blocks or fewer, all but one."""

_SHORTNESS = 5.9
"""A spectrum that rises towards zero is higher there than at the slowest cosines, the more so in a short run: the tails
of a mean are smaller than asked by this, divided by the root of the number of samples. The proof holds the number."""
_FLOOR = 0.3
"""An interval is at least this share of the one that an autoregression gives: two cosines may be small by luck."""
_TAIL_TIMES = 2
"""What lies beyond a percentile may depend on its neighbours less than the series does, by so much at most."""
_SMALLEST, _LARGEST = 1e-140, 1e150
"""Sizes of samples whose squares are numbers of the machine."""
_WIDEST = 300.0
"""The logarithm of a factor that is wider than any interval of use."""
_NOT_FINITE = "a sample is not a finite number"
_NO_RATIO = "an interval that reaches zero has no ratio"
_ROUNDING = 1e-9
_SETTLED = 0.92
"""How often the number of samples that `samples_for` names is to settle a gate: 90 %, and what margins in quadrature
fall short of it."""


def mean(samples: Samples, confidence: float = CONFIDENCE) -> Estimate:
    """The mean of a series in the order in which it was measured, whose neighbours may depend on each other.

    The interval is Student's t with the long-run variance from the two slowest cosines of the series alone, which asks
    nothing of what is faster: noise of single calls, a clock that steps, or both at once. (Müller, A theory of robust
    long-run variance estimation, 2007; Lazarus, Lewis, Stock and Watson, HAR inference: recommendations for practice,
    2018.) It is never narrower than 30 % of the interval that the best autoregression gives. (Fishman, Estimating
    sample size in computing simulation experiments, 1971.)

    A series that drifts has no such mean, and one of fewer than 200 samples has not seen what is rare: both have no
    interval. Without samples the value is not a number.
    """
    tail, count = _tail(confidence), len(samples)
    value, fault = _checked(samples, np.mean)
    if fault is not None:
        return Estimate(value=value, obstacle=fault)
    if count < LEAST_SAMPLES:
        return Estimate(value=value, obstacle=f"{count} samples are too few", wanted=LEAST_SAMPLES)
    if _is_constant(samples):
        return Estimate(value=value, low=value, high=value)
    time = spectrum.autocorrelation_time(samples)
    power = spectrum.cosine_power(samples)
    if spectrum.drifts(power, count / time):
        return Estimate(value=value, obstacle="not stationary")
    quantile = _student(MEAN_FREEDOM, tail * (1 - _SHORTNESS / math.sqrt(count)))
    wide = quantile * math.sqrt(spectrum.long_run_variance(power, MEAN_FREEDOM) / count)
    floor = _FLOOR * _normal(tail) * math.sqrt(float(samples.var()) * time / count)
    half = max(wide, floor)
    return Estimate(value=value, low=value - half, high=value + half)


def percentile(samples: Samples, percent: float, confidence: float = CONFIDENCE) -> Estimate:
    """A percentile of a series in the order of measurement, with the interval between two order statistics.

    The share of samples below the percentile is the mean of a series of zeros and ones. Its long-run variance, from its
    three to six slowest cosines, gives the number of independent samples that are worth as much, adjusted for the
    degrees of freedom. The ends are the order statistics between which the percentile of so many independent samples
    lies. (Woodruff, Confidence intervals for medians and other position measures, 1952; Korn and Graubard, Confidence
    intervals for proportions with small expected number of positive counts estimated from survey data, 1998; David and
    Nagaraja, Order Statistics, 3rd edition, 2003, section 7.1.)

    There is no interval if there are too few samples, or if they are worth too few independent ones to enclose the
    percentile. Without samples the value is not a number. Raises `ValueError` for a percent of 0, 100 or beyond.
    """
    needed = calls_for(percent, confidence)
    count = len(samples)
    value, fault = _checked(samples, lambda checked: np.percentile(checked, percent))
    if fault is not None:
        return Estimate(value=value, obstacle=fault)
    least = max(LEAST_SAMPLES, needed)
    if count < least:
        return Estimate(value=value, obstacle=f"{least:,} calls are needed, and {count:,} were measured", wanted=least)
    if _is_constant(samples):
        return Estimate(value=value, low=value, high=value)
    # The ranks have the dependence of the series without its extremes.
    ranks = np.argsort(np.argsort(samples, kind="stable"), kind="stable").astype(np.float64)
    times = count / spectrum.autocorrelation_time(ranks)
    independent = _independent((samples <= value).astype(np.float64), percent / 100, confidence)
    # Far out in the tail a few clusters of calls look independent; the whole series knows better.
    if min(independent, _TAIL_TIMES * times) < needed:
        independent = min(independent, times)
        return Estimate(
            value=value,
            obstacle=f"{count:,} calls are worth {int(independent):,} independent ones, and {needed:,} are needed",
            wanted=math.ceil(1.5 * count * needed / max(independent, 1.0)),
        )
    ordered, tail = np.sort(samples), _tail(confidence)
    trials = int(independent)
    low, high = (_binomial_quantile(chance, trials, percent / 100) for chance in (tail, 1 - tail))
    below, above = max(math.floor(low * count / trials), 1), min(math.ceil((high + 1) * count / trials), count)
    return Estimate(value=value, low=float(ordered[below - 1]), high=float(ordered[above - 1]))


def percentile_freedom(percent: float) -> int:
    """Degrees of freedom of a percentile's interval: fewer near the median, which takes fewer independent samples."""
    return 3 if 25 <= percent <= 75 else 6


def calls_for(percent: float, confidence: float = CONFIDENCE) -> int:
    """The fewest independent samples whose smallest and largest enclose the percentile, with 2.5 % beyond either."""
    if not 0 < percent < 100:
        raise ValueError(f"a percentile of {percent:g} % has no interval; give one between 0 and 100")
    share_of_the_longer_side = max(percent, 100 - percent) / 100
    return math.ceil(math.log(_tail(confidence)) / math.log(share_of_the_longer_side))


def share(successes: float, total: float, confidence: float = CONFIDENCE) -> Estimate:
    """A share, 0 to 1, with Wilson's score interval.

    (Wilson, Probable inference, the law of succession, and statistical inference, 1927.) Raises `ValueError` for
    successes outside 0 to the total.
    """
    if not 0 <= successes <= total < math.inf:
        raise ValueError(f"{successes:g} successes of {total:g}; give 0 to {total:g}")
    if total == 0:
        return Estimate(value=math.nan, obstacle="0 samples are too few", wanted=1)
    proportion = successes / total
    weight = _normal(_tail(confidence)) ** 2 / total
    centre = (proportion + weight / 2) / (1 + weight)
    half = math.sqrt(weight * (proportion * (1 - proportion) + weight / 4)) / (1 + weight)
    return Estimate(value=proportion, low=max(0.0, centre - half), high=min(1.0, centre + half))


def mcnemar(one: int, other: int) -> float:
    """The mid-p value of McNemar's test, from the two counts of pairs that disagree.

    Under the hypothesis that neither is better, each such pair falls to either side by a fair coin. Of the split that
    was seen only half the probability counts, for the exact value is too large on average. (Fagerland, Lydersen and
    Laake, The McNemar test for binary matched-pairs data: mid-p and asymptotic are better than exact conditional,
    2013.)
    """
    from scipy import special

    _require_counts(one, other)
    fewer, total = min(one, other), one + other
    if one == other:
        return 1.0 - (_coin(fewer, total) / 2 if total else 0.0)
    return 2 * float(special.bdtr(fewer, total, 0.5)) - _coin(fewer, total)


def mcnemar_exact(one: int, other: int) -> float:
    """The p value of McNemar's exact test. (Agresti, Categorical Data Analysis, 3rd edition, 2013, section 11.1.)"""
    from scipy import special

    _require_counts(one, other)
    return min(1.0, 2 * float(special.bdtr(min(one, other), one + other, 0.5)))


def ratio(mine: Estimate, other: Estimate) -> Estimate:
    """The ratio of two figures above zero that were measured independently of each other.

    The distances from value to end, in logarithms, add up in quadrature. (Zou and Donner, Construction of confidence
    limits about effect measures, Statistics in Medicine 27, 2008.)
    """
    if other.value == 0:
        return Estimate(value=math.nan, obstacle="a figure of zero has no ratio")
    value = mine.value / other.value
    if not math.isfinite(value):
        return Estimate(value=math.nan, obstacle=_NOT_FINITE)
    if mine.interval is None or other.interval is None:
        lacking = mine if mine.interval is None else other
        return Estimate(value=value, obstacle=lacking.obstacle or "a figure without interval", wanted=lacking.wanted)
    (low, high), (other_low, other_high) = mine.interval, other.interval
    if min(low, other_low) <= 0:
        return Estimate(value=value, obstacle=_NO_RATIO)
    below = math.hypot(math.log(mine.value / low), math.log(other_high / other.value))
    above = math.hypot(math.log(high / mine.value), math.log(other.value / other_low))
    return _around(value, below, above)


def paired_ratio(mine: Samples, other: Samples, confidence: float = CONFIDENCE) -> Estimate:
    """The ratio of two rates measured in turn, from the rates of blocks of the same number of images.

    Each rate is the images of all blocks over their seconds, so that a slow block weighs by its time.
    """
    rates, other_rates = np.asarray(mine, dtype=np.float64), np.asarray(other, dtype=np.float64)
    for side in (rates, other_rates):
        if (fault := _checked(side, np.mean)[1]) is not None:
            return Estimate(value=math.nan, obstacle=fault)
        if np.any(side <= 0):
            return Estimate(value=math.nan, obstacle="a rate is not above zero")
    seconds, other_seconds = 1 / rates, 1 / other_rates
    return ratio_of_totals(other_seconds, seconds, confidence)


def ratio_of_totals(above: Samples, below: Samples, confidence: float = CONFIDENCE) -> Estimate:
    """The ratio of two sums over the same blocks, in the order of measurement; each sum is above zero.

    What is slower than a block hits both sides of a pair and cancels. The logarithm of the ratio moves, to first order,
    as the mean of the blocks' differences of both relative amounts. (Cochran, Sampling Techniques, 3rd edition, 1977,
    chapter 6.) Its interval is that of `mean_of_blocks`.
    """
    if len(above) != len(below):
        raise ValueError(f"{len(above)} blocks of one side and {len(below)} of the other")
    if not len(above):
        return Estimate(value=math.nan, obstacle="0 pairs are too few", wanted=LEAST_PAIRS)
    for side in (above, below):
        if (fault := _checked(side, np.mean)[1]) is not None:
            return Estimate(value=math.nan, obstacle=fault)
        if float(side.sum()) <= 0:
            return Estimate(value=math.nan, obstacle="a total that is not above zero has no ratio")
    differences = above / above.mean() - below / below.mean()
    return around_ratio(float(above.sum() / below.sum()), differences, confidence)


def around_ratio(value: float, differences: Samples, confidence: float = CONFIDENCE) -> Estimate:
    """A ratio with the interval of the mean of its logarithm's differences, block by block."""
    if not math.isfinite(value):
        return Estimate(value=math.nan, obstacle=_NOT_FINITE)
    logarithm = mean_of_blocks(differences, confidence)
    if logarithm.interval is None:
        known = math.nan if math.isnan(logarithm.value) and len(differences) else value
        return Estimate(value=known, obstacle=logarithm.obstacle, wanted=logarithm.wanted)
    half = logarithm.interval[1] - logarithm.value
    return _around(value, half, half)


def mean_of_blocks(blocks: Samples, confidence: float = CONFIDENCE) -> Estimate:
    """The mean of a figure that each block has, in the order of measurement.

    The interval is Student's t with the long-run variance from the twelve slowest cosines, so that neighbouring blocks
    may depend on each other; of thirteen blocks or fewer these are all, and it is the plain t interval. (Lazarus,
    Lewis, Stock and Watson, HAR inference: recommendations for practice, 2018.)
    """
    count = len(blocks)
    value, fault = _checked(blocks, np.mean)
    if fault is not None:
        return Estimate(value=value, obstacle=fault)
    if count < LEAST_PAIRS:
        return Estimate(value=value, obstacle=f"{count} pairs are too few", wanted=LEAST_PAIRS)
    freedom = min(BLOCK_FREEDOM, count - 1)
    variance = spectrum.long_run_variance(spectrum.cosine_power(blocks), freedom) / count
    half = _student(freedom, _tail(confidence)) * math.sqrt(variance)
    return Estimate(value=value, low=value - half, high=value + half)


def mean_of_processes(figures: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """The mean of one figure above zero of several processes that measured the same, with Student's t interval.

    Each figure varies by what differs between processes as well as within one, so nothing need be known of either. The
    interval is of the logarithms, so that it stays above zero.
    """
    values = np.asarray(figures, dtype=np.float64)
    count = len(values)
    value, fault = _checked(values, np.mean)
    if fault is not None:
        return Estimate(value=value, obstacle=fault)
    if count < 2:
        return Estimate(value=value, obstacle=f"{count} processes are too few", wanted=2)
    if np.any(values <= 0):
        return Estimate(value=value, obstacle="a figure is not above zero")
    spread = float(np.log(values).std(ddof=1)) / math.sqrt(count)
    half = _student(count - 1, _tail(confidence)) * spread
    return _around(value, half, half)


def next_process(figures: Sequence[float], confidence: float = CONFIDENCE) -> float:
    """By how much one more process may differ from the true mean, as a share of it; two figures or more are known.

    0 if all are zero; not a number if one of them is none, and infinite if their mean is not above zero.
    """
    values = np.asarray(figures, dtype=np.float64)
    if len(values) < 2:
        raise ValueError(f"{len(values)} processes are too few; give 2 or more")
    value, fault = _checked(values, np.mean)
    if fault is not None:
        return math.nan
    spread = float(values.std(ddof=1))
    if spread == 0:
        return 0.0
    return _student(len(values) - 1, _tail(confidence)) * spread / value if value > 0 else math.inf


def widened(ratio: Estimate, change: float) -> Estimate:
    """A ratio whose interval also holds a change by such a share, up or down, that its samples do not show."""
    if ratio.interval is None:
        return ratio
    if change < 0:
        raise ValueError(f"a change by {change:g}; give 0 or more")
    if not math.isfinite(sum((ratio.value, *ratio.interval, change))):
        known = ratio.value if math.isfinite(ratio.value) else math.nan
        return Estimate(value=known, obstacle=_NOT_FINITE)
    if min(ratio.value, *ratio.interval) <= 0:
        return Estimate(value=ratio.value, obstacle=_NO_RATIO)
    low, high = (abs(math.log(end / ratio.value)) for end in ratio.interval)
    below, above = (math.hypot(end, math.log1p(change)) for end in (low, high))
    return _around(ratio.value, below, above)


def confidence_for_best_of(candidates: int, confidence: float = CONFIDENCE) -> float:
    """The confidence of each interval such that all of them, and so that of the best, hold with the confidence asked.

    (Šidák, Rectangular confidence regions for the means of multivariate normal distributions, 1967.)
    """
    return float(confidence ** (1 / max(candidates, 1)))


def samples_for(estimate: Estimate, samples: int, bound: float, freedom: float = math.inf) -> int | None:
    """How many samples in all leave the bound outside the interval in 90 % of cases, if the true value is the estimate.

    An interval shrinks with the root of the number of samples. But the next estimate will lie elsewhere, and the widths
    of both intervals are estimates with so many degrees of freedom, whose ratio is the root of an F variable. The two
    margins are added in quadrature. (Desu and Raghavarao, Sample Size Methodology, 1990, chapter 2, for the first.)
    None if no number would do: the value is the bound itself, or nothing is known that would give an interval.
    """
    from scipy import special

    if estimate.interval is None:
        return estimate.wanted
    low, high = estimate.interval
    distance = abs(estimate.value - bound)
    if distance == 0:
        return None
    half = estimate.value - low if bound < estimate.value else high - estimate.value
    if half < distance:
        return samples
    tail = (1 - CONFIDENCE) / 2
    movement, width = _normal(1 - _SETTLED) / _normal(tail), 0.0
    if math.isfinite(freedom):
        movement = _normal(1 - _SETTLED) / _student(freedom, tail)
        width = math.sqrt(float(special.fdtri(freedom, freedom, _SETTLED))) - 1
    margin = 1 + math.hypot(movement, width)
    return max(samples, math.floor(samples * (margin * half / distance) ** 2) + 1)


def _checked(samples: Samples, figure: Callable[[Samples], np.floating[Any]]) -> tuple[float, str | None]:
    """A figure of samples, and why it has no interval if the samples, or their squares, are not finite numbers.

    The figure is not a number if a sample is not, or if there is none.
    """
    if not len(samples):
        return math.nan, None
    low, high = float(samples.min()), float(samples.max())
    largest = max(-low, high)
    if not (math.isfinite(low) and math.isfinite(high) and math.isfinite(largest * len(samples))):
        return math.nan, _NOT_FINITE
    fits = not largest or _SMALLEST < largest < _LARGEST
    size = "small" if largest < 1 else "large"
    return float(figure(samples)), None if fits else f"samples as {size} as {largest:.0e} have no variance"


def _around(value: float, below: float, above: float) -> Estimate:
    """A figure above zero, and the interval that ends so far from it in logarithms."""
    if value <= 0 or max(below, above) > _WIDEST:
        return Estimate(value=value, obstacle=_NO_RATIO)
    return Estimate(value=value, low=value * math.exp(-below), high=value * math.exp(above))


def _tail(confidence: float) -> float:
    """The probability beyond either end of an interval."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence of {confidence:g}; give one between 0 and 1")
    return (1 - confidence) / 2


def _require_counts(one: int, other: int) -> None:
    if min(one, other) < 0:
        raise ValueError(f"{one} and {other} pairs; give counts of 0 or more")


def _is_constant(samples: Samples) -> bool:
    """Whether samples differ by no more than rounding does."""
    return float(np.ptp(samples)) <= _ROUNDING * abs(float(samples[0]))


def _independent(below: Samples, share: float, confidence: float) -> float:
    """How many independent samples a series of zeros and ones is worth, and never more than it has."""
    freedom = percentile_freedom(100 * share)
    variance = spectrum.long_run_variance(spectrum.cosine_power(below), freedom)
    tail = _tail(confidence)
    adjusted = variance * (_student(freedom, tail) / _normal(tail)) ** 2
    return len(below) * min(1.0, share * (1 - share) / adjusted) if adjusted > 0 else float(len(below))


def _student(freedom: float, tail: float) -> float:
    """Student's t beyond which this tail lies."""
    from scipy import special

    return float(special.stdtrit(freedom, 1 - tail))


def _normal(tail: float) -> float:
    """The normal quantile beyond which this tail lies."""
    from scipy import special

    return float(special.ndtri(1 - tail))


def _coin(heads: int, tosses: int) -> float:
    """The probability of exactly so many heads."""
    ways = math.lgamma(tosses + 1) - math.lgamma(heads + 1) - math.lgamma(tosses - heads + 1)
    return math.exp(ways - tosses * math.log(2))


def _binomial_quantile(probability: float, trials: int, chance: float) -> int:
    """The fewest successes that are not exceeded with at least this probability."""
    from scipy import special

    quantile = math.ceil(float(special.bdtrik(probability, trials, chance)))
    # Where the probability is reached exactly, the inverse may come out just above the whole number.
    return quantile - 1 if quantile > 0 and special.bdtr(quantile - 1, trials, chance) >= probability else quantile
