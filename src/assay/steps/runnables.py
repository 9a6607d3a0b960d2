"""models ─compile→ artifacts with the settings of their runs: the one mechanism behind compile, bench and run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay import units
from assay.progress import Progress, Silent, Stopwatch
from assay.records import BackendChoice, OnnxModel, Runnable
from assay.steps import artifact
from assay.steps.build_options import BuildRequest
from assay.steps.choose_backend import Wanted, resolve
from assay.steps.pixel_sources import Data
from assay.storage.layout import Folder, Place

COMPILED = "compiled"
"""The folder of artifacts, below that of a command."""
LAYOUT = Folder((Place("choice-[0-9]*.json", BackendChoice),), {COMPILED: artifact.LAYOUT})
"""What compiling leaves in the folder of a command."""


def choice_record(folder: Path, batch: int) -> Path:
    """Where a folder keeps what was tried to choose the backend for a batch size."""
    return folder / f"choice-{batch}.json"


def compiled_for(
    model: OnnxModel,
    build: BuildRequest,
    batches: Sequence[int],
    folder: Path,
    data: Data = None,
    progress: Progress = Silent(),
) -> list[Runnable]:
    """An artifact for each batch size, kept below the folder, each with the settings of its runs."""
    watch = Stopwatch()
    options = [
        resolve(Wanted(build, model, batch, data), choice_record(folder, batch), folder / COMPILED, progress)
        for batch in batches
    ]
    progress.start("compile", len(options))
    runnables, made = [], False
    for wanted, run_settings in options:
        compiled, kept = artifact.compile_into(model, wanted, folder / COMPILED, data)
        runnables.append(Runnable(compiled, run_settings))
        made = made or not kept
        progress.advance()
    first = runnables[0].compiled
    used = list(dict.fromkeys(one.compiled.options.backend for one in runnables))
    sizes = ", ".join(str(batch) for batch in batches)
    parities = [one.compiled.parity for one in runnables]
    worst = max((parity.largest_difference for parity in parities if parity is not None), default=None)
    progress.finish(
        "compile",
        f"{', '.join(used)} · {first.options.device} · {first.options.precision}",
        f"batch {sizes}" + (f" · parity {units.difference(worst)}" if worst is not None else ""),
        watch.seconds if made else None,
    )
    return runnables
