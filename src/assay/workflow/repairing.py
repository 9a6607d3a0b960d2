"""What is damaged in a folder is removed, so that the step that made it is done again, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from assay import envelope, locking, store
from assay.data.prepared import Shard
from assay.errors import RecordError
from assay.progress import Progress, Silent
from assay.records import (
    BackendChoice,
    Calibration,
    CompiledModel,
    Dataset,
    OnnxModel,
    Performance,
    Predictions,
    PreparedDataset,
    Record,
    RunRecord,
    Sensitivity,
    ShardAnswer,
    Tuning,
    Verdict,
)

_KINDS: tuple[type[Record], ...] = (
    BackendChoice,
    Calibration,
    CompiledModel,
    Dataset,
    OnnxModel,
    Performance,
    Predictions,
    PreparedDataset,
    RunRecord,
    Sensitivity,
    Shard,
    ShardAnswer,
    Tuning,
    Verdict,
)
"""What the steps keep in a folder."""


_WRITTEN = re.compile(
    r"(model|compiled|prepared|performance|predictions|dataset|run|verdict|tuning|artifact|images-\d{5}|\d{9}|choice-\d+|"
    r".*\.(choice|calibration|sensitivity))\.json"
)
"""Names that the steps give to their records; what has another, and cannot be read, is the user's."""


def repair(place: Path, progress: Progress = Silent()) -> tuple[Path, ...]:
    """Removes damaged records of assay's, and files that are not what an intact record says; says and returns each.

    The place is a folder, which is searched whole, or a file that was made, whose record stands beside it. Every file
    is held to its hash, whatever its size and time say.
    """
    if place.is_dir():
        with locking.lock(place):
            removed = _removed(sorted(place.rglob("*.json")), place.resolve())
    else:
        beside = (place.with_suffix(".json"), *(place.with_name(place.name + end) for end in (".json", ".choice.json")))
        removed = _removed([record for record in beside if record.is_file()], place.parent.resolve(), named=True)
    for path, why in removed.items():
        progress.note(f"removed, to be made again: {path} {why}")
    if not removed:
        progress.note(f"nothing in {place} is damaged")
    return tuple(removed)


def _removed(records: list[Path], folder: Path, named: bool = False) -> dict[Path, str]:
    """What was removed, and why; `named` records are those of a file that the user named, whatever they are called."""
    removed: dict[Path, str] = {}
    for path in records:
        try:
            record = _read(path)
        except RecordError as error:
            if (named or _WRITTEN.fullmatch(path.name)) and _is_ours(path):
                removed[path] = error.message.removeprefix(f"{path} ").partition(";")[0]
            continue
        for file in _damaged(record, folder) if record is not None else ():
            removed[file] = "is not what its record says (the sha256 differs)"
    for path in removed:
        path.unlink(missing_ok=True)
    return removed


def _read(path: Path) -> Record | None:
    """A record of a kind that steps keep; None for one of another."""
    kind = store.kind_of(path)
    return next((store.read(path, one) for one in _KINDS if one.__name__ == kind), None)


def _damaged(record: Record, folder: Path) -> Iterator[Path]:
    """Files of a record, inside a folder, that are there and not what they were."""
    for file in store.files_of(record):
        if file.path.is_file() and file.path.resolve().is_relative_to(folder):
            try:
                store.verified(file)
            except RecordError:
                yield file.path


def _is_ours(path: Path) -> bool:
    """Whether a file that cannot be read was one of assay's records; an empty one holds nothing to lose."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return not content or envelope.is_ours(content)
