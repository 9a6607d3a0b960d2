from __future__ import annotations

from pathlib import Path

import pytest

from assay.data import labels
from assay.data.class_list import ClassList
from assay.errors import DatasetError
from tests.messages import assert_says


def _file(folder: Path, text: str) -> Path:
    path = folder / "val_label.txt"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "name", "number"),
    [
        ("ILSVRC2012_val_00000001.JPEG 65", "ILSVRC2012_val_00000001.JPEG", 65),
        ("a.jpg\t3", "a.jpg", 3),
        ("a.jpg,3", "a.jpg", 3),
        ("a.jpg, 3", "a.jpg", 3),
        ("  a.jpg    3  ", "a.jpg", 3),
        ("a.jpg 0", "a.jpg", 0),
        ("a.jpg 007", "a.jpg", 7),
        ("space and ünïcode 图.jpg 94", "space and ünïcode 图.jpg", 94),
        ("one, two.jpg 5", "one, two.jpg", 5),
        ("two.dots.name.jpg 875", "two.dots.name.jpg", 875),
        ("cat/a.jpg 1", "cat/a.jpg", 1),
        ("without_suffix 2", "without_suffix", 2),
    ],
)
def test_a_line_is_a_name_and_its_class(tmp_path: Path, line: str, name: str, number: int) -> None:
    assert labels.read(_file(tmp_path, line + "\n")) == {name: number}


def test_empty_lines_comments_a_byte_order_mark_and_carriage_returns_do_not_count(tmp_path: Path) -> None:
    path = _file(tmp_path, "\ufeff# name class\r\na.jpg 1\r\n\r\nb.jpg 2")
    assert labels.read(path) == {"a.jpg": 1, "b.jpg": 2}


@pytest.mark.parametrize("second", ["a.jpg 1", "a.jpg 3", "a.jpg,3"])
def test_a_name_that_stands_twice_is_named_with_both_lines_and_classes(tmp_path: Path, second: str) -> None:
    path = _file(tmp_path, f"a.jpg 1\nb.jpg 2\n{second}\n")
    with pytest.raises(DatasetError) as caught:
        labels.read(path)
    assert_says(caught, f"{path}: 1 lines repeat a name", "leave one line for each image")
    assert_says(caught, f"line 3: 'a.jpg' with class {second[-1]} stands in line 1 with class 1")


@pytest.mark.parametrize("line", ["a.jpg", "a.jpg cat", "a.jpg -1", "a.jpg 1.0", "65", " 65", "a.jpg ²"])
def test_a_line_that_is_no_label_is_named_with_its_number(tmp_path: Path, line: str) -> None:
    path = _file(tmp_path, f"first.jpg 1\n{line}\n")
    with pytest.raises(DatasetError) as caught:
        labels.read(path)
    assert_says(caught, f"{path}: 1 lines are not a name and a class number from 0", "line 2", line.strip())


def test_every_line_that_is_no_label_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        labels.read(_file(tmp_path, "a.jpg x\nb.jpg 2\nc.jpg y\n"))
    assert caught.value.files == ("line 1: 'a.jpg x'", "line 3: 'c.jpg y'")


def test_a_class_of_too_many_figures_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        labels.read(_file(tmp_path, "a.jpg " + "9" * 5000))
    assert_says(caught, "line 1", "a.jpg")


CLASSES = ClassList(Path("classes.txt"), 3, {"n01": 0, "n02": 1, "great white shark": 2, "shark": 0, "tench, Tinca": 1})


@pytest.mark.parametrize(
    ("line", "name", "number"),
    [
        ("ILSVRC2012_val_00000001.JPEG n02", "ILSVRC2012_val_00000001.JPEG", 1),
        ("a.jpg\tn01", "a.jpg", 0),
        ("a.jpg,n01", "a.jpg", 0),
        ("with a space.jpg n02", "with a space.jpg", 1),
        ("a.jpg 2", "a.jpg", 2),
        ("a.jpg great white shark", "a.jpg", 2),
        ("a.jpg, great white shark", "a.jpg", 2),
        ("white shark.jpg shark", "white shark.jpg", 0),
        ("a.jpg\ttench, Tinca", "a.jpg", 1),
    ],
)
def test_a_class_may_go_by_its_name_in_a_class_list(tmp_path: Path, line: str, name: str, number: int) -> None:
    assert labels.read(_file(tmp_path, line), CLASSES) == {name: number}


