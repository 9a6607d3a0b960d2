"""The prepared data set: every image decoded, resized and cropped once, as shards of uint8 N×H×W×3.

A shard is a `.npy` file of up to 128 images, written whole or not at all, with a small record of its own until
the set is complete: a run that was killed keeps its finished shards.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from assay import environment
from assay.data import transform as image_transform
from assay.data.sources import Source
from assay.errors import DatasetError, ImageError, Option, Remedy
from assay.processes import watchdog
from assay.processes.watchdog import Holds
from assay.progress import Progress
from assay.records import ArrayFile, ImageFailure, ImageTransform, ImageWarning, PreparedDataset, Record
from assay.storage import store
from assay.storage.layout import Folder, Place

SHARD_IMAGES = 128
"""19 MB at 224×224: little is lost when a run is killed, little memory is held, and little is left to write last."""

RECORD = "prepared.json"

_SHARD = "images-{}.npy"
_NUMBER = "[0-9]" * 5
_AT_ONCE = 4
"""Images a worker takes at once: handing over single ones costs more than it evens out."""

_LARGE_BLOCK = 24 << 20
"""Below the 32 MB from which on glibc does not adapt."""

OnError = Literal["stop", "skip"]
Pixels = npt.NDArray[np.uint8]
T = TypeVar("T")


class Shard(Record, frozen=True, kw_only=True):
    """One finished shard."""

    pixels: ArrayFile
    names: tuple[str, ...]
    image_sha256: tuple[str, ...]
    failures: tuple[ImageFailure, ...]
    warnings: tuple[ImageWarning, ...] = ()


LAYOUT = Folder(
    (
        Place(RECORD, PreparedDataset),
        Place(_SHARD.format(_NUMBER)),
        Place(f"{_SHARD.format(_NUMBER).removesuffix('.npy')}.shard.json", Shard),
    )
)
"""The folder of a prepared data set."""


def prepare(
    source: Source,
    transform: ImageTransform,
    folder: Path,
    progress: Progress,
    on_error: OnError = "stop",
    timeout: float | None = None,
) -> tuple[tuple[Shard, ...], tuple[ImageFailure, ...]]:
    """Writes the shards of all images; images that cannot be decoded are named together, or left out and listed.

    Raises `DatasetError` with every file that cannot be decoded, where `on_error` is `stop`, and in any case where one
    cannot be read, which is no fault of the image; `StalledError` where one thing takes longer than the timeout.
    """
    image_transform.check(transform)
    progress.start("prepare", len(source.names))
    folder.mkdir(parents=True, exist_ok=True)
    # What the record of an earlier set names is about to be replaced.
    (folder / RECORD).unlink(missing_ok=True)
    shards = _Preparation(source, transform, folder, progress, timeout).shards()
    failures = tuple(failure for shard in shards for failure in shard.failures)
    if failures and on_error == "stop":
        raise DatasetError(
            f"{len(failures)} of {len(source.names)} images in {source.path} cannot be used",
            [f"{failure.name}: {failure.reason}" for failure in failures],
            remedy=Remedy("mend or remove them, or go on without them with {}", Option("on_error", "skip")),
        )
    if len(failures) == len(source.names):
        raise DatasetError(
            f"none of the {len(failures)} images in {source.path} can be decoded; give a folder of sound images",
            [f"{failure.name}: {failure.reason}" for failure in failures],
        )
    return shards, failures


def clean_up(folder: Path, shards: Sequence[Shard]) -> None:
    """Removes the shards' own records, once that of the whole set is written, and shards of an earlier, larger set."""
    ours = {shard.pixels.file.path.name for shard in shards}
    for path in [*folder.glob(_SHARD.format("*")), *folder.glob(_record_path(Path(_SHARD.format("*"))).name)]:
        if path.name not in ours:
            path.unlink(missing_ok=True)


