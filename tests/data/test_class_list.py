from __future__ import annotations

from pathlib import Path

import pytest

from assay.data import class_list
from assay.errors import DatasetError
from tests.messages import assert_says


def _file(folder: Path, text: str) -> Path:
    path = folder / "classes.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_class_is_called_by_its_id_or_by_its_whole_line(tmp_path: Path) -> None:
    found = class_list.read(_file(tmp_path, "n01 tench, Tinca tinca\nn02 goldfish\n"))
    assert found.number_of == {"n01": 0, "n01 tench, Tinca tinca": 0, "n02": 1, "n02 goldfish": 1}
    assert found.count == 2


def test_a_first_word_that_several_lines_share_stands_for_none(tmp_path: Path) -> None:
    found = class_list.read(_file(tmp_path, "great white shark\ngreat grey owl\nowl\n"))
    assert found.number_of == {"great white shark": 0, "great grey owl": 1, "owl": 2}


def test_a_byte_order_mark_carriage_returns_and_empty_lines_at_the_end_do_not_count(tmp_path: Path) -> None:
    found = class_list.read(_file(tmp_path, "\ufeffcat\r\ndog\r\n\r\n\n"))
    assert found.number_of == {"cat": 0, "dog": 1}


def test_an_empty_line_in_between_is_named_since_it_would_shift_what_follows(tmp_path: Path) -> None:
    path = _file(tmp_path, "cat\n\ndog\n")
    with pytest.raises(DatasetError) as caught:
        class_list.read(path)
    assert_says(caught, f"{path} is no class list", "line 2: empty", "a line a class")


def test_lines_that_cannot_be_told_apart_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        class_list.read(_file(tmp_path, "cat\ndog\ncat\n"))
    assert_says(caught, "2 lines cannot be told apart", "line 1: 'cat'", "line 3: 'cat'")


def test_an_empty_file_and_a_missing_one_say_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is no class list: give a line a class"):
        class_list.read(_file(tmp_path, "\n"))
    with pytest.raises(DatasetError, match="cannot read the class list"):
        class_list.read(tmp_path / "none.txt")


@pytest.mark.material
@pytest.mark.parametrize("name", ["imagenet_synsets.txt", "synset_words.txt"])
def test_the_lists_of_the_material_number_the_thousand_classes(material: Path, name: str) -> None:
    found = class_list.read(material / "labels" / name)
    assert (found.count, found.number_of["n01440764"], found.number_of["n15075141"]) == (1000, 0, 999)
