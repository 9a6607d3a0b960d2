"""Public steps: called with a request, or with the request's own fields as keyword arguments.

The request is the one definition of both: editors and `help()` show its fields as the step's signature.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

from assay.errors import Option, Remedy, UsageError

P = ParamSpec("P")
Request = TypeVar("Request", contravariant=True)
Result = TypeVar("Result", covariant=True)

StrPath = str | Path
"""A path, or its text."""


class PublicStep(Protocol[P, Request, Result]):
    """A function of a request."""

    @overload
    def __call__(self, request: Request, /) -> Result: ...
    @overload
    def __call__(self, *arguments: P.args, **options: P.kwargs) -> Result: ...


def takes(kind: Callable[P, Request]) -> Callable[[Callable[[Request], Result]], PublicStep[P, Request, Result]]:
    """Makes a function of a request callable with the request's fields as well; `kind` is the request's class."""

    def decorate(work: Callable[[Request], Result]) -> PublicStep[P, Request, Result]:
        @functools.wraps(work)
        def step(*arguments: Any, **options: Any) -> Result:
            if len(arguments) == 1 and not options and isinstance(arguments[0], cast(type, kind)):
                request = cast(Request, arguments[0])
            else:
                signature.bind(*arguments, **options)
                request = kind(*arguments, **options)
            _require_finite(request)
            return work(request)

        signature = inspect.signature(kind)
        returned = inspect.signature(work).return_annotation
        step.__signature__ = signature.replace(return_annotation=returned)  # type: ignore[attr-defined]
        return cast("PublicStep[P, Request, Result]", step)

    return decorate


def _require_finite(request: object) -> None:
    """Raises `UsageError` for a figure that none compares with: a duration that is not a number would never end."""
    for name, value in vars(request).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{name} is {value}", remedy=Remedy("give a finite number as {}", Option(name)))


def paths(given: StrPath | Sequence[StrPath]) -> list[Path]:
    """One path or several, as a list."""
    return [Path(given)] if isinstance(given, (str, Path)) else [Path(one) for one in given]


def record_paths(given: StrPath | Sequence[StrPath]) -> list[Path]:
    """One record or several; raises `UsageError` for an empty name, which as a path would be this folder."""
    listed = [given] if isinstance(given, (str, Path)) else list(given)
    if any(isinstance(one, str) and not one.strip() for one in listed):
        raise UsageError("an empty name of a record", remedy=Remedy("give its folder"))
    return paths(listed)


def some_records(given: StrPath | Sequence[StrPath]) -> list[Path]:
    """As `record_paths`; raises `UsageError` if there is none: of nothing, nothing fails."""
    listed = record_paths(given)
    if not listed:
        raise UsageError("no record is given", remedy=Remedy("give one or more"))
    return listed


def several(given: str | Sequence[str]) -> list[str]:
    """One text or several, as a list."""
    return [given] if isinstance(given, str) else list(given)


def sizes(given: int | Sequence[int] | None) -> list[int] | None:
    """One batch size or several, as a list; an integer of any type is one. Raises `UsageError` for anything else."""
    if given is None:
        return None
    remedy = Remedy("give a whole number, or a list of some, as {}", Option("batch"))
    wrong = UsageError(f"batch is {given!r}", remedy=remedy)
    if isinstance(given, str):  # a sequence too, of its digits
        raise wrong
    listed = list(given) if isinstance(given, Iterable) else [given]
    if not listed or any(isinstance(one, bool) for one in listed):
        raise wrong
    try:
        return [operator.index(one) for one in listed]
    except TypeError as error:
        raise wrong from error


def path(given: StrPath | None) -> Path | None:
    """A path that may be missing."""
    return None if given is None else Path(given)
