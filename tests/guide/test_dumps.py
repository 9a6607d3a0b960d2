from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.errors import DatasetError
from assay.guide import dumps
from tests.messages import assert_says


def write(folder: Path, count: int = 3, classes: int = 4, binary: bool = False) -> dumps.Scores:
    scores = np.random.default_rng(0).normal(0, 20, (count, classes)).astype(np.float32)
    for number, row in enumerate(scores):
        (folder / dumps.file_name(f"image_{number}", binary)).write_bytes(dumps.content(row, binary))
    return scores


def test_text_has_six_decimals_and_a_space_behind_each(tmp_path: Path) -> None:
    assert dumps.content(np.array([1.5, -20.25, 0], np.float32), binary=False) == b"1.500000 -20.250000 0.000000 \n"


def test_the_text_of_the_original_is_ours(material: Path) -> None:
    folder = material / "golden" / "dumpOutput_device0"
    images, scores = dumps.read(folder)
    for image, row in zip(images, scores, strict=True):
        assert dumps.content(row, binary=False) == (folder / dumps.file_name(image, binary=False)).read_bytes()


@pytest.mark.parametrize("count", [1, 3, 200])
def test_text_is_read_back_to_its_six_decimals(count: int, tmp_path: Path) -> None:
    scores = write(tmp_path, count)
    images, found = dumps.read(tmp_path)
    order = [int(image.rpartition("_")[2]) for image in images]
    assert sorted(order) == list(range(count))
    assert np.array_equal(found, np.array([[np.float32(f"{value:f}") for value in row] for row in scores[order]]))


def test_binary_is_read_back_to_the_last_bit(tmp_path: Path) -> None:
    scores = write(tmp_path, binary=True)
    assert np.array_equal(dumps.read(tmp_path)[1], scores)


def test_an_image_is_the_stem_up_to_its_last_underscore_whatever_the_outputs_number(tmp_path: Path) -> None:
    (tmp_path / "n01_val_7_0.bin").write_bytes(np.array([1, 2], np.float32).tobytes())
    (tmp_path / "n02_val_8_1.txt").write_bytes(b"1.000000 2.000000 \n")
    images, scores = dumps.read(tmp_path)
    assert images == ("n01_val_7", "n02_val_8")
    assert scores.tolist() == [[1, 2], [1, 2]]


def test_text_that_other_tools_write_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "a_1.txt").write_text("1 2.5  -3e1")
    (tmp_path / "b_1.txt").write_text("1.0000001 .5 3.\n\n")
    assert dumps.read(tmp_path)[1].tolist() == [[1, 2.5, -30], [np.float32(1.0000001), 0.5, 3]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"1.000000 x.000000 3.000000 4.000000 \n", "line 1: value 2 is 'x.000000', not a number"),
        (b"1.000000 1e39 3.000000 4.000000 \n", "value 2 is 1e+39, which is no finite float32"),
        (b"1.000000 1e400 3.000000 4.000000 \n", "value 2 is inf, which is no finite float32"),
        (b"1.000000 nan 3.000000 4.000000 \n", "line 1: value 2 is 'nan', not a number"),
        (b"1.000000 2.000000 3.000000 \n", "3 classes, and its neighbours have 4"),
        (b"1.000000 2.000000 3.000000 4.000000 5.000000 \n", "5 classes, and its neighbours have 4"),
        (b"", "line 1: empty; the scores of one image are expected"),
        (b"1.000000 2.000000 \n3.000000 4.000000 \n", "line 2: '3.000000 4.000000 ', and one line is expected"),
        (b"\x00\xff\xfe", "not a number"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_damaged_dump_is_named_with_what_was_expected(content: bytes, said: str, place: int, tmp_path: Path) -> None:
    write(tmp_path)
    name = dumps.file_name(f"image_{place}", binary=False)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        dumps.read(tmp_path)
    assert_says(caught, str(tmp_path), "1 of 3 dumps", f"{name}", said, "run benchmark again")


def test_a_cut_off_binary_dump_is_named(tmp_path: Path) -> None:
    write(tmp_path, binary=True)
    (tmp_path / "image_1_1.bin").write_bytes(b"\0" * 15)
    with pytest.raises(DatasetError) as caught:
        dumps.read(tmp_path)
    assert_says(caught, "image_1_1.bin: 15 bytes, which are no whole number of float32 values")


def test_other_files_and_second_dumps_of_an_image_are_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "README.md").write_text("hello")
    with pytest.raises(DatasetError) as caught:
        dumps.read(tmp_path)
    assert_says(caught, "1 of 4 files are no dumps", "README.md")
    (tmp_path / "README.md").rename(tmp_path / "image_1_1.bin")
    with pytest.raises(DatasetError) as caught:
        dumps.read(tmp_path)
    assert_says(caught, "1 images have two dumps", "image_1_1.bin and image_1_1.txt")


def test_a_missing_or_empty_folder_is_said(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(DatasetError) as caught:
            dumps.read(folder)
        assert_says(caught, str(folder), "benchmark wrote")
