from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from assay.data import prepared, sources, transform
from assay.data.prepared import Reader, Shard
from assay.data.sources import folder
from assay.errors import DatasetError, UsageError
from assay.progress import Silent
from assay.records import Dataset, ImageFailure
from tests import archives, factories
from tests.messages import assert_says

SMALL = factories.transform()


@pytest.fixture(autouse=True)
def two_images_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "SHARD_IMAGES", 2)


def _images(at: Path, count: int) -> Path:
    for number in range(count):
        factories.write_image(at / f"{number}.png", (12 + number, 10), seed=number)
    return at


def _prepare(images: Path, out: Path) -> tuple[Shard, ...]:
    return prepared.prepare(folder.find(images), SMALL, out, Silent())[0]


def _reader(shards: tuple[Shard, ...], out: Path) -> Reader:
    prepared.clean_up(out, shards)
    return Reader([shard.pixels for shard in shards])


def _dataset(shards: tuple[Shard, ...]) -> Dataset:
    return factories.dataset([name for shard in shards for name in shard.names], labels=None)


def test_shards_hold_the_pixels_of_every_image_in_their_order(tmp_path: Path) -> None:
    images = _images(tmp_path / "images", 5)
    shards = _prepare(images, tmp_path / "out")
    assert [shard.names for shard in shards] == [("0.png", "1.png"), ("2.png", "3.png"), ("4.png",)]
    assert [shard.pixels.shape for shard in shards] == [(2, 8, 8, 3), (2, 8, 8, 3), (1, 8, 8, 3)]
    for shard in shards:
        for name, row in zip(shard.names, shard.pixels.load(), strict=True):
            assert np.array_equal(row, transform.pixels((images / name).read_bytes(), SMALL))


def test_every_image_keeps_the_hash_of_its_file(tmp_path: Path) -> None:
    images = _images(tmp_path / "images", 1)
    (shard,) = _prepare(images, tmp_path / "out")
    assert shard.image_sha256 == (hashlib.sha256((images / "0.png").read_bytes()).hexdigest(),)


@pytest.mark.parametrize(("first", "count"), [(0, 5), (0, 1), (1, 2), (1, 4), (2, 2), (4, 1), (0, 0)])
def test_a_batch_is_read_across_the_bounds_of_shards(tmp_path: Path, first: int, count: int) -> None:
    shards = _prepare(_images(tmp_path / "images", 5), tmp_path / "out")
    everything = np.concatenate([shard.pixels.load() for shard in shards])
    reader = _reader(shards, tmp_path / "out")
    out = np.full((8, 8, 8, 3), 7, dtype=np.uint8)
    reader.read(first, count, out)
    assert len(reader) == 5
    assert np.array_equal(out[:count], everything[first : first + count])
    assert (out[count:] == 7).all()


def test_shards_of_a_whole_set_have_no_records_of_their_own(tmp_path: Path) -> None:
    shards = _prepare(_images(tmp_path / "images", 3), tmp_path / "out")
    prepared.clean_up(tmp_path / "out", shards)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["images-00000.npy", "images-00001.npy"]


def test_every_image_that_cannot_be_decoded_is_named_with_the_reason(tmp_path: Path) -> None:
    images = _images(tmp_path / "images", 5)
    (images / "1.png").write_bytes(b"")
    (images / "4.png").write_bytes(b"no image")
    with pytest.raises(DatasetError) as caught:
        _prepare(images, tmp_path / "out")
    assert_says(caught, f"2 of 5 images in {images} cannot be used", "on_error=skip")
    assert caught.value.files == (
        "1.png: empty file",
        "4.png: no image format that is read: BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP",
    )


def test_images_that_cannot_be_decoded_are_left_out_and_listed_when_asked(tmp_path: Path) -> None:
    images = _images(tmp_path / "images", 5)
    (images / "1.png").write_bytes(b"")
    shards, failures = prepared.prepare(folder.find(images), SMALL, tmp_path / "out", Silent(), on_error="skip")
    assert failures == (ImageFailure(name="1.png", reason="empty file"),)
    assert [name for shard in shards for name in shard.names] == ["0.png", "2.png", "3.png", "4.png"]
    reader, out = _reader(shards, tmp_path / "out"), np.empty((4, 8, 8, 3), dtype=np.uint8)
    reader.read(0, 4, out)
    assert np.array_equal(out[1], transform.pixels((images / "2.png").read_bytes(), SMALL))


def test_a_shard_without_any_good_image_is_read_over(tmp_path: Path) -> None:
    images = _images(tmp_path / "images", 5)
    for name in ("0.png", "1.png", "4.png"):
        (images / name).write_bytes(b"")
    shards, _ = prepared.prepare(folder.find(images), SMALL, tmp_path / "out", Silent(), on_error="skip")
    reader, out = _reader(shards, tmp_path / "out"), np.empty((2, 8, 8, 3), dtype=np.uint8)
    assert len(reader) == 2
    reader.read(0, 2, out)
    assert np.array_equal(out, shards[1].pixels.load())


