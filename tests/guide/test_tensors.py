from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from assay import demo
from assay.data.sources import info_file
from assay.errors import DatasetError, RecordError, UnknownNameError, UsageError
from assay.guide.tensors import list_images, list_tensors, preprocess
from tests import factories
from tests.messages import assert_says


@pytest.mark.parametrize("model_type", ["resnet", "inceptionv3", "inceptionv4", "efficientnetb3"])
@pytest.mark.parametrize("kind", ["images", "edge"])
def test_tensors_are_the_originals_to_the_last_byte(model_type: str, kind: str, material: Path, tmp_path: Path) -> None:
    with (material / "golden" / f"preprocess_{kind}.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["mode"] == model_type]
    if not rows:
        pytest.skip(f"no outputs of the original for {model_type} on {kind}")
    assert not any(row["error"] for row in rows)
    (tmp_path / "in").mkdir()
    for row in rows:
        (tmp_path / "in" / row["file"]).symlink_to(material / kind / row["file"])
    out = tmp_path / "out"
    assert preprocess(model_type, tmp_path / "in", out) == len(rows)
    written = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir()}
    assert written == {row["bin"]: row["sha256"] for row in rows}


def test_a_tensor_is_the_normalised_image(tmp_path: Path) -> None:
    factories.write_image(tmp_path / "in" / "a.b.png", (224, 224))
    preprocess("resnet", tmp_path / "in", tmp_path / "out")
    pixels = np.asarray(Image.open(tmp_path / "in" / "a.b.png").resize((256, 256), Image.Resampling.BILINEAR))
    values = pixels[16:240, 16:240].astype(np.float32).transpose(2, 0, 1) / np.float32(255)
    values -= np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
    values /= np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1)
    assert (tmp_path / "out" / "a.bin").read_bytes() == values.tobytes()


def test_images_whose_tensors_would_have_one_name_are_named(tmp_path: Path) -> None:
    for name in ("a.b.png", "a.c.png", "d.png"):
        factories.write_image(tmp_path / "in" / name)
    with pytest.raises(DatasetError) as caught:
        preprocess("resnet", tmp_path / "in", tmp_path / "out")
    assert_says(caught, "1 tensors", "a.bin: a.b.png, a.c.png", "rename")
    assert not (tmp_path / "out").exists()


def test_one_broken_image_loses_no_other_and_nothing_is_written(tmp_path: Path) -> None:
    for number in range(10):
        factories.write_image(tmp_path / "in" / f"{number}.png")
    (tmp_path / "in" / "3.png").write_bytes(b"")
    (tmp_path / "in" / "7.png").write_bytes(b"no image")
    with pytest.raises(DatasetError) as caught:
        preprocess("resnet", tmp_path / "in", tmp_path / "out")
    assert_says(caught, "2 of 10 images", "3.png: empty file", "7.png: no image format")
    assert not (tmp_path / "out").exists()


def test_files_that_are_no_images_and_tensors_of_other_images_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from assay.progress import Lines

    factories.write_image(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "README.md").write_text("hello")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.bin").write_bytes(b"")
    assert preprocess("resnet", tmp_path / "in", tmp_path / "out", Lines()) == 1
    said = capsys.readouterr().err
    assert "skipped 1 files, no images by their names: README.md" in said
    assert "holds 1 tensors of other images too: old.bin" in said


def test_images_of_16_bits_are_white_as_the_guides_script_makes_them_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from assay.progress import Lines

    (tmp_path / "in").mkdir()
    grey = np.random.default_rng(1).integers(256, 65536, (300, 300)).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "in" / "deep.png")
    preprocess("resnet", tmp_path / "in", tmp_path / "out", Lines())
    pixels = np.fromfile(tmp_path / "out" / "deep.bin", "<f4").reshape(3, -1)
    assert [len(np.unique(channel)) for channel in pixels] == [1, 1, 1]
    said = capsys.readouterr().err
    assert "warning  " in said
    assert "deep.png (more than 8 bits a pixel, cut off at white)" in said


def test_an_unknown_model_type_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as caught:
        preprocess("resnext", demo.IMAGES, tmp_path)
    assert_says(caught, "resnext", "resnet", "inceptionv3", "inceptionv4", "efficientnetb3")


def test_a_file_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(RecordError) as caught:
        preprocess("demo", demo.IMAGES, tmp_path / "out")
    assert_says(caught, str(tmp_path / "out"), "choose another folder")


