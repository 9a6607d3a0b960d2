"""Which images a page shows, and their pixels: those that flipped, and those that are confidently wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from assay import units
from assay.data import sources
from assay.data import transform as image_transform
from assay.data.prepared import RECORD, Reader
from assay.data.sources import Source
from assay.errors import AssayError, RecordError
from assay.page.content import Gallery, Picture
from assay.records import BatchResult, Dataset, PairedAccuracy, Predictions, PreparedDataset, RunRecord
from assay.score import accuracy as score_accuracy
from assay.storage import store

MOST = 6
"""Images of one gallery, a row of a wide page; of flips, a row for either kind."""
CHUNK = 4096
"""Images whose scores are in memory at once."""

Scores = npt.NDArray[np.float32]


def galleries(record: RunRecord, folder: Path) -> tuple[tuple[Gallery, ...], tuple[str, ...]]:
    """The pictures of a run in `folder`, and what is to be said of those that cannot be shown."""
    dataset = record.dataset
    if dataset is None:
        return (), ()
    scored = next((result for result in record.results if result.predictions is not None), None)
    flipped = next((r for r in record.results if r.paired is not None and _flips(r.paired)), None)
    shower = _Shower(record, dataset, folder)
    shown: list[Gallery] = []
    try:
        if flipped is not None and flipped.paired is not None:
            shown.append(shower.flipped(flipped, flipped.paired))
        if scored is not None and scored.predictions is not None and dataset.labels is not None:
            shown += shower.confidently_wrong(scored, scored.predictions)
    except RecordError as error:
        return tuple(shown), (f"images are left out: {error.line()}",)
    pictures = [picture for gallery in shown for picture in gallery.pictures]
    gone = sum(picture.source is None for picture in pictures)
    if not gone:
        return tuple(shown), ()
    if gone == len(pictures):
        return tuple(shown), ("pictures are left out: the images are no longer where they were measured",)
    return tuple(shown), (f"{gone} of {len(pictures)} pictures are left out: their images are gone or have changed",)


def _flips(paired: PairedAccuracy) -> tuple[str, ...]:
    return (*(paired.right_to_wrong or ()), *(paired.wrong_to_right or ()))


class _Shower:
    """Makes pictures of a run's images."""

    def __init__(self, record: RunRecord, dataset: Dataset, folder: Path) -> None:
        self.record, self.dataset = record, dataset
        self.place_of = {name: place for place, name in enumerate(dataset.names)}
        self.pixels = _Pixels(record, dataset, folder)

    def flipped(self, result: BatchResult, paired: PairedAccuracy) -> Gallery:
        """Images that one of two ways to score them has right, and the other has not."""
        worse, better = paired.right_to_wrong or (), paired.wrong_to_right or ()
        shown = (*worse[:MOST], *better[:MOST])
        return Gallery(
            title="Images that flipped",
            explained=(
                f"Batch {result.batch} beside {paired.reference}: right to wrong {units.count(len(worse))}, "
                f"wrong to right {units.count(len(better))}."
            ),
            total=len(worse) + len(better),
            pictures=tuple(self._picture(name, self._flip(result, paired, name)) for name in shown),
        )

    def _flip(self, result: BatchResult, paired: PairedAccuracy, name: str) -> list[tuple[str, str]]:
        place = self.place_of.get(name)
        change = "right to wrong" if name in (paired.right_to_wrong or ()) else "wrong to right"
        facts = [("flipped", change)]
        if place is None:
            return facts
        for called, predictions in ((paired.reference, self.record.reference), ("here", result.predictions)):
            if predictions is not None:
                facts.append((called, self._class(int(np.argmax(predictions.scores.load()[place])))))
        return facts

    def confidently_wrong(self, result: BatchResult, predictions: Predictions) -> list[Gallery]:
        """The images whose wrong first class has the highest share of the scores."""
        scores = np.asarray(predictions.scores.load())
        fitted = score_accuracy.fit(
            self.dataset.names, self.dataset.labels or (), self.record.model.classes, scores.argmax(axis=1)
        )
        mistakes = surest_mistakes(scores, fitted.labels, MOST)
        if not mistakes.mistakes:
            return []
        pictures = [
            self._picture(
                predictions.names[one.place], [("taken for", f"{self._class(one.first)}, {units.share(one.share)}")]
            )
            for one in mistakes.mistakes
        ]
        gallery = Gallery(
            title="Confidently wrong",
            explained=(
                f"{units.count(mistakes.total)} images are wrong at batch {result.batch}; these are the ones that it "
                "is surest of, by the share of the softmax of their scores."
            ),
            total=mistakes.total,
            pictures=tuple(pictures),
        )
        return [gallery]

    def _picture(self, name: str, facts: Sequence[tuple[str, str]]) -> Picture:
        from assay.page import thumbnails

        pixels = self.pixels.of(name, self.place_of.get(name))
        return Picture(
            name=name,
            source=thumbnails.data_uri(pixels) if pixels is not None else None,
            facts=(*self._label(name), *facts),
        )

    def _label(self, name: str) -> list[tuple[str, str]]:
        place = self.place_of.get(name)
        if self.dataset.labels is None or place is None:
            return []
        accuracy = self.record.results[0].accuracy
        return [("label", self._class(self.dataset.labels[place] + (accuracy.label_shift if accuracy else 0)))]

    def _class(self, number: int) -> str:
        names = self.record.model.class_names
        return names[number] if names is not None and number < len(names) else f"class {number}"


