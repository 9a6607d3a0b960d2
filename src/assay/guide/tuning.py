"""model ─search→ artifact: the guide's chapter 7.2."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay import demo
from assay.guide import formats
from assay.guide.compilation import Tensors, compile_offline, taken
from assay.progress import Progress, Silent
from assay.quantization import calibration
from assay.records import BatchResult, BuildOptions, CompiledModel
from assay.steps import artifact, prepare
from assay.tuning import image_split
from assay.tuning import text as render
from assay.tuning.optuna_search import require_optuna
from assay.tuning.records import Tuning
from assay.tuning.request import Goal
from assay.tuning.tune import SearchFolder, find_fastest

IMAGES = 64
"""Of the demo, since the tuner of the guide is given none: enough to see that scores stay what they were."""
_UNTUNED = "onnxruntime"


@dataclass(frozen=True)
class Tuned:
    """What a search left, and the artifact that is to be used: untuned where none of the tuned ones was right."""

    search: Tuning
    compiled: CompiledModel


def tune_offline(
    model: Path,
    out: Path,
    tensors: Tensors,
    budget_seconds: float,
    backend: str | None = None,
    progress: Progress = Silent(),
) -> Tuned:
    """Searches the fastest artifact for normalised float32 N×3×H×W of one shape, and writes it with its record beside.

    Nothing is quantized: the tuned artifact computes in the precision that the untuned one does. What was found is kept
    in the folder `OUT.tuning`, where a search that was killed goes on.
    """
    require_optuna()
    described, batch = taken(model, tensors, progress)
    folder = out.with_name(f"{out.name}.tuning")
    images = prepare.prepare_with(
        prepare.PrepareRequest(demo.IMAGES, out=folder / "images", progress=progress), described.transform
    )
    goal = Goal(
        backends=[backend] if backend is not None else None,
        batches=[batch],
        budget_seconds=budget_seconds,
        int8=False,
        input_kind="float32",
        beside=backend or _UNTUNED,
    )
    data = image_split.part(images, calibration.spread(images, IMAGES), folder / "evaluation")
    tuning = find_fastest(described, data, SearchFolder(folder, reuse=True), goal, progress)
    if tuning.compiled is None:
        untuned = compile_offline(model, out, tensors, backend or _UNTUNED, progress=progress)
        return Tuned(tuning, untuned)
    options: BuildOptions = tuning.compiled.options
    best = next(one for one in tuning.trials if one.number == tuning.best)
    return Tuned(
        tuning,
        artifact.compile_to(described, options, out, progress, kept=artifact.Kept(run_settings=best.candidate.run)),
    )


def before_and_after(tuning: Tuning) -> str:
    """The benchmark's five lines of the untuned artifact and of the tuned one, measured in turn, and their ratios."""
    if tuning.tuned is None:
        return "what was found could not be measured once more: there is no before and after" if tuning.compiled else ""
    parts = [("before", tuning.default), ("after", tuning.tuned)]
    blocks = [f"{when}: {_described(one)}\n{formats.performance(one.performance)}" for when, one in parts if one]
    if tuning.default is None:
        known = tuning.best == tuning.best_default
        why = "the untuned artifact is the fastest that is right" if known else "the untuned artifact was not measured"
        return "\n".join([*blocks, f"{why}: there is nothing before it"])
    return "\n".join([*blocks, render.before_and_after(tuning.default, tuning.tuned, tuning.finalists)])


def _described(result: BatchResult) -> str:
    options, settings = result.compiled.options, result.performance.run_settings
    chosen = {**options.settings, **settings}
    return f"{options.backend}, batch {options.batch}, " + ", ".join(f"{key}={value}" for key, value in chosen.items())
