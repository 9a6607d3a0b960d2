from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

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
    assert not imagenet.is_sample(run(names, LABELS))
    assert imagenet.is_sample(run(names[:100], LABELS[:100]))
    # Without the first image nothing is known of the order of the classes.
    assert imagenet.is_sample(run(names[1:100], LABELS[:99]))


@pytest.mark.parametrize("first", [0, 64, 66, 489])
def test_labels_in_another_order_of_the_classes_are_not_those_of_the_images(run: Run, first: int) -> None:
    permuted = tuple((first + place) % 1000 for place in range(50_000))
    assert not imagenet.is_validation(run(NAMES, permuted))
    assert not imagenet.is_sample(run(NAMES[:100], permuted[:100]))
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