class Mistake(NamedTuple):
    """An image whose first class is wrong."""

    share: float
    """Of the first class, in the softmax of the image's scores."""
    place: int
    first: int


class Mistakes(NamedTuple):
    """Some of the images whose first class is wrong."""

    total: int
    mistakes: list[Mistake]
    """The surest first."""


def surest_mistakes(scores: Scores, labels: Sequence[int], most: int) -> Mistakes:
    """The images whose first class is wrong, those first that are surest of it; `scores` is [images, classes]."""
    expected = np.asarray(labels)
    are_shares = _are_shares(np.asarray(scores[:CHUNK], np.float64))
    total, surest = 0, list[Mistake]()
    for start in range(0, len(scores), CHUNK):
        chunk = np.asarray(scores[start : start + CHUNK])
        first = chunk.argmax(axis=1)
        wrong = np.flatnonzero(first != expected[start : start + CHUNK])
        shares = _first_shares(chunk[wrong].astype(np.float64), are_shares)
        total += len(wrong)
        mistakes = (
            Mistake(float(share), start + int(row), int(first[row])) for row, share in zip(wrong, shares, strict=True)
        )
        surest = sorted([*surest, *mistakes], key=lambda one: (-one.share, one.place))[:most]
    return Mistakes(total, surest)


def _are_shares(scores: npt.NDArray[np.float64]) -> bool:
    """Whether a model's scores went through a softmax already."""
    return bool((scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3))


def _first_shares(scores: npt.NDArray[np.float64], are_shares: bool) -> npt.NDArray[np.float64]:
    """What share of each row its highest score has."""
    highest: npt.NDArray[np.float64] = scores.max(axis=1, initial=-np.inf)
    if are_shares:
        return highest
    shares: npt.NDArray[np.float64] = 1 / np.exp(scores - highest[:, np.newaxis]).sum(axis=1)
    return shares


class _Pixels:
    """Single images as the model saw them: from the run's prepared data set, or else from their files."""

    def __init__(self, record: RunRecord, dataset: Dataset, folder: Path) -> None:
        self.transform, self.dataset = record.model.transform, dataset
        self.reader = _reader(folder / "prepared" / RECORD, record, dataset)

    def of(self, name: str, place: int | None) -> npt.NDArray[np.uint8] | None:
        """uint8 H×W×3; None where the image is gone, or is no longer the one that was measured."""
        if place is None:
            return None
        if self.reader is not None:
            side = self.transform.crop
            pixels = np.empty((1, side, side, 3), np.uint8)
            self.reader.read(place, 1, pixels)
            first: npt.NDArray[np.uint8] = pixels[0]
            return first
        try:
            content = self._content(name)
            if content is None or hashlib.sha256(content).hexdigest() != self.dataset.image_sha256[place]:
                return None
            return image_transform.pixels_and_warning(content, self.transform)[0]
        except (OSError, AssayError):
            return None

    def _content(self, name: str) -> bytes | None:
        """The bytes of an image's file; None where it is none of the images there."""
        path = self.dataset.source / name
        if path.is_file():
            # A record may come from anybody, and its names must not reach for other files.
            return path.read_bytes() if path.resolve().is_relative_to(self.dataset.source.resolve()) else None
        return self._source.read(name) if name in self._source.names else None

    @cached_property
    def _source(self) -> Source:
        return sources.find(self.dataset.source)


def _reader(path: Path, record: RunRecord, dataset: Dataset) -> Reader | None:
    """The run's prepared data set, where it is whole and still that of these images."""
    if not path.is_file():
        return None
    try:
        prepared = store.read(path, PreparedDataset)
        intact = all(store.is_intact(shard.file) for shard in prepared.shards)
        same = (
            prepared.dataset.fingerprint == dataset.fingerprint
            and prepared.transform.crop == record.model.transform.crop
        )
        return Reader(prepared.shards) if intact and same else None
    except AssayError:
        return None
