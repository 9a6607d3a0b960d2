"""WebDataset shards: `.tar` files in which `0001.jpg` and its class `0001.cls` lie side by side."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from assay.data.class_list import NAMED_CLASSES, ClassList
from assay.data.sources.archive import Archive
from assay.data.sources.folder import is_image
from assay.errors import DatasetError, Option, Remedy, UsageError

_CLASS = ".cls"
_LARGEST_CLASS = 256
"""Bytes of a class: a number or a name."""
_FIGURES = 9
_MOST_SHARDS = 100_000
_BRACES = re.compile(r"(\{\d{1,9}\.\.\d{1,9}\}|\{[^{}]*,[^{}]*\})")


@dataclass(frozen=True)
class Shards:
    """The samples of WebDataset shards, sorted by name."""

    archive: Archive
    names: tuple[str, ...]
    """Of the images: the key with the image's ending."""
    skipped: tuple[str, ...]

    @property
    def folders(self) -> None:
        """A sample has its class beside it."""

    @property
    def path(self) -> Path:
        """Where the shards lie."""
        return self.archive.path

    def read(self, name: str) -> bytes:
        """The bytes of one image."""
        return self.archive.read(name)

    def stamp(self, name: str) -> object:
        """What tells cheaply that an image was touched."""
        return self.archive.stamp(name)

    def classes(self, class_list: ClassList | None) -> tuple[int, ...] | None:
        """Every image's class by its sample; one that goes by its name needs the class list."""
        return _classes(self, class_list)


def is_sampled(archive: Archive) -> bool:
    """Whether archives hold samples with their classes, and not images alone."""
    return any(name.endswith(_CLASS) for name in archive.places)


def samples(archive: Archive) -> Shards:
    """The images of the samples; raises `DatasetError` where there is none."""
    images = sorted(filter(is_image, archive.places))
    if not images:
        raise DatasetError(f"no image in the samples of {archive.path}; a sample is an image and its class in .cls")
    keys = {_key(name) for name in images}
    # What else a sample holds, such as its .json, is no file that somebody takes for an image.
    others = sorted(name for name in archive.places if not is_image(name) and _key(name) not in keys)
    return Shards(archive, tuple(images), tuple(others))


def in_folder(path: Path) -> list[Path]:
    """The shards in a folder, in their order."""
    try:
        return sorted(entry for entry in path.iterdir() if entry.suffix == ".tar" and not entry.name.startswith("."))
    except OSError as error:
        raise DatasetError(f"cannot list {path}: {error.strerror or error}; check its permissions") from error


def is_pattern(path: Path) -> bool:
    """Whether a path stands for several, `val-{000..049}.tar` or `{a,b}.tar`."""
    return _BRACES.search(str(path)) is not None


def expanded(path: Path) -> list[Path]:
    """The paths that a pattern stands for, as a shell would make them."""
    choices = [list(_choices(part, path)) for part in _BRACES.split(str(path))]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > _MOST_SHARDS:
        raise _too_many(path)
    return [Path("".join(parts)) for parts in itertools.product(*choices)]


def _choices(part: str, path: Path) -> Iterator[str]:
    if not _BRACES.fullmatch(part):
        yield part
        return
    if "," in part:
        yield from part[1:-1].split(",")
        return
    first, last = part[1:-1].split("..")
    if int(last) < int(first):
        raise UsageError(f"{part} in {path} counts down; give the lower number first")
    if int(last) - int(first) >= _MOST_SHARDS:
        raise _too_many(path)
    width = len(first) if first.startswith("0") else 0
    yield from (f"{number:0{width}}" for number in range(int(first), int(last) + 1))


def _too_many(path: Path) -> UsageError:
    return UsageError(f"{path} stands for more than {_MOST_SHARDS} shards; give their folder")


def _classes(shards: Shards, class_list: ClassList | None) -> tuple[int, ...]:
    class_files = {_key(name): name for name in shards.archive.places if name.endswith(_CLASS)}
    keys = [_key(name) for name in shards.names]
    _require_pairs(shards, keys, class_files)
    large = [name for name in class_files.values() if shards.archive.places[name].size > _LARGEST_CLASS]
    if large:
        raise DatasetError(f"{len(large)} files in {shards.path} are too large to hold a class", large)
    numbers: dict[str, int] = {}
    wrong: list[str] = []
    for name, content in shards.archive.contents(class_files.values()):
        number = _number(content, class_list)
        if number is None:
            wrong.append(f"{name}: {content[:80]!r}")
        else:
            numbers[_key(name)] = number
    if wrong:
        known = "a number from 0"
        if class_list is not None:
            known = f"one of {class_list.path}: its names, or a number from 0 to {class_list.count - 1}"
        raise DatasetError(
            f"{len(wrong)} of {len(keys)} classes in {shards.path} are not {known}",
            sorted(wrong),
            remedy=NAMED_CLASSES if class_list is None else None,
        )
    return tuple(numbers[key] for key in keys)


def _require_pairs(shards: Shards, keys: list[str], class_files: Mapping[str, str]) -> None:
    """Raises where a sample is not one image and one class."""
    counts = Counter(keys)
    several = [name for name, key in zip(shards.names, keys, strict=True) if counts[key] > 1]
    if several:
        raise DatasetError(f"{len(several)} images in {shards.path} share a sample; leave one a sample", several)
    without = [name for name, key in zip(shards.names, keys, strict=True) if key not in class_files]
    alone = sorted(name for key, name in class_files.items() if key not in counts)
    if without or alone:
        raise DatasetError(
            f"{len(without)} images in {shards.path} have no class and {len(alone)} classes no image",
            [*without, *alone],
            remedy=Remedy("make the shards again with both in each sample, or give {}", Option("labels")),
        )


def _number(content: bytes, class_list: ClassList | None) -> int | None:
    text = content.decode("utf-8", "replace").strip()
    if class_list is not None and text in class_list.number_of:
        return class_list.number_of[text]
    if not (text.isascii() and text.isdecimal() and len(text) <= _FIGURES):
        return None
    return int(text) if class_list is None or int(text) < class_list.count else None


def _key(name: str) -> str:
    """A member's name without its ending, which its sample's other members share."""
    stem, dot, ending = name.rpartition(".")
    return stem if dot and "/" not in ending else name
