"""Intervals and tests: how far a figure can be trusted, from the samples behind it. All intervals are of 95 %.

What holds of them is shown by simulation: `make proof`. Of SciPy only `special` is used: `scipy.stats` says the same in
fewer words, and its import takes longer than all else that a command does which only shows figures.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from assay.records import Estimate

CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2

LEAST_TIMES = 20
"""A series that holds fewer autocorrelation times has no interval of its mean."""
LEAST_PAIRS = 6

Samples = npt.NDArray[np.float64]

_PAIRS_IN_ORDER = 40
_AIMED_TIMES = 30
"""Of runs with just 20 true times a third to a half seem to hold fewer; of those with 30, about one in ten."""
_SPENT_TIMES = 18
_MOST_TERMS = 10
_TREND_TERMS = 2
_ALARMS = 0.005


def mean(samples: Samples) -> Estimate:
    """The mean of a series in the order in which it was measured, whose neighbours may depend on each other.

    The interval is Student's t around the mean with the larger of two estimates of the mean's variance: an
    autoregression's (Fishman, Estimating sample size in computing simulation experiments, 1971, whose degrees of
    freedom are, of one term, half the autocorrelation times held) and that of the series' slowest cosines (Müller, A
    theory of robust long-run variance estimation, 2007; Lazarus, Lewis, Stock and Watson, HAR inference, 2018). The
    first is steady but believes its model, the second has no model but few terms.

    A series that drifts has no such mean, and one that holds fewer than 20 autocorrelation times cannot tell how far
    it wanders: both have no interval. The autocorrelation time is one plus twice the sum of all autocorrelations, the
    number of neighbours that weigh as much as one independent sample. Without samples the value is not a number.
    """
    from scipy import special

    count = len(samples)
    value = float(samples.mean()) if count else math.nan
    if count < LEAST_TIMES:
        return Estimate(value=value, obstacle=f"{count} samples are too few", wanted=LEAST_TIMES)
    if samples.min() == samples.max():
        return Estimate(value=value, low=value, high=value)
    time = _autocorrelation_time(samples)
    times = count / time
    power = _cosine_power(samples)
    if _drifts(power, times):
        return Estimate(value=value, obstacle="not stationary")
    if times < LEAST_TIMES:
        obstacle = f"the sample holds {int(times)} autocorrelation times and {LEAST_TIMES} are needed"
        return Estimate(value=value, obstacle=obstacle, wanted=math.ceil(_AIMED_TIMES * time))
    variance = max(float(samples.var()) * time, float(power[: _terms(power, times, least=5)].mean())) / count
    # Near the limit an interval is given only where the autocorrelation came out short, so that those given are too
    # narrow: the degrees of freedom are of the times beyond 18. The number is found, and held, by the proof.
    freedom = max(1.0, (times - _SPENT_TIMES) / 2)
    half = float(special.stdtrit(freedom, 1 - TAIL)) * math.sqrt(variance)
    return Estimate(value=value, low=value - half, high=value + half)


def percentile(samples: Samples, percent: float) -> Estimate | None:
    """A percentile with the interval between two order statistics; None where the sample is too small to hold one.

    Between the samples of ranks l and u, counted from 1, lies the percentile p of independent samples with the
    probability that a binomial of n and p is at least l and below u. (David and Nagaraja, Order Statistics, 3rd
    edition, section 7.1.)
    """
    if len(samples) < calls_for(percent):
        return None
    ordered = np.sort(samples)
    low, high = (_binomial_quantile(tail, len(samples), percent / 100) for tail in (TAIL, 1 - TAIL))
    value = float(np.percentile(samples, percent))
    return Estimate(value=value, low=float(ordered[low - 1]), high=float(ordered[high]))


def calls_for(percent: float) -> int:
    """The fewest samples whose smallest and largest enclose the percentile with 2.5 % at most beyond either."""
    share_of_the_longer_side = max(percent, 100 - percent) / 100
    return math.ceil(math.log(TAIL) / math.log(share_of_the_longer_side))


def share(successes: float, total: float) -> Estimate:
    """A share, 0 to 1, with Wilson's score interval.

    (Wilson, Probable inference, the law of succession, and statistical inference, 1927.)
    """
    from scipy import special

    proportion = successes / total
    weight = float(special.ndtri(1 - TAIL)) ** 2 / total
    centre = (proportion + weight / 2) / (1 + weight)
    half = math.sqrt(weight * (proportion * (1 - proportion) + weight / 4)) / (1 + weight)
    return Estimate(value=proportion, low=max(0.0, centre - half), high=min(1.0, centre + half))


def mcnemar(one: int, other: int) -> float:
    """The p value of McNemar's exact test, from the two counts of pairs that disagree.

    Under the hypothesis that neither is better, each such pair falls to either side by a fair coin. (Agresti,
    Categorical Data Analysis, 3rd edition, section 11.1.)
    """
    from scipy import special

    return min(1.0, 2 * float(special.bdtr(min(one, other), one + other, 0.5)))


def ratio(mine: Estimate, other: Estimate) -> Estimate:
    """The ratio of two figures above zero that were measured independently of each other.

    The distances from value to end, in logarithms, add up in quadrature. (Zou and Donner, Construction of confidence
    limits about effect measures, Statistics in Medicine 27, 2008.)
    """
    value = mine.value / other.value
    if mine.interval is None or other.interval is None:
        lacking = mine if mine.interval is None else other
        return Estimate(value=value, obstacle=lacking.obstacle or "a figure without interval", wanted=lacking.wanted)
    (low, high), (other_low, other_high) = mine.interval, other.interval
    if min(low, other_low) <= 0:
        return Estimate(value=value, obstacle="an interval that reaches zero has no ratio")
    below = math.hypot(math.log(mine.value / low), math.log(other_high / other.value))
    above = math.hypot(math.log(high / mine.value), math.log(other.value / other_low))
    return Estimate(value=value, low=value * math.exp(-below), high=value * math.exp(above))


def paired_ratio(mine: Samples, other: Samples) -> Estimate:
    """The ratio of two figures measured in turns, from pairs of neighbouring blocks; values are above zero.

    What is slower than a block hits both sides of a pair and cancels, and what is quicker averages out within a block:
    of fewer than 40 pairs, which could not tell how far they depend on each other, the interval is Student's t of their
    log ratios. From 40 on it is that of their mean in the order of measurement, for blocks may be short.
    """
    logs = np.log(mine) - np.log(other)
    log_mean = mean(logs) if len(logs) >= _PAIRS_IN_ORDER else _mean_of_independent(logs)
    low, high = log_mean.interval or (None, None)
    return Estimate(
        value=math.exp(log_mean.value),
        low=None if low is None else math.exp(low),
        high=None if high is None else math.exp(high),
        obstacle=log_mean.obstacle,
        wanted=log_mean.wanted,
    )


def samples_for(estimate: Estimate, samples: int, bound: float) -> int | None:
    """How many samples in all would leave the bound outside the interval, if the value stays where it is.

    An interval shrinks with the root of the number of samples. None where no number would do, as the value is the bound
    itself or there is no interval and no number known that gives one.
    """
    if estimate.interval is None:
        return estimate.wanted
    low, high = estimate.interval
    distance = abs(estimate.value - bound)
    if distance == 0:
        return None
    half = estimate.value - low if bound < estimate.value else high - estimate.value
    return max(samples, math.floor(samples * (half / distance) ** 2) + 1)


def _binomial_quantile(probability: float, trials: int, chance: float) -> int:
    """The fewest successes that are not exceeded with at least this probability."""
    from scipy import special

    quantile = math.ceil(float(special.bdtrik(probability, trials, chance)))
    # Where the probability is reached exactly, the inverse may come out just above the whole number.
    return quantile - 1 if quantile > 0 and special.bdtr(quantile - 1, trials, chance) >= probability else quantile


def _mean_of_independent(pairs: Samples) -> Estimate:
    from scipy import special

    count = len(pairs)
    value = float(pairs.mean()) if count else math.nan
    if count < LEAST_PAIRS:
        return Estimate(value=value, obstacle=f"{count} pairs are too few", wanted=LEAST_PAIRS)
    half = float(special.stdtrit(count - 1, 1 - TAIL)) * float(pairs.std(ddof=1)) / math.sqrt(count)
    return Estimate(value=value, low=value - half, high=value + half)


def _autocorrelation_time(samples: Samples) -> float:
    """That of the autoregression that fits best.

    Yule and Walker's equations by the recursion of Levinson and Durbin, the order by Akaike's criterion, and the
    autocorrelation time as the ratio of the spectrum at zero to the variance. (Brockwell and Davis, Time Series: Theory
    and Methods, 2nd edition, chapters 8 and 9; Thompson, A comparison of methods for computing autocorrelation time,
    2010.)
    """
    count, centred = len(samples), samples - samples.mean()
    orders = max(1, min(count // 10, _MOST_TERMS))
    covariances = [float(centred[: count - lag] @ centred[lag:]) / count for lag in range(orders + 1)]
    unexplained, weights = covariances[0], list[float]()
    best, time = math.inf, 1.0
    for order in range(1, orders + 1):
        known = sum(weight * covariances[order - 1 - place] for place, weight in enumerate(weights))
        partial = (covariances[order] - known) / unexplained
        weights = [one - partial * two for one, two in zip(weights, reversed(weights), strict=True)] + [partial]
        unexplained *= 1 - partial**2
        criterion = count * math.log(unexplained) + 2 * order
        if criterion < best:
            residual = unexplained * count / (count - order - 1)
            best, time = criterion, residual / (1 - sum(weights)) ** 2 / covariances[0]
    return time


def _cosine_power(samples: Samples) -> Samples:
    """What each half wave adds to the series' variance, slowest first; in noise each estimates the spectrum there."""
    from scipy import fft

    power: Samples = fft.dct(samples - samples.mean(), norm="ortho")[1:] ** 2
    return power


def _terms(power: Samples, times: float, *, least: int) -> int:
    """How many cosines are slow enough to see the spectrum's value at zero: a quarter of the times held."""
    return min(max(least, int(times / 4)), len(power) - _TREND_TERMS)


def _drifts(power: Samples, times: float) -> bool:
    """Whether the two slowest half waves, which a drift and a step are made of, stand out from the next.

    F test of two sums of squares, at 0.5 %: all estimate the same spectrum where the series is stationary.
    """
    from scipy import special

    terms = _terms(power, times, least=8)
    trend, others = power[:_TREND_TERMS].mean(), power[_TREND_TERMS : _TREND_TERMS + terms].mean()
    return bool(trend > special.fdtri(_TREND_TERMS, terms, 1 - _ALARMS) * others)
