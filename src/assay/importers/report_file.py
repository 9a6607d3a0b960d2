"""A file that another tool wrote, as its reader takes it: a name and text, whose faults are said with their line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import msgspec

from assay.errors import RecordError

_LONGEST_NUMBER = 40
_SHOWN = 60


@dataclass(frozen=True)
class ReportFile:
    """The text of one file, and the batch size that the user says it is of.

    `name` is the file's own, in which some tools say what the file is of.
    """

    name: str
    text: str
    batch: int | None = None
    path: str = ""
    """As it was given; empty where the text is of no file."""

    @property
    def place(self) -> str:
        """What messages call the file: many tools give all their files one name."""
        return self.path or self.name

    @cached_property
    def lines(self) -> list[str]:
        """The lines without their ends, from line 1 at index 0."""
        return self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")

    def fault(self, expected: str, line: int | None = None) -> RecordError:
        """The error of a file that does not hold what its format asks for."""
        where = self.place if line is None else f"{self.place}, line {line}"
        return RecordError(f"{where}: expected {expected}; give the file whole, as the tool wrote it")

    def number(self, value: object, what: str, line: int | None = None, *, zero: bool = False) -> float:
        """A finite figure above 0, or 0 where that is allowed."""
        finite = _finite(value)
        if finite is None or finite < 0 or (finite == 0 and not zero):
            raise self.fault(f"{what} as a number{' above 0' if not zero else ''}, found {shown(value)}", line)
        return finite

    def count(self, value: object, what: str, line: int | None = None) -> int:
        """A whole number of at least 1."""
        finite = _finite(value)
        if finite is None or finite < 1 or finite != int(finite):
            raise self.fault(f"{what} as a whole number, found {shown(value)}", line)
        return int(finite)

    def json(self) -> object:
        """The file read as JSON."""
        try:
            return msgspec.json.decode(self.text)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise self.fault(f"whole JSON ({error})") from error

    def table(self, value: object, what: str) -> dict[str, object]:
        """A JSON object."""
        if not isinstance(value, dict):
            raise self.fault(f"{what} as a JSON object, found {shown(value)}")
        return value


def shown(value: object) -> str:
    """What stands in a file, short enough for a message of one line."""
    text = repr(value.strip() if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _finite(value: object) -> float | None:
    """A figure, whether written as text or as a JSON number; None where it is none."""
    if isinstance(value, str):
        value = value.strip()
        # Python also reads 1_000 and other scripts' digits, which no tool writes.
        if len(value) > _LONGEST_NUMBER or not value.isascii() or "_" in value:
            return None
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        finite = float(value)
    except (ValueError, OverflowError):
        return None
    return finite if math.isfinite(finite) else None
