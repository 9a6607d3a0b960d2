from __future__ import annotations

from pathlib import Path

import pytest

from assay.data.sources import folder
from assay.errors import DatasetError
from tests.messages import assert_says


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_images_of_a_flat_folder_are_sorted_by_name(tmp_path: Path) -> None:
    _touch(tmp_path / "b.png", tmp_path / "a.jpg", tmp_path / "C.JPEG")
    found = folder.find(tmp_path)
    assert found.names == ("C.JPEG", "a.jpg", "b.png")
    assert found.folders is None


@pytest.mark.parametrize("suffix", ["bmp", "gif", "jpeg", "jpg", "JPEG", "png", "ppm", "tif", "TIFF", "webp"])
def test_an_image_is_known_by_its_ending_in_either_case(tmp_path: Path, suffix: str) -> None:
    _touch(tmp_path / f"a.b.{suffix}")
    assert folder.find(tmp_path).names == (f"a.b.{suffix}",)


def test_files_that_are_no_images_are_listed(tmp_path: Path) -> None:
    _touch(tmp_path / "a.png", tmp_path / "README.md", tmp_path / "labels.txt", tmp_path / ".DS_Store")
    found = folder.find(tmp_path)
    assert found.names == ("a.png",)
    assert found.skipped == ("README.md", "labels.txt")


def test_class_folders_number_their_classes_by_name(tmp_path: Path) -> None:
    _touch(tmp_path / "dog/1.png", tmp_path / "cat/2.png", tmp_path / "cat/1.png", tmp_path / "cat/note.txt")
    found = folder.find(tmp_path)
    assert found.names == ("cat/1.png", "cat/2.png", "dog/1.png")
    assert found.classes(None) == (0, 0, 1)
    assert found.skipped == ("cat/note.txt",)


def test_a_class_folder_without_an_image_keeps_its_number(tmp_path: Path) -> None:
    (tmp_path / "bird").mkdir()
    _touch(tmp_path / "cat/1.png", tmp_path / ".hidden/1.png")
    found = folder.find(tmp_path)
    assert (found.folders, found.classes(None)) == (("bird", "cat"), (1,))


@pytest.mark.parametrize(
    ("images", "deeper"),
    [
        (("cat/1.JPEG", "cat/more/2.JPEG", "dog/3.JPEG"), ["cat/more/2.JPEG"]),
        (("a.png", "sub/b.png", "sub/in/c.png"), ["sub/b.png", "sub/in/c.png"]),
        (("cat/1.png", "dog/only/deeper/1.png"), ["dog/only/deeper/1.png"]),
    ],
)
def test_images_that_lie_deeper_are_named(images: tuple[str, ...], deeper: list[str], tmp_path: Path) -> None:
    _touch(*(tmp_path / name for name in images))
    with pytest.raises(DatasetError) as caught:
        folder.find(tmp_path)
    assert_says(caught, f"{len(deeper)} images in {tmp_path} lie deeper than others", "flat or with one folder a class")
    assert list(caught.value.files) == deeper


def test_folders_without_images_and_links_back_up_are_passed_over(tmp_path: Path) -> None:
    _touch(tmp_path / "images/cat/1.png", tmp_path / "images/cat/notes/read.me", tmp_path / "images/cat/.old/2.png")
    (tmp_path / "images/cat/up").symlink_to(tmp_path / "images", target_is_directory=True)
    (tmp_path / "images/cat/notes/loop").symlink_to(tmp_path / "images/cat", target_is_directory=True)
    assert folder.find(tmp_path / "images").names == ("cat/1.png",)
    _touch(tmp_path / "images/0.png")
    (tmp_path / "images/cat/1.png").unlink()
    assert folder.find(tmp_path / "images").names == ("0.png",)


def test_images_behind_a_link_to_a_folder_elsewhere_are_named_too(tmp_path: Path) -> None:
    _touch(tmp_path / "images/cat/1.png", tmp_path / "elsewhere/2.png")
    (tmp_path / "images/cat/more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(DatasetError) as caught:
        folder.find(tmp_path / "images")
    assert list(caught.value.files) == ["cat/more/2.png"]


def test_an_image_is_read_by_its_name(tmp_path: Path) -> None:
    _touch(tmp_path / "cat/1.png")
    assert folder.find(tmp_path).read("cat/1.png") == b"x"


def test_an_image_that_vanished_is_named(tmp_path: Path) -> None:
    _touch(tmp_path / "a.png", tmp_path / "b.png")
    found = folder.find(tmp_path)
    (tmp_path / "b.png").unlink()
    with pytest.raises(DatasetError) as caught:
        found.read("b.png")
    assert_says(caught, "cannot read image", str(tmp_path / "b.png"), "No such file")


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        folder.find(tmp_path / "val")
    assert_says(caught, f"no folder of images at {tmp_path / 'val'}", "give a folder of files or of class folders")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    _touch(tmp_path / "a.png")
    with pytest.raises(DatasetError) as caught:
        folder.find(tmp_path / "a.png")
    assert_says(caught, str(tmp_path / "a.png"), "give a folder")


def test_a_folder_without_images_says_how_images_end(tmp_path: Path) -> None:
    _touch(tmp_path / "README.md", tmp_path / "cat/note.txt")
    with pytest.raises(DatasetError) as caught:
        folder.find(tmp_path)
    assert_says(caught, f"no image in {tmp_path}", ".jpeg, .jpg, .png")


def test_a_link_whose_image_is_gone_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    _touch(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone/b.png")
    found = folder.find(tmp_path)
    assert "b.png" in (*found.names, *found.skipped)
