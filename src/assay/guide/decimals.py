"""Texts of `%f` values to numbers, many texts at once: every value has six decimals and a space behind it.

A reader that takes one value after the other spends most of its time on making a Python number of each. Here all
values go through the same few operations on arrays, which leave the interpreter's lock to other threads. The eight
bytes before a space are a value's last digit before the point, the point and six decimals; taken as one integer,
seven digits become a number in three multiplications (D. Lemire, "Number parsing at a gigabyte per second",
Software: Practice and Experience 51 (8), 2021). A number below 2⁵³ over 10⁶ is the double nearest to the decimal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

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
