"""What is derived of raw measurements, each figure with its interval, in one place."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from assay import environment
from assay.records import PERCENTILES, Accuracy, BatchResult, Estimate, Figures, Performance, ThroughputKind
from assay.score import statistics

Figure = Callable[[Performance], float]
"""One figure of what a single process measured."""

THROUGHPUT: Mapping[ThroughputKind, Figure] = {
    "interface": lambda performance: performance.interface_throughput,
    "end-to-end": lambda performance: performance.end_to_end_throughput,
}
"""Images a second, by kind."""

RESTARTS = 0.02
"""What two processes that run the same artifact differ by, unless repeats on record say otherwise."""
BUSY = "single processes on a busy machine"
"""Why a ratio has no interval: what others did at the time of one and not of the other is in no sample."""
_STRETCHES = 60
"""Into how many parts a run is divided for the ratio of two of its own throughputs."""
_LONG_CALLS = "some calls last longer than a whole stretch of others"
_CALLS_A_PART = {"p90": 20, "p95": 40, "p99": 200}
"""Of a percentile of blocks: so many calls that two lie beyond it. Others take any number."""


def figures(result: BatchResult) -> Figures:
    """Throughputs, latencies, bottleneck and accuracies of one result."""
    performance, counted = result.performance, result.accuracy
    bottleneck = performance.bottleneck
    return Figures(
        batch=result.batch,
        end_to_end_throughput=end_to_end_throughput(performance),
        interface_throughput=interface_throughput(performance),
        latency=latencies(performance),
        bottleneck=bottleneck.name,
        bottleneck_busy_share=bottleneck.busy_share,
        infer_busy_share=infer_busy(performance),
        calls_in_flight=performance.calls_in_flight,
        top=accuracies(counted) if counted is not None else (),
    )


def interface_throughput(performance: Performance, confidence: float = statistics.CONFIDENCE) -> Estimate:
    """Images a second over the time in which at least one inference call was in flight."""
    if performance.repeats:
        return _of_processes(performance, THROUGHPUT["interface"], confidence)
    seconds = statistics.mean(increments(performance, "interface"), confidence)
    return _rate(performance.interface_throughput, seconds)


def end_to_end_throughput(performance: Performance, confidence: float = statistics.CONFIDENCE) -> Estimate:
    """Images a second, from the first read to the last post; the interval is of the times between two batches' ends."""
    if performance.repeats:
        return _of_processes(performance, THROUGHPUT["end-to-end"], confidence)
    seconds = statistics.mean(increments(performance, "end-to-end"), confidence)
    return _rate(performance.end_to_end_throughput, seconds)


def infer_busy(performance: Performance) -> Estimate:
    """The share of the session's slots, 0 to 1, that had a call in flight, over the whole run.

    With several slots `end-to-end/interface` stays high while most of them wait: one call in flight is enough for it.
    """
    if performance.repeats:
        return _of_processes(performance, lambda one: one.infer_busy_share)
    seconds, wall = _stretched(performance, performance.call_seconds, increments(performance, "end-to-end"))
    value = performance.infer_busy_share
    if wall.min() <= 0:
        return Estimate(value=value, obstacle=_LONG_CALLS)
    return _recentred(statistics.ratio_of_totals(seconds, wall), value)


def latencies(performance: Performance) -> dict[str, Estimate]:
    """Seconds of one inference call; a percentile that the sample is too small for is left out."""
    calls = min(len(one.call_seconds) for one in performance.processes)
    known = [name for name, percent in PERCENTILES.items() if calls >= statistics.calls_for(percent)]
    least, most = (Estimate(value=latency(performance, name).value) for name in ("min", "max"))
    return {"min": least, **{name: latency(performance, name) for name in ("mean", *known)}, "max": most}


def latency(performance: Performance, name: str) -> Estimate:
    """Seconds of one inference call by `min`, `mean`, `max`, `median` or a percentile; exact for `min` and `max`."""
    calls = performance.call_seconds
    if name in ("min", "max"):
        value = float(getattr(np.concatenate([one.call_seconds for one in performance.processes]), name)())
        return Estimate(value=value, low=value, high=value)
    if performance.repeats:
        return _of_processes(performance, latency_of(name))
    if name == "mean":
        return statistics.mean(calls)
    estimate = statistics.percentile(calls, _percent(name))
    return msgspec.structs.replace(estimate, obstacle=f"{name}: {estimate.obstacle}") if estimate.obstacle else estimate


def latency_freedom(name: str) -> int:
    """The degrees of freedom of a latency's interval."""
    return statistics.MEAN_FREEDOM if name in ("min", "mean", "max") else statistics.percentile_freedom(_percent(name))


def are_in_turn(mine: Performance, other: Performance) -> bool:
    """Whether two measurements were made in turn, so that their ratios are of pairs of blocks."""
    return (
        mine.blocks is not None and other.blocks is not None and mine.blocks.interleaving == other.blocks.interleaving
    )


def ratio(
    mine: Performance, other: Performance, kind: ThroughputKind, confidence: float = statistics.CONFIDENCE
) -> Estimate:
    """The throughput of one measurement over that of another; from the pairs where both were measured in turn."""
    if are_in_turn(mine, other):
        value = THROUGHPUT[kind](mine) / THROUGHPUT[kind](other)
        return statistics.around_ratio(value, _relative_rates(mine, kind) - _relative_rates(other, kind), confidence)
    rate = interface_throughput if kind == "interface" else end_to_end_throughput
    ratio = statistics.ratio(rate(mine, confidence), rate(other, confidence))
    return _between_processes(ratio, mine, other, THROUGHPUT[kind])