@pytest.mark.parametrize("line", ["a.jpg n03", "a.jpg 3", "a.jpg whale", "n01"])
def test_a_class_that_the_list_does_not_have_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(DatasetError) as caught:
        labels.read(_file(tmp_path, f"b.jpg n01\n{line}\n"), CLASSES)
    assert_says(
        caught, "1 lines are not a name and a class of classes.txt", "a number from 0 to 2", f"line 2: {line!r}"
    )


def test_a_synset_without_a_class_list_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        labels.read(_file(tmp_path, "a.jpg n01440764\n"))
    assert_says(caught, "line 1: 'a.jpg n01440764'", "give class_list=FILE")


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n"])
def test_a_file_without_a_label_says_what_a_line_looks_like(tmp_path: Path, text: str) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(DatasetError) as caught:
        labels.read(path)
    assert_says(caught, str(path), "holds no label", "`image.jpg 65`")


def test_a_label_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        labels.read(tmp_path / "none.txt")
    assert_says(caught, str(tmp_path / "none.txt"), "a text file in UTF-8 is expected")


def test_a_label_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(b"\xff\xd8\xff\xe0 an image")
    with pytest.raises(DatasetError) as caught:
        labels.read(path)
    assert_says(caught, str(path), "a text file in UTF-8 is expected")


def test_classes_stand_in_the_order_of_the_images() -> None:
    assert labels.match(["b.jpg", "a.jpg"], {"a.jpg": 1, "b.jpg": 2}, "labels.txt") == (2, 1)


def test_a_label_may_stand_without_the_suffix() -> None:
    assert labels.match(["a.jpg", "cat/b.png"], {"a": 1, "cat/b": 2}, "labels.txt") == (1, 2)


def test_only_the_suffix_is_left_out() -> None:
    assert labels.match(["two.dots.jpg"], {"two.dots": 4}, "labels.txt") == (4,)


def test_an_image_without_a_label_is_named() -> None:
    with pytest.raises(DatasetError) as caught:
        labels.match(["a.jpg", "b.jpg"], {"a.jpg": 1}, "labels.txt")
    assert_says(caught, "1 of 2 images have no label in labels.txt", "add them there or take the images away")
    assert caught.value.files == ("b.jpg",)


def test_a_label_without_an_image_is_named() -> None:
    with pytest.raises(DatasetError) as caught:
        labels.match(["a.jpg"], {"a.jpg": 1, "c.jpg": 2, "b.jpg": 2}, "labels.txt")
    assert_says(caught, "2 of 3 labels in labels.txt have no image", "add the images or take the labels away")
    assert caught.value.files == ("b.jpg", "c.jpg")


def test_two_names_with_one_stem_are_told_apart_by_their_suffix() -> None:
    assert labels.match(["a.jpg", "a.png"], {"a.jpg": 1, "a.png": 2}, "labels.txt") == (1, 2)


def test_a_label_for_two_images_is_named() -> None:
    with pytest.raises(DatasetError) as caught:
        labels.match(["a.jpg", "a.png"], {"a": 1}, "labels.txt")
    assert_says(caught, "labels.txt", "several images", "add the suffix")
    assert caught.value.files == ("a",)


@pytest.mark.material
def test_the_labels_of_the_material_are_those_of_its_table(material: Path) -> None:
    found = labels.read(material / "labels/val_label.txt")
    assert len(found) == 200
    assert found["01244097ca8ffdfa.png"] == 90
    names = sorted(path.name for path in (material / "images").iterdir())
    assert len(labels.match(names, found, "val_label.txt")) == 200
