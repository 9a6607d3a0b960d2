"""What a person sees while a step works: a bar on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from assay import units
from assay.units import visible


class Progress(Protocol):
    """What a step tells about itself."""

    def start(self, step: str, total: int | None) -> None:
        """A part with so many items begins, or one whose end only time will tell; the step before has ended."""

    def advance(self, count: int = 1) -> None:
        """So many items are done."""

    def finish(self, step: str, subject: str, detail: str, seconds: float | None) -> None:
        """A step is done, in so many seconds; None where it was kept from an earlier run."""

    def note(self, message: str) -> None:
        """Something that the user should know."""

    def warn(self, message: str) -> None:
        """Something to know before trusting what is made: what an input left open, and how it was read."""


class Silent:
    """Tells nothing."""

    def start(self, step: str, total: int | None) -> None:
        """Nothing."""

    def advance(self, count: int = 1) -> None:
        """Nothing."""

    def finish(self, step: str, subject: str, detail: str, seconds: float | None) -> None:
        """Nothing."""

    def note(self, message: str) -> None:
        """Nothing."""

    def warn(self, message: str) -> None:
        """Nothing."""


class Lines(Silent):
    """A line a step on standard error."""

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def finish(self, step: str, subject: str, detail: str, seconds: float | None) -> None:
        """Prints the step's line."""
        took = "kept" if seconds is None else units.seconds(seconds)
        self._print(f"{step:<9}{subject:<29} {detail:<33} {took:>7}".rstrip())

    def note(self, message: str) -> None:
        """Prints the message."""
        self._print(f"{'note':<9}{message}")

    def warn(self, message: str) -> None:
        """Prints the message, once."""
        if message not in self._warned:
            self._warned.add(message)
            self._print(f"{'warning':<9}{message}")

    def _print(self, line: str) -> None:
        print(visible(line), file=sys.stderr, flush=True)  # noqa: T201 - this is where progress is printed


class Terminal(Lines):
    """A line a step, and under them a bar for the step that is at work."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description:<8}"),
            BarColumn(bar_width=34),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True, highlight=False, markup=False, soft_wrap=True),
            transient=True,
            # A bar that redraws often would take time from what is being measured.
            refresh_per_second=4,
        )
        self._task = self._bar.add_task("", visible=False)

    def start(self, step: str, total: int | None) -> None:
        """Shows the bar from its beginning."""
        self._bar.reset(self._task, description=step, total=total, visible=True)
        self._bar.start()

    def advance(self, count: int = 1) -> None:
        """Moves the bar."""
        self._bar.advance(self._task, count)

    def close(self) -> None:
        """Takes the bar away."""
        self._bar.stop()

    def _print(self, line: str) -> None:
        self._bar.stop()
        self._bar.console.print(visible(line))


@contextmanager
def on_standard_error(quiet: bool = False) -> Iterator[Progress]:
    """The progress that fits standard error as it is now."""
    if quiet:
        yield Silent()
    elif sys.stderr.isatty():
        terminal = Terminal()
        try:
            yield terminal
        finally:
            terminal.close()
    else:
        yield Lines()


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """The seconds so far."""
        return time.perf_counter() - self._began
