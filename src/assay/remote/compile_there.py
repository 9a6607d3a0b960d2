"""An artifact made on another machine: what of the model goes there, and what is done with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from assay.records import CompiledModel, FileReference, OnnxModel
from assay.steps import artifact
from assay.storage import store


def compile_there(model: Mapping[str, bytes], wanted: CompiledModel, folder: Path) -> tuple[CompiledModel, bytes]:
    """Compiles a model on another machine as an artifact was compiled here, and returns its bytes too."""
    there = wanted.model
    for place, content in model.items():
        store.write_bytes(folder / place, content)

    def moved_to(one: FileReference) -> FileReference:
        return msgspec.structs.replace(one, path=(folder / _place(one, there)).resolve())

    moved = msgspec.structs.replace(
        there,
        file=moved_to(there.file),
        data=tuple(moved_to(one) for one in there.data),
        exported_program=moved_to(there.exported_program) if there.exported_program is not None else None,
    )
    made, _ = artifact.compile_into(moved, wanted.options, folder / "compiled")
    return msgspec.structs.replace(made, model=there), made.file.path.read_bytes()


def files_of(model: OnnxModel) -> dict[str, bytes]:
    """A model's files by their places, checked; raises where one is gone or another than it was."""
    files = [model.file, *model.data, *([model.exported_program] if model.exported_program is not None else [])]
    return {_place(one, model): store.verified(one).read_bytes() for one in files}


def _place(file: FileReference, model: OnnxModel) -> str:
    """Where a file lies as seen from its model: a file of weights may be in a folder beside it."""
    home = model.file.path.parent
    return str(file.path.relative_to(home)) if file.path.is_relative_to(home) else file.path.name
