"""Input shapes as tools write them: the batch size and the side of a square image are read off them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_X_SHAPE = re.compile(r"([^\s,:=]{1,200})[:=](-?\d{1,9}(?:x-?\d{1,9}){1,7})(?![\dx])", re.ASCII)
_BRACKET_SHAPE = re.compile(r"([^\s,\[\]]{0,200})\[((?:\?|-?\d{1,9})(?:,(?:\?|-?\d{1,9})){1,7})\]", re.ASCII)

Shapes = Mapping[str, tuple[int, ...]]
"""The shape of each input by its name."""


def joined_by_x(text: str) -> Shapes:
    """Reads `image:64x3x224x224,other:1x8`."""
    return {name: tuple(int(side) for side in sides.split("x")) for name, sides in _X_SHAPE.findall(text)}


def in_brackets(text: str) -> Shapes:
    """Reads `image[?,3,64,64],other[1,8]`; an open side is -1."""
    brackets = _BRACKET_SHAPE.findall(text)
    return {name: tuple(int(side.replace("?", "-1")) for side in sides.split(",")) for name, sides in brackets}


def batch_of(shapes: Iterable[tuple[int, ...]]) -> int | None:
    """The first side that all inputs share; None where they do not, or where it is open."""
    sizes = {shape[0] for shape in shapes}
    return sizes.pop() if len(sizes) == 1 and min(sizes) >= 1 else None


def side_of(shapes: Iterable[tuple[int, ...]]) -> int | None:
    """The side of the square colour images of the only input; None where it takes something else."""
    all_shapes = list(shapes)
    if len(all_shapes) != 1 or len(all_shapes[0]) != 4:
        return None
    _, first, second, third = all_shapes[0]
    if first == 3 and second == third >= 1:
        return second
    return first if third == 3 and first == second >= 1 else None
