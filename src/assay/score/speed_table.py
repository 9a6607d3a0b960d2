"""Throughputs of several records beside each other, by batch size, with the ratios of those that are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from assay.records import Estimate, Reference, RunRecord, SpeedCell, SpeedRow, SpeedTable, ThroughputKind
from assay.records.reported import ReportedRun
from assay.score import comparable
from assay.score.points import Missing, WeightsMd5, nobody_knows, unknown_batch
from assay.score.sides import Side, of, of_reference

DECIMALS = 3
"""To how many a figure and what its source printed of it must agree."""

_KINDS: Mapping[ThroughputKind, str] = {"interface": "throughput", "scenario": "scenario", "end-to-end": "end-to-end"}
"""In the order of preference, with a gate's name for each: the table is of the first that its first record has."""
_Size = int | Literal["unknown", "best"]
_Pair = tuple[Side, Side]


def speed_table(
    records: Sequence[tuple[str, RunRecord | ReportedRun]],
    references: Sequence[Reference],
    weights_md5: WeightsMd5 = nobody_knows,
) -> SpeedTable | None:
    """Named records' throughputs beside those of their references that have any.

    Each record is held against each reference; without any, the first against the others. None where no record has a
    speed, and for a run by itself, whose results say more.
    """
    subjects = [one for name, record in records if (one := of(record, name, name, weights_md5)).has_speed]
    held = [other for reference in references if (other := of_reference(reference, weights_md5)) is not None]
    others = [other for other in held if other.has_speed]
    if not subjects or (len(subjects) == 1 and subjects[0].run is not None and not others):
        return None
    pairs = [(one, other) for one in subjects for other in others] or [(subjects[0], other) for other in subjects[1:]]
    kinds: list[ThroughputKind] = [kind for kind in _KINDS if _has(subjects[0], kind)]
    kind = kinds[0] if kinds else "interface"
    sides = [*subjects, *others]
    return SpeedTable(
        kind=kind,
        records=tuple(side.name for side in sides),
        pairs=tuple((one.name, other.name) for one, other in pairs),
        rows=tuple(_row(size, kind, sides, pairs) for size in _sizes(sides)),
        differences=tuple(_differences(kind, pair) for pair in pairs),
    )


def _sizes(sides: Sequence[Side]) -> list[_Size]:
    batches = {point.batch for side in sides for point in side.points}
    known: list[_Size] = [*sorted(size for size in batches if size is not None)]
    return [*known, "unknown", "best"] if None in batches else [*known, "best"]


def _differences(kind: ThroughputKind, pair: _Pair) -> tuple[str, ...]:
    one, other = pair
    mine, theirs = one.best(kind), other.best(kind)
    if isinstance(mine, Missing) or isinstance(theirs, Missing) or comparable.obstacle(one, other) is not None:
        return ()
    return comparable.differences(one, mine[0], other, theirs[0])


def _has(side: Side, kind: ThroughputKind) -> bool:
    best = side.best(kind)
    return not (isinstance(best, Missing) and best.absent)


def _row(size: _Size, kind: ThroughputKind, sides: Sequence[Side], pairs: Sequence[_Pair]) -> SpeedRow:
    return SpeedRow(
        batch=size,
        throughputs=tuple(_throughput(_only(side, size), kind, size) for side in sides),
        ratios=tuple(_ratio(pair, kind, size) for pair in pairs),
    )


def _only(side: Side, size: _Size) -> Side:
    if size == "best":
        return side
    wanted = None if size == "unknown" else size
    return replace(side, points=[point for point in side.points if point.batch == wanted])


def _throughput(side: Side, kind: ThroughputKind, size: _Size) -> SpeedCell | None:
    best = side.best(kind)
    if not side.points:
        return None
    if isinstance(best, Missing):
        return SpeedCell(value=None, obstacle=best.reason)
    return _cell(best[1], side, size, _KINDS[kind])


def _ratio(pair: _Pair, kind: ThroughputKind, size: _Size) -> SpeedCell | None:
    one, other = (_only(side, size) for side in pair)
    if not one.points or not other.points:
        return None
    obstacle = comparable.obstacle(*pair)
    if obstacle is None and size == "unknown":
        obstacle = unknown_batch(one.said).reason
    if obstacle is not None:
        return SpeedCell(value=None, obstacle=obstacle)
    estimate = comparable.ratio(one, other, kind)
    if isinstance(estimate, Missing):
        return SpeedCell(value=None, obstacle=estimate.reason)
    return _cell(estimate, one, size, f"{_KINDS[kind]}/{other.name}")


def _cell(estimate: Estimate, side: Side, size: _Size, name: str) -> SpeedCell:
    """A figure, marked where the record's source printed another one by this name."""
    low, high = estimate.interval or (None, None)
    cell = SpeedCell(value=estimate.value, low=low, high=high)
    printed = (side.printed if size == "best" else side.points[0].printed).get(name)
    if side.reported is None or printed is None or round(printed, DECIMALS) == round(estimate.value, DECIMALS):
        return cell
    by = side.reported.sources[0] if side.reported.sources else side.said
    return SpeedCell(value=estimate.value, low=low, high=high, printed=printed, printed_by=by)
