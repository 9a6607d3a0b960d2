"""The prepared data set: every image decoded, resized and cropped once, as shards of uint8 N×H×W×3.

A shard is a `.npy` file of up to 512 images, written whole or not at all, with a small record of its own until
the set is complete: a run that was killed keeps its finished shards.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from assay import environment, store
from assay.data import transform as image_transform
from assay.data.sources.folder import ImageFolder
from assay.errors import DatasetError
from assay.progress import Progress
from assay.records import ArrayFile, Dataset, ImageFailure, ImageTransform, ImageWarning, PreparedDataset, Record

SHARD_IMAGES = 512
"""77 MB at 224×224: little is lost when a run is killed, and files stay few."""

RECORD = "prepared.json"

_SHARD = "images-{}.npy"
_AT_ONCE = 8
"""Images a worker takes at once: handing over single ones costs more than it evens out."""

OnError = Literal["stop", "skip"]
Pixels = npt.NDArray[np.uint8]


class Shard(Record, frozen=True, kw_only=True):
    """One finished shard."""

    pixels: ArrayFile
    names: tuple[str, ...]
    image_sha256: tuple[str, ...]
    failures: tuple[ImageFailure, ...]
    warnings: tuple[ImageWarning, ...] = ()


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
    # What the record of an earlier set names is about to be replaced.
    (folder / RECORD).unlink(missing_ok=True)
    shards = _Preparation(source, transform, folder, progress).shards()
    failures = tuple(failure for shard in shards for failure in shard.failures)
    if failures and on_error == "stop":
        raise DatasetError(
            f"{len(failures)} of {len(source.names)} images in {source.path} cannot be used; mend or remove them, "
            "or go on without them with --on-error skip",
            [f"{failure.name}: {failure.reason}" for failure in failures],
        )
    if len(failures) == len(source.names):
        raise DatasetError(
            f"none of the {len(failures)} images in {source.path} can be decoded; give a folder of sound images",
            [f"{failure.name}: {failure.reason}" for failure in failures],
        )
    return shards, failures


def complete(
    folder: Path, dataset: Dataset, transform: ImageTransform, shards: Sequence[Shard], made_from: str
) -> PreparedDataset:
    """Writes the record of a whole data set; the shards' own records have then served their time.

    Shards of an earlier, larger set go too.
    """
    prepared = PreparedDataset(dataset=dataset, transform=transform, shards=tuple(shard.pixels for shard in shards))
    store.write(folder / RECORD, prepared, made_from)
    ours = {shard.pixels.file.path.name for shard in shards}
    for path in [*folder.glob(_SHARD.format("*")), *folder.glob(_record_path(Path(_SHARD.format("*"))).name)]:
        if path.name not in ours:
            path.unlink(missing_ok=True)
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


class _Preparation:
    """One data set on its way: while a shard is written, the images of the next are decoded."""

    def __init__(self, source: ImageFolder, transform: ImageTransform, folder: Path, progress: Progress) -> None:
        self.source, self.transform, self.folder, self.progress = source, transform, folder, progress

    def shards(self) -> tuple[Shard, ...]:
        """All shards in their order, kept or made."""
        names, crop = self.source.names, self.transform.crop
        buffers: list[Pixels] = []
        shards: list[Shard | Future[Shard]] = []
        writing: deque[Future[Shard]] = deque()
        with ThreadPoolExecutor(environment.cores()) as workers, ThreadPoolExecutor(1) as writer:
            for number, start in enumerate(range(0, len(names), SHARD_IMAGES)):
                part = names[start : start + SHARD_IMAGES]
                path = self.folder / _SHARD.format(f"{number:05}")
                made_from = store.hash_of([self.source.stamp(name) for name in part], part, self.transform)
                found = store.kept(_record_path(path), Shard, made_from)
                if found is not None:
                    shards.append(found)
                    self.progress.advance(len(part))
                    continue
                if len(writing) == 2:
                    # Its buffer is needed now; and a full disk is said here, not after all the work.
                    writing.popleft().result()
                    buffers.reverse()
                else:
                    buffers.append(np.empty((min(SHARD_IMAGES, len(names)), crop, crop, 3), np.uint8))
                outcomes = self._decoded(part, buffers[-1], workers)
                writing.append(writer.submit(_written, path, part, outcomes, buffers[-1], made_from))
                shards.append(writing[-1])
        return tuple(shard if isinstance(shard, Shard) else shard.result() for shard in shards)

    def _decoded(self, names: Sequence[str], out: Pixels, workers: ThreadPoolExecutor) -> list[_Outcome]:
        outcomes: list[_Outcome] = []
        parts = [range(start, min(start + _AT_ONCE, len(names))) for start in range(0, len(names), _AT_ONCE)]
        for found in workers.map(lambda part: [self._decode(names[at], out[at]) for at in part], parts):
            outcomes.extend(found)
            self.progress.advance(len(found))
        return outcomes

    def _decode(self, name: str, out: Pixels) -> _Outcome:
        try:
            content = self.source.read(name)
            out[...], warning = image_transform.pixels_and_warning(content, self.transform)
        except DatasetError as error:
            return _Outcome("", None, ImageFailure(name=name, reason=error.message))
        warned = ImageWarning(name=name, reason=warning) if warning is not None else None
        return _Outcome(hashlib.sha256(content).hexdigest(), warned, None)


class _Outcome(NamedTuple):
    """What became of one image, but for its pixels."""

    sha256: str
    warning: ImageWarning | None
    failure: ImageFailure | None


def _written(path: Path, names: Sequence[str], outcomes: Sequence[_Outcome], pixels: Pixels, made_from: str) -> Shard:
    good = [position for position, outcome in enumerate(outcomes) if outcome.failure is None]
    rows = pixels[: len(names)] if len(good) == len(names) else pixels[good]
    shard = Shard(
        pixels=store.save_array(path, rows),
        names=tuple(names[position] for position in good),
        image_sha256=tuple(outcomes[position].sha256 for position in good),
        failures=tuple(outcome.failure for outcome in outcomes if outcome.failure is not None),
        warnings=tuple(outcome.warning for outcome in outcomes if outcome.warning is not None),
    )
    store.write(_record_path(path), shard, made_from)
    return shard


def _record_path(shard: Path) -> Path:
    return shard.with_suffix(".shard.json")
