"""Gates on speed: a throughput or a latency by itself, or over that of a reference, each with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from assay import units
from assay.records import Check, Estimate, Gate
from assay.score import comparable, figures, statistics
from assay.score.checks import batches, judged, not_comparable
from assay.score.gates import LATENCIES, THROUGHPUTS
from assay.score.points import POINT_DECIDES, Missing, Point, unknown_batch
from assay.score.sides import Side


def by_itself(gate: Gate, subject: Side) -> Check:
    """A gate without a reference, or with another throughput of the same record."""
    if gate.metric in LATENCIES:
        return _latency(gate, subject)
    # The ratio of two throughputs of one record is the same for a die as for a card.
    of_card = gate.reference is None
    best = subject.best(THROUGHPUTS[gate.metric], of_card)
    if isinstance(best, Missing):
        return not_comparable(gate, best.reason)
    point, own = best
    where = batches([point.batch])
    if gate.reference is None:
        reason = f"{gate.metric} {_shown(own, units.rate)} at {where}, asked {gate.operator} {units.rate(gate.bound)}"
        return _judged(gate, _Found(own, (point,)), reason, "", noted=comparable.busy(subject, point))
    other = point.throughput(THROUGHPUTS[gate.reference], of_card)
    if isinstance(other, Missing):
        return not_comparable(gate, other.reason)
    share = _share(gate, point, own, other)
    reason = (
        f"{gate.metric} over {gate.reference} {_shown(share, units.ratio)} at {where}, "
        f"asked {gate.operator} {units.ratio(gate.bound)}"
    )
    detail = f"{units.rate(own.value)} over {units.rate(other.value)}"
    return _judged(
        gate, _Found(share, (point,)), reason, detail, reference=other.value, noted=comparable.busy(subject, point)
    )


def against(gate: Gate, subject: Side, reference: Side) -> Check:
    """A gate on the ratio of two records; `subject` holds the gate's batch size alone, `reference` all of them."""
    theirs = reference.at(gate.batch)
    if gate.batch is not None and not theirs.points:
        unknown = any(point.batch is None for point in reference.points)
        reason = unknown_batch(reference.said).reason if unknown else f"{reference.said} has no batch {gate.batch}"
        return not_comparable(gate, reason)
    if (obstacle := comparable.obstacle(subject, theirs)) is not None:
        return not_comparable(gate, obstacle)
    found = _latencies(gate, subject, theirs) if gate.metric in LATENCIES else _throughputs(gate, subject, theirs)
    if isinstance(found, Missing):
        return not_comparable(gate, found.reason)
    (mine, his), other = found.points, found.reference
    reason = (
        f"{gate.metric} {_shown(found.estimate, units.ratio)} × {reference.said}, "
        f"asked {gate.operator} {units.ratio(gate.bound)}"
    )
    detail = f"{found.shown}, {batches([mine.batch])} over {batches([his.batch])}"
    if _in_turn(mine, his):
        detail += "; measured in turn"
    noted = comparable.differences(subject, mine, reference, his)
    return _judged(gate, found, reason, detail, reference=other, noted=noted)


@dataclass(frozen=True)
class _Found:
    """A figure with the points that it is of."""

    estimate: Estimate
    points: tuple[Point, ...]
    reference: float | None = None
    shown: str = ""

    @property
    def samples(self) -> int | None:
        """The calls of the smallest of its measurements, or the blocks where they were in turn; None of reported."""
        measured = [point.performance for point in self.points]
        if any(performance is None for performance in measured):
            return None
        if len(self.points) == 2 and _in_turn(*self.points):
            return min(len(one.blocks.calls) for one in measured if one is not None and one.blocks is not None)
        return min(len(one.call_seconds) for one in measured if one is not None)


def _judged(
    gate: Gate,
    found: _Found,
    reason: str,
    detail: str,
    *,
    reference: float | None = None,
    noted: tuple[str, ...] = (),
) -> Check:
    """The check of a figure; where it is inconclusive, with what would settle it."""
    of_points = found.samples is None
    check = judged(gate, found.estimate, reason, point_decides=of_points, reference=reference, differences=noted)
    # Beside a reference it is among what is noted.
    alone = POINT_DECIDES if of_points and len(found.points) == 1 else ""
    more = _settles(gate, found) if check.verdict == "INCONCLUSIVE" else ""
    return msgspec.structs.replace(check, detail="; ".join(part for part in (detail, alone, more) if part))