@pytest.mark.parametrize("folder", ["./prep", "prep", "prep/"])
def test_a_list_of_tensors_is_sorted_and_names_the_folder_as_it_was_given(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("prep").mkdir()
    for name in ("c", "a", "b d"):
        Path(f"prep/{name}.bin").write_bytes(b"\0" * 12)
    assert list_tensors(folder, Path("x.info"), 1, 1) == 3
    inside = folder.rstrip("/")
    assert Path("x.info").read_text() == f"0 {inside}/a.bin 1 1\n1 {inside}/b d.bin 1 1\n2 {inside}/c.bin 1 1\n"


def test_tensors_of_another_size_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\0" * 12)
    (tmp_path / "b.bin").write_bytes(b"\0" * 11)
    with pytest.raises(DatasetError) as caught:
        list_tensors(str(tmp_path), tmp_path / "x.info", 1, 1)
    assert_says(caught, "1 of 2 tensors", "b.bin: 11 bytes", "12 bytes")
    assert not (tmp_path / "x.info").exists()


def test_a_list_of_images_counts_each_suffix_from_zero(tmp_path: Path) -> None:
    for number, name in enumerate(["b.jpg", "a.jpg", "c.jpeg", "d.JPG", "e.JPEG", "f.png"]):
        (tmp_path / name).write_bytes(factories.jpeg((20 + number, 10)))
    assert list_images(str(tmp_path), tmp_path / "x.info") == 5
    assert (tmp_path / "x.info").read_text() == (
        f"0 {tmp_path}/a.jpg 21 10\n1 {tmp_path}/b.jpg 20 10\n0 {tmp_path}/c.jpeg 22 10\n"
        f"0 {tmp_path}/d.JPG 23 10\n0 {tmp_path}/e.JPEG 24 10\n"
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_sides_of_an_image_are_those_that_it_is_seen_with(orientation: int, tmp_path: Path) -> None:
    image, exif = Image.new("RGB", (20, 10)), Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.jpg", exif=exif)
    list_images(str(tmp_path), tmp_path / "x.info")
    width, height = ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg")).size
    assert (width, height) == ((10, 20) if orientation > 4 else (20, 10))
    assert (tmp_path / "x.info").read_text() == f"0 {tmp_path}/a.jpg {width} {height}\n"


def test_damaged_exif_turns_no_image(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    list_images(str(tmp_path), tmp_path / "x.info")
    assert (tmp_path / "x.info").read_text() == f"0 {tmp_path}/a.jpg 20 10\n"


@pytest.mark.material
def test_the_sides_of_a_turned_image_are_the_originals(material: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes((material / "edge" / "exif_rotated.jpg").read_bytes())
    list_images(str(tmp_path), tmp_path / "x.info")
    assert (tmp_path / "x.info").read_text() == f"0 {tmp_path}/a.jpg 333 500\n"


def test_images_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(factories.jpeg())
    (tmp_path / "b.jpg").write_bytes(b"no image")
    with pytest.raises(DatasetError) as caught:
        list_images(str(tmp_path), tmp_path / "x.info")
    assert_says(caught, "1 images", "b.jpg")
    assert not (tmp_path / "x.info").exists()


def test_folders_without_files_and_paths_through_the_folder_above_are_refused(tmp_path: Path) -> None:
    for folder, said in ((tmp_path, "no .bin file"), (tmp_path / "none", "no folder")):
        with pytest.raises(DatasetError) as caught:
            list_tensors(str(folder), tmp_path / "x.info", 1, 1)
        assert_says(caught, said, str(folder))
    with pytest.raises(DatasetError) as caught:
        list_images(str(tmp_path), tmp_path / "x.info")
    assert_says(caught, "no image", "JPEG")


def test_a_folder_above_is_listed_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "a.bin").write_bytes(b"\0" * 12)
    list_tensors("..", tmp_path / "x.info", 1, 1)
    assert (tmp_path / "x.info").read_text() == f"0 {tmp_path.resolve()}/a.bin 1 1\n"
    assert len(info_file.read(tmp_path / "x.info").paths) == 1


@pytest.mark.parametrize("name", ["a\nb", "a\udcffb", "a\tb"])
def test_names_that_no_line_can_hold_are_refused(name: str, tmp_path: Path) -> None:
    factories.write_image(tmp_path / "in" / f"{name}.png")
    with pytest.raises(DatasetError) as caught:
        preprocess("resnet", tmp_path / "in", tmp_path / "out")
    assert_says(caught, "1 names", "rename")
    (tmp_path / f"{name}.bin").write_bytes(b"\0" * 12)
    with pytest.raises(DatasetError) as caught:
        list_tensors(str(tmp_path), tmp_path / "x.info", 1, 1)
    assert_says(caught, "1 names", "rename")
    (tmp_path / f"of {name}").mkdir()
    (tmp_path / f"of {name}" / "a.bin").write_bytes(b"\0" * 12)
    with pytest.raises(DatasetError) as caught:
        list_tensors(str(tmp_path / f"of {name}"), tmp_path / "x.info", 1, 1)
    assert_says(caught, "1 names", "rename")
    assert not (tmp_path / "out").exists()


def test_links_are_refused_here_since_the_benchmark_does_not_follow_them(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\0" * 12)
    (tmp_path / "b.bin").symlink_to(tmp_path / "a.bin")
    (tmp_path / "c.bin").symlink_to(tmp_path / "none")
    with pytest.raises(DatasetError) as caught:
        list_tensors(str(tmp_path), tmp_path / "x.info", 1, 1)
    assert_says(caught, "2 of 3 tensors", "are links", "list the folder that they lead to", "b.bin", "c.bin")
    assert not (tmp_path / "x.info").exists()


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(DatasetError) as caught:
        list_tensors(str(tmp_path), tmp_path / "x.info", 1, 1)
    assert_says(caught, "a.bin: no file")


@pytest.mark.parametrize("linked", [False, True])
def test_a_folder_elsewhere_is_refused_here_and_listed_beside_its_files(
    linked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, here = tmp_path / "data" / "prep", tmp_path / "here"
    away.mkdir(parents=True)
    here.mkdir()
    (away / "a.bin").write_bytes(b"\0" * 12)
    (here / "prep").symlink_to(away)
    monkeypatch.chdir(here)
    for folder in ["./prep"] if linked else [str(away), "../data/prep"]:
        with pytest.raises(DatasetError) as caught:
            list_tensors(folder, Path("x.info"), 1, 1)
        assert_says(caught, "x.info lists files in", f"put the list beside them, as {tmp_path}/data/x.info")
        assert not Path("x.info").exists()
    # What the message advises.
    assert list_tensors(str(away), tmp_path / "data" / "x.info", 1, 1) == 1
    assert info_file.read(tmp_path / "data" / "x.info").paths == (f"{away}/a.bin",)


def test_a_side_that_no_list_can_hold_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "a.bin").open("wb") as file:
        file.truncate(12 * 100_000)
    with pytest.raises(UsageError, match="100000 1"):
        list_tensors(str(tmp_path), tmp_path / "x.info", 100_000, 1)
