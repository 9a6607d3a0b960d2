"""`python -m tests.endurance.filling FOLDER MOMENT ROOM WORDS`: an assay command whose disk fills at a moment.

A folder that is a disk of its own is filled with a file, up to so many bytes of room. Elsewhere no file may grow beyond
that size from then on, which is met in the middle of a write as a full disk is.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from assay import progress
from assay.cli.main import main
from tests.endurance.hurried import hurry

BALLAST = "ballast"


def fill(folder: Path, room: int) -> None:
    if not os.path.ismount(folder):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        return
    status = os.statvfs(folder)
    with (folder / BALLAST).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(status.f_bavail * status.f_frsize - room, 1))


class Filling(progress.Lines):
    """Fills the disk as a step begins or ends, or once half of it is whole."""

    def __init__(self, moment: str, now: Callable[[], None], first_shard: Path) -> None:
        self.moment, self.now, self.first_shard = moment, now, first_shard
        self._images = 0

    def start(self, step: str, total: int | None) -> None:
        self._images = 0
        self._reached(f"{step} begins")

    def advance(self, count: int = 1) -> None:
        self._images += count
        if self.moment == "a shard is whole" and self._images > 128:
            while not self.first_shard.exists():
                time.sleep(0.01)
            self._reached(self.moment)

    def finish(self, step: str, subject: str, detail: str, seconds: float | None) -> None:
        super().finish(step, subject, detail, seconds)
        self._reached(f"{step} ends")

    def _reached(self, moment: str) -> None:
        if moment == self.moment:
            self.moment = "past"
            self.now()


if __name__ == "__main__":
    hurry()
    place, chosen, left, *words = sys.argv[1:]
    folder = Path(place)
    shown = Filling(chosen, lambda: fill(folder, int(left)), folder / "RUN" / "prepared" / "images-00000.shard.json")

    @contextmanager
    def shown_instead(quiet: bool = False) -> Iterator[progress.Progress]:
        yield shown

    progress.on_standard_error = shown_instead
    if chosen == "at once":
        shown.now()
    sys.argv[1:] = words
    sys.exit(main())
