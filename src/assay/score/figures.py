"""What is derived of raw measurements, each figure with its interval, in one place."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from assay.records import PERCENTILES, Accuracy, BatchResult, Estimate, Figures, Performance, ThroughputKind
from assay.score import statistics

_STRETCHES = 60
"""Into how many parts a run is divided for the ratio of two of its own throughputs."""


def figures(result: BatchResult) -> Figures:
    """Throughputs, latencies, bottleneck and accuracies of one result."""
    bottleneck, counted = result.performance.bottleneck, result.accuracy
    return Figures(
        batch=result.batch,
        end_to_end_throughput=end_to_end_throughput(result.performance),
        interface_throughput=interface_throughput(result.performance),
        latency=latencies(result.performance),
        bottleneck=bottleneck.name,
        bottleneck_busy_share=bottleneck.busy_share,
        top=accuracies(counted) if counted is not None else (),
    )


def interface_throughput(performance: Performance) -> Estimate:
    """Images a second over the time in which at least one inference call was in flight."""
    return _rate(performance.interface_throughput, statistics.mean(increments(performance, "interface")))


def end_to_end_throughput(performance: Performance) -> Estimate:
    """Images a second, from the first read to the last post; the interval is of the times between two batches' ends."""
    return _rate(
        performance.end_to_end_throughput, statistics.mean(np.diff(np.sort(performance.call_ends), prepend=0.0))
    )


def latencies(performance: Performance) -> dict[str, Estimate]:
    """Seconds of one inference call; a percentile that the sample is too small for is left out."""
    calls = performance.call_seconds
    estimates = {name: latency(performance, name) for name in PERCENTILES}
    return {
        "min": Estimate(value=float(calls.min())),
        "mean": statistics.mean(calls),
        **{name: one for name, one in estimates.items() if one.interval is not None},
        "max": Estimate(value=float(calls.max())),
    }


def latency(performance: Performance, name: str) -> Estimate:
    """Seconds of one inference call by `min`, `mean`, `max`, `median` or a percentile; exact for `min` and `max`."""
    calls = performance.call_seconds
    if name in ("min", "max"):
        value = float(getattr(calls, name)())
        return Estimate(value=value, low=value, high=value)
    if name == "mean":
        return statistics.mean(calls)
    percent = 50.0 if name == "median" else PERCENTILES[name]
    estimate = statistics.percentile(calls, percent)
    wanted = statistics.calls_for(percent)
    return estimate or Estimate(
        value=performance.latency(percent),
        obstacle=f"{name} needs {wanted:,} calls, and {len(calls):,} were measured",
        wanted=wanted,
    )


def ratio(mine: Performance, other: Performance, kind: ThroughputKind) -> Estimate:
    """The throughput of one measurement over that of another; from the pairs where both were measured in turn."""
    if mine.blocks is not None and other.blocks is not None and mine.blocks.interleaving == other.blocks.interleaving:
        return statistics.paired_ratio(_block_rates(mine, kind), _block_rates(other, kind))
    rate = interface_throughput if kind == "interface" else end_to_end_throughput
    return statistics.ratio(rate(mine), rate(other))


def share(performance: Performance, kind: ThroughputKind, of: ThroughputKind) -> Estimate:
    """One throughput of a measurement over another of the same, from stretches of calls that both are of."""
    seconds = {
        name: np.array([part.sum() for part in np.array_split(increments(performance, name), stretches(performance))])
        for name in (kind, of)
    }
    value = _throughput(performance, kind) / _throughput(performance, of)
    if min(part.min() for part in seconds.values()) <= 0:
        return Estimate(value=value, obstacle="some calls last longer than a whole stretch of others")
    ratio = statistics.paired_ratio(seconds[of], seconds[kind])
    if ratio.interval is None:
        return msgspec.structs.replace(ratio, value=value)
    low, high = (value * end / ratio.value for end in ratio.interval)
    return Estimate(value=value, low=low, high=high)


def stretches(performance: Performance) -> int:
    """How many stretches of calls a run holds for the ratio of two of its own throughputs."""
    # Of calls in flight at once, some add nothing to the time; a stretch of several always does.
    least = 1 if performance.slots == 1 else 4 * performance.slots
    return max(1, min(_STRETCHES, len(performance.call_ends) // least))


def increments(performance: Performance, kind: ThroughputKind) -> npt.NDArray[np.float64]:
    """By how much each call made the time longer that a throughput is over, in seconds."""
    if kind == "interface":
        return performance.interface_increments
    return np.diff(np.sort(performance.call_ends), prepend=0.0)


def _throughput(performance: Performance, kind: ThroughputKind) -> float:
    return performance.interface_throughput if kind == "interface" else performance.end_to_end_throughput


def _block_rates(performance: Performance, kind: ThroughputKind) -> npt.NDArray[np.float64]:
    """Images a second of each block; all calls are of as many, a batch or the whole data set where that is smaller."""
    assert performance.blocks is not None  # noqa: S101 - asked of interleaved measurements alone
    calls = np.array(performance.blocks.calls, dtype=np.float64)
    counts = performance.images / calls.sum() * calls
    if kind != "interface":
        return np.asarray(counts / np.array(performance.blocks.wall_seconds), dtype=np.float64)
    ends = np.cumsum(performance.blocks.calls)
    seconds = [part.sum() for part in np.split(performance.interface_increments, ends[:-1])]
    return np.asarray(counts / np.array(seconds), dtype=np.float64)


def accuracies(counted: Accuracy) -> tuple[Estimate, ...]:
    """Top-1 to Top-5 in percent, as far as the model has classes."""
    return tuple(accuracy(counted, k) for k in range(1, len(counted.correct_at) + 1))


def accuracy(counted: Accuracy, k: int) -> Estimate:
    """Top-k accuracy in percent, with the interval for images of the same kind."""
    share = statistics.share(counted.correct_at[k - 1], counted.count)
    low, high = share.interval or (0.0, 1.0)
    return Estimate(value=counted.top(k), low=100 * low, high=100 * high)


def _rate(value: float, seconds: Estimate) -> Estimate:
    """A throughput with the interval that the mean time of its calls has."""
    if seconds.interval is None:
        return Estimate(value=value, obstacle=seconds.obstacle, wanted=seconds.wanted)
    if seconds.interval[0] <= 0:
        return Estimate(value=value, obstacle="the times of the calls vary too much for an interval")
    low, high = seconds.interval
    return Estimate(value=value, low=value * seconds.value / high, high=value * seconds.value / low)
