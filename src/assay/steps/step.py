"""The ritual of a step: what it is made from, whether it is kept, the work, the record, the line on the terminal."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from assay.progress import Progress, Silent, Stopwatch
from assay.records import Record
from assay.storage import locks, store

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Step(Generic[R]):
    """A step that makes one record."""

    name: str
    """On the terminal."""
    kind: type[R]
    record: Path
    made_from: str
    """A hash of its inputs: a record made from the same is kept."""
    subject: str = ""
    """What its line is about."""
    detail: Callable[[R], str] = lambda _: ""
    is_its: Callable[[R], bool] = lambda _: True
    """Whether a record that stands there is of the file that this step makes."""
    locked: Path | None = None
    """A folder that is this process's alone while the step works."""

    def kept(self) -> R | None:
        """The record of an earlier step with these inputs, if its files are there; raises if one is damaged."""
        record = store.kept(self.record, self.kind, self.made_from)
        return record if record is not None and self.is_its(record) else None

    def done(
        self, work: Callable[[], R], progress: Progress = Silent(), after: Callable[[R], None] = lambda _: None
    ) -> R:
        """The record, kept or made by the work and written; tells which, how long it took, and then what is new."""
        watch = Stopwatch()
        record = self.kept()
        if record is not None:
            progress.finish(self.name, self.subject, self.detail(record), None)
            return record
        with locks.lock(self.locked) if self.locked is not None else nullcontext():
            record = work()
            store.write(self.record, record, self.made_from)
            progress.finish(self.name, self.subject, self.detail(record), watch.seconds)
            after(record)
        return record
