"""Gates on speed: a throughput or a latency by itself, or over that of a reference, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from assay import units
from assay.records import Check, Estimate, Gate, Performance, VerdictWord
from assay.score import comparable, figures, statistics
from assay.score.checks import batches, judged, not_comparable
from assay.score.gates import INFER_BUSY, LATENCIES, THROUGHPUTS
from assay.score.points import POINT_DECIDES, Missing, Point, unknown_batch
from assay.score.sides import Side

_WORST_FIRST: Sequence[VerdictWord] = ("FAIL", "NOT COMPARABLE", "INCONCLUSIVE", "PASS")
_EACH = " on each side"
_REPEAT = "measure both again with 5 repeats on an idle machine, or in turn"
_EXAMPLE = "as in latency.p99@1"


def by_itself(gate: Gate, subject: Side) -> Check:
    """A gate without a reference, or with another throughput of the same record."""
    if gate.metric in LATENCIES:
        return _latency(gate, subject)
    if gate.metric == INFER_BUSY:
        return _worst(gate, subject, [_infer_busy_at(gate, subject, point) for point in subject.points])
    # The ratio of two throughputs of one record is the same for a die as for a card.
    of_card = gate.reference is None
    best = subject.best(THROUGHPUTS[gate.metric], of_card)
    if isinstance(best, Missing):
        return not_comparable(gate, best.reason)
    point, own = best
    where, performance = batches([point.batch]), point.performance
    if gate.reference is None:
        reason = f"{gate.metric} {_shown(own, units.rate)} at {where}, asked {gate.operator} {units.rate(gate.bound)}"
        figure = _Found(own, (point,), limit=_calls(performance))
        return _judged(gate, figure, reason, "", noted=comparable.busy(subject, point))
    other = point.throughput(THROUGHPUTS[gate.reference], of_card)
    if isinstance(other, Missing):
        return not_comparable(gate, other.reason)
    share = _share(gate, subject, point, own, other)
    reason = (
        f"{gate.metric} over {gate.reference} {_shown(share, units.ratio)} at {where}, "
        f"asked {gate.operator} {units.ratio(gate.bound)}"
    )
    detail = f"{units.rate(own.value)} over {units.rate(other.value)}"
    figure = _Found(share, (point,), reference=other.value, limit=_stretches(performance))
    return _judged(gate, figure, reason, detail, noted=comparable.busy(subject, point))


def against(gate: Gate, subject: Side, reference: Side) -> Check:
    """A gate on the ratio of two records; `subject` holds the gate's batch size alone, `reference` all of them."""
    theirs = reference.at(gate.batch)
    if gate.batch is not None and not theirs.points:
        unknown = any(point.batch is None for point in reference.points)
        reason = unknown_batch(reference.said).reason if unknown else f"{reference.said} has no batch {gate.batch}"
        return not_comparable(gate, reason)
    if (obstacle := comparable.obstacle(subject, theirs)) is not None:
        return not_comparable(gate, obstacle)
    if gate.metric not in LATENCIES:
        return _ratio(gate, subject, reference, _throughputs(gate, subject, theirs))
    if any(point.batch is None for point in subject.points):
        return not_comparable(gate, unknown_batch(subject.said).reason)
    checks = [_latencies(gate, subject, point, theirs) for point in subject.points]
    return _worst(gate, subject, [_ratio(gate, subject, reference, one) for one in checks])


@dataclass(frozen=True)
class _Limit:
    """The samples that an interval is of."""

    samples: int
    """In the unit in which the figure counts how many it wants: calls, blocks, or stretches of calls."""
    performance: Performance
    of: str
    """How messages say where more of them would have to come from."""
    freedom: float
    """The degrees of freedom of the interval."""


@dataclass(frozen=True)
class _Found:
    """A figure with the points that it is of."""

    estimate: Estimate
    points: tuple[Point, ...]
    reference: float | None = None
    shown: str = ""
    limit: _Limit | None = None
    """None of reported figures, which have no samples."""
    restarts: float = 0.0
    """Of a ratio: by how much another process alone may move it, as a share."""


def _ratio(gate: Gate, subject: Side, reference: Side, figure: _Found | Missing) -> Check:
    """The check of a ratio, with both of its figures and what they differ in."""
    if isinstance(figure, Missing):
        return not_comparable(gate, figure.reason)
    mine, his = figure.points
    reason = (
        f"{gate.metric} {_shown(figure.estimate, units.ratio)} × {reference.said}, "
        f"asked {gate.operator} {units.ratio(gate.bound)}"
    )
    detail = f"{figure.shown}, {batches([mine.batch])} over {batches([his.batch])}"
    if _in_turn(mine, his):
        detail += "; measured in turn"
    return _judged(gate, figure, reason, detail, noted=comparable.differences(subject, mine, reference, his))


