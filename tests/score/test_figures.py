from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.records import Blocks, Performance
from assay.score import figures
from tests import factories

ROUNDS = 30
SECONDS = 0.01


def _in_turn(folder: Path, batch: int, images: int) -> Performance:
    """Blocks of ten calls of 10 ms, each of a whole batch, or of all images where these are fewer."""
    calls = 10 * ROUNDS
    noise = np.random.default_rng(batch).normal(1, 0.001, calls)
    ends = np.cumsum(SECONDS * noise)
    return factories.performance(
        folder,
        list(zip([0.0, *ends[:-1]], ends, strict=True)),
        batch=batch,
        images=min(batch, images) * calls,
        wall_seconds=float(ends[-1]),
        blocks=Blocks(
            interleaving="one",
            calls=(10,) * ROUNDS,
            wall_seconds=tuple(float(end) for end in np.diff(ends[9::10], prepend=0.0)),
        ),
    )


@pytest.mark.parametrize("kind", ["interface", "end-to-end"])
@pytest.mark.parametrize(("images", "expected"), [(1000, 16.0), (10, 10.0)])
def test_blocks_count_the_images_that_their_calls_held(tmp_path: Path, kind: str, images: int, expected: float) -> None:
    mine, other = (_in_turn(tmp_path, batch, images) for batch in (16, 1))
    found = figures.ratio(mine, other, kind)  # type: ignore[arg-type]
    assert found.value == pytest.approx(expected, rel=0.01)
    assert mine.interface_throughput / other.interface_throughput == pytest.approx(found.value, rel=0.001)
    assert found.interval is not None


def test_a_call_that_outlasts_a_whole_stretch_of_others_leaves_their_share_without_an_interval(tmp_path: Path) -> None:
    # Two streams: while a call of one hangs, the other makes 99.
    long = [(0.0, 1.0), *((number / 100, (number + 1) / 100) for number in range(99))]
    measured = factories.performance(tmp_path, long, slots=2, images=100, wall_seconds=1.0)
    found = figures.share(measured, "end-to-end", of="interface")
    assert found.value == pytest.approx(1.0)
    assert (found.interval, found.obstacle) == (None, "some calls last longer than a whole stretch of others")
