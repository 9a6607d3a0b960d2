"""The dumps of the guide's benchmark tool: one file of scores an image, `{stem}_1.txt` or `{stem}_1.bin`.

Text is one line of `%f` values, a space behind each; binary is raw little-endian float32. Other tools of that family
count their outputs from 0 and write `{stem}_0.bin`.
"""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from assay.errors import DatasetError

Scores = npt.NDArray[np.float32]

_NAME = re.compile(r"(?P<image>.+)_\d+\.(txt|bin)", re.DOTALL)

_DECIMAL = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?")

_AT_ONCE = 64
"""Dumps that are parsed together: their text and the arrays made of it stay in the cache."""

_READERS = 2

_LARGEST = np.finfo(np.float32).max


def file_name(image: str, binary: bool) -> str:
    """What the dump of an image is called."""
    return f"{image}_1.{'bin' if binary else 'txt'}"


def is_dump(name: str) -> bool:
    """Whether a file is a dump by its name."""
    return _NAME.fullmatch(name) is not None


def content(scores: Scores, binary: bool) -> bytes:
    """One image's scores, float32 [classes], as the bytes of its dump."""
    if binary:
        return scores.astype("<f4").tobytes()
    return (_line(len(scores)) % tuple(scores.tolist())).encode()


@cache
def _line(classes: int) -> str:
    return "%f " * classes + "\n"


def read(folder: Path) -> tuple[tuple[str, ...], Scores]:
    """The images of a folder of dumps, sorted, and their scores, float32 [images, classes].

    Raises `DatasetError` with every file that is no dump, is damaged, or has another number of classes than the
    others, and with every image that has two.
    """
    try:
        files = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    except OSError as error:
        raise DatasetError(
            f"cannot list the dumps in {folder}: {error.strerror or error}; give the folder that benchmark wrote"
        ) from error
    if not files:
        raise DatasetError(f"{folder} is empty; give the folder of dumps that benchmark wrote")
    images = _images(folder, files)
    scores = np.empty((len(files), _classes(folder, files)), np.float32)

    def fill(start: int) -> list[str]:
        return _fill(scores[start : start + _AT_ONCE], folder, files[start : start + _AT_ONCE])

    with ThreadPoolExecutor(_READERS) as readers:
        wrong = [problem for problems in readers.map(fill, range(0, len(files), _AT_ONCE)) for problem in problems]
    if wrong:
        raise DatasetError(f"{folder}: {len(wrong)} of {len(files)} dumps cannot be used; run benchmark again", wrong)
    return images, scores


