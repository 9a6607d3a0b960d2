from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.measure import stages
from assay.measure.stages import ScoreWriter


@pytest.mark.parametrize(("images", "batch"), [(10, 4), (8, 4), (3, 4), (4, 4)])
def test_once_over_goes_on_for_some_seconds_and_the_short_batch_comes_last(
    images: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = iter(float(second) for second in range(1000))
    monkeypatch.setattr(stages, "now", lambda: next(time))
    jobs = list(stages.once_over(images, batch, seconds=20.0))
    assert [job.index for job in jobs] == list(range(len(jobs)))
    assert 15 < len(jobs) < 30
    first = [job for job in jobs if not job.again]
    assert sorted(place for job in first for place in range(job.first, job.first + job.items)) == list(range(images))
    if images > batch:
        assert all(job.items == batch for job in jobs[:-1])
    assert (jobs[-1].items == images % batch) == (images % batch > 0)


def test_once_over_covers_every_image_once_and_ends_with_a_short_batch() -> None:
    assert [(job.first, job.items) for job in stages.once_over(10, 4)] == [(0, 4), (4, 4), (8, 2)]


def test_repeated_runs_whole_batches_that_never_cross_the_end() -> None:
    found = [(job.first, job.items) for job in stages.repeated(10, 4, lambda jobs: jobs >= 5)]
    assert len(found) == 5
    assert all(items == 4 and first + items <= 10 for first, items in found)


def test_repeated_with_fewer_images_than_a_batch_starts_at_the_first() -> None:
    assert [job.first for job in stages.repeated(3, 16, lambda jobs: jobs >= 2)] == [0, 0]


def test_a_run_of_no_length_still_has_one_job() -> None:
    enough = stages.for_seconds(0.0)
    assert not enough(0)
    assert enough(1)


def test_scores_written_in_any_order_stand_at_their_image(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)
    path = tmp_path / "scores.npy"
    with path.open("wb") as file:
        writer = ScoreWriter(file.fileno(), 7, 5)
        for first, count in ((4, 3), (0, 2), (2, 2)):
            writer.write(first, scores[first : first + count])
    np.testing.assert_array_equal(np.load(path), scores)


def test_a_disk_without_room_is_an_error_of_the_system() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("wb") as file, pytest.raises(OSError, match="No space left"):
        ScoreWriter(file.fileno(), 1, 1).write(0, np.zeros((1, 1), np.float32))