def latency_ratio(mine: Performance, other: Performance, name: str) -> Estimate:
    """A latency over that of another measurement; from the pairs of blocks if both were measured in turn.

    The ratio is that of the two figures of all calls, its interval that of the mean of the blocks' own. Neighbouring
    rounds are taken together until each part has calls enough for the percentile.
    """
    if not are_in_turn(mine, other):
        ratio = statistics.ratio(latency(mine, name), latency(other, name))
        return _between_processes(ratio, mine, other, latency_of(name))
    value = _latency_of(mine.call_seconds, name) / _latency_of(other.call_seconds, name)
    mine_blocks, other_blocks = _calls_by_block(mine), _calls_by_block(other)
    needed = _CALLS_A_PART.get(name, 1)
    fewest = min(len(calls) for calls in (*mine_blocks, *other_blocks))
    parts = len(mine_blocks) // math.ceil(needed / fewest)
    if parts < statistics.LEAST_PAIRS:
        wanted = math.ceil(needed / fewest) * statistics.LEAST_PAIRS
        return Estimate(value=value, obstacle=f"{len(mine_blocks)} blocks are too few for {name}", wanted=wanted)
    logarithms = [
        np.log([_latency_of(np.concatenate(part), name) for part in _parted(blocks, parts)])
        for blocks in (mine_blocks, other_blocks)
    ]
    return statistics.around_ratio(value, logarithms[0] - logarithms[1])


def share(
    performance: Performance,
    kind: ThroughputKind,
    of: ThroughputKind,
    confidence: float = statistics.CONFIDENCE,
) -> Estimate:
    """One throughput of a measurement over another of the same, from stretches of calls that both are of."""
    if performance.repeats:
        return _of_processes(performance, lambda one: THROUGHPUT[kind](one) / THROUGHPUT[of](one), confidence)
    own, other = (increments(performance, name) for name in (kind, of))
    calls = min(len(own), len(other))
    seconds, other_seconds = _stretched(performance, own[:calls], other[:calls])
    value = THROUGHPUT[kind](performance) / THROUGHPUT[of](performance)
    if min(seconds.min(), other_seconds.min()) <= 0:
        return Estimate(value=value, obstacle=_LONG_CALLS)
    return _recentred(statistics.ratio_of_totals(other_seconds, seconds, confidence), value)


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


def restarts(mine: Performance, other: Performance, figure: Figure) -> float:
    """By how much a ratio of two measurements may change by a restart alone, as a share: none of repeated ones.

    What the repeats of one side show is taken for the other; without any it is 2 %.
    """
    repeated = [one for one in (mine, other) if one.repeats]
    if not repeated:
        return RESTARTS
    return 0.0 if len(repeated) == 2 else statistics.next_process([figure(one) for one in repeated[0].processes])


def _between_processes(ratio: Estimate, mine: Performance, other: Performance, figure: Figure) -> Estimate:
    """A ratio of two measurements that were not made in turn, with what differs between processes in its interval."""
    single = not (mine.repeats and other.repeats)
    if single and any(one.machine.busiest > environment.BUSY_SHARE for one in (mine, other)):
        return Estimate(value=ratio.value, obstacle=BUSY)
    return statistics.widened(ratio, restarts(mine, other, figure))


def _of_processes(performance: Performance, figure: Figure, confidence: float = statistics.CONFIDENCE) -> Estimate:
    """A figure of a measurement that several processes made."""
    return statistics.mean_of_processes([figure(one) for one in performance.processes], confidence)


Series = npt.NDArray[np.float64]


def _stretched(performance: Performance, *series: Series) -> list[Series]:
    """The sums of each series over the run's stretches of calls."""
    parts = stretches(performance)
    return [np.array([part.sum() for part in np.array_split(one, parts)]) for one in series]


def _recentred(ratio: Estimate, value: float) -> Estimate:
    """A ratio's interval around the value of the whole run."""
    if ratio.interval is None:
        return msgspec.structs.replace(ratio, value=value)
    low, high = (value * end / ratio.value for end in ratio.interval)
    return Estimate(value=value, low=low, high=high)


def _relative_rates(performance: Performance, kind: ThroughputKind) -> Series:
    """By how much of the whole rate each block moves its logarithm: its share of the images less that of the seconds.

    All calls are of as many images, a batch or the whole data set where that is smaller.
    """
    assert performance.blocks is not None  # noqa: S101 - asked of interleaved measurements alone
    calls = np.array(performance.blocks.calls, dtype=np.float64)
    if kind == "interface":
        seconds = np.array([part.sum() for part in _by_block(performance, performance.interface_increments)])
    else:
        seconds = np.array(performance.blocks.wall_seconds)
    return np.asarray(calls / calls.mean() - seconds / seconds.mean(), dtype=np.float64)


def _by_block(performance: Performance, series: Series) -> list[Series]:
    assert performance.blocks is not None  # noqa: S101 - asked of interleaved measurements alone
    return np.split(series, np.cumsum(performance.blocks.calls)[:-1])


def _calls_by_block(performance: Performance) -> list[Series]:
    return _by_block(performance, performance.call_seconds)


def _parted(blocks: Sequence[Series], parts: int) -> list[Sequence[Series]]:
    """The blocks of each part, which are neighbours."""
    ends = [len(blocks) * part // parts for part in range(parts + 1)]
    return [blocks[begin:end] for begin, end in itertools.pairwise(ends)]


def _interleaving(performance: Performance) -> str | None:
    return None if performance.blocks is None else performance.blocks.interleaving


def _percent(name: str) -> float:
    return 50.0 if name == "median" else PERCENTILES[name]


def latency_of(name: str) -> Figure:
    """A latency of what one process measured."""
    return lambda performance: _latency_of(performance.call_seconds, name)


def _latency_of(calls: Series, name: str) -> float:
    return float(calls.mean()) if name == "mean" else float(np.percentile(calls, _percent(name)))


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
