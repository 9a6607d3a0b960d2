"""The guide's `.info` files: a line an image, `index path width height`, as `gen_dataset_info.py` writes them.

A path may hold spaces, since the index stands before the first and the sides behind the last two. The index tells
nothing, and restarts in files that list several suffixes.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from assay.errors import DatasetError

CHANNELS = 3
VALUE_BYTES = 4
"""Of float32."""
LONGEST_SIDE = 99_999
"""Pixels; no image has a longer one."""


@dataclass(frozen=True)
class InfoFile:
    """The tensors that a file lists: raw little-endian float32, 3×height×width each."""

    path: Path
    names: tuple[str, ...]
    """Of the images: each file's name without its suffix."""
    paths: tuple[str, ...]
    """As they stand in the file, relative to the folder in which the program runs."""
    width: int
    height: int


def line(index: int, path: str, width: int | str, height: int | str) -> str:
    """One line of the file."""
    return f"{index} {path} {width} {height}\n"


def tensor_bytes(width: int, height: int) -> int:
    """The size of one tensor's file."""
    return CHANNELS * VALUE_BYTES * width * height


def read(path: Path) -> InfoFile:
    """Reads a list of tensors and looks at every file; raises `DatasetError` with each line that cannot be used.

    The files of a list lie in one folder and have one size, those of most of its lines, and no path leads through `..`.
    That folder lies in the list's own or in the one where the program runs: a list names no files from elsewhere.
    gen_dataset_info.py refuses what cannot be read here, as `require_inside` and `is_file` say it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(f"cannot read {path}: {reason}; write it with gen_dataset_info.py bin") from error
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines:
        raise DatasetError(f"{path} is empty; a line is `index path width height`, as gen_dataset_info.py writes it")
    entries = _entries(text, lines)
    usual = Counter(entry[1] for entry in entries if not isinstance(entry, str)).most_common(1)
    if not usual:
        raise DatasetError(f"{path}: none of {len(lines)} lines is a list's", [f"line 1: {entries[0]}"])
    place, _ = usual[0]
    folder, *sides = place
    width, height = (int(side) if side.isdecimal() and len(side) <= len(str(LONGEST_SIDE)) else 0 for side in sides)
    if not width or not height:
        raise DatasetError(f"{path}: width and height are {' and '.join(map(repr, sides))}, not pixels")
    if "\0" not in folder and ".." not in folder.split("/"):  # said of each line
        require_inside(path, path.resolve().parent, folder.rstrip("/") or folder)
    check = _Check(place, tensor_bytes(width, height))
    wrong = [
        f"line {number}: {reason}"
        for number, entry in enumerate(entries, start=1)
        if (reason := entry if isinstance(entry, str) else check.problem(number, *entry)) is not None
    ]
    if wrong:
        raise DatasetError(
            f"{path}: {len(wrong)} of {len(lines)} lines cannot be used; write it again with gen_dataset_info.py bin",
            wrong,
        )
    return InfoFile(path, tuple(check.lines), tuple(check.paths), width, height)


def require_inside(path: Path, home: Path, folder: str) -> None:
    """Raises where a list that lies in `home` names files outside of that and of the folder where this runs."""
    real = Path(folder).resolve()
    if not any(real.is_relative_to(place) for place in (home, Path.cwd())):
        raise DatasetError(
            f"{path} lists files in {folder}, which is neither in the list's folder nor in the one where this runs; "
            f"put the list beside them, as {real.parent / path.name}, or run in a folder above them"
        )


def is_file(status: os.stat_result) -> bool:
    """Whether `lstat` found a file itself: a link could lead to one from outside."""
    return stat.S_ISREG(status.st_mode)


_Place = tuple[str, str, str]
"""What the lines of a list have in common: the folder with its last slash, width and height."""
_Entry = tuple[str, _Place]
"""The file's name, and the rest."""


def _entries(text: str, lines: list[str]) -> list[_Entry | str]:
    first = _entry(lines[0])
    if not isinstance(first, str):
        _, place = first
        folder, width, height = map(re.escape, place)
        files = re.findall(rf"^\d+ {folder}([^/\n]*) {width} {height}$", text, re.MULTILINE)
        if len(files) == len(lines):  # one after the other takes longer than looking at the files
            return [(file, place) for file in files]
    return [_entry(line) for line in lines]


def _entry(line: str) -> _Entry | str:
    """The parts of a line, or else what is wrong with it."""
    index, _, rest = line.partition(" ")
    parts = rest.rsplit(" ", 2)
    if len(parts) != 3 or not index.isdecimal():
        return f"{line[:80]!r} is not `index path width height`"
    path, width, height = parts
    file = path.rpartition("/")[2]
    return file, (path.removesuffix(file), width, height)


class _Check:
    """Looks at one line after the other; most lines say which place all must have."""

    def __init__(self, usual: _Place, size: int) -> None:
        self.lines: dict[str, int] = {}
        """Every image's name, and the line that it stands in."""
        self.paths: list[str] = []
        self._usual, self._bytes = usual, size
        self._folder = usual[0]
        self._leads_up = ".." in usual[0].split("/")

    def problem(self, number: int, file: str, place: _Place) -> str | None:
        """What is wrong with a line; None where it was taken."""
        if place != self._usual or self._leads_up or file == "..":
            return self._misplaced(file, place)
        path = self._folder + file
        try:
            status = os.lstat(path)  # a Path a line would take most of the time
        except (OSError, ValueError) as error:
            return f"{path} is missing ({getattr(error, 'strerror', None) or error})"
        if not is_file(status):
            return f"{path} is a link, or no file; list the file itself"
        if status.st_size != self._bytes:
            sides = "×".join(self._usual[:0:-1])
            return f"{path} has {status.st_size} bytes, and 3×{sides} float32 are {self._bytes}"
        name = file.rpartition(".")[0] or file
        if self.lines.setdefault(name, number) != number:
            return f"{path} repeats line {self.lines[name]}"
        self.paths.append(path)
        return None

    def _misplaced(self, file: str, place: _Place) -> str:
        folder, width, height = place
        path = folder + file
        if folder != self._folder:
            return f"{path} is outside {self._folder.rstrip('/') or 'the folder'} of the other lines; list one folder"
        if self._leads_up or file == "..":
            return f"{path} leads through `..`; list the folder by its whole path"
        return f"{path} is {width}×{height}, and the other lines are {'×'.join(self._usual[1:])}"