def _worst(gate: Gate, subject: Side, checks: Sequence[Check]) -> Check:
    """Of the checks of all batch sizes the one that is furthest from holding."""
    if not checks:
        return not_comparable(gate, f"{subject.said} has no speed")
    sign = 1 if gate.operator in (">=", ">") else -1
    return min(checks, key=lambda check: (_WORST_FIRST.index(check.verdict), sign * (check.measured or 0.0)))


def _judged(
    gate: Gate,
    figure: _Found,
    reason: str,
    detail: str,
    *,
    noted: tuple[str, ...] = (),
) -> Check:
    """The check of a figure; where it is inconclusive, with what would settle it."""
    of_points = figure.limit is None
    check = judged(gate, figure.estimate, reason, point_decides=of_points)
    # Beside a reference it is among what is noted.
    alone = POINT_DECIDES if of_points and len(figure.points) == 1 else ""
    more = _settles(gate, figure) if check.verdict == "INCONCLUSIVE" else ""
    return msgspec.structs.replace(
        check,
        reference=figure.reference,
        differences=noted,
        detail="; ".join(part for part in (detail, alone, more) if part),
    )


def _settles(gate: Gate, figure: _Found) -> str:
    """What would settle a gate in 90 % of cases, from the samples that there are."""
    why = f"{figure.estimate.obstacle}; " if figure.estimate.obstacle else ""
    limit = figure.limit
    wanted = None
    if _is_up_to_restarts(figure, gate.bound):
        return f"{why or f'processes may differ by {units.spread(figure.restarts)}; '}{_REPEAT}"
    if limit is not None:
        wanted = statistics.samples_for(figure.estimate, limit.samples, gate.bound, limit.freedom)
    if wanted is None or limit is None:
        return why + ("measure again on an idle machine" if why else "the figure is the bound itself")
    factor = max(wanted - limit.samples, 1) / limit.samples if limit.samples else 1.0
    seconds = units.seconds(factor * limit.performance.wall_seconds)
    if limit.performance.repeats:
        return f"{why}{wanted} repeats in all{limit.of} would settle it"
    images = units.counted(units.rounded(factor * limit.performance.images), "image")
    whole = units.seconds((1 + factor) * limit.performance.wall_seconds)
    return f"{why}about {images} or {seconds} more{limit.of} (a min-time or duration of {whole}) would settle it"


def _is_up_to_restarts(figure: _Found, bound: float) -> bool:
    """Whether more samples settle nothing: another process alone may move the ratio over its bound."""
    estimate = figure.estimate
    if not figure.restarts or estimate.interval is None:
        return estimate.obstacle == figures.BUSY
    return bound > 0 and abs(math.log(estimate.value / bound)) <= math.log1p(figure.restarts)


def _calls(performance: Performance | None, of: str = "", freedom: float = statistics.MEAN_FREEDOM) -> _Limit | None:
    """The calls of one side."""
    if performance is None:
        return None
    if performance.repeats:
        return _Limit(len(performance.processes), performance, of, len(performance.repeats))
    return _Limit(len(performance.call_seconds), performance, of, freedom)


def _stretches(performance: Performance | None) -> _Limit | None:
    """The stretches of calls of one side, or its processes where it has several."""
    if performance is None or performance.repeats:
        return _calls(performance)
    return _Limit(figures.stretches(performance), performance, "", statistics.BLOCK_FREEDOM)


def _samples_of_both(
    sides: tuple[Side, Side], points: tuple[Point, Point], own: tuple[Estimate, Estimate]
) -> _Limit | None:
    """Of a ratio of two figures: the blocks of both, or the calls of the side that lacks an interval, or of both."""
    mine, his = (point.performance for point in points)
    if mine is None or his is None:
        return None
    if figures.are_in_turn(mine, his) and mine.blocks is not None:
        return _Limit(len(mine.blocks.calls), mine, _EACH, statistics.BLOCK_FREEDOM)
    for side, performance, estimate in zip(sides, (mine, his), own, strict=True):
        if estimate.interval is None:
            return _calls(performance, f" of {side.said}")
    return _calls(mine, _EACH)


def _shown(estimate: Estimate, written: units.Written) -> str:
    """A figure with its interval."""
    if estimate.interval is None:
        return written(estimate.value)
    return f"{written(estimate.value)} ({written(estimate.interval[0])} to {written(estimate.interval[1])})"


def _in_turn(mine: Point, his: Point) -> bool:
    """Whether two points were measured in turn, so that their ratio is from pairs."""
    if mine.performance is None or his.performance is None:
        return False
    return figures.are_in_turn(mine.performance, his.performance)


