"""ImageNet's own label files: the devkit's ground truth with its synsets, and Kaggle's solution."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from assay.data import ilsvrc, labels, text_file
from assay.data.class_list import ClassList
from assay.errors import DatasetError
from tests import archives
from tests.messages import assert_says

SYNSET_OF = {1: "n03", 2: "n01", 3: "n02"}
NAMES = ("b.JPEG", "c.JPEG", "a.JPEG", "d.JPEG")
IDS = (3, 1, 2, 1)
"""Of a, b, c and d: n02, n03, n01 and n03."""


def _beside(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / archives.TRUTH


@pytest.fixture
def devkit(tmp_path: Path) -> Path:
    return _beside(tmp_path, archives.devkit(IDS, SYNSET_OF, above=["n00"]))


def test_ids_are_of_the_images_in_the_order_of_their_names(devkit: Path) -> None:
    assert labels.classes_of(NAMES, devkit) == (2, 0, 1, 2)


def test_class_folders_do_not_change_that_order(devkit: Path) -> None:
    assert labels.classes_of(("z/a.JPEG", "y/b.JPEG", "x/c.JPEG", "w/d.JPEG"), devkit) == (1, 2, 0, 2)


def test_a_class_list_numbers_the_synsets(devkit: Path) -> None:
    listed = ClassList(Path("classes.txt"), 4, {"n03": 0, "n02": 1, "n01": 3})
    assert labels.classes_of(NAMES, devkit, listed) == (0, 3, 1, 0)
    with pytest.raises(DatasetError) as caught:
        labels.classes_of(NAMES, devkit, ClassList(Path("classes.txt"), 1, {"n03": 0}))
    assert_says(caught, "2 synsets of", "are not in classes.txt", "n01", "n02")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_the_archive_of_the_devkit_is_read_as_it_is(mode: str, tmp_path: Path) -> None:
    files = {f"kit/data/{name}": content for name, content in archives.devkit(IDS, SYNSET_OF).items()}
    path = archives.tar(tmp_path / "kit", {**files, "kit/evaluation/eval.m": b"%"}, mode)
    assert labels.classes_of(NAMES, path) == (2, 0, 1, 2)


def test_another_number_of_images_is_refused(devkit: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        labels.classes_of(NAMES[:3], devkit)
    assert_says(caught, f"{devkit} has 4 labels for 3 images", "does not name them")


def test_two_images_of_one_name_have_no_order(devkit: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        labels.classes_of(("x/a.JPEG", "y/a.JPEG", "b.JPEG", "c.JPEG"), devkit)
    assert_says(caught, "1 names stand for several images", "give labels with names", "a.JPEG")


def test_an_id_that_the_devkit_does_not_have_is_named(tmp_path: Path) -> None:
    path = _beside(tmp_path, archives.devkit((1, 2, 3, 77), SYNSET_OF, above=["n00"]))
    with pytest.raises(DatasetError) as caught:
        labels.classes_of(NAMES, path)
    assert_says(caught, "1 ids that meta.mat does not have", "77")


def test_a_ground_truth_without_its_synsets_says_what_is_missing(devkit: Path) -> None:
    devkit.with_name("meta.mat").unlink()
    with pytest.raises(DatasetError) as caught:
        labels.classes_of(NAMES, devkit)
    assert_says(caught, f"{devkit} holds ids", "its meta.mat is not beside it", "give the devkit's .tar.gz as labels")


def _other_table() -> bytes:
    written = io.BytesIO()
    scipy.io.savemat(written, {"synsets": np.zeros((2, 2))})
    return written.getvalue()


@pytest.mark.parametrize("content", [b"", b"hello", b"MATLAB 5.0 MAT-file" + bytes(400), _other_table()])
def test_a_table_of_synsets_that_is_none_is_named(content: bytes, devkit: Path) -> None:
    devkit.with_name("meta.mat").write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        labels.classes_of(NAMES, devkit)
    assert_says(caught, f"{devkit.with_name('meta.mat')} is not the table of synsets", "fetch it again")


def _bomb(megabytes: int) -> bytes:
    """A table of zeros in MATLAB's format, well packed."""
    size = megabytes << 20
    head = struct.pack("<IIII", 6, 8, 6, 0) + struct.pack("<IIii", 5, 8, size // 8, 1)
    head += struct.pack("<II8s", 1, 7, b"synsets") + struct.pack("<II", 9, size)
    compressor = zlib.compressobj()
    packed = [compressor.compress(struct.pack("<II", 14, len(head) + size) + head)]
    packed += [compressor.compress(bytes(1 << 20)) for _ in range(megabytes)]
    content = b"".join([*packed, compressor.flush()])
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H2s", 0x0100, b"IM")
    return header + struct.pack("<II", 15, len(content)) + content


def test_a_table_that_unpacks_to_more_than_it_may_is_ended(devkit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = _bomb(512)
    assert len(bomb) < 4 << 20
    devkit.with_name("meta.mat").write_bytes(bomb)
    monkeypatch.setattr(ilsvrc, "_READING_BYTES", 100 << 20)
    with pytest.raises(DatasetError) as caught:
        labels.classes_of(NAMES, devkit)
    assert_says(caught, "the reader of MATLAB files took more than 100", str(devkit.with_name("meta.mat")))


def test_an_archive_that_is_no_devkit_says_what_it_lacks(tmp_path: Path) -> None:
    path = archives.tar(tmp_path / "kit.tar.gz", {"meta.mat": b""}, "w:gz")
    with pytest.raises(DatasetError) as caught:
        labels.classes_of(NAMES, path)
    assert_says(caught, f"{path} is no ILSVRC devkit: it has no {archives.TRUTH}", "give a label file")


@pytest.mark.parametrize("cut", [20, 5])
def test_a_damaged_gzip_file_is_named(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "kit.tar.gz"
    path.write_bytes(gzip.compress(bytes(1000))[:-cut])
    with pytest.raises(DatasetError) as caught:
        labels.classes_of(NAMES, path)
    assert_says(caught, f"{path} is a damaged gzip file", "fetch it again")


def test_a_gzip_file_that_unpacks_to_any_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kit.tar.gz"
    path.write_bytes(gzip.compress(bytes(3 << 20)))
    monkeypatch.setattr(text_file, "LARGEST", 2 << 20)
    with pytest.raises(DatasetError) as caught:
        labels.classes_of(NAMES, path)
    assert_says(caught, f"{path} unpacks to more than 2 MiB")


def test_a_label_file_of_any_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("a.jpg 1\n" * 1000)
    monkeypatch.setattr(text_file, "LARGEST", 1000)
    with pytest.raises(DatasetError) as caught:
        labels.classes_of(NAMES, path)
    assert_says(caught, f"{path} has more than", "give a smaller file")


def _solution(folder: Path, text: str) -> Path:
    path = folder / "LOC_val_solution.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_kaggles_solution_names_images_and_the_synset_of_their_boxes(tmp_path: Path) -> None:
    path = _solution(tmp_path, archives.solution({"a": "n02", "b": "n01", "c": "n02", "d": "n01"}))
    listed = ClassList(Path("classes.txt"), 2, {"n01": 0, "n02": 1})
    assert labels.classes_of(NAMES, path, listed) == (0, 1, 1, 0)


def test_the_thousand_synsets_of_kaggles_solution_need_no_class_list(tmp_path: Path) -> None:
    names = [f"{number:04}.JPEG" for number in range(1000)]
    synsets = [f"n{number * 7 % 1000:08}" for number in range(1000)]
    path = _solution(tmp_path, archives.solution(dict(zip(names, synsets, strict=True))))
    assert labels.classes_of(names, path) == tuple(number * 7 % 1000 for number in range(1000))


def test_fewer_synsets_need_a_class_list(tmp_path: Path) -> None:
    path = _solution(tmp_path, archives.solution({"a": "n02"}))
    with pytest.raises(DatasetError) as caught:
        labels.classes_of(["a.JPEG"], path)
    assert_says(caught, f"{path} has 1 synsets, not ImageNet's 1000", "give class_list=FILE")


def test_lines_of_kaggles_solution_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    path = _solution(
        tmp_path, archives.solution({"a": "n02"}) + "b,\nc,n01 1 2 3 4 n02 1 2 3 4\na,n02 1 2 3 4\n,n01\n\n"
    )
    with pytest.raises(DatasetError) as caught:
        labels.classes_of(NAMES, path)
    assert_says(
        caught, f"{path}: 4 lines are not one image and boxes of one synset", "line 3: 'b,'", "line 4", "line 6"
    )
    assert "line 5: 'a' stands in line 2" in caught.value.files
