"""How a call of assay is written as a command line, for records and messages that say what makes something again.

Beside the errors, at the bottom: floors that know no command line hand over a call, and only here are its options
written.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

_SHORT = {"out": "-o"}
"""Options that are written by their one letter."""


def of(command: str, *arguments: object, **options: object) -> str:
    """A command line of assay: its arguments, then its options, by their Python names and in the order given.

    True is the option alone, and False or None leaves it out. A mapping gives the option once for each `KEY=VALUE`, a
    list once for each value; the numbers of a tuple are one value.
    """
    words = ["assay", command, *map(str, arguments)]
    for name, value in options.items():
        words += _words(_SHORT.get(name, f"--{name.replace('_', '-')}"), value)
    return shlex.join(words)


def _words(flag: str, value: object) -> Iterator[str]:
    if value is True:
        yield flag
    elif isinstance(value, Mapping):
        for key, single in value.items():
            yield from (flag, f"{key}={_written(single)}")
    elif isinstance(value, list):
        for single in value:
            yield from (flag, _written(single))
    elif isinstance(value, tuple):
        # With the sign between them: the first number may be negative, and would read as another option.
        yield f"{flag}={','.join(map(_written, value))}"
    elif value is not None and value is not False:
        yield from (flag, _written(value))


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
