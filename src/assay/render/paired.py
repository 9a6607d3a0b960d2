"""Two ways to score the same images, in words."""

from __future__ import annotations

from collections.abc import Sequence

from assay import units
from assay.records import PairedAccuracy, Pairing
from assay.units import visible


def paired(found: Sequence[Pairing]) -> str:
    """A line a batch size."""
    return "\n".join(line(one.batch, one.accuracy) for one in found)


def line(batch: int, found: PairedAccuracy) -> str:
    """What a batch size stands beside, and how the two differ."""
    return f"batch {batch} beside {visible(found.reference)}: {sentence(found)}"


def sentence(found: PairedAccuracy) -> str:
    """How far two ways agree, what flipped, and whether chance would do as much."""
    parts = [
        f"the same first class in {units.agreement(found.agreement)} of {found.images:,} images",
        f"largest score change {units.difference(found.relative_score_change)} of the largest score",
    ]
    if found.right_to_wrong is not None and found.wrong_to_right is not None and found.p_value is not None:
        flips = f"{len(found.right_to_wrong)} right to wrong, {len(found.wrong_to_right)} wrong to right"
        parts.insert(1, f"{flips} (McNemar p {units.probability(found.p_value)})")
    return " · ".join(parts)
