"""The whole way: model, prepared data set, artifacts, measurements, accuracy, verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assay import environment, store, units
from assay.data.prepared import OnError
from assay.data.sources import folder as folder_source
from assay.data.transform import TransformChoice
from assay.errors import UsageError
from assay.progress import Progress, Silent, Stopwatch
from assay.records import (
    BatchResult,
    CompiledModel,
    Dataset,
    InputKind,
    OnnxModel,
    Precision,
    Reference,
    RunRecord,
    Setting,
    Verdict,
)
from assay.score import accuracy as score_accuracy
from assay.workflow import artifact, dataset, judgement, measurement, model


@dataclass(frozen=True)
class RunRequest:
    """What `assay run` was asked for."""

    model: str
    """An .onnx file, or the name of an architecture."""
    images: Path
    labels: Path | None = None
    weights: Path | None = None
    weights_entry: str | None = None
    random_weights: bool = False
    backend: str = "onnxruntime"
    device: str | None = None
    batches: Sequence[int] = (1, 16)
    precision: Precision = "fp32"
    input_kind: InputKind = "uint8"
    settings: Mapping[str, str] = field(default_factory=dict)
    prepare: bool = True
    on_error: OnError = "stop"
    transform: TransformChoice = TransformChoice()
    opset: int = model.DEFAULT_OPSET
    references: Sequence[Reference] = ()
    max_drop: float | None = None
    gates: Sequence[str] = ()


def run(request: RunRequest, out: Path, progress: Progress = Silent()) -> tuple[RunRecord, Verdict]:
    """From a checkpoint or an ONNX file to a verdict; does only what `out` does not hold already."""
    with store.lock(out):
        # A verdict is only ever that of the run that ended last.
        (out / judgement.VERDICT_RECORD).unlink(missing_ok=True)
        classifier = _model(request, out, progress)
        data = _data(request, classifier, out, progress)
        compiled = _compile(request, classifier, out, progress)
        results, used = _measure(compiled, data, out, progress)
        record = RunRecord(
            model=classifier,
            dataset=used,
            results=tuple(results),
            environment=environment.describe(),
            warnings=warnings_of(classifier, used, results),
        )
        store.write(out / judgement.RUN_RECORD, record)
        references = [*request.references, *judgement.published_reference(record)]
        verdict = judgement.compare(record, references, request.gates, request.max_drop)
        store.write(out / judgement.VERDICT_RECORD, verdict)
    return record, verdict


def warnings_of(classifier: OnnxModel, used: Dataset | None, results: Sequence[BatchResult]) -> tuple[str, ...]:
    """What a reader of the record should know before trusting its figures."""
    found = []
    if "assumed" in classifier.transform_source:
        found.append(f"the transform is assumed: {classifier.transform_source}")
    if used is not None and used.skipped:
        found.append(f"{len(used.skipped)} files are no images by their names: {units.names(used.skipped)}")
    if used is not None and used.failures:
        found.append(f"{len(used.failures)} images could not be decoded and were left out")
    busy = [
        f"batch {result.batch}: {units.share(result.performance.machine_busy_share or 0)}"
        for result in results
        if (result.performance.machine_busy_share or 0) > environment.BUSY_SHARE
    ]
    if busy:
        found.append(f"the machine was busy before measuring ({', '.join(busy)})")
    return tuple(found)


def _model(request: RunRequest, out: Path, progress: Progress) -> OnnxModel:
    if request.model.endswith(".onnx"):
        if request.weights is not None or request.random_weights:
            raise UsageError("an .onnx file brings its weights; leave --weights and --random-weights away")
        return model.adopt(Path(request.model), out / "model.onnx", choice=request.transform, progress=progress)
    if (request.weights is None) != request.random_weights:
        raise UsageError(f"{request.model} needs weights: give --weights FILE.pth, or --random-weights for speed only")
    return model.export(
        request.model,
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
            on_error=request.on_error,
            progress=progress,
        )
    if request.on_error == "skip":
        raise UsageError("--on-error skip needs a prepared data set; leave --no-prepare away")
    source = folder_source.find(request.images)
    dataset.classes_of(source, request.labels)
    return measurement.Images(source, request.labels)


def _compile(
    request: RunRequest, classifier: OnnxModel, out: Path, progress: Progress
) -> list[tuple[CompiledModel, dict[str, Setting]]]:
    """An artifact for each batch size, with the settings of its runs."""
    watch = Stopwatch()
    options = [
        artifact.build_options(
            request.backend,
            device=request.device,
            batch=batch,
            precision=request.precision,
            input_kind=request.input_kind,
            settings=request.settings,
        )
        for batch in dict.fromkeys(request.batches)
    ]
    progress.start("compile", len(options))
    found = []
    made = False
    for build, run_settings in options:
        compiled, kept = artifact.compile_into(classifier, build, out / "compiled")
        found.append((compiled, run_settings))
        made = made or not kept
        progress.advance()
    first = found[0][0]
    batches = ", ".join(str(compiled.options.batch) for compiled, _ in found)
    worst = max((compiled.parity.largest_difference for compiled, _ in found if compiled.parity), default=None)
    progress.finish(
        "compile",
        f"{first.options.backend} · {first.options.device} · {first.options.precision}",
        f"batch {batches}" + (f" · parity {units.difference(worst)}" if worst is not None else ""),
        watch.seconds if made else None,
    )
    return found


def _measure(
    compiled: Sequence[tuple[CompiledModel, dict[str, Setting]]], data: measurement.Data, out: Path, progress: Progress
) -> tuple[list[BatchResult], Dataset | None]:
    watch = Stopwatch()
    results: list[BatchResult] = []
    used: Dataset | None = None
    made = False
    for candidate, run_settings in compiled:
        result, found, kept = trial(candidate, data, out / "bench", run_settings=run_settings, progress=progress)
        results.append(result)
        used = found or used
        made = made or not kept
    warm_up = sum(result.performance.warm_up_seconds for result in results)
    busy = max(result.performance.machine_busy_share or 0.0 for result in results)
    state = "idle" if busy <= environment.BUSY_SHARE else f"{units.share(busy)} busy"
    progress.finish(
        "bench",
        f"{results[0].performance.images} images at {len(results)} batch size{'s' if len(results) > 1 else ''}",
        f"warm-up {units.seconds(warm_up)} · machine {state}",
        watch.seconds if made else None,
    )
    return results, used


def trial(
    candidate: CompiledModel,
    data: measurement.Data,
    folder: Path,
    *,
    run_settings: Mapping[str, Setting],
    progress: Progress = Silent(),
) -> tuple[BatchResult, Dataset | None, bool]:
    """bench → evaluate for one artifact: once over the data, with accuracy where the images have labels."""
    measured = measurement.bench(
        candidate, data, folder, run_settings=run_settings, reuse=True, progress=progress
    )
    used = measured.dataset
    accuracy = None
    if measured.predictions is not None and used is not None and used.labels is not None:
        accuracy = score_accuracy.evaluate(measured.predictions, used.labels)
    result = BatchResult(
        compiled=candidate, performance=measured.performance, predictions=measured.predictions, accuracy=accuracy
    )
    return result, used, measured.kept
