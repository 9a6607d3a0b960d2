"""Public steps: called with a request, or with the request's own fields as keyword arguments.

The request is the one definition of both: editors and `help()` show its fields as the step's signature.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

P = ParamSpec("P")
Request = TypeVar("Request", contravariant=True)
Result = TypeVar("Result", covariant=True)

StrPath = str | Path
"""A path, or its text."""


class Step(Protocol[P, Request, Result]):
    """A function of a request."""

    @overload
    def __call__(self, request: Request, /) -> Result: ...
    @overload
    def __call__(self, *arguments: P.args, **options: P.kwargs) -> Result: ...


def takes(kind: Callable[P, Request]) -> Callable[[Callable[[Request], Result]], Step[P, Request, Result]]:
    """Makes a function of a request callable with the request's fields as well; `kind` is the request's class."""

    def decorate(work: Callable[[Request], Result]) -> Step[P, Request, Result]:
        @functools.wraps(work)
        def step(*arguments: Any, **options: Any) -> Result:
            if len(arguments) == 1 and not options and isinstance(arguments[0], cast(type, kind)):
                return work(cast(Request, arguments[0]))
            signature.bind(*arguments, **options)
            return work(kind(*arguments, **options))

        signature = inspect.signature(kind)
        returned = inspect.signature(work).return_annotation
        step.__signature__ = signature.replace(return_annotation=returned)  # type: ignore[attr-defined]
        return cast("Step[P, Request, Result]", step)

    return decorate


def paths(given: StrPath | Sequence[StrPath]) -> list[Path]:
    """One path or several, as a list."""
    return [Path(given)] if isinstance(given, (str, Path)) else [Path(one) for one in given]


def several(given: str | Sequence[str]) -> list[str]:
    """One text or several, as a list."""
    return [given] if isinstance(given, str) else list(given)


def sizes(given: int | Sequence[int] | None) -> list[int] | None:
    """One batch size or several, as a list."""
    if given is None:
        return None
    return [given] if isinstance(given, int) else list(given)


def path(given: StrPath | None) -> Path | None:
    """A path that may be missing."""
    return None if given is None else Path(given)
