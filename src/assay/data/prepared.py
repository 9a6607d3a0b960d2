"""The prepared data set: every image decoded, resized and cropped once, as shards of uint8 N×H×W×3.

A shard is a `.npy` file of up to 512 images, written whole or not at all, with a small record of its own until
the set is complete: a run that was killed keeps its finished shards.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from assay import environment, store
from assay.data import transform as image_transform
from assay.data.sources.folder import ImageFolder
from assay.errors import DatasetError
from assay.progress import Progress
from assay.records import ArrayFile, Dataset, ImageFailure, ImageTransform, PreparedDataset, Record

SHARD_IMAGES = 512
"""77 MB at 224×224: little is lost when a run is killed, and files stay few."""

OnError = Literal["stop", "skip"]
Pixels = npt.NDArray[np.uint8]


class Shard(Record, frozen=True, kw_only=True):
    """One finished shard."""

    pixels: ArrayFile
    names: tuple[str, ...]
    image_sha256: tuple[str, ...]
    failures: tuple[ImageFailure, ...]


def prepare(
    source: ImageFolder,
    transform: ImageTransform,
    folder: Path,
    progress: Progress,
    on_error: OnError = "stop",
) -> tuple[tuple[Shard, ...], tuple[ImageFailure, ...]]:
    """Writes the shards of all images; images that cannot be decoded are named together, or left out and listed.

    Raises `DatasetError` with every file that cannot be decoded, where `on_error` is `stop`.
    """
    image_transform.check(transform)
    progress.start("prepare", len(source.names))
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(source.names), SHARD_IMAGES)
    buffer: Pixels = np.empty((min(SHARD_IMAGES, len(source.names)), transform.crop, transform.crop, 3), np.uint8)
    with ThreadPoolExecutor(environment.cores()) as workers:
        shards = tuple(
            _shard(
                source,
                source.names[start : start + SHARD_IMAGES],
                transform,
                folder,
                number,
                buffer,
                workers,
                progress,
            )
            for number, start in enumerate(starts)
        )
    failures = tuple(failure for shard in shards for failure in shard.failures)
    if failures and on_error == "stop":
        raise DatasetError(
            f"{len(failures)} of {len(source.names)} images in {source.path} cannot be used; mend or remove them, "
            "or go on without them with --on-error skip",
            [f"{failure.name}: {failure.reason}" for failure in failures],
        )
    if len(failures) == len(source.names):
        raise DatasetError(f"none of the {len(failures)} images in {source.path} can be decoded")
    return shards, failures


def complete(
    folder: Path, dataset: Dataset, transform: ImageTransform, shards: Sequence[Shard], made_from: str
) -> PreparedDataset:
    """Writes the record of a whole data set; the shards' own records have then served their time."""
    prepared = PreparedDataset(dataset=dataset, transform=transform, shards=tuple(shard.pixels for shard in shards))
    store.write(folder / "prepared.json", prepared, made_from)
    for shard in shards:
        _record_path(shard.pixels.file.path).unlink(missing_ok=True)
    return prepared


class Reader:
    """Copies batches out of the shards of a prepared data set."""

    def __init__(self, prepared: PreparedDataset) -> None:
        self._shards = [np.asarray(shard.load()) for shard in prepared.shards]
        self._starts = [0]
        for shard in prepared.shards:
            self._starts.append(self._starts[-1] + shard.shape[0])

    def __len__(self) -> int:
        """The number of images."""
        return self._starts[-1]

    def read(self, first: int, count: int, out: Pixels) -> None:
        """Copies `count` images from `first` on into `out`, uint8 N×H×W×3."""
        done = 0
        while done < count:
            number = bisect_right(self._starts, first + done) - 1
            offset = first + done - self._starts[number]
            part = self._shards[number][offset : offset + count - done]
            np.copyto(out[done : done + len(part)], part)
            done += len(part)


def _shard(
    source: ImageFolder,
    names: tuple[str, ...],
    transform: ImageTransform,
    folder: Path,
    number: int,
    buffer: Pixels,
    workers: ThreadPoolExecutor,
    progress: Progress,
) -> Shard:
    path = folder / f"images-{number:05}.npy"
    made_from = store.hash_of([store.stamp(source.path / name) for name in names], names, transform)
    found = store.kept(_record_path(path), Shard, made_from)
    if found is not None:
        progress.advance(len(names))
        return found

    def decode(position: int) -> tuple[str, ImageFailure | None]:
        name = names[position]
        content = source.read(name)
        try:
            buffer[position] = image_transform.pixels(content, transform)
        except DatasetError as error:
            return "", ImageFailure(name=name, reason=error.message)
        return hashlib.sha256(content).hexdigest(), None

    outcomes = []
    for outcome in workers.map(decode, range(len(names))):
        outcomes.append(outcome)
        progress.advance()
    good = [position for position, (_, failure) in enumerate(outcomes) if failure is None]
    rows = buffer[: len(names)] if len(good) == len(names) else buffer[good]
    shard = Shard(
        pixels=store.save_array(path, rows),
        names=tuple(names[position] for position in good),
        image_sha256=tuple(outcomes[position][0] for position in good),
        failures=tuple(failure for _, failure in outcomes if failure is not None),
    )
    store.write(_record_path(path), shard, made_from)
    return shard


def _record_path(shard: Path) -> Path:
    return shard.with_suffix(".shard.json")
