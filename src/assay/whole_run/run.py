"""The whole way: model, prepared data set, artifacts, measurements, accuracy, verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay import units
from assay.backends import registry
from assay.errors import Option, RecordError, Remedy, UsageError
from assay.measure.machine import Patience
from assay.page.report import ReportRequest, write_report
from assay.progress import Progress
from assay.records import OnnxModel, PreparedDataset, Runnable
from assay.steps import artifact, compare, pair
from assay.steps.adopt import AdoptRequest, adopt
from assay.steps.adopt import record_of as model_record
from assay.steps.bench import bench_each, record_of
from assay.steps.build_options import USUAL_BACKEND, batch_sizes
from assay.steps.export import export
from assay.steps.fit_labels import fit_labels
from assay.steps.keywords import several, takes
from assay.steps.measurement import Length, Measuring
from assay.steps.pixel_sources import Data, Images
from assay.steps.prepare import PrepareRequest, prepare_with, prepared
from assay.steps.results import RUN_RECORD, VERDICT_RECORD, held
from assay.steps.runnables import compiled_for
from assay.steps.trained_network import PUBLISHED
from assay.storage import store
from assay.tuning.records import Tuning
from assay.tuning.request import TUNED_BATCHES, Goal
from assay.whole_run.outcome import Outcome
from assay.whole_run.request import USUAL_BATCHES, RunRequest


@takes(RunRequest)
def run(request: RunRequest) -> Outcome:
    """From a checkpoint or an ONNX file to a verdict; does only what the folder does not hold already."""
    out, progress = Path(request.out), request.progress
    with held(out, "run"):
        # A verdict is only ever that of the run that ended last.
        (out / VERDICT_RECORD).unlink(missing_ok=True)
        # Whatever can be known to be wrong is said before the work begins.
        gates = compare.gates_of(several(request.gate), request.max_drop, request.references)
        request.check()
        _require_same_model(request, out)
        model = _model(request, out)
        if not request.is_auto:  # trying each backend says so of its own
            artifact.require_start(model, registry.get(request.backend or USUAL_BACKEND))
        batches = batch_sizes(model, request.batches, USUAL_BATCHES, progress)
        data = fit_labels(model, _data(request, model, out), progress)
        search = _search(request, model, data, out)
        tuned = _tuned(search, progress)
        # A search that found nothing leaves the reference, which is computed by the usual backend.
        build = request.build.on(USUAL_BACKEND) if search is not None else request.build
        runnables = [tuned] if tuned is not None else compiled_for(model, build, batches, out, data, progress)
        measuring = Measuring(
            length=Length(at_least=request.min_time, timeout=request.timeout),
            repeats=request.repeat,
            patience=Patience(request.wait_idle),
            reuse=True,
            workers=request.workers,
            progress=progress,
        )
        results, dataset = bench_each(runnables, data, out / "bench", measuring)
        record = record_of(model, dataset, results, request.command)
        if _is_paired(request, runnables):
            length, most = Length(timeout=request.timeout), max(result.batch for result in results)
            reference = pair.predictions(model, data, out / "reference", progress, length, most)
            pairs = pair.with_pairs(results, reference, dataset)
            record = msgspec.structs.replace(record, results=pairs, reference=reference)
        store.write(out / RUN_RECORD, record)
        verdict = compare.judge(record, gates, request.references)
        store.write(out / VERDICT_RECORD, verdict)
        write_report(ReportRequest(out, no_images=request.no_images, progress=progress), reuse=True)
    return Outcome(run=record, verdict=verdict, word=verdict.word, figures=compare.figures(record), tuning=search)


def _is_paired(request: RunRequest, runnables: Sequence[Runnable]) -> bool:
    if request.paired is not None:
        return request.paired
    return any(
        registry.get(one.compiled.options.backend).faithful and not pair.is_reference(one.compiled) for one in runnables
    )


def _require_same_model(request: RunRequest, out: Path) -> None:
    """Raises if the folder holds the run of another model, whose records a new run would replace."""
    if not (out / "model.json").is_file():
        return
    before = store.read(out / "model.json", OnnxModel)
    names = {before.name} if before.checkpoint is None else {before.name, before.checkpoint.architecture}
    model = Path(request.model)
    wanted = model.stem if request.is_onnx else str(request.model)
    beside = model_record(model) if request.is_onnx else None
    if wanted not in names and not (beside is not None and beside.is_file()):
        raise RecordError(f"{out} holds a run of {before.name}, not of {wanted}; choose another folder")


def _model(request: RunRequest, out: Path) -> OnnxModel:
    _check_weights(request)
    if request.is_onnx:
        return adopt(
            AdoptRequest(
                request.model,
                out=out / "model.onnx",
                output=request.output,
                progress=request.progress,
                **vars(request.transform),
            )
        )
    backend = request.backend or USUAL_BACKEND
    # Of `auto` each backend is tried on the images as they are; a search is worth the time that one more takes.
    pt2 = request.tune is not None or (not request.is_auto and registry.get(backend).starts_from == "exported program")
    return export(request.export(out / "model.onnx", pt2))


def _check_weights(request: RunRequest) -> None:
    """Raises `UsageError` if it is open which weights are meant, or options say what the model's kind has not."""
    weights, random = Option("weights"), Option("random_weights")
    if request.is_onnx:
        if request.weights is not None or request.random_weights:
            raise UsageError("an .onnx file brings its weights", remedy=Remedy("leave {} and {} away", weights, random))
        if request.weights_entry is not None or request.opset is not None or request.weights_set is not None:
            raise UsageError(
                "an .onnx file is taken as it is",
                remedy=Remedy(
                    "leave {}, {} and {} away", Option("weights_entry"), Option("weights_set"), Option("opset")
                ),
            )
        return
    if request.output is not None:
        raise UsageError(
            "only an .onnx file has outputs to choose among", remedy=Remedy("leave {} away", Option("output"))
        )
    if (request.weights is None) != request.random_weights:
        raise UsageError(
            f"{request.model} needs weights",
            remedy=Remedy(
                "give {}, {}, or {} for speed only",
                Option("weights", "FILE.pth"),
                Option("weights", PUBLISHED),
                random,
            ),
        )


