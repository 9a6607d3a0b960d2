"""Classes by the folders that images lie in: by a class list, by their order, or by what their names say of a model."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath

from assay import units
from assay.data.class_list import ClassList
from assay.errors import DatasetError, Option, Remedy, UsageError

_SYNSET = re.compile(r"(n\d{8})(?!\d)")
_DIGITS = 9
"""No classifier has a class number of more."""
_WITH_BACKGROUND = 1001
_LIST = Remedy("give a {} with the model's classes in order", Option("class_list"))


def numbered(
    names: Sequence[str], folders: Sequence[str] | None, path: Path, class_list: ClassList | None
) -> tuple[int, ...] | None:
    """Every image's class: its folder's in the class list, or its folder's place; None without class folders.

    Raises `DatasetError` with the folders that the list does not have.
    """
    if folders is None:
        if class_list is not None:
            raise UsageError(
                f"{class_list.path} numbers classes, and the images of {path} lie in no class folders",
                remedy=Remedy("give {} too, or leave out {}", Option("labels"), Option("class_list")),
            )
        return None
    if class_list is None:
        return of_images(names, {folder: place for place, folder in enumerate(folders)})
    used = {folder_of(name) for name in names}
    unknown = sorted(used - set(class_list.number_of))
    if unknown:
        raise DatasetError(
            f"{len(unknown)} class folders in {path} are not in {class_list.path}; add them there, in the model's "
            "order, or take them away",
            unknown,
        )
    return of_images(names, class_list.number_of)


def folder_of(name: str) -> str:
    """The class folder of an image."""
    return PurePosixPath(name).parent.name


def of_images(names: Sequence[str], class_of: Mapping[str, int]) -> tuple[int, ...]:
    """Every image's class, by that of its folder."""
    return tuple(class_of[folder_of(name)] for name in names)


@dataclass(frozen=True)
class Meaning:
    """Which class of a model each class folder is, and how that was read."""

    class_of: Mapping[str, int]
    how: str
    assumed: bool
    """Whether the names leave it open."""

    def __str__(self) -> str:
        shown = [f"{folder} is class {number}" for folder, number in self.class_of.items()]
        return f"class folders {self.how}: {units.names(tuple(shown))}"


def meaning(folders: Sequence[str], classes: int, class_names: Sequence[str] | None, path: Path) -> Meaning:
    """The class of each folder in a model of so many classes.

    Names that are numbers, ImageNet's synsets or the model's own class names mean what they say. Any others are taken
    in alphabetical order, as torchvision's ImageFolder does, if there are as many folders as classes. Raises
    `DatasetError` if the names cannot say which classes they are.
    """
    readings = (_by_class_name, _by_number, _by_synset)
    for reading in readings:
        if (read := reading(folders, classes, class_names or (), path)) is not None:
            return read
    if len(folders) != classes:
        raise DatasetError(
            f"{path} has {len(folders)} class folders and the model {classes} classes, so the folders' order cannot "
            "say which classes they are",
            remedy=_LIST,
        )
    if sorted(folders) != sorted(folders, key=_natural):
        raise DatasetError(
            f"the class folders in {path} have numbers in their names, and as text {_out_of_order(folders)}",
            remedy=_LIST,
        )
    return Meaning({folder: place for place, folder in enumerate(sorted(folders))}, "in alphabetical order", True)


def _by_class_name(folders: Sequence[str], classes: int, names: Sequence[str], path: Path) -> Meaning | None:
    places = [_plain(name) for name in names]
    if not all(_plain(folder) in places for folder in folders):
        return None
    alike = Counter(places)
    ambiguous = [folder for folder in folders if alike[_plain(folder)] > 1]
    if ambiguous:
        raise DatasetError(
            f"{len(ambiguous)} class folders in {path} have the name of more than one class", ambiguous, remedy=_LIST
        )
    return Meaning({folder: places.index(_plain(folder)) for folder in folders}, "by the model's class names", False)


def _by_number(folders: Sequence[str], classes: int, names: Sequence[str], path: Path) -> Meaning | None:
    if not all(folder.isascii() and folder.isdecimal() and len(folder) <= _DIGITS for folder in folders):
        return None
    numbers = {folder: int(folder) for folder in sorted(folders, key=int)}
    # Folders of one number stand next to each other.
    if alike := next((pair for pair in itertools.pairwise(numbers) if numbers[pair[0]] == numbers[pair[1]]), None):
        raise DatasetError(f"class folders {alike[0]} and {alike[1]} in {path} are the same number; rename one")
    if max(numbers.values()) < classes:
        complete = list(numbers.values()) == list(range(classes))
        return Meaning(numbers, "by number, from 0", not complete or sorted(folders) != list(numbers))
    if list(numbers.values()) == list(range(1, classes + 1)):
        return Meaning({folder: number - 1 for folder, number in numbers.items()}, "by number, from 1", True)
    outside = [folder for folder, number in numbers.items() if number >= classes]
    raise DatasetError(
        f"{len(outside)} of {len(folders)} class folders in {path} are numbers outside the model's classes 0 to "
        f"{classes - 1}{'; they seem to count from 1' if [numbers[folder] for folder in outside] == [classes] else ''}",
        outside,
        remedy=_LIST,
    )


def _by_synset(folders: Sequence[str], classes: int, names: Sequence[str], path: Path) -> Meaning | None:
    synsets = {folder: match[1] for folder in folders if (match := _SYNSET.match(folder)) is not None}
    if classes not in (len(imagenet()), _WITH_BACKGROUND) or len(synsets) != len(folders):
        return None
    unknown = [folder for folder, synset in synsets.items() if synset not in imagenet()]
    if unknown:
        raise DatasetError(
            f"{len(unknown)} of {len(folders)} class folders in {path} are none of ImageNet's 1,000 synsets",
            unknown,
            remedy=_LIST,
        )
    class_of = {folder: imagenet()[synset] for folder, synset in synsets.items()}
    # A model that does not name its classes may be of 1,000 others.
    return Meaning(class_of, "by ImageNet's order of synsets", not names)


@cache
def imagenet() -> Mapping[str, int]:
    """The class number of each of the 1,000 synsets of ILSVRC 2012."""
    text = resources.files("assay.data").joinpath("imagenet_synsets.txt").read_text(encoding="ascii")
    return {synset: number for number, synset in enumerate(text.split())}


def _plain(name: str) -> str:
    """A name as it may stand in a path: words apart by underscores or spaces, in either case."""
    return " ".join(name.replace("_", " ").casefold().split())


def _natural(name: str) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name)]


def _out_of_order(folders: Sequence[str]) -> str:
    """Two folders that stand in another order as text than by their numbers."""
    places = {folder: place for place, folder in enumerate(sorted(folders, key=_natural))}
    pairs = itertools.pairwise(sorted(folders))
    first, second = next((one, other) for one, other in pairs if places[one] > places[other])
    return f"{first} comes before {second}"
