"""Two ways to score the same images, in words."""

from __future__ import annotations

from collections.abc import Sequence

from assay import units
from assay.records import PairedAccuracy, Pairing
from assay.units import visible


def paired(pairings: Sequence[Pairing]) -> str:
    """A line a batch size."""
    return "\n".join(line(one.batch, one.accuracy) for one in pairings)


def line(batch: int, accuracy: PairedAccuracy) -> str:
    """What a batch size stands beside, and how the two differ."""
    return f"batch {batch} beside {visible(accuracy.reference)}: {sentence(accuracy)}"


def sentence(accuracy: PairedAccuracy) -> str:
    """How far two ways agree, what flipped, and whether chance would do as much."""
    parts = [
        f"the same first class in {units.agreement(accuracy.agreement)} of {accuracy.images:,} images",
        f"largest score change {units.difference(accuracy.relative_score_change)} of the largest score",
    ]
    if accuracy.right_to_wrong is not None and accuracy.wrong_to_right is not None and accuracy.p_value is not None:
        flips = f"{len(accuracy.right_to_wrong)} right to wrong, {len(accuracy.wrong_to_right)} wrong to right"
        parts.insert(1, f"{flips} (McNemar mid-p {units.probability(accuracy.p_value)})")
    if (change := drop(accuracy)) is not None:
        parts.insert(2, f"top-1 drop {change}")
    return " · ".join(parts)


def drop(accuracy: PairedAccuracy) -> str | None:
    """The drop in top-1 with its interval; None where there are no labels, or the record is of an older version."""
    if accuracy.drop is None or accuracy.drop_low is None or accuracy.drop_high is None:
        return None
    interval = f"{units.points(accuracy.drop_low)} to {units.points(accuracy.drop_high)}"
    return f"{units.points(accuracy.drop)} ({interval})"
