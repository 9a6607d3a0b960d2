"""The whole way: model, prepared data set, artifacts, measurements, accuracy, verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from assay import units
from assay.backends import registry
from assay.errors import RecordError, UsageError
from assay.measure.machine import Patience
from assay.page import report
from assay.progress import Progress, Silent, Stopwatch
from assay.records import CompiledModel, OnnxModel, PreparedDataset, Setting
from assay.steps import bench, build_options, choose_backend, compare, pair, prepare
from assay.steps import compile as compile_step
from assay.steps import results as results_step
from assay.steps.adopt import adopt, record_of
from assay.steps.bench import Candidate
from assay.steps.choose_backend import AUTO
from assay.steps.export import export
from assay.steps.measurement import Length
from assay.steps.pixel_sources import Data, Images
from assay.storage import store
from assay.tuning.records import Tuning
from assay.tuning.request import TUNED_BATCHES, TuneRequest
from assay.tuning.tune import tune
from assay.whole_run.outcome import Outcome
from assay.whole_run.request import USUAL_BATCHES, RunRequest

__all__ = ["USUAL_BATCHES", "RunRequest", "run"]


def run(request: RunRequest, out: Path, progress: Progress = Silent()) -> Outcome:
    """From a checkpoint or an ONNX file to a verdict; does only what `out` does not hold already."""
    with results_step.held(out, "run"):
        # A verdict is only ever that of the run that ended last.
        (out / results_step.VERDICT_RECORD).unlink(missing_ok=True)
        # Whatever can be known to be wrong is said before the work begins.
        gates = compare.gates_of(request.gates, request.max_drop, request.references)
        request.check()
        _require_same_model(request, out)
        classifier = _model(request, out, progress)
        if request.backend != AUTO:  # each of its trials says so of its own backend
            compile_step.require_start(classifier, registry.get(request.backend))
        batches = build_options.batch_sizes(classifier, request.batches, USUAL_BATCHES, progress)
        data = _data(request, classifier, out, progress)
        bench.check_labels(classifier, data, progress)
        search = _search(request, classifier, data, out, progress)
        tuned = _tuned(search, progress)
        compiled = [tuned] if tuned is not None else _compile(request, classifier, batches, data, out, progress)
        length = Length(timeout=request.timeout)
        results, used = bench.measure_all(
            compiled,
            data,
            out / "bench",
            length=length,
            reuse=True,
            patience=Patience(request.wait_idle),
            spread=request.spread,
            progress=progress,
        )
        record = bench.record_of(classifier, used, results, request.command)
        if _is_paired(request, compiled):
            reference = pair.predictions(classifier, data, out / "reference", progress, length)
            pairs = pair.with_pairs(results, reference, used)
            record = msgspec.structs.replace(record, results=pairs, reference=reference)
        store.write(out / results_step.RUN_RECORD, record)
        verdict = compare.compare(record, gates, request.references)
        store.write(out / results_step.VERDICT_RECORD, verdict)
        report.write_report([out], images=request.page_images, reuse=True, progress=progress)
    return Outcome(run=record, verdict=verdict, word=verdict.word, figures=compare.figures(record), tuning=search)


def _is_paired(request: RunRequest, compiled: Sequence[Candidate]) -> bool:
    if request.paired is not None:
        return request.paired
    return any(registry.get(one.options.backend).faithful and not pair.is_reference(one.options) for one, _ in compiled)


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
        # Of `auto` each backend is tried with what there is; a search is worth the time that one more takes.
        exported_program=request.tune_seconds is not None
        or (request.backend != AUTO and registry.get(request.backend).starts_from == "exported program"),
        choice=request.transform,
        progress=progress,
    )


def _data(request: RunRequest, classifier: OnnxModel, out: Path, progress: Progress) -> Data:
    if request.prepare:
        return prepare.prepare(
            request.images,
            classifier.transform,
            out / "prepared",
            labels=request.labels,
            class_list=request.class_list,
            on_error=request.on_error,
            timeout=request.timeout,
            progress=progress,
        )
    return Images.of(request.images, request.labels, request.class_list)


def _search(request: RunRequest, classifier: OnnxModel, data: Data, out: Path, progress: Progress) -> Tuning | None:
    """The search for the fastest artifact; None where none was asked for."""
    if request.tune_seconds is None:
        return None
    assert isinstance(data, PreparedDataset)  # noqa: S101 - a search without one is refused
    calibration = None
    if request.calibration is not None:
        calibration = prepare.prepared(request.calibration, classifier.transform, out / "calibration", progress)
    else:
        progress.note("8 bits are not tried: they need images to calibrate on; give --calibration")
    wanted = TuneRequest(
        backends=None if request.backend == AUTO else [request.backend],
        batches=request.batches or TUNED_BATCHES,
        budget_seconds=request.tune_seconds,
        max_drop=TuneRequest.max_drop if request.max_drop is None else request.max_drop,
        int8=calibration is not None,
        calibration=calibration,
        input_kind=request.input_kind,
    )
    return tune(classifier, data, out / "tune", wanted, progress, reuse=True, reference_folder=out / "reference")


def _tuned(search: Tuning | None, progress: Progress) -> Candidate | None:
    """What a search found; None where there was none, or it found nothing, and the reference is what runs."""
    if search is None:
        return None
    best = next((one for one in search.trials if one.number == search.best), None)
    if best is None or search.compiled is None:
        progress.note(f"no candidate was right within {units.points(search.max_drop)}: the defaults are what runs")
        return None
    return search.compiled, best.candidate.run


def _compile(
    request: RunRequest,
    classifier: OnnxModel,
    batches: Sequence[int],
    data: Data,
    out: Path,
    progress: Progress,
) -> list[tuple[CompiledModel, dict[str, Setting]]]:
    """An artifact for each batch size, with the settings of its runs."""
    watch = Stopwatch()
    # A search that found nothing leaves the reference, which is computed by the usual backend.
    wanted = replace(request, backend="onnxruntime").build if request.tune_seconds is not None else request.build
    options = [
        choose_backend.resolve(
            wanted, classifier, batch, out / f"choice-{batch}.json", out / "compiled", progress, data
        )
        for batch in batches
    ]
    progress.start("compile", len(options))
    found = []
    made = False
    for build, run_settings in options:
        compiled, kept = compile_step.compile_into(classifier, build, out / "compiled", data)
        found.append((compiled, run_settings))
        made = made or not kept
        progress.advance()
    first = found[0][0]
    used = list(dict.fromkeys(compiled.options.backend for compiled, _ in found))
    sizes = ", ".join(str(batch) for batch in batches)
    worst = max((compiled.parity.largest_difference for compiled, _ in found if compiled.parity), default=None)
    progress.finish(
        "compile",
        f"{', '.join(used)} · {first.options.device} · {first.options.precision}",
        f"batch {sizes}" + (f" · parity {units.difference(worst)}" if worst is not None else ""),
        watch.seconds if made else None,
    )
    return found
