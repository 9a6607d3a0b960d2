from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from assay.records import RunRecord
from assay.score import imagenet
from tests import factories

Run = Callable[[Sequence[str], Sequence[int]], RunRecord]

NAMES = tuple(f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, 50_001))
LABELS = tuple((imagenet.FIRST_LABEL + place) % 1000 for place in range(50_000))
"""As the set has them of the first image, and fifty of each class."""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run on images of these names and labels."""
    results = [factories.result(tmp_path)]
    return lambda names, labels: factories.run_record(results, dataset=factories.dataset(names, labels))


@pytest.mark.parametrize("folder", ["", "val/", "n01751748/"])
def test_the_validation_images_are_known_by_their_names_and_labels(run: Run, folder: str) -> None:
    names = [f"{folder}{name}" for name in NAMES]
    assert imagenet.is_validation(run(names, LABELS))
    assert imagenet.is_validation(run(names[::-1], LABELS[::-1]))
    assert not imagenet.is_part(run(names, LABELS))
    assert imagenet.is_part(run(names[:100], LABELS[:100]))
    # Without the first image nothing is known of the order of the classes.
    assert imagenet.is_part(run(names[1:100], LABELS[:99]))


@pytest.mark.parametrize("first", [0, 64, 66, 489])
def test_labels_in_another_order_of_the_classes_are_not_those_of_the_images(run: Run, first: int) -> None:
    permuted = tuple((first + place) % 1000 for place in range(50_000))
    assert not imagenet.is_validation(run(NAMES, permuted))
    assert not imagenet.is_part(run(NAMES[:100], permuted[:100]))
    assert not imagenet.is_validation(run(NAMES[::-1], permuted[::-1]))


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (NAMES, (*LABELS[:-1], (LABELS[-1] + 1) % 1000)),
        ((*NAMES[:-1], NAMES[-2]), LABELS),
        ((*NAMES[:-1], "cat.JPEG"), LABELS),
        ((*NAMES[:-1], "ILSVRC2012_val_00050001.JPEG"), LABELS),
        (NAMES, (*LABELS[:-1], 1000)),
    ],
)
def test_other_images_and_other_counts_of_a_class_are_not_the_set(
    run: Run, names: Sequence[str], labels: Sequence[int]
) -> None:
    assert not imagenet.is_validation(run(names, labels))


@pytest.mark.parametrize("images", [2, 20, 500, 5000, 40_000])
def test_images_drawn_at_random_look_so(images: int) -> None:
    generator = np.random.default_rng(images)
    looks = [imagenet.looks_random(generator.permutation(LABELS)[:images].tolist()) for _ in range(40)]
    assert all(looks)


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param([7] * 500, id="one class"),
        pytest.param([7] * 5, id="five of one class"),
        pytest.param([place % 100 for place in range(500)], id="five of each of a hundred classes"),
        pytest.param([place % 800 for place in range(20_000)], id="25 of each of 800 classes"),
        pytest.param([place // 50 for place in range(10_000)], id="the first 200 classes"),
    ],
)
def test_images_of_chosen_classes_do_not_look_drawn_at_random(labels: list[int]) -> None:
    assert not imagenet.looks_random(labels)


def test_as_many_of_each_class_tell_as_much_as_images_drawn_at_random() -> None:
    assert imagenet.looks_random([place % 1000 for place in range(2000)])


def test_a_sample_of_most_images_has_a_narrow_interval() -> None:
    small, most = imagenet.of_sample(780, 1000), imagenet.of_sample(38_610, 49_500)
    assert small.low == pytest.approx(75.35, abs=0.05)
    assert small.high == pytest.approx(80.42, abs=0.05)
    # A hundredth of the set is left out, so the interval is a tenth of that of 49,500 of infinitely many images.
    assert most.spread == pytest.approx(0.1 * 1.96 * (0.78 * 0.22 / 49_500) ** 0.5 / 0.78, rel=0.02)
