"""Images and labels on their way into a prepared data set: what is used, what is named, what is kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from assay.cli.main import main
from assay.data import prepared, transform
from assay.errors import DatasetError, UsageError
from assay.progress import Silent
from assay.records import ImageWarning, PreparedDataset
from assay.steps.dataset import damaged
from assay.steps.prepare import PrepareRequest, load_prepared, prepare_with
from assay.storage import files, store
from assay.whole_run.request import RunRequest
from tests import factories
from tests.messages import assert_says

SMALL = factories.transform()


class Notes(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)

    def warn(self, message: str) -> None:
        if not message.startswith("transform:"):
            self.said.append(message)


def _images(at: Path, count: int, suffix: str = "png") -> Path:
    for number in range(count):
        factories.write_image(at / f"{number:02}.{suffix}", (12 + number, 10), seed=number)
    return at


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _bomb(side: int = 50_000) -> bytes:
    """A whole greyscale PNG of a few kilobytes a thousand rows, that would be 2.5 GB of pixels."""
    compressor, row = zlib.compressobj(1), bytes(side + 1)
    packed = b"".join(compressor.compress(row) for _ in range(200)) + compressor.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _broken(at: Path) -> Path:
    whole = factories.jpeg()
    for name, content in {
        "empty.jpg": b"",
        "header.png": b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0)),
        "text.jpg": b"this is no image\n",
        "truncated.jpg": whole[: len(whole) // 2],
        "bomb.png": _bomb(),
    }.items():
        (at / name).write_bytes(content)
    return at


def _everything(folder: Path) -> dict[str, str]:
    """The hash of every file of a prepared set; its lock is no part of it."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".lock")
    }


# Files that cannot be used, and files that can in spite of a fault.


def test_all_files_that_cannot_be_decoded_are_named_together(tmp_path: Path) -> None:
    images = _broken(_images(tmp_path / "images", 3))
    with pytest.raises(DatasetError) as caught:
        prepare_with(PrepareRequest(images, out=tmp_path / "out"), SMALL)
    assert_says(caught, f"5 of 8 images in {images} cannot be used", "mend or remove them", "on_error=skip")
    assert [line.partition(":")[0] for line in caught.value.files] == [
        "bomb.png",
        "empty.jpg",
        "header.png",
        "text.jpg",
        "truncated.jpg",
    ]
    assert not (tmp_path / "out" / "prepared.json").exists()


def test_files_that_were_skipped_are_in_the_record_with_the_reason_and_said(tmp_path: Path) -> None:
    images, notes = _broken(_images(tmp_path / "images", 3)), Notes()
    made = prepare_with(PrepareRequest(images, out=tmp_path / "out", on_error="skip", progress=notes), SMALL)
    assert made.dataset.names == ("00.png", "01.png", "02.png")
    assert {failure.name: failure.reason for failure in made.dataset.failures}["empty.jpg"] == "empty file"
    assert len(made.dataset.failures) == 5
    assert any("left out 5 images" in said for said in notes.said)


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_an_image_whose_file_is_gone_is_named_and_never_left_out(
    on_error: Literal["stop", "skip"], tmp_path: Path
) -> None:
    images = _images(tmp_path / "images", 2)
    (images / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DatasetError) as caught:
        prepare_with(PrepareRequest(images, out=tmp_path / "out", on_error=on_error), SMALL)
    assert_says(caught, f"cannot read image {images / 'gone.png'}", "No such file", "take it away")


def test_a_file_that_is_no_image_by_its_name_is_listed_and_said(tmp_path: Path) -> None:
    images, notes = _images(tmp_path / "images", 2), Notes()
    (images / "README.md").write_text("hello")
    made = prepare_with(PrepareRequest(images, out=tmp_path / "out", progress=notes), SMALL)
    assert made.dataset.skipped == ("README.md",)
    assert notes.said == ["skipped 1 files, no images by their names: README.md"]


def test_a_damaged_jpeg_is_used_and_the_decoders_warning_is_in_the_record_and_said(tmp_path: Path) -> None:
    pytest.importorskip("simplejpeg", reason="without it no warning is heard")
    images, notes = _images(tmp_path / "images", 2), Notes()
    (images / "flipped.jpg").write_bytes(factories.damaged(factories.jpeg()))
    made = prepare_with(PrepareRequest(images, out=tmp_path / "out", progress=notes), SMALL)
    (warning,) = made.dataset.warnings
    assert made.dataset.names == ("00.png", "01.png", "flipped.jpg")
    assert warning.name == "flipped.jpg"
    assert warning.reason.startswith("Corrupt JPEG data")
    assert notes.said == [f"1 image was used with a warning of its decoder: flipped.jpg ({warning.reason})"]
    assert damaged((warning, warning)).startswith("2 images were used with a warning of their decoder: flipped.jpg (")
    assert store.read(tmp_path / "out/prepared.json", PreparedDataset).dataset.warnings == (warning,)


