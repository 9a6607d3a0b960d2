"""The error tree, and the exit status that each branch stands for.

    AssayError                 exit 1   a fault of the input or the machine
    ├── UsageError             exit 2   a command line or a call that cannot be understood
    ├── UnknownNameError                a name that is not among the known ones
    ├── MissingExtraError               an optional package is not installed
    ├── CheckpointError                 a file of weights that cannot be used
    ├── ModelError                      an ONNX file that cannot be used
    ├── DatasetError                    images or labels that cannot be used
    │   └── ImageError                  one image that cannot be used, however often it is read
    ├── BackendError                    a backend that refused or failed
    ├── ParityError                     a step changed the scores by more than it may
    ├── StalledError                    a stage that held one thing for longer than it may
    └── RecordError                     a record or a file of a run that cannot be read or written

Every message is one line: what, where, and what to do next. A list of files may follow it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from assay.units import visible

EXIT_DONE = 0
EXIT_FAULT = 1
EXIT_USAGE = 2
EXIT_GATE = 3
EXIT_INTERRUPTED = 130

_LISTED = 20
_LONGEST = 2000
"""Characters of a message."""


class AssayError(Exception):
    """A fault with a message for a person; `files` are listed below it, 20 at most and then a count.

    Both are made visible: what a file is called, and what stands in it, steers no terminal.
    """

    exit_code = EXIT_FAULT

    def __init__(self, message: str, files: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = _bounded(visible(message))
        self.files = tuple(map(visible, files))

    def __reduce__(self) -> tuple[Any, ...]:
        """Crosses a process as type, message and files: some of the types are made of other arguments."""
        return _rebuilt, (type(self), self.message, self.files)

    def __str__(self) -> str:
        listed = [f"  {name}" for name in self.files[:_LISTED]]
        if len(self.files) > _LISTED:
            listed.append(f"  … and {len(self.files) - _LISTED} more")
        return "\n".join([self.message, *listed])


def _bounded(message: str) -> str:
    """What stands in a file may be of any length: of a long message its beginning and its end, what to do."""
    return message if len(message) <= _LONGEST else f"{message[: _LONGEST // 2]} … {message[-_LONGEST // 4 :]}"


def _rebuilt(kind: type[AssayError], message: str, files: Sequence[str]) -> AssayError:
    error = kind.__new__(kind)
    AssayError.__init__(error, message, files)
    return error


class UsageError(AssayError):
    """A command line or a call that cannot be understood."""

    exit_code = EXIT_USAGE


class UnknownNameError(AssayError):
    """A name that is not among the known ones; the message lists those, the nearest first."""

    def __init__(self, kind: str, name: str, known: Iterable[str], remedy: str = "") -> None:
        names = sorted(known)
        nearest = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
        ordered = [*nearest, *(other for other in names if other not in nearest)]
        shown = ", ".join(ordered[:_LISTED]) + (
            f" … and {len(ordered) - _LISTED} more" if len(ordered) > _LISTED else ""
        )
        super().__init__(f"unknown {kind} {name!r}; known: {shown or 'none'}{remedy and f'; {remedy}'}")


class MissingExtraError(AssayError):
    """An optional package is not installed."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs an optional part; install it with: pip install 'assay[{extra}]'")


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
            f"{stage} has been at {what} for more than {seconds:g} s and is taken to hang; look at that, or give a "
            "longer --timeout"
        )


class RecordError(AssayError):
    """A record or a file of a run that cannot be read or written."""

    AGAIN = "run the command that made it again, with --repair"
    """What to do about what is damaged."""

    @classmethod
    def damaged(cls, path: Path, why: str = "it is not what its record says (the sha256 differs)") -> RecordError:
        """The error of a file that is not what was written."""
        return cls(f"{path} is damaged: {why}; {cls.AGAIN}")