class Reader:
    """Copies batches out of the shards of a prepared data set, which are held to their hashes before."""

    def __init__(self, shards: Sequence[ArrayFile]) -> None:
        self._shards = [np.asarray(shard.load(check=False)) for shard in shards]
        self._starts = [0]
        for shard in shards:
            self._starts.append(self._starts[-1] + shard.shape[0])

    def __len__(self) -> int:
        """The number of images."""
        return self._starts[-1]

    def part(self, first: int, count: int) -> Pixels:
        """The pixels of `count` images from `first` on: a view where one shard holds them all, or else a copy."""
        number = bisect_right(self._starts, first) - 1
        offset = first - self._starts[number]
        part = self._shards[number][offset : offset + count]
        if len(part) < count:
            part = np.empty((count, *part.shape[1:]), np.uint8)
            self.read(first, count, part)
        return part

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
    """One data set on its way: while one shard is written, the images of the next are decoded."""

    def __init__(
        self,
        source: Source,
        transform: ImageTransform,
        folder: Path,
        progress: Progress,
        timeout: float | None,
    ) -> None:
        self.source, self.transform, self.folder, self.progress = source, transform, folder, progress
        self.timeout, self.holds = timeout, Holds()
        self.made: dict[int, Future[Shard]] = {}
        self.decoding: deque[_ShardUnderWay] = deque()
        self.writing: deque[tuple[Future[Shard], Pixels]] = deque()

    def shards(self) -> tuple[Shard, ...]:
        """All shards in their order, kept or made."""
        names = self.source.names
        # glibc gives an image's memory back to the system and faults it in again for the next one, a third more
        # time, until it has seen a large block freed: then it keeps what is smaller. This one is never touched.
        np.empty(_LARGE_BLOCK, np.uint8)
        with watchdog.pool("prepare", environment.cores()) as workers, watchdog.pool("write", 1) as writer:
            for number, start in enumerate(range(0, len(names), SHARD_IMAGES)):
                part = names[start : start + SHARD_IMAGES]
                path = self.folder / _SHARD.format(f"{number:05}")
                stamps = [self.source.stamp(name) for name in part]
                made_from = store.hash_of(stamps, part, self.transform, environment.decoders())
                shard = store.kept(_record_path(path), Shard, made_from)
                if shard is not None:
                    self.made[number] = Future()
                    self.made[number].set_result(shard)
                    self.progress.advance(len(part))
                    continue
                self.decoding.append(self._begun(number, path, part, made_from, workers))
                # The workers hold the next shard before they have done with this one, and so never wait.
                if len(self.decoding) == 2:
                    self._write_oldest(writer)
            while self.decoding:
                self._write_oldest(writer)
            return tuple(self._result(self.made[number]) for number in sorted(self.made))

    def _begun(
        self, number: int, path: Path, names: Sequence[str], made_from: str, workers: ThreadPoolExecutor
    ) -> _ShardUnderWay:
        out = self._buffer()

        def decode(part: range) -> list[_Outcome]:
            return [self._decode(names[position], out[position]) for position in part]

        parts = [range(start, min(start + _AT_ONCE, len(names))) for start in range(0, len(names), _AT_ONCE)]
        return _ShardUnderWay(number, path, names, made_from, out, [workers.submit(decode, part) for part in parts])

    def _decode(self, name: str, out: Pixels) -> _Outcome:
        try:
            with self.holds.at("read", f"image {name}"):
                content = self.source.read(name)
            with self.holds.at("decode", f"image {name}"):
                out[...], warning = image_transform.pixels_and_warning(content, self.transform)
        except ImageError as error:
            return _Outcome("", None, ImageFailure(name=name, reason=error.line()))
        warned = ImageWarning(name=name, reason=warning) if warning is not None else None
        return _Outcome(hashlib.sha256(content).hexdigest(), warned, None)

    def _buffer(self) -> Pixels:
        """Room for a shard; there are three: one being decoded, the next one, and one being written."""
        if len(self.decoding) + len(self.writing) < 3:
            crop = self.transform.crop
            return np.empty((min(SHARD_IMAGES, len(self.source.names)), crop, crop, 3), np.uint8)
        shard, buffer = self.writing.popleft()
        # A full disk is said here, and not after all the work.
        self._result(shard)
        return buffer

    def _write_oldest(self, writer: ThreadPoolExecutor) -> None:
        """Hands over the oldest shard to be written, once all of its images are decoded."""
        oldest = self.decoding.popleft()
        outcomes: list[_Outcome] = []
        for decoded in oldest.outcomes:
            images = self._result(decoded)
            outcomes += images
            self.progress.advance(len(images))
        shard = writer.submit(self._write, oldest, outcomes)
        self.writing.append((shard, oldest.pixels))
        self.made[oldest.number] = shard

    def _write(self, shard: _ShardUnderWay, outcomes: Sequence[_Outcome]) -> Shard:
        with self.holds.at("write", str(shard.path)):
            return _written(shard.path, shard.names, outcomes, shard.pixels, shard.made_from)

    def _result(self, future: Future[T]) -> T:
        return watchdog.result(future, self.holds, self.timeout)


class _Outcome(NamedTuple):
    """What became of one image, but for its pixels."""

    sha256: str
    warning: ImageWarning | None
    failure: ImageFailure | None


class _ShardUnderWay(NamedTuple):
    """A shard whose images are being decoded into its pixels."""

    number: int
    path: Path
    names: Sequence[str]
    made_from: str
    pixels: Pixels
    outcomes: Sequence[Future[list[_Outcome]]]


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
