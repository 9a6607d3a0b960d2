"""The whole way: model, prepared data set, artifacts, measurements, accuracy, verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assay import store, units
from assay.data.prepared import OnError
from assay.data.transform import TransformChoice
from assay.errors import RecordError, UsageError
from assay.progress import Progress, Silent, Stopwatch
from assay.records import (
    BuildOptions,
    CompiledModel,
    InputKind,
    OnnxModel,
    Outcome,
    Precision,
    Reference,
    Setting,
)
from assay.workflow import artifact, dataset, judgement, measurement, trial
from assay.workflow.adoption import adopt, record_of
from assay.workflow.exporting import Weights, export

USUAL_BATCHES = (1, 16)


@dataclass(frozen=True)
class RunRequest:
    """What `assay run` was asked for."""

    model: str | Path
    """An .onnx file, or the name of an architecture."""
    images: Path
    labels: Path | None = None
    class_list: Path | None = None
    weights: Weights = None
    """A file, or the word `published`."""
    weights_entry: str | None = None
    random_weights: bool = False
    backend: str = "onnxruntime"
    device: str | None = None
    batches: Sequence[int] | None = None
    """None: the usual ones, or the model's own where it is fixed."""
    output: str | None = None
    """Which output of an .onnx file holds the scores, where it has several."""
    precision: Precision = "fp32"
    input_kind: InputKind = "uint8"
    settings: Mapping[str, str] = field(default_factory=dict)
    prepare: bool = True
    on_error: OnError = "stop"
    transform: TransformChoice = TransformChoice()
    opset: int | None = None
    references: Sequence[Reference] = ()
    max_drop: float | None = None
    gates: Sequence[str] = ()


def run(request: RunRequest, out: Path, progress: Progress = Silent()) -> Outcome:
    """From a checkpoint or an ONNX file to a verdict; does only what `out` does not hold already."""
    with store.lock(out):
        # A verdict is only ever that of the run that ended last.
        (out / judgement.VERDICT_RECORD).unlink(missing_ok=True)
        # Whatever can be known to be wrong is said before the work begins.
        gates = judgement.gates_of(request.gates, request.max_drop, request.references)
        _check(request)
        _require_same_model(request, out)
        classifier = _model(request, out, progress)
        batches = artifact.batch_sizes(classifier, request.batches, USUAL_BATCHES, progress)
        data = _data(request, classifier, out, progress)
        trial.check_labels(classifier, data, progress)
        compiled = _compile(request, classifier, batches, out, progress)
        results, used = trial.measure_all(compiled, data, out / "bench", reuse=True, progress=progress)
        record = trial.record_of(classifier, used, results)
        store.write(out / judgement.RUN_RECORD, record)
        verdict = judgement.compare(record, gates, request.references)
        store.write(out / judgement.VERDICT_RECORD, verdict)
    return Outcome(
        run=record, verdict=verdict, word=verdict.word, figures=tuple(result.figures for result in record.results)
    )


def _check(request: RunRequest) -> None:
    """Raises where an option names what there is not, or where images and labels do not match."""
    for batch in request.batches or USUAL_BATCHES:
        _build_options(request, batch)
    if not request.prepare and request.on_error == "skip":
        raise UsageError("--on-error skip needs a prepared data set; leave --no-prepare away")
    measurement.Images.of(request.images, request.labels, request.class_list)


def _require_same_model(request: RunRequest, out: Path) -> None:
    """Raises where the folder holds the run of another model, whose records a new run would replace."""
    if not (out / "model.json").is_file():
        return
    found = store.read(out / "model.json", OnnxModel)
    names = {found.name} if found.checkpoint is None else {found.name, found.checkpoint.architecture}
    model = Path(request.model)
    wanted = model.stem if model.suffix == ".onnx" else str(request.model)
    beside = record_of(model) if model.suffix == ".onnx" else None
    if wanted not in names and not (beside is not None and beside.is_file()):
        raise RecordError(f"{out} holds a run of {found.name}, not of {wanted}; choose another folder")


def _build_options(request: RunRequest, batch: int) -> tuple[BuildOptions, dict[str, Setting]]:
    return artifact.build_options(
        request.backend,
        device=request.device,
        batch=batch,
        precision=request.precision,
        input_kind=request.input_kind,
        settings=request.settings,
    )


def _model(request: RunRequest, out: Path, progress: Progress) -> OnnxModel:
    if Path(request.model).suffix == ".onnx":
        if request.weights is not None or request.random_weights:
            raise UsageError("an .onnx file brings its weights; leave --weights and --random-weights away")
        if request.weights_entry is not None or request.opset is not None:
            raise UsageError("an .onnx file is taken as it is; leave --weights-entry and --opset away")
        return adopt(
            Path(request.model),
            out / "model.onnx",
            output=request.output,
            choice=request.transform,
            progress=progress,
        )
    if request.output is not None:
        raise UsageError("--output chooses among the outputs of an .onnx file; leave it away")
    if (request.weights is None) != request.random_weights:
        raise UsageError(
            f"{request.model} needs weights: give --weights FILE.pth, --weights published, or --random-weights for "
            "speed only"
        )
    return export(
        str(request.model),
        out / "model.onnx",
        weights=request.weights,
        weights_entry=request.weights_entry,
        opset=request.opset,
        choice=request.transform,
        progress=progress,
    )


def _data(request: RunRequest, classifier: OnnxModel, out: Path, progress: Progress) -> measurement.Data:
    if request.prepare:
        return dataset.prepare(
            request.images,
            classifier.transform,
            out / "prepared",
            labels=request.labels,
            class_list=request.class_list,
            on_error=request.on_error,
            progress=progress,
        )
    return measurement.Images.of(request.images, request.labels, request.class_list)


def _compile(
    request: RunRequest, classifier: OnnxModel, batches: Sequence[int], out: Path, progress: Progress
) -> list[tuple[CompiledModel, dict[str, Setting]]]:
    """An artifact for each batch size, with the settings of its runs."""
    watch = Stopwatch()
    options = [_build_options(request, batch) for batch in batches]
    progress.start("compile", len(options))
    found = []
    made = False
    for build, run_settings in options:
        compiled, kept = artifact.compile_into(classifier, build, out / "compiled")
        found.append((compiled, run_settings))
        made = made or not kept
        progress.advance()
    first = found[0][0]
    sizes = ", ".join(str(batch) for batch in batches)
    worst = max((compiled.parity.largest_difference for compiled, _ in found if compiled.parity), default=None)
    progress.finish(
        "compile",
        f"{first.options.backend} · {first.options.device} · {first.options.precision}",
        f"batch {sizes}" + (f" · parity {units.difference(worst)}" if worst is not None else ""),
        watch.seconds if made else None,
    )
    return found
