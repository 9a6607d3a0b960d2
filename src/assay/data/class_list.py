"""Class lists: a line a class in the model's order, `n01440764` or `n01440764 tench, Tinca tinca`.

A class is called by the first word of its line, or by the whole line.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from assay.data import text_file
from assay.errors import DatasetError, Option, Remedy

NAMED_CLASSES = Remedy("where classes stand by their names, give {}", Option("class_list", "FILE"))
"""What to do about classes that are not numbers."""


@dataclass(frozen=True)
class ClassList:
    """The names that a model's classes are called by."""

    path: Path
    count: int
    number_of: dict[str, int]
    """Every name that stands for one class alone."""


def read(path: Path) -> ClassList:
    """Reads a class list; every line that cannot be told from another is named."""
    text = text_file.read(path, "class list")
    # An empty line in between would move every class behind it by one if it were passed over.
    lines = [line.strip() for line in text.rstrip().splitlines()]
    wrong = [f"line {number}: empty" for number, line in enumerate(lines, start=1) if not line]
    if wrong or not lines:
        raise DatasetError(f"{path} is no class list: give a line a class, in the model's order", wrong)
    first_words = Counter(line.split()[0] for line in lines)
    number_of = {line.split()[0]: number for number, line in enumerate(lines) if first_words[line.split()[0]] == 1}
    whole_lines = Counter(lines)
    number_of |= {line: number for number, line in enumerate(lines) if whole_lines[line] == 1}
    twice = [
        f"line {number}: {line!r}"
        for number, line in enumerate(lines, start=1)
        if line not in number_of and line.split()[0] not in number_of
    ]
    if twice:
        raise DatasetError(f"{path}: {len(twice)} lines cannot be told apart; give each class a name of its own", twice)
    return ClassList(path, len(lines), number_of)
