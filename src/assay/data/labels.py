"""Label files: a line an image, its name and its class, `ILSVRC2012_val_00000001.JPEG 65`.

The class stands last, behind a space, a tab or a comma; the name may hold spaces. Classes count from 0. A name
may stand with or without its suffix.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from assay.errors import DatasetError

_FIGURES = 9
"""No classifier has a class number of more."""


def read(path: Path) -> dict[str, int]:
    """Reads a label file into name → class; every line that cannot be read is named."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"cannot read the labels {path}: {error}; a text file in UTF-8 is expected") from error
    classes: dict[str, int] = {}
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        name, label = _split(entry)
        if not name or not label.isdecimal() or len(label) > _FIGURES:
            wrong.append(f"line {number}: {entry[:80]!r}")
        elif classes.setdefault(name, int(label)) != int(label):
            wrong.append(f"line {number}: {name!r} stands twice, with classes {classes[name]} and {label}")
    if wrong:
        raise DatasetError(f"{path}: {len(wrong)} lines are not a name and a class number from 0", wrong)
    if not classes:
        raise DatasetError(f"{path} holds no label; a line is a name and a class number, `image.jpg 65`")
    return classes


def match(names: Iterable[str], classes: Mapping[str, int], source: str) -> tuple[int, ...]:
    """Every image's class, in the order of the names; strict: each image has one label and each label an image.

    Raises `DatasetError` with the names of images without a label or labels without an image.
    """
    found = {name: _key(name, classes) for name in names}
    unlabelled = [name for name, key in found.items() if key is None]
    if unlabelled:
        raise DatasetError(
            f"{len(unlabelled)} of {len(found)} images have no label in {source}; "
            "add them there or take the images away",
            unlabelled,
        )
    used = [key for key in found.values() if key is not None]
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


def _split(entry: str) -> tuple[str, str]:
    """The name and the class of a line: what stands before and behind its last space, tab or comma."""
    for position in range(len(entry) - 1, -1, -1):
        if entry[position] in " \t,":
            return entry[:position].rstrip(" \t,"), entry[position + 1 :]
    return entry, ""


def _key(name: str, classes: Mapping[str, int]) -> str | None:
    """An image's key in the label file: its name, or else its name without the suffix."""
    without_suffix = str(PurePosixPath(name).with_suffix(""))
    return next((key for key in (name, without_suffix) if key in classes), None)
