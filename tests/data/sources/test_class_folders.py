from __future__ import annotations

from pathlib import Path

import pytest

from assay.data.sources import class_folders
from assay.errors import DatasetError
from tests.messages import assert_says

VAL = Path("val")


@pytest.mark.parametrize(
    ("folders", "classes", "names", "expected", "assumed"),
    [
        (["0", "1", "10", "2"], 20, None, [0, 1, 10, 2], True),
        ([str(number) for number in range(12)], 12, None, list(range(12)), True),
        ([f"{number:02}" for number in range(12)], 12, None, list(range(12)), False),
        ([str(number) for number in range(1, 13)], 12, None, list(range(12)), True),
        (["3", "7"], 10, None, [3, 7], True),
        (["n01443537", "n01440764"], 1000, None, [1, 0], True),
        (["n01443537", "n01440764"], 1000, ["tench", "goldfish"], [1, 0], False),
        (["n01440764_tench", "n15075141"], 1001, None, [0, 999], True),
        (["tench", "great white shark"], 3, ["tench", "goldfish", "Great_white_shark"], [0, 2], False),
        (["1", "0"], 2, ["1", "0"], [0, 1], False),
        (["cat", "ant", "dog"], 3, None, [1, 0, 2], True),
        (["cat", "ant"], 2, ["a", "b"], [1, 0], True),
    ],
)
def test_names_of_class_folders_mean_what_they_say(
    folders: list[str], classes: int, names: list[str] | None, expected: list[int], assumed: bool
) -> None:
    read = class_folders.meaning(folders, classes, names, VAL)
    assert [read.class_of[folder] for folder in folders] == expected
    assert read.assumed == assumed


@pytest.mark.parametrize(
    ("folders", "classes", "names", "message"),
    [
        (["ant", "cat"], 10, None, "has 2 class folders and the model 10 classes"),
        (["ant", "cat"], 10, ["ant", "bee"], "has 2 class folders and the model 10 classes"),
        (["1", "2", "3", "12"], 10, None, "1 of 4 class folders in val are numbers outside the model's classes 0 to 9"),
        (["8", "9", "10"], 10, None, "they seem to count from 1"),
        (["01", "2", "1"], 10, None, "class folders 01 and 1 in val are the same number; rename one"),
        (["n01440764", "n99999999"], 1000, None, "1 of 2 class folders in val are none of ImageNet's 1,000 synsets"),
        (["crane", "hen"], 3, ["crane", "hen", "crane"], "1 class folders in val have the name of more than one class"),
        ([f"c{number}" for number in range(11)], 11, None, "as text c10 comes before c2"),
    ],
)
def test_class_folders_that_leave_their_classes_open_are_refused(
    folders: list[str], classes: int, names: list[str] | None, message: str
) -> None:
    with pytest.raises(DatasetError) as caught:
        class_folders.meaning(folders, classes, names, VAL)
    assert_says(caught, message)


def test_the_mapping_is_shown() -> None:
    read = class_folders.meaning(["3", "7"], 10, None, VAL)
    assert str(read) == "class folders by number, from 0: 3 is class 3, 7 is class 7"


def test_the_synsets_are_those_of_imagenet_in_order() -> None:
    synsets = list(class_folders.imagenet())
    assert (len(synsets), synsets[0], synsets[65], synsets[999]) == (1000, "n01440764", "n01751748", "n15075141")
    assert synsets == sorted(synsets)
