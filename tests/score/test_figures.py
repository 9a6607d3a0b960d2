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


def test_a_short_last_call_is_left_out_of_the_interface_throughput(tmp_path: Path) -> None:
    # 240 images at batch 128: the second call has 112, and takes as long, for it is padded.
    measured = factories.performance(tmp_path, [(0.0, 1.0), (1.5, 2.5)], batch=128, images=240, wall_seconds=2.5)
    assert measured.interface_throughput == 128.0
    assert measured.interface_images == 128
    # The time in which a call was in flight is that of both, and end to end all images count.
    assert measured.interface_seconds == 2.0
    assert measured.end_to_end_throughput == 96.0
    assert figures.interface_throughput(measured).value == 128.0
    assert figures.share(measured, "end-to-end", of="interface").value == 0.75


@pytest.mark.parametrize(("images", "calls"), [(256, 2), (100, 1), (10, 4)])
def test_whole_batches_and_a_single_call_all_count(tmp_path: Path, images: int, calls: int) -> None:
    seconds = [(float(number), number + 1.0) for number in range(calls)]
    measured = factories.performance(tmp_path, seconds, batch=128, images=images, wall_seconds=float(calls))
    assert measured.interface_throughput == images / calls


def test_a_short_call_among_several_in_flight_adds_none_of_its_time(tmp_path: Path) -> None:
    calls = [(0.0, 1.0), (0.5, 1.5), (1.0, 3.0)]
    measured = factories.performance(tmp_path, calls, batch=10, images=25, slots=2, wall_seconds=3.0)
    assert measured.interface_throughput == pytest.approx(20 / 1.5)


def test_slots_that_starve_show_in_the_busy_share_and_not_in_the_interface(tmp_path: Path) -> None:
    # Four slots that are fed one after the other: always one call in flight, and three slots idle.
    calls = [(number * 0.01, (number + 1) * 0.01) for number in range(1000)]
    measured = factories.performance(tmp_path, calls, slots=4, images=1000, wall_seconds=10.0)
    assert figures.share(measured, "end-to-end", of="interface").value == pytest.approx(1)
    assert measured.calls_in_flight == pytest.approx(1)
    assert measured.infer_busy_share == pytest.approx(0.25)
    busy = figures.infer_busy(measured)
    assert busy.value == pytest.approx(0.25)
    assert busy.interval == pytest.approx((0.25, 0.25))
    found = figures.figures(factories.result(tmp_path, calls=calls, slots=4, images=1000, wall_seconds=10.0))
    assert found.infer_busy_share == busy
    assert found.calls_in_flight == pytest.approx(1)


def test_blocks_of_unequal_numbers_of_calls_have_the_ratio_of_the_totals(tmp_path: Path) -> None:
    random = np.random.default_rng(1)

    def measured(calls: tuple[int, ...]) -> Performance:
        ends = np.cumsum(random.gamma(2, 0.5, sum(calls)))
        blocks = np.diff(ends[np.cumsum(calls) - 1], prepend=0.0)
        return factories.performance(
            tmp_path,
            list(zip([0.0, *ends[:-1]], ends, strict=True)),
            images=sum(calls),
            wall_seconds=float(ends[-1]),
            blocks=Blocks(interleaving="one", calls=calls, wall_seconds=tuple(float(block) for block in blocks)),
        )

    mine, other = measured((1,) * 20), measured((2, 3) * 10)
    for kind in ("interface", "end-to-end"):
        found = figures.ratio(mine, other, kind)
        assert found.value == pytest.approx(mine.interface_throughput / other.interface_throughput)
        assert found.interval is not None
        assert found.interval[0] < found.value < found.interval[1]


def test_a_latency_in_turn_is_decided_by_the_pairs_of_blocks(tmp_path: Path) -> None:
    mine, other = _in_turn(tmp_path, 1, 1), _in_turn(tmp_path, 2, 1)
    for name in ("mean", "median", "p90"):
        found = figures.latency_ratio(mine, other, name)
        assert found.value == pytest.approx(1, abs=0.001)
        assert found.spread is not None
        assert found.spread < 0.001
    assert figures.latency_ratio(mine, other, "p99").obstacle == "30 blocks are too few for p99"