def _share(gate: Gate, subject: Side, point: Point, own: Estimate, other: Estimate) -> Estimate:
    if point.performance is None or gate.reference is None:
        return Estimate(value=own.value / other.value, obstacle=POINT_DECIDES)
    confidence = statistics.confidence_for_best_of(len(subject.points))
    return figures.share(point.performance, THROUGHPUTS[gate.metric], THROUGHPUTS[gate.reference], confidence)


def _throughputs(gate: Gate, subject: Side, reference: Side) -> _Found | Missing:
    kind = THROUGHPUTS[gate.metric]
    mine, his = subject.best(kind), reference.best(kind)
    if isinstance(mine, Missing):
        return mine
    if isinstance(his, Missing):
        return his
    (point, own), (theirs, other) = mine, his
    shown = f"{units.rate(own.value)} over {units.rate(other.value)}"
    estimate = comparable.ratio(subject, reference, kind)
    if isinstance(estimate, Missing):
        return estimate
    limit = _samples_of_both((subject, reference), (point, theirs), (own, other))
    restarts = _restarts(point, theirs, figures.THROUGHPUT.get(kind))
    return _Found(estimate, (point, theirs), other.value, shown, limit, restarts)


def _latencies(gate: Gate, subject: Side, mine: Point, reference: Side) -> _Found | Missing:
    """A latency over that of the same batch size; of runs in turn from the pairs of blocks."""
    field = LATENCIES[gate.metric]
    his = next((point for point in reference.points if point.batch == mine.batch), None)
    if his is None:
        if any(point.batch is None for point in reference.points):
            return unknown_batch(reference.said)
        return Missing(f"{reference.said} has no batch {mine.batch}; name one that both have, {_EXAMPLE}", absent=True)
    if field in ("min", "max") and mine.performance is not None and his.performance is not None:
        return Missing(f"the {field} of the calls of two runs has no interval; ask for latency.p99 or p50", absent=True)
    own, other = mine.latency(field), his.latency(field)
    if isinstance(own, Missing):
        return own
    if isinstance(other, Missing):
        return other
    shown = f"{units.milliseconds(own.value)} over {units.milliseconds(other.value)}"
    limit = _samples_of_both((subject, reference), (mine, his), (own, other))
    if mine.performance is not None and his.performance is not None:
        estimate = figures.latency_ratio(mine.performance, his.performance, field)
    else:
        estimate = statistics.ratio(own, other)
    restarts = _restarts(mine, his, figures.latency_of(field))
    return _Found(estimate, (mine, his), other.value, shown, limit, restarts)


def _restarts(mine: Point, his: Point, figure: figures.Figure | None) -> float:
    """By how much another process alone may move a ratio; nothing moves one that was measured in turn, or reported."""
    if mine.performance is None or his.performance is None or figure is None or _in_turn(mine, his):
        return 0.0
    return figures.restarts(mine.performance, his.performance, figure)


def _latency(gate: Gate, subject: Side) -> Check:
    return _worst(gate, subject, [_latency_at(gate, subject, point) for point in subject.points])


def _infer_busy_at(gate: Gate, subject: Side, point: Point) -> Check:
    performance = point.performance
    if performance is None:
        return not_comparable(gate, f"{subject.said} does not say how busy its slots were")
    share = figures.infer_busy(performance)
    low, high = (None if end is None else 100 * end for end in (share.low, share.high))
    percent = msgspec.structs.replace(share, value=100 * share.value, low=low, high=high)
    bound = units.percent(gate.bound)
    where = batches([point.batch])
    reason = f"{gate.metric} {_shown(percent, units.percent)} at {where}, asked {gate.operator} {bound}"
    detail = f"{performance.calls_in_flight:.2f} calls in flight on average, of {performance.slots}"
    found = _Found(percent, (point,), limit=_stretches(performance))
    return _judged(gate, found, reason, detail, noted=comparable.busy(subject, point))


def _latency_at(gate: Gate, subject: Side, point: Point) -> Check:
    estimate = point.latency(LATENCIES[gate.metric])
    if isinstance(estimate, Missing):
        return not_comparable(gate, f"{estimate.reason} at {batches([point.batch])}")
    shown, bound = _shown(estimate, units.milliseconds), units.milliseconds(gate.bound)
    reason = f"{gate.metric} {shown} at {batches([point.batch])}, asked {gate.operator} {bound}"
    limit = _calls(point.performance, freedom=figures.latency_freedom(LATENCIES[gate.metric]))
    return _judged(gate, _Found(estimate, (point,), limit=limit), reason, "", noted=comparable.busy(subject, point))