@pytest.mark.material
def test_the_broken_files_of_the_material_are_named_and_the_bit_flips_used(material: Path, tmp_path: Path) -> None:
    pytest.importorskip("simplejpeg", reason="without it no warning is heard")
    with pytest.raises(DatasetError) as caught:
        prepare_with(PrepareRequest(material / "broken", out=tmp_path / "out"), SMALL)
    assert len(caught.value.files) == 5
    made = prepare_with(PrepareRequest(material / "broken", out=tmp_path / "out", on_error="skip"), SMALL)
    assert made.dataset.names == ("bit_flips.jpg",)
    assert made.dataset.warnings == (
        ImageWarning(name="bit_flips.jpg", reason="Corrupt JPEG data: premature end of data segment"),
    )


PEAK = """
import re, sys
from pathlib import Path
from typing import Literal
import assay
assay.prepare(sys.argv[1], preset="resnet", out=sys.argv[2], on_error="skip")
# Of this program alone: what `getrusage` counts begins with the size of whoever started it.
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says how much memory a program held")
def test_a_png_of_50000_by_50000_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    images = _images(tmp_path / "images", 3)

    def megabytes(out: str) -> int:
        command = [sys.executable, "-c", PEAK, str(images), str(tmp_path / out)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    without = megabytes("without")
    (images / "bomb.png").write_bytes(_bomb())
    assert megabytes("with") - without < 100
    (failure,) = load_prepared(tmp_path / "with").dataset.failures
    assert "too large to decode safely" in failure.reason


# Kept, resumed, replaced.

SLOW = """
import sys, time
from pathlib import Path
from typing import Literal
from assay.data import prepared
from assay.progress import Silent
from assay.steps.dataset import damaged
from assay.steps.prepare import PrepareRequest, prepare_with
from tests import factories

class Stuck(Silent):
    done = 0
    def advance(self, count=1):
        self.done += count
        while self.done > 8:
            time.sleep(1)

