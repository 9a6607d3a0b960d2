"""A prepared data set divided into images to calibrate on and images to evaluate on, by what the files hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from assay.data.prepared import RECORD, SHARD_IMAGES, Reader
from assay.errors import DatasetError, Option, Remedy
from assay.records import Dataset, PreparedDataset
from assay.storage import store

CALIBRATION_SHARE = 0.25
"""Of the images, by the first figures of their hashes: the same ones on every machine, whatever they are called."""
_RECIPE = 1


def divided(data: PreparedDataset, out: Path) -> tuple[PreparedDataset, PreparedDataset]:
    """The images to calibrate on and those to evaluate on, written below `out`; no file's bytes are among both.

    Raises `DatasetError` where one of the two would be empty.
    """
    drawn = [int(sha256[:8], 16) / 0x1_0000_0000 < CALIBRATION_SHARE for sha256 in data.dataset.image_sha256]
    calibration = [place for place, one in enumerate(drawn) if one]
    evaluation = [place for place, one in enumerate(drawn) if not one]
    if not calibration or not evaluation:
        raise DatasetError(
            f"{len(drawn)} images are too few to calibrate on some and evaluate on the others",
            remedy=Remedy("give {} with images of its own, or {}", Option("calibration"), Option("no_int8")),
        )
    return part(data, calibration, out / "calibration"), part(data, evaluation, out / "evaluation")


def part(data: PreparedDataset, places: Sequence[int], out: Path) -> PreparedDataset:
    """The images at these places, written to `out`."""
    made_from = store.hash_of(
        "part", _RECIPE, data.dataset.fingerprint, data.transform, list(places), data.dataset.labels
    )
    images = store.kept(out / RECORD, PreparedDataset, made_from)
    if images is not None:
        return images
    for shard in data.shards:
        store.verified(shard.file)
    reader, side = Reader(data.shards), data.transform.crop
    shards = []
    for number, start in enumerate(range(0, len(places), SHARD_IMAGES)):
        part = places[start : start + SHARD_IMAGES]
        pixels = np.empty((len(part), side, side, 3), np.uint8)
        for row, place in enumerate(part):
            reader.read(place, 1, pixels[row : row + 1])
        shards.append(store.save_array(out / f"images-{number:05}.npy", pixels))
    made = PreparedDataset(dataset=_described(data.dataset, places), transform=data.transform, shards=tuple(shards))
    store.write(out / RECORD, made, made_from)
    return made


def folder_of(data: PreparedDataset) -> Path:
    """Where a prepared data set lies."""
    return data.shards[0].file.path.parent


def without(data: PreparedDataset, others: PreparedDataset) -> None:
    """Raises `DatasetError` with the images of `data` whose files are among the `others` too."""
    known = set(others.dataset.image_sha256)
    pairs = zip(data.dataset.names, data.dataset.image_sha256, strict=True)
    both = [name for name, sha256 in pairs if sha256 in known]
    if both:
        raise DatasetError(
            f"{len(both)} calibration images are among the {len(others.dataset.names):,} images to evaluate on",
            both,
            remedy=Remedy("give others to {}", Option("calibration")),
        )


def _described(whole: Dataset, places: Sequence[int]) -> Dataset:
    names = tuple(whole.names[place] for place in places)
    hashes = tuple(whole.image_sha256[place] for place in places)
    return msgspec.structs.replace(
        whole,
        names=names,
        labels=None if whole.labels is None else tuple(whole.labels[place] for place in places),
        image_sha256=hashes,
        fingerprint=store.hash_of(list(names), list(hashes)),
        warnings=tuple(warning for warning in whole.warnings if warning.name in set(names)),
    )
