"""Records of images, their labels, and what a model made of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from assay.records.base import TOP_K, ArrayFile, Count, Natural, Record, require
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
    """Images among `names` that their decoder warned of: it made up what is damaged, or cut deep pixels to 8 bits."""
    class_folders: Mapping[str, int] | None = None
    """The class of each class folder, if the folders' names alone say the classes."""
    listed_classes: int | None = None
    """How many classes the list has that numbered them; None where there was none."""
    assumptions: tuple[str, ...] = ()
    """What the images or their labels left open, and how that was read."""

    def __post_init__(self) -> None:
        require(len(self.names) > 0, "images")
        require(self.labels is None or len(self.labels) == len(self.names), "a label for each image, or none")
        require(len(self.image_sha256) == len(self.names), "a hash for each image")


class PreparedDataset(Record, frozen=True, kw_only=True):
    """Decoded, resized and cropped pixels: shards of uint8 N×H×W×3, in the order of the data set."""

    dataset: Dataset
    transform: ImageTransform
    shards: tuple[ArrayFile, ...]

    def __post_init__(self) -> None:
        side = self.transform.crop
        require(all(shard.shape[1:] == (side, side, 3) for shard in self.shards), "shards of N×crop×crop×3")
        rows = sum(shard.shape[0] for shard in self.shards)
        require(rows == len(self.dataset.names), "as many rows of pixels as images")


class Predictions(Record, frozen=True, kw_only=True):
    """Every image's scores, float32 [images, classes], in the order of the names."""

    names: tuple[str, ...]
    dataset_fingerprint: str
    scores: ArrayFile

    def __post_init__(self) -> None:
        shape = self.scores.shape
        require(len(shape) == 2 and shape[0] == len(self.names) > 0 and shape[1] > 0, "a row of scores for each image")


class Accuracy(Record, frozen=True, kw_only=True):
    """How many images had their class among the k best scores, for k from 1 up to 5."""

    count: Count
    classes: Count
    correct_at: tuple[Natural, ...]
    label_shift: int = 0
    """What was added to every label: 1 where the model's first class is the background, and the labels know none."""
    shift_by_score: bool = False
    """Whether the labels left that open, so that the better score decided."""
    correct_beside: tuple[Natural, Natural] | None = None
    """How many images would be right if 1 were taken from every label, and if 1 were added."""
    correct_by_chance: float | None = None
    """How many images would be right if classes were guessed as often as they are, with no regard to the image."""

    def __post_init__(self) -> None:
        correct = self.correct_at
        require(1 <= len(correct) <= TOP_K, f"counts of the images right at 1 up to {TOP_K}")
        require(list(correct) == sorted(correct) and correct[-1] <= self.count, "counts that rise, up to all images")

    def top(self, k: int) -> float:
        """Top-k accuracy in percent."""
        return 100.0 * self.correct_at[k - 1] / self.count


class ScoredImage(Record, frozen=True, kw_only=True):
    """An image's class, and its best classes with their scores, best first."""

    name: str
    label: int
    classes: tuple[int, ...]
    scores: tuple[float, ...]
