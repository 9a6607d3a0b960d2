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
