"""The error tree, and the exit status that each branch stands for.

    AssayError                 exit 1   a fault of the input or the machine
    ├── UsageError             exit 2   a command line or a call that cannot be understood
    │   └── UnknownNameError            a name that is not among the known ones
    ├── MissingExtraError               an optional package is not installed
    ├── CheckpointError                 a file of weights that cannot be used
    ├── ModelError                      an ONNX file that cannot be used
    ├── DatasetError                    images or labels that cannot be used
    │   └── ImageError                  one image that cannot be used, however often it is read
    ├── BackendError                    a backend that refused or failed
    ├── ParityError                     a step changed the scores by more than it may
    ├── StalledError                    a stage that held one thing for longer than it may
    └── RecordError                     a record or a file of a run that cannot be read or written

Every message is one line: what is wrong, and where. What to do next is a `Remedy`: data, which names options by their
Python names, so that the command line, the guide's programs and Python each word it. A list of files may follow.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.units import visible

DISTRIBUTION = "assay-inference"
"""What the package is called on an index; its command and its import are `assay`."""

EXIT_DONE = 0
EXIT_FAULT = 1
EXIT_USAGE = 2
EXIT_GATE = 3
EXIT_INTERRUPTED = 130

_LISTED = 20
_LONGEST = 2000
"""Characters of a message."""


@dataclass(frozen=True)
class Option:
    """An option of a step, by the name of its Python argument, with the value to give it if there is one to name."""

    name: str
    value: object = None

    def in_python(self) -> str:
        """`name=value`, or the name alone."""
        return self.name if self.value is None else f"{self.name}={self.value}"


class Remedy:
    """What to do next: a sentence with a `{}` for each option or other value, as in `str.format`."""

    def __init__(self, text: str, *values: object) -> None:
        self.text, self.values = text, values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remedy) and (self.text, self.values) == (other.text, other.values)

    def __hash__(self) -> int:
        return hash((self.text, self.values))

    @property
    def options(self) -> tuple[Option, ...]:
        """The options that it names."""
        return tuple(value for value in self.values if isinstance(value, Option))

    def worded(self, option: Callable[[Option], str] = Option.in_python) -> str:
        """The sentence, with options in the caller's words."""
        return self.text.format(*(option(value) if isinstance(value, Option) else value for value in self.values))


class AssayError(Exception):
    """A fault with a message for a person; `files` are listed below it, 20 at most and then a count.

    All of it is made visible: what a file is called, and what stands in it, steers no terminal.
    """

    exit_code = EXIT_FAULT

    def __init__(self, message: str, files: Sequence[str] = (), *, remedy: Remedy | None = None) -> None:
        super().__init__(message)
        self.message = _bounded(visible(message))
        self.files = tuple(map(visible, files))
        self.remedy = remedy

    def __reduce__(self) -> tuple[Any, ...]:
        """Crosses a process as type, message, files and remedy: some of the types are made of other arguments."""
        return _rebuilt, (type(self), self.message, self.files, self.remedy)

    def __str__(self) -> str:
        return self.worded()

    def line(self, option: Callable[[Option], str] = Option.in_python) -> str:
        """What is wrong and what to do, in one line, with options in the caller's words."""
        if self.remedy is None:
            return self.message
        return f"{self.message}; {_bounded(visible(self.remedy.worded(option)))}"

    def worded(self, option: Callable[[Option], str] = Option.in_python) -> str:
        """The line, and the files below it."""
        listed = [f"  {name}" for name in self.files[:_LISTED]]
        if len(self.files) > _LISTED:
            listed.append(f"  … and {len(self.files) - _LISTED} more")
        return "\n".join([self.line(option), *listed])


def _bounded(message: str) -> str:
    """What stands in a file may be of any length: of a long message its beginning and its end, what to do."""
    return message if len(message) <= _LONGEST else f"{message[: _LONGEST // 2]} … {message[-_LONGEST // 4 :]}"


def _rebuilt(kind: type[AssayError], message: str, files: Sequence[str], remedy: Remedy | None) -> AssayError:
    error = kind.__new__(kind)
    AssayError.__init__(error, message, files, remedy=remedy)
    return error


class UsageError(AssayError):
    """A command line or a call that cannot be understood."""

    exit_code = EXIT_USAGE


class UnknownNameError(UsageError):
    """A name that is not among the known ones; the message lists those, the nearest first.

    `where` is what the name stands in.
    """

    def __init__(
        self, kind: str, name: str, known: Iterable[str], remedy: Remedy | None = None, where: str | None = None
    ) -> None:
        names = sorted(known)
        nearest = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
        ordered = [*nearest, *(other for other in names if other not in nearest)]
        shown = ", ".join(ordered[:_LISTED]) + (
            f" … and {len(ordered) - _LISTED} more" if len(ordered) > _LISTED else ""
        )
        place = f" in {where}" if where else ""
        super().__init__(f"unknown {kind} {name!r}{place}; known: {shown or 'none'}", remedy=remedy)


class MissingExtraError(AssayError):
    """An optional package is not installed."""

    def __init__(self, purpose: str, extra: str, distribution: str = DISTRIBUTION) -> None:
        super().__init__(f"{purpose} needs an optional part; install it with: pip install '{distribution}[{extra}]'")


class CheckpointError(AssayError):
    """A file of weights that cannot be used."""


class ModelError(AssayError):
    """An ONNX file that cannot be used as an image classifier."""


class DatasetError(AssayError):
    """Images or labels that cannot be used."""


class ImageError(DatasetError):
    """One image that cannot be used, however often it is read; others can."""


class BackendError(AssayError):
    """A backend that refused or failed."""


class ParityError(AssayError):
    """A step that changed the scores by more than it may."""


class StalledError(AssayError):
    """A stage that held one thing for longer than it may; it may hold it still."""

    def __init__(self, stage: str, what: str, seconds: float) -> None:
        super().__init__(
            f"{stage} has been at {what} for more than {seconds:g} s and is taken to hang",
            remedy=Remedy("look at that, or give a longer {}", Option("timeout")),
        )


class RecordError(AssayError):
    """A record or a file of a run that cannot be read or written."""

    AGAIN = Remedy("run the command that made it again, with {}", Option("repair"))
    """What to do about what is damaged."""

    @classmethod
    def damaged(cls, path: Path, why: str = "it is not what its record says (the sha256 differs)") -> RecordError:
        """The error of a file that is not what was written."""
        return cls(f"{path} is damaged: {why}", remedy=cls.AGAIN)