def _settles(gate: Gate, found: _Found) -> str:
    """What would settle a gate, by the square-root law from the samples that there are."""
    samples = found.samples or 0
    why = f"{found.estimate.obstacle}; " if found.estimate.obstacle else ""
    wanted = statistics.samples_for(found.estimate, samples, gate.bound)
    performance = found.points[0].performance
    if wanted is None or performance is None:
        return why + ("measure again on an idle machine" if why else "the figure is the bound itself")
    factor = max(wanted / samples - 1, 1 / samples) if samples else 1.0
    seconds = f"{units.seconds(factor * performance.wall_seconds)}"
    images = f"{units.rounded(factor * performance.images):,} images"
    return f"{why}about {images} or {seconds} more would settle it" + (" on each side" if len(found.points) > 1 else "")


def _shown(estimate: Estimate, written: units.Written) -> str:
    """A figure with its interval."""
    if estimate.interval is None:
        return written(estimate.value)
    return f"{written(estimate.value)} ({written(estimate.interval[0])} to {written(estimate.interval[1])})"


def _in_turn(mine: Point, his: Point) -> bool:
    """Whether two points were measured in turn, so that their ratio is from pairs."""
    blocks = [point.performance.blocks if point.performance is not None else None for point in (mine, his)]
    return blocks[0] is not None and blocks[1] is not None and blocks[0].interleaving == blocks[1].interleaving


def _share(gate: Gate, point: Point, own: Estimate, other: Estimate) -> Estimate:
    if point.performance is None or gate.reference is None:
        return Estimate(value=own.value / other.value, obstacle=POINT_DECIDES)
    return figures.share(point.performance, THROUGHPUTS[gate.metric], THROUGHPUTS[gate.reference])


def _throughputs(gate: Gate, subject: Side, reference: Side) -> _Found | Missing:
    kind = THROUGHPUTS[gate.metric]
    mine, his = subject.best(kind), reference.best(kind)
    if isinstance(mine, Missing):
        return mine
    if isinstance(his, Missing):
        return his
    (point, own), (theirs, other) = mine, his
    shown = f"{units.rate(own.value)} over {units.rate(other.value)}"
    return _Found(comparable.ratio(point, own, theirs, other, kind), (point, theirs), other.value, shown)


def _latencies(gate: Gate, subject: Side, reference: Side) -> _Found | Missing:
    """A latency grows with the batch size, so the smallest one of each side is compared, if it is the same."""
    field = LATENCIES[gate.metric]
    mine, his = _smallest(subject), _smallest(reference)
    if isinstance(mine, Missing):
        return mine
    if isinstance(his, Missing):
        return his
    if mine.batch != his.batch:
        return Missing(f"latency at batch {mine.batch} against batch {his.batch}", absent=True)
    own, other = mine.latency(field), his.latency(field)
    if isinstance(own, Missing):
        return own
    if isinstance(other, Missing):
        return other
    shown = f"{units.milliseconds(own.value)} over {units.milliseconds(other.value)}"
    return _Found(statistics.ratio(own, other), (mine, his), other.value, shown)


def _smallest(side: Side) -> Point | Missing:
    if not side.points:
        return Missing(f"{side.said} has no speed", absent=True)
    if any(point.batch is None for point in side.points):
        return unknown_batch(side.said)
    return min(side.points, key=lambda point: point.batch or 0)


def _latency(gate: Gate, subject: Side) -> Check:
    field = LATENCIES[gate.metric]
    values: list[tuple[Point, Estimate]] = []
    for point in subject.points:
        value = point.latency(field)
        if isinstance(value, Missing):
            return not_comparable(gate, f"{value.reason} at {batches([point.batch])}")
        values.append((point, value))
    # The batch size that is furthest from holding decides.
    furthest = min if gate.operator in (">=", ">") else max
    point, found = furthest(values, key=lambda pair: pair[1].value)
    shown, bound = _shown(found, units.milliseconds), units.milliseconds(gate.bound)
    reason = f"{gate.metric} {shown} at {batches([point.batch])}, asked {gate.operator} {bound}"
    return _judged(gate, _Found(found, (point,)), reason, "", noted=comparable.busy(subject, point))
