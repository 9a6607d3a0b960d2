"""One way to read whatever assay has written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assay.errors import RecordError
from assay.published import guide
from assay.records import BackendChoice, CompiledModel, OnnxModel, Record
from assay.records.reported import ReportedRun
from assay.steps.adopt import record_of
from assay.steps.artifact import find_compiled
from assay.steps.keywords import StrPath
from assay.steps.results import REPORTED_RECORD, RUN_RECORD, load_record
from assay.storage import store
from assay.whole_run.layout import LAYOUTS

_KINDS = {kind.__name__: kind for layout in LAYOUTS.values() for kind in layout.kinds()} | {
    kind.__name__: kind for kind in (BackendChoice, CompiledModel, OnnxModel, ReportedRun)
}
_MAIN = ("tuning.json", "scenario.json", "prepared.json", "compiled.json", "performance.json", "model.json")
"""The records that a folder is known by if it holds no run and no reported figures."""


def load(place: StrPath) -> Any:
    """The record at a place: a folder of any command, a record's file, a model, an artifact, or a name as `guide:T4`.

    A folder gives its run or reported figures if it holds some, and otherwise its search, scenario, prepared data set,
    artifact or measurement. Raises `RecordError` if there is none.
    """
    path = Path(place)
    if path.is_dir() and not any((path / name).is_file() for name in (RUN_RECORD, REPORTED_RECORD)):
        record = next((path / name for name in _MAIN if (path / name).is_file()), None)
        if record is not None:
            return _read(record)
    elif path.is_file():
        return _read(path) if path.suffix == ".json" else _beside(path)
    if not path.exists() and not str(place).startswith(guide.PREFIX):
        raise RecordError(f"there is nothing at {path}; give a folder or a file that assay wrote")
    return load_record(path)


def _read(file: Path) -> Record:
    kind = store.kind_of(file)
    if kind not in _KINDS:
        raise RecordError(f"{file} holds a record of an unknown type, {kind}; update assay")
    return store.read(file, _KINDS[kind])


def _beside(file: Path) -> Record:
    """The record of an artifact or a model, which stands beside it."""
    compiled = find_compiled(file)
    if compiled is not None:
        return compiled
    if not record_of(file).is_file():
        raise RecordError(f"{file} has no record beside it; make one with assay compile or assay export")
    return store.read(record_of(file), OnnxModel)