prepared.SHARD_IMAGES = 2
prepare_with(PrepareRequest(sys.argv[1], out=sys.argv[2], progress=Stuck()), factories.transform())
"""


@pytest.fixture
def two_images_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "SHARD_IMAGES", 2)


@pytest.mark.usefixtures("two_images_a_shard")
def test_preparing_that_was_killed_goes_on_with_its_whole_shards_to_the_same_bytes(tmp_path: Path) -> None:
    images, out = _images(tmp_path / "images", 13), tmp_path / "out"
    command = [sys.executable, "-c", SLOW, str(images), str(out)]
    child = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    try:
        deadline = time.monotonic() + 60
        while not (out / "images-00002.shard.json").exists():
            assert child.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert not (out / "prepared.json").exists()
    (out / f".images-00003.npy.{child.pid}{files.PARTIAL}").write_bytes(b"half")
    whole = {path.name: path.stat().st_mtime_ns for path in out.glob("images-0000[012].npy")}
    assert len(whole) == 3
    resumed = prepare_with(PrepareRequest(images, out=out), SMALL)
    assert {name: (out / name).stat().st_mtime_ns for name in whole} == whole
    prepare_with(PrepareRequest(images, out=tmp_path / "at once"), SMALL)
    at_once = _everything(tmp_path / "at once")
    found = _everything(out)
    # The record holds the times of its files; all pixels and the record's content are the same.
    assert {name: found[name] for name in found if name.endswith(".npy")} == {
        name: at_once[name] for name in at_once if name.endswith(".npy")
    }
    assert found.keys() == at_once.keys()
    assert resumed.dataset == load_prepared(tmp_path / "at once").dataset


@pytest.mark.usefixtures("two_images_a_shard")
def test_shards_of_an_earlier_larger_set_do_not_remain(tmp_path: Path) -> None:
    images, out = _images(tmp_path / "images", 7), tmp_path / "out"
    prepare_with(PrepareRequest(images, out=out), SMALL)
    for name in ("03.png", "04.png", "05.png", "06.png"):
        (images / name).unlink()
    made = prepare_with(PrepareRequest(images, out=out), SMALL)
    assert sorted(_everything(out)) == ["images-00000.npy", "images-00001.npy", "prepared.json"]
    assert [shard.shape[0] for shard in made.shards] == [2, 1]


@pytest.mark.usefixtures("two_images_a_shard")
def test_the_record_of_an_earlier_set_does_not_outlive_its_shards(tmp_path: Path) -> None:
    images, out = _images(tmp_path / "images", 4), tmp_path / "out"
    prepare_with(PrepareRequest(images, out=out), SMALL)
    (images / "03.png").write_bytes(b"")
    with pytest.raises(DatasetError):
        prepare_with(PrepareRequest(images, out=out), SMALL)
    assert not (out / "prepared.json").exists()


def test_a_whole_set_is_kept_and_written_to_no_more(tmp_path: Path) -> None:
    images, out = _images(tmp_path / "images", 3), tmp_path / "out"
    first = prepare_with(PrepareRequest(images, out=out), SMALL)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert prepare_with(PrepareRequest(images, out=out), SMALL) == first
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before


@pytest.mark.usefixtures("two_images_a_shard")
def test_many_shards_hold_every_image_in_its_order(tmp_path: Path) -> None:
    images = _images(tmp_path / "images", 21)
    made = prepare_with(PrepareRequest(images, out=tmp_path / "out"), SMALL)
    rows = [row for shard in made.shards for row in shard.load()]
    assert len(rows) == len(made.dataset.names) == 21
    for name, row in zip(made.dataset.names, rows, strict=True):
        assert row.tobytes() == transform.pixels((images / name).read_bytes(), SMALL).tobytes()


# Classes.


def _class_folders(at: Path, *names: str) -> Path:
    for name in names:
        factories.write_image(at / name / "1.png")
    return at


def test_class_folders_are_numbered_by_the_class_list(tmp_path: Path) -> None:
    images = _class_folders(tmp_path / "images", "n01", "n03")
    listed = tmp_path / "classes.txt"
    listed.write_text("n03 tench\nn02\nn01\n")
    made = prepare_with(PrepareRequest(images, out=tmp_path / "out", class_list=listed), SMALL)
    assert made.dataset.names == ("n01/1.png", "n03/1.png")
    assert made.dataset.labels == (2, 0)
    assert prepare_with(PrepareRequest(images, out=tmp_path / "plain"), SMALL).dataset.labels == (0, 1)


def test_class_folders_that_are_not_in_the_class_list_are_named(tmp_path: Path) -> None:
    images = _class_folders(tmp_path / "images", "n01", "n08", "n09")
    listed = tmp_path / "classes.txt"
    listed.write_text("n01\nn02\n")
    with pytest.raises(DatasetError) as caught:
        prepare_with(PrepareRequest(images, out=tmp_path / "out", class_list=listed), SMALL)
    assert_says(caught, f"2 class folders in {images} are not in {listed}", "add them there")
    assert caught.value.files == ("n08", "n09")


def test_a_class_list_for_images_without_any_class_says_what_is_missing(tmp_path: Path) -> None:
    images = _images(tmp_path / "images", 1)
    listed = tmp_path / "classes.txt"
    listed.write_text("n01\n")
    with pytest.raises(UsageError, match="lie in no class folders; give labels too"):
        prepare_with(PrepareRequest(images, out=tmp_path / "out", class_list=listed), SMALL)


def test_labels_by_synset_reach_the_record_from_the_command_line(tmp_path: Path) -> None:
    images = _images(tmp_path / "images", 2)
    (tmp_path / "classes.txt").write_text("n01 tench\nn02 goldfish\n")
    (tmp_path / "labels.txt").write_text("00.png n02\n01 n01\n")
    arguments = ["prepare", str(images), "--labels", str(tmp_path / "labels.txt"), "--resize", "10", "--crop", "8"]
    arguments += ["--class-list", str(tmp_path / "classes.txt"), "-o", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert load_prepared(tmp_path / "out").dataset.labels == (1, 0)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("00.png 1\n", ["1 of 2 images have no label", "01.png"]),
        ("00.png 1\n01.png 1\n02.png 1\n", ["1 of 3 labels", "have no image", "02.png"]),
        ("00.png 1\n01.png 1\n00.png 1\n", ["1 lines repeat a name", "line 3: '00.png'"]),
    ],
)
def test_images_and_labels_that_do_not_match_stop_before_any_work(
    tmp_path: Path, labels: str, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    images = _images(tmp_path / "images", 2)
    (tmp_path / "labels.txt").write_text(labels)
    arguments = ["prepare", str(images), "--labels", str(tmp_path / "labels.txt"), "-o", str(tmp_path / "out")]
    assert main([*arguments, "--preset", "resnet"]) == 1
    error = capsys.readouterr().err
    assert all(part in error for part in said)
    assert not (tmp_path / "out").exists()


def test_a_damaged_jpeg_that_is_decoded_on_the_way_is_in_the_record_too(
    tmp_path: Path, demo_choice: transform.TransformChoice
) -> None:
    pytest.importorskip("simplejpeg", reason="without it no warning is heard")
    import assay
    from assay import demo

    images, notes = tmp_path / "images", Notes()
    images.mkdir()
    for path in sorted(demo.IMAGES.iterdir())[:3]:
        shutil.copy(path, images)
    (images / "flipped.jpg").write_bytes(factories.damaged(factories.jpeg()))
    request = RunRequest(str(demo.ONNX), images=images, **vars(demo_choice), batch=(1, 2), no_prepare=True, out="RUN")
    run = assay.run(replace(request, out=tmp_path / "RUN", progress=notes)).run
    assert run.dataset is not None
    assert [warning.name for warning in run.dataset.warnings] == ["flipped.jpg"]
    assert any("flipped.jpg (Corrupt JPEG data" in warning for warning in run.warnings)
    assert sum("flipped.jpg" in said for said in notes.said) == 1