def _classes(folder: Path, files: Sequence[str]) -> int:
    """How many classes the dumps have: the most of three, so that a damaged one does not speak for all."""
    probes = [_parsed(folder, files[place]) for place in (0, len(files) // 2, -1)]
    counts = [len(probe) for probe in probes if not isinstance(probe, str)]
    return statistics.mode(counts) if counts else 0


def _fill(scores: Scores, folder: Path, files: Sequence[str]) -> list[str]:
    """Reads some dumps into their rows; returns what is wrong with them."""
    if all(name.endswith(".txt") for name in files):
        try:
            texts = [_content(folder, name) for name in files]
        except OSError:  # said below, of the very file
            texts = []
        parsed = parse(texts, scores.shape[1]) if texts else None
        if parsed is not None:
            scores[...] = parsed
            return []
    wrong = []
    for row, name in zip(scores, files, strict=True):
        values = _parsed(folder, name)
        if isinstance(values, str):
            wrong.append(values)
        elif len(values) != len(row):
            wrong.append(f"{name} line 1: {len(values)} classes, and its neighbours have {len(row)}")
        elif not (np.abs(values) <= _LARGEST).all():
            place = int(np.flatnonzero(~(np.abs(values) <= _LARGEST))[0])
            wrong.append(f"{name} line 1: value {place + 1} is {values[place]}, which is no finite float32")
        else:
            row[...] = values
    return wrong


def _images(folder: Path, files: Sequence[str]) -> tuple[str, ...]:
    """The image that each file is of: its stem up to the last `_`."""
    matches = [_NAME.fullmatch(name) for name in files]
    strange = [name for name, match in zip(files, matches, strict=True) if match is None]
    if strange:
        raise DatasetError(
            f"{folder}: {len(strange)} of {len(files)} files are no dumps by their names, image_1.txt or image_1.bin; "
            "move them elsewhere",
            strange,
        )
    images = [match["image"] for match in matches if match is not None]
    dump_of: dict[str, str] = {}
    twice = []
    for image, name in zip(images, files, strict=True):
        if image in dump_of:
            twice.append(f"{dump_of[image]} and {name}")
        dump_of[image] = name
    if twice:
        raise DatasetError(f"{folder}: {len(twice)} images have two dumps; leave one of each", twice)
    return tuple(images)


def _content(folder: Path, name: str) -> bytes:
    with open(f"{folder}/{name}", "rb", buffering=0) as file:  # noqa: PTH123 - a Path a file costs as much as reading
        return file.read()


def _parsed(folder: Path, name: str) -> npt.NDArray[np.floating] | str:
    """One dump's scores, however they are written, or else what is wrong with it."""
    try:
        data = _content(folder, name)
    except OSError as error:
        return f"{name}: cannot be read ({error.strerror or error})"
    if name.endswith(".bin"):
        if not data or len(data) % 4:
            return f"{name}: {len(data)} bytes, which are no whole number of float32 values"
        return np.frombuffer(data, "<f4")
    first, *rest = data.split(b"\n")
    for place, value in enumerate(first.split(), start=1):
        if not _DECIMAL.fullmatch(value):
            return f"{name} line 1: value {place} is {value.decode(errors='replace')[:40]!r}, not a number"
    for number, line in enumerate(rest, start=2):
        if line.strip():
            return f"{name} line {number}: {line.decode(errors='replace')[:40]!r}, and one line is expected"
    if not first.strip():
        return f"{name} line 1: empty; the scores of one image are expected"
    return np.array([float(value) for value in first.split()], np.float64)


_SPACE, _POINT, _MINUS, _ZERO = b" .-0"

_SHORTEST = 8
"""`0.000000`."""

_MOST_FURTHER_DIGITS = 8
"""Before the last one in front of the point: fifteen digits in all, exact in a double."""

_WORD = 8

_FIRST, _SECOND, _DECIMALS = 0xFF, 0xFF00, 0xFFFFFFFFFFFF0000

_ZEROS, _SIXES, _HIGH = (np.uint64(0x0101010101010101 * byte) for byte in (_ZERO, 6, 0xF0))

_PAIRS = np.uint64(0x000000FF000000FF)


def parse(texts: Sequence[bytes], columns: int) -> npt.NDArray[np.float64] | None:
    """The values of texts of so many columns, float64 [texts, columns]; None where one is written in another way."""
    # A word before the first value, so that its eight bytes can be taken whatever its length.
    text = b"".join((b" " * _WORD, *texts))
    letters = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(letters[_WORD:] == _SPACE)
    ends += _WORD
    if len(ends) != len(texts) * columns or not all(text.endswith(b" \n") for text in texts):
        return None
    # Where every text ends with the last of its values, each has as many as it should.
    begins = np.cumsum([_WORD, *(len(text) for text in texts)])
    if (ends[columns - 1 :: columns] != begins[1:] - 2).any():
        return None
    starts = np.empty_like(ends)
    np.add(ends[:-1], 1, out=starts[1:])
    starts[::columns] = begins[:-1]
    negative = letters[starts] == _MINUS
    further = ends - starts - _SHORTEST - negative
    if further.min() < 0 or further.max() > _MOST_FURTHER_DIGITS:
        return None
    words = np.ndarray((len(text) - _WORD + 1,), "<u8", text, strides=(1,))[ends - _WORD]
    millionths = _seven_digits(words)
    if millionths is None:
        return None
    long = np.flatnonzero(further)
    for place in range(1, int(further.max()) + 1):
        long = long[further[long] >= place]
        digits = letters[ends[long] - _SHORTEST - place] - _ZERO
        if (digits > 9).any():
            return None
        millionths[long] += digits.astype(np.uint64) * np.uint64(10 ** (6 + place))
    values = millionths / 1e6
    np.negative(values, out=values, where=negative)
    return values.reshape(len(texts), columns)


def _seven_digits(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64] | None:
    """`d.dddddd`, its first letter in the lowest byte, as millionths; None where a word is anything else."""
    if (words & _SECOND != _POINT << 8).any():
        return None
    # The point goes, the digit before it takes its place, and a zero stands first: eight digits.
    digits = words & _FIRST
    digits <<= 8
    words &= _DECIMALS
    digits |= words
    digits |= _ZERO
    digits -= _ZEROS
    # A byte above 9 has a high bit, or gets one when 6 is added.
    if ((digits | digits + _SIXES) & _HIGH).any():
        return None
    pairs = digits * 10
    digits >>= 8
    pairs += digits
    millionths: npt.NDArray[np.uint64] = pairs & _PAIRS  # type: ignore[assignment]  # numpy: Any
    millionths *= 0x000F424000000064
    pairs >>= 16
    pairs &= _PAIRS
    pairs *= 0x0000271000000001
    millionths += pairs
    millionths >>= 32
    return millionths
