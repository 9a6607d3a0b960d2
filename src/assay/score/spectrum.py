"""The spectrum of a series at low frequencies, by cosines, and its autocorrelation time."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]

_MOST_TERMS = 10
_TREND_TERMS = 2
_NEXT_TERMS = 16
_FALSE_ALARMS = 1e-4


def cosine_power(samples: Samples) -> Samples:
    """What each half wave adds to the series' variance, slowest first; in noise each estimates the spectrum there."""
    from scipy import fft

    power: Samples = fft.dct(samples - samples.mean(), norm="ortho")[1:] ** 2
    return power


def long_run_variance(power: Samples, terms: int) -> float:
    """The spectrum at zero, which is the number of samples times the variance of their mean.

    The mean power of the slowest cosines: Student's t has as many degrees of freedom as there are terms. (Müller, A
    theory of robust long-run variance estimation, 2007; Lazarus, Lewis, Stock and Watson, HAR inference:
    recommendations for practice, 2018.) With all cosines of the series it is the sample variance.
    """
    return float(power[:terms].mean())


def autocorrelation_time(samples: Samples) -> float:
    """How many neighbours weigh as much as one independent sample: one plus twice the sum of all autocorrelations.

    That of the autoregression that fits best: Yule and Walker's equations by the recursion of Levinson and Durbin, the
    order by Akaike's criterion, and the time as the ratio of the spectrum at zero to the variance. (Brockwell and
    Davis, Time Series: Theory and Methods, 2nd edition, 1991, chapters 8 and 9; Thompson, A comparison of methods for
    computing autocorrelation time, 2010.)
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
        if unexplained <= 0:  # A series that its past explains in full, such as one that alternates.
            break
        criterion = count * math.log(unexplained) + 2 * order
        if criterion < best:
            residual = unexplained * count / (count - order - 1)
            best, time = criterion, residual / (1 - sum(weights)) ** 2 / covariances[0]
    return time


def drifts(power: Samples, times: float) -> bool:
    """Whether the two slowest half waves, of which a drift and a step are made, stand out from the next.

    F test of two sums of squares, at 0.01 %: all estimate the same spectrum if the series is stationary. `times` is
    how many autocorrelation times the series holds: a quarter of them, and at least 16, are the next. What wanders
    slowly and comes back is not a drift: its interval is wide.
    """
    from scipy import special

    terms = min(max(_NEXT_TERMS, int(times / 4)), len(power) - _TREND_TERMS)
    trend, others = power[:_TREND_TERMS].mean(), power[_TREND_TERMS : _TREND_TERMS + terms].mean()
    return bool(trend > special.fdtri(_TREND_TERMS, terms, 1 - _FALSE_ALARMS) * others)