def _data(request: RunRequest, model: OnnxModel, out: Path) -> Data:
    if request.no_prepare:
        return Images.of(request.images, request.labels, request.class_list)
    wanted = PrepareRequest(
        request.images,
        out=out / "prepared",
        labels=request.labels,
        class_list=request.class_list,
        on_error=request.on_error,
        timeout=request.timeout,
        progress=request.progress,
    )
    return prepare_with(wanted, model.transform)


def _search(request: RunRequest, model: OnnxModel, data: Data, out: Path) -> Tuning | None:
    """The search for the fastest artifact; None if none was asked for."""
    if request.tune is None:
        return None
    # On demand: a search takes more to import than all else that a finished run does.
    from assay.tuning.tune import SearchFolder, find_fastest

    assert isinstance(data, PreparedDataset)  # noqa: S101 - a search without one is refused
    calibration = None
    if request.calibration is not None:
        place = Path(request.calibration)
        calibration = prepared(place, model.transform, out / "calibration", request.progress)
    else:
        request.progress.note("int8 is not tried: it needs images to calibrate on")
    goal = Goal(
        backends=None if request.is_auto else [request.backend or USUAL_BACKEND],
        batches=request.batches or TUNED_BATCHES,
        budget_seconds=request.tune,
        max_drop=Goal.max_drop if request.max_drop is None else request.max_drop,
        int8=calibration is not None,
        calibration=calibration,
        input_kind=request.input or "uint8",
    )
    return find_fastest(model, data, SearchFolder(out / "tune", out / "reference", reuse=True), goal, request.progress)


def _tuned(search: Tuning | None, progress: Progress) -> Runnable | None:
    """What a search found; None if there was none, or it found nothing, and the reference is what runs."""
    if search is None:
        return None
    best = next((one for one in search.trials if one.number == search.best), None)
    if best is None or search.compiled is None:
        progress.note(f"no candidate was right within {units.points(search.max_drop)}: the defaults are what runs")
        return None
    return Runnable(search.compiled, best.candidate.run)
