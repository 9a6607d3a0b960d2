"""The ImageNet validation set, recognised by the names of its images and by their labels; a sample by the names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from assay.records import Estimate, RunRecord
from assay.score import statistics

IMAGES = 50_000
CLASSES = 1000

FIRST_LABEL = 65
"""Of image 1, a sea snake, where classes are in the order of their synsets."""
_NOT_BY_CHANCE = 1e-4
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


def is_part(run: RunRecord) -> bool:
    """Whether a run's images are some of the 50,000, each once, with labels of the 1,000 classes."""
    numbers = _numbers(run)
    return numbers is not None and 0 < len(numbers) < IMAGES


def looks_random(labels: Sequence[int]) -> bool:
    """Whether some of the 50,000 have classes as if they were drawn at random, or more evenly.

    Counted are the pairs of images of one class. Of n images drawn without replacement from 50 of each class, the
    expected count is n(n-1)/2 · 49/49,999, and where classes are drawn at random the count is close to Poisson's, or
    spread less (Arratia, Goldstein and Gordon, Poisson approximation and the Chen-Stein method, 1990). Few classes or
    runs of one class give more pairs than chance does once in ten thousand samples.
    """
    from scipy import special

    count = len(labels)
    pairs = sum(one * (one - 1) // 2 for one in Counter(labels).values())
    expected = count * (count - 1) / 2 * (IMAGES // CLASSES - 1) / (IMAGES - 1)
    return pairs == 0 or float(special.pdtrc(pairs - 1, expected)) > _NOT_BY_CHANCE


def of_sample(correct: float, count: int) -> Estimate:
    """The accuracy in percent of all 50,000 images, with the interval of a sample drawn from them.

    Wilson's, of as many independent images as tell as much as a sample without replacement does: n(N-1)/(N-n).
    (Cochran, Sampling Techniques, 3rd edition, section 3.5.)
    """
    weight = (IMAGES - 1) / (IMAGES - count)
    share = statistics.share(correct * weight, count * weight)
    low, high = share.interval or (0.0, 1.0)
    return Estimate(value=100 * share.value, low=100 * low, high=100 * high)


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