def test_an_archive_that_changes_while_it_is_read_stops_a_preparation_that_skips_images(tmp_path: Path) -> None:
    images = _images(tmp_path / "images", 4)
    files = [(path.name, path.read_bytes()) for path in sorted(images.iterdir())]
    archives.tar(tmp_path / "shards/one.tar", files[:2])
    archives.tar(tmp_path / "shards/two.tar", files[2:])
    found = sources.find(tmp_path / "shards")
    archives.tar(tmp_path / "shards/two.tar", files[3:])
    with pytest.raises(DatasetError) as caught:
        prepared.prepare(found, SMALL, tmp_path / "out", Silent(), on_error="skip")
    assert_says(caught, "two.tar was changed since its members were listed", "run the command again")


def test_an_image_that_cannot_be_read_is_not_skipped_nor_remembered(tmp_path: Path) -> None:
    images, out = _images(tmp_path / "images", 4), tmp_path / "out"
    found = folder.find(images)
    (images / "3.png").rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError) as caught:
        prepared.prepare(found, SMALL, out, Silent(), on_error="skip")
    assert_says(caught, f"cannot read image {images / '3.png'}", "No such file", "run the command again")
    (tmp_path / "elsewhere").rename(images / "3.png")
    shards, failures = prepared.prepare(found, SMALL, out, Silent(), on_error="skip")
    assert failures == ()
    assert [name for shard in shards for name in shard.names] == ["0.png", "1.png", "2.png", "3.png"]


def test_what_is_no_file_is_left_out_as_an_image_that_cannot_be_decoded(tmp_path: Path) -> None:
    images = _images(tmp_path / "images", 2)
    os.mkfifo(images / "pipe.png")
    _, failures = prepared.prepare(folder.find(images), SMALL, tmp_path / "out", Silent(), on_error="skip")
    assert [failure.name for failure in failures] == ["pipe.png"]


def test_a_folder_in_which_nothing_can_be_decoded_is_refused_even_so(tmp_path: Path) -> None:
    images = _images(tmp_path / "images", 1)
    (images / "0.png").write_bytes(b"no image")
    with pytest.raises(DatasetError) as caught:
        prepared.prepare(folder.find(images), SMALL, tmp_path / "out", Silent(), on_error="skip")
    assert_says(caught, "none of the 1 images", str(images), "can be decoded")


def test_a_run_that_was_stopped_keeps_its_finished_shards(tmp_path: Path) -> None:
    images, out = _images(tmp_path / "images", 4), tmp_path / "out"
    good = (images / "3.png").read_bytes()
    (images / "3.png").write_bytes(b"")
    with pytest.raises(DatasetError):
        _prepare(images, out)
    first = (out / "images-00000.npy").stat()
    (images / "3.png").write_bytes(good)
    shards = _prepare(images, out)
    assert (out / "images-00000.npy").stat() == first
    assert np.array_equal(shards[1].pixels.load()[1], transform.pixels(good, SMALL))


def test_only_the_shard_of_an_image_that_changed_is_made_again(tmp_path: Path) -> None:
    images, out = _images(tmp_path / "images", 4), tmp_path / "out"
    _prepare(images, out)
    kept, remade = (out / "images-00000.npy").stat(), (out / "images-00001.npy").stat()
    factories.write_image(images / "2.png", (30, 20), seed=99)
    shards = _prepare(images, out)
    assert (out / "images-00000.npy").stat() == kept
    assert (out / "images-00001.npy").stat() != remade
    assert np.array_equal(shards[1].pixels.load()[0], transform.pixels((images / "2.png").read_bytes(), SMALL))


def test_another_transform_makes_every_shard_again(tmp_path: Path) -> None:
    images = _images(tmp_path / "images", 2)
    _prepare(images, tmp_path / "out")
    (shard,), _ = prepared.prepare(folder.find(images), factories.transform(crop=6), tmp_path / "out", Silent())
    assert shard.pixels.shape == (2, 6, 6, 3)


def test_a_transform_that_cannot_be_carried_out_is_refused_before_any_work(tmp_path: Path) -> None:
    source = folder.find(_images(tmp_path / "images", 1))
    with pytest.raises(UsageError) as caught:
        prepared.prepare(source, factories.transform(crop=11), tmp_path / "out", Silent())
    assert_says(caught, "crop 11", "resize 10")
    assert not (tmp_path / "out").exists()


def test_progress_counts_every_image_kept_or_made(tmp_path: Path) -> None:
    class Counting(Silent):
        total = done = 0

        def start(self, step: str, total: int | None) -> None:
            self.total = total or 0

        def advance(self, count: int = 1) -> None:
            self.done += count

    images = _images(tmp_path / "images", 5)
    for _ in range(2):
        progress = Counting()
        prepared.prepare(folder.find(images), SMALL, tmp_path / "out", progress)
        assert (progress.total, progress.done) == (5, 5)
