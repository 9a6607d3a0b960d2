"""Records of images, their labels, and what a model made of them."""

from __future__ import annotations

from pathlib import Path

from assay.records.base import ArrayFile, Record
from assay.records.model import ImageTransform


class ImageFailure(Record, frozen=True, kw_only=True):
    """An image that could not be used, and why."""

    name: str
    reason: str


class ImageWarning(Record, frozen=True, kw_only=True):
    """An image that was used though its decoder warned of it, and what it said."""

    name: str
    reason: str


class Dataset(Record, frozen=True, kw_only=True):
    """Named images and, where they are known, their classes, in one order."""

    source: Path
    names: tuple[str, ...]
    labels: tuple[int, ...] | None
    image_sha256: tuple[str, ...]
    """The hash of every image's file."""
    fingerprint: str
    """sha256 over the names and `image_sha256`: the same images, whatever is made of them."""
    skipped: tuple[str, ...]
    """Files beside the images that are no images by their name."""
    failures: tuple[ImageFailure, ...]
    """Images left out of `names` because they could not be decoded and the user asked to go on."""
    warnings: tuple[ImageWarning, ...] = ()
    """Images among `names` whose data is damaged: the decoder made up what was missing, and said so."""


class PreparedDataset(Record, frozen=True, kw_only=True):
    """Decoded, resized and cropped pixels: shards of uint8 N×H×W×3, in the order of the data set."""

    dataset: Dataset
    transform: ImageTransform
    shards: tuple[ArrayFile, ...]


class Predictions(Record, frozen=True, kw_only=True):
    """Every image's scores, float32 [images, classes], in the order of the names."""

    names: tuple[str, ...]
    dataset_fingerprint: str
    scores: ArrayFile


class Accuracy(Record, frozen=True, kw_only=True):
    """How many images had their class among the k best scores, for k from 1 up to 5."""

    count: int
    classes: int
    correct_at: tuple[int, ...]
    label_shift: int = 0
    """What was added to every label: 1 where the model's first class is the background, and the labels know none."""

    def top(self, k: int) -> float:
        """Top-k accuracy in percent."""
        return 100.0 * self.correct_at[k - 1] / self.count


class ScoredImage(Record, frozen=True, kw_only=True):
    """An image's class, and its best classes with their scores, best first."""

    name: str
    label: int
    classes: tuple[int, ...]
    scores: tuple[float, ...]
