"""Label files: a line an image, its name and its class, `ILSVRC2012_val_00000001.JPEG 65`.

The class stands last, behind a space, a tab or a comma; the name may hold spaces. Classes count from 0; with a
class list a class may also be called by its name there, such as the synset `n01440764`. A name may stand with or
without its suffix. ImageNet's own label files are known by what they hold: `ilsvrc.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from assay.data import ilsvrc, text_file
from assay.data.class_list import NAMED_CLASSES, ClassList
from assay.errors import DatasetError

_SEPARATORS = " \t,"
_FIGURES = 9
"""No classifier has a class number of more."""


class Label(NamedTuple):
    """An image's class, and the line that says so."""

    number: int
    line: int


def classes_of(names: Sequence[str], path: Path, class_list: ClassList | None = None) -> tuple[int, ...]:
    """Every image's class by any form of label file, in the order of the names; as strict as `match`."""
    truth = ilsvrc.ground_truth(path)
    if truth is not None:
        return ilsvrc.match(names, truth, class_list)
    return match(names, read(path, class_list), str(path))


def read(path: Path, class_list: ClassList | None = None) -> dict[str, int]:
    """Reads a label file into name → class; every line that cannot be used is named."""
    return {name: label.number for name, label in read_lines(path, class_list).items()}


def read_lines(path: Path, class_list: ClassList | None = None) -> dict[str, Label]:
    """As `read`, with the line that each label stands in."""
    text = text_file.read(path, "labels")
    if text.startswith(ilsvrc.KAGGLE_HEADER):
        return {name: Label(*known) for name, known in ilsvrc.solution(path, text, class_list).items()}
    labels: dict[str, Label] = {}
    wrong: list[str] = []
    twice: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        name, label = _split(entry, class_list)
        if not name or label is None:
            wrong.append(f"line {number}: {entry[:80]!r}")
        elif name in labels:
            twice.append(
                f"line {number}: {name!r} with class {label} stands in line {labels[name].line} "
                f"with class {labels[name].number}"
            )
        else:
            labels[name] = Label(label, number)
    if wrong:
        raise DatasetError(
            f"{path}: {len(wrong)} lines are not a name and {_a_class(class_list)}",
            wrong,
            remedy=NAMED_CLASSES if class_list is None else None,
        )
    if twice:
        raise DatasetError(f"{path}: {len(twice)} lines repeat a name; leave one line for each image", twice)
    if not labels:
        raise DatasetError(f"{path} holds no label; a line is a name and a class number, `image.jpg 65`")
    return labels


def match(names: Iterable[str], classes: Mapping[str, int], source: str) -> tuple[int, ...]:
    """Every image's class, in the order of the names; strict: each image has one label and each label an image.

    Raises `DatasetError` with the names of images without a label or labels without an image.
    """
    keys = {name: _key(name, classes) for name in names}
    unlabelled = [name for name, key in keys.items() if key is None]
    if unlabelled:
        raise DatasetError(
            f"{len(unlabelled)} of {len(keys)} images have no label in {source}; "
            "add them there or take the images away",
            unlabelled,
        )
    used = [key for key in keys.values() if key is not None]
    unused = sorted(set(classes) - set(used))
    if unused:
        raise DatasetError(
            f"{len(unused)} of {len(classes)} labels in {source} have no image; add the images or take the labels away",
            unused,
        )
    twice = sorted(key for key, count in Counter(used).items() if count > 1)
    if twice:
        raise DatasetError(f"{len(twice)} labels in {source} stand for several images each; add the suffix", twice)
    return tuple(classes[key] for key in used)


def _split(entry: str, class_list: ClassList | None) -> tuple[str, int | None]:
    """The name and the class of a line; the class is None where what stands last is none.

    A class of the list may hold spaces and commas itself: the longest that fits is meant.
    """
    places = [position for position, letter in enumerate(entry) if letter in _SEPARATORS]
    if not places:
        return entry, None
    for position in places if class_list is not None else ():
        name, rest = entry[:position].rstrip(_SEPARATORS), entry[position:].lstrip(_SEPARATORS)
        if name and class_list is not None and rest in class_list.number_of:
            return name, class_list.number_of[rest]
    name, last = entry[: places[-1]].rstrip(_SEPARATORS), entry[places[-1] + 1 :]
    is_number = last.isdecimal() and len(last) <= _FIGURES
    if not is_number or (class_list is not None and int(last) >= class_list.count):
        return name, None
    return name, int(last)


def _a_class(class_list: ClassList | None) -> str:
    if class_list is None:
        return "a class number from 0"
    return f"a class of {class_list.path}: one of its names, or a number from 0 to {class_list.count - 1}"


def _key(name: str, classes: Mapping[str, int]) -> str | None:
    """An image's key in the label file: its name, or else its name without the suffix."""
    without_suffix = str(PurePosixPath(name).with_suffix(""))
    return next((key for key in (name, without_suffix) if key in classes), None)
