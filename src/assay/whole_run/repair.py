"""What is damaged in a folder is removed, so that the step that made it is done again, and no other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from assay.data.prepared import Shard
from assay.errors import RecordError
from assay.loadgen.records import ScenarioRecord
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
    Verdict,
)
from assay.records.reported import ReportedRun
from assay.remote.records import ShardAnswer
from assay.steps import adopt
from assay.steps import compile as compile_step
from assay.storage import envelope, locks, store
from assay.tuning.records import Tuning

_KINDS: tuple[type[Record], ...] = (
    BackendChoice,
    Calibration,
    CompiledModel,
    Dataset,
    OnnxModel,
    Performance,
    Predictions,
    PreparedDataset,
    ReportedRun,
    RunRecord,
    ScenarioRecord,
    Sensitivity,
    Shard,
    ShardAnswer,
    Tuning,
    Verdict,
)
"""What the steps keep in a folder."""

_PREPARED = r"(prepared|images-\d{5}\.shard)\.json"
_COMPILED = r"compiled/[^/]+/compiled\.json"
_MEASURED = r"[^/]+/((performance|predictions|dataset)\.json|shards/\d{9}\.json)"
_CHOICE = r"choice-\d+\.json"
_RANGES = r"(minmax|entropy|percentile|float32)-[0-9a-f]{16}\.json"
_QUANTIZED = r"(minmax|entropy|percentile)-(channel|tensor)-\d+\.json"
_REFERENCE = rf"reference/({_COMPILED}|bench/{_MEASURED})"
_SEARCH = (
    rf"(tuning|run)\.json|calibration/{_PREPARED}|data/(calibration|evaluation)/{_PREPARED}|{_REFERENCE}|{_COMPILED}|"
    rf"models/({_QUANTIZED}|sensitivity(-(channel|tensor))?\.json|calibrations/{_RANGES})|(bench|end)/(.+/)?{_MEASURED}"
)
_MADE = {
    "prepare": _PREPARED,
    "bench": rf"{_CHOICE}|{_COMPILED}|prepared/{_PREPARED}|(run|verdict|scenario|reported)\.json|bench/{_MEASURED}|"
    rf"[A-Z]/(run\.json|bench/{_MEASURED})",
    "tune": _SEARCH,
    "run": rf"(model|run|verdict)\.json|{_CHOICE}|(prepared|calibration)/{_PREPARED}|{_COMPILED}|bench/{_MEASURED}|"
    rf"{_REFERENCE}|tune/({_SEARCH})",
}
"""Where each command keeps its records in its folder. All others are the work of another command, or the user's."""
_BESIDE: dict[str, tuple[Callable[[Path], Path], ...]] = {
    "export": (adopt.record_of,),
    "quantize": (adopt.record_of,),
    "compile": (compile_step.record_of, compile_step.choice_of),
}
"""Where the records of a command stand that makes one file."""


def repair(place: Path, command: str, progress: Progress = Silent(), given: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Removes damaged records that a command makes, and files that are not what its intact ones say; returns each.

    The place is the command's folder, or the file that it makes, whose records stand beside it. Every file is held to
    its hash, whatever its size and time say. What the command cannot make again stays, whatever has befallen it: the
    work of other commands, and what is `given` to this one, a file or a folder.
    """
    if command in _MADE:
        made = re.compile(_MADE[command])
        theirs = _places(given, place)
        with locks.lock(place, again=True):
            records = [
                path
                for path in sorted(place.rglob("*.json"))
                if made.fullmatch(path.relative_to(place).as_posix())
                and not any(path.resolve().is_relative_to(one) for one in theirs)
            ]
            removed = _removed(records)
    else:
        removed = _removed([record for beside in _BESIDE[command] if (record := beside(place)).is_file()])
    for path, why in removed.items():
        progress.note(f"removed, to be made again: {path} {why}")
    if not removed:
        progress.note(f"nothing is damaged that assay {command} makes in {place}")
    return tuple(removed)


def _places(given: Iterable[Path], place: Path) -> list[Path]:
    """Where what is given lies with its records: a folder of its own, or, in the command's folder itself, only it."""
    whole = place.resolve()
    found = [path.resolve() for path in given]
    homes = [path if path.is_dir() or path.parent == whole else path.parent for path in found]
    return [home for home in homes if whole in home.parents]


def _removed(records: list[Path]) -> dict[Path, str]:
    """What was removed, and why."""
    removed: dict[Path, str] = {}
    for path in records:
        try:
            record = _read(path)
        except RecordError as error:
            if _is_ours(path):
                removed[path] = error.message.removeprefix(f"{path} ").partition(";")[0]
            continue
        for file in _damaged(record, path.resolve().parent) if record is not None else ():
            removed[file] = "is not what its record says (the sha256 differs)"
    for path in removed:
        path.unlink(missing_ok=True)
    return removed


def _read(path: Path) -> Record | None:
    """A record of a kind that steps keep; None for one of another."""
    kind = store.kind_of(path)
    return next((store.read(path, one) for one in _KINDS if one.__name__ == kind), None)


def _damaged(record: Record, folder: Path) -> Iterator[Path]:
    """Files of a record, in its own folder, that are there and not what they were."""
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
