"""What is damaged in a folder is removed, so that the step that made it is done again, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from assay.errors import RecordError
from assay.progress import Progress, Silent
from assay.records import BackendChoice, CompiledModel, OnnxModel, Record
from assay.steps import adopt, artifact
from assay.steps.keywords import StrPath
from assay.storage import envelope, locks, store
from assay.whole_run.layout import LAYOUTS

_BESIDE: dict[str, tuple[tuple[Callable[[Path], Path], type[Record]], ...]] = {
    "export": ((adopt.record_of, OnnxModel),),
    "quantize": ((adopt.record_of, OnnxModel),),
    "compile": ((artifact.record_of, CompiledModel), (artifact.choice_of, BackendChoice)),
}
"""Where the records of a command stand that makes one file."""


def repair(
    place: StrPath, command: str | None = None, given: Iterable[StrPath] = (), progress: Progress = Silent()
) -> tuple[Path, ...]:
    """Removes damaged records that a command makes, and files that are not what its intact ones say; returns each.

    The place is the command's folder, or the file that it makes, whose records stand beside it; the command is told by
    what is there, unless it is named. Every file is held to its hash, whatever its size and time say. What the command
    cannot make again stays, whatever has befallen it: the work of other commands, and what is `given` to this one.
    """
    place = Path(place)
    command = command or _command_of(place)
    if command in LAYOUTS:
        theirs = _places(map(Path, given), place)
        with locks.lock(place, again=True):
            removed = _removed(
                [
                    (path, kind)
                    for path, kind in LAYOUTS[command].records(place)
                    if not any(path.resolve().is_relative_to(one) for one in theirs)
                ]
            )
    else:
        beside = [(of(place), kind) for of, kind in _BESIDE[command]]
        removed = _removed([(record, kind) for record, kind in beside if record.is_file()])
    for path, why in removed.items():
        progress.note(f"removed, to be made again: {path} {why}")
    if not removed:
        progress.note(f"nothing is damaged that assay {command} makes in {place}")
    return tuple(removed)


def _command_of(place: Path) -> str:
    """Which command works in a folder, or makes a file, by the records there."""
    if place.is_dir():
        records = {"run": "model.json", "tune": "tuning.json", "prepare": "prepared.json"}
        return next((command for command, name in records.items() if (place / name).exists()), "bench")
    return "compile" if artifact.record_of(place).exists() else "export"


def _places(given: Iterable[Path], place: Path) -> list[Path]:
    """Where what is given lies with its records: a folder of its own, or, in the command's folder itself, only it."""
    whole = place.resolve()
    places = [path.resolve() for path in given]
    homes = [path if path.is_dir() or path.parent == whole else path.parent for path in places]
    return [home for home in homes if whole in home.parents]


def _removed(records: Iterable[tuple[Path, type[Record]]]) -> dict[Path, str]:
    """What was removed, and why."""
    removed: dict[Path, str] = {}
    for path, kind in records:
        try:
            # One of another kind is not of this step.
            record = store.read(path, kind) if store.kind_of(path) == kind.__name__ else None
        except RecordError as error:
            if _is_ours(path):
                removed[path] = error.message.removeprefix(f"{path} ").partition(";")[0]
            continue
        for file in _damaged(record, path.resolve().parent) if record is not None else ():
            removed[file] = "is not what its record says (the sha256 differs)"
    for path in removed:
        path.unlink(missing_ok=True)
    return removed


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
