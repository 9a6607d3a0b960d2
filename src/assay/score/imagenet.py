"""The ImageNet validation set, recognised by the names of its images and by their labels; a sample by the names."""

from __future__ import annotations

import re

from assay.records import RunRecord

IMAGES = 50_000
CLASSES = 1000

FIRST_LABEL = 65
"""Of image 1, a sea snake, where classes are in the order of their synsets."""
_NAME = re.compile(r"ILSVRC2012_val_(\d{8})")


def is_validation(run: RunRecord) -> bool:
    """Whether a run's images are the 50,000, each once, with 50 labels of each of 1,000 classes in the usual order."""
    numbers = _numbers(run)
    if numbers is None or len(numbers) != IMAGES or run.dataset is None or run.dataset.labels is None:
        return False
    counts = [0] * CLASSES
    for label in run.dataset.labels:
        counts[label] += 1
    return set(counts) == {IMAGES // CLASSES}


def is_sample(run: RunRecord) -> bool:
    """Whether a run's images are some of the 50,000, each once, with labels of the 1,000 classes."""
    numbers = _numbers(run)
    return numbers is not None and 0 < len(numbers) < IMAGES


def _numbers(run: RunRecord) -> set[int] | None:
    """The images' numbers in the set; None where one is no image of it, stands twice or has no such label.

    Where the first image is among them, its label tells whether the classes are in another order.
    """
    dataset = run.dataset
    if dataset is None or dataset.labels is None or not all(0 <= label < CLASSES for label in dataset.labels):
        return None
    matches = [_NAME.fullmatch(name.rpartition("/")[2].partition(".")[0]) for name in dataset.names]
    numbers = [int(one[1]) for one in matches if one is not None]
    known = set(numbers)
    if len(known) != len(matches) or not known <= set(range(1, IMAGES + 1)):
        return None
    return known if 1 not in known or dataset.labels[numbers.index(1)] == FIRST_LABEL else None
