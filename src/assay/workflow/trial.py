"""bench → evaluate for candidates, and the record of several of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from assay import environment, store, units
from assay.errors import UsageError
from assay.progress import Progress, Silent, Stopwatch
from assay.records import BatchResult, CompiledModel, Dataset, OnnxModel, RunRecord, Setting
from assay.score import accuracy as score_accuracy
from assay.workflow import dataset as dataset_step
from assay.workflow import judgement, measurement
from assay.workflow.measurement import Length

Candidate = tuple[CompiledModel, Mapping[str, Setting]]
"""An artifact and the settings of its run."""


def check_labels(classifier: OnnxModel, data: measurement.Data, progress: Progress = Silent()) -> None:
    """Raises `DatasetError` with the images whose class the model does not have; says where labels are shifted."""
    names, labels = measurement.labels_of(data)
    if labels is not None and score_accuracy.fit(names, labels, classifier.classes)[1]:
        progress.note(score_accuracy.SHIFTED)


def measure_all(
    candidates: Sequence[Candidate],
    data: measurement.Data,
    folder: Path,
    *,
    length: Length = Length(),
    reuse: bool = False,
    progress: Progress = Silent(),
) -> tuple[tuple[BatchResult, ...], Dataset | None]:
    """Every candidate's result, one after the other, and the images that they were measured on."""
    watch = Stopwatch()
    results: list[BatchResult] = []
    used: Dataset | None = None
    made = False
    for compiled, run_settings in candidates:
        result, found, kept = trial(
            compiled, data, folder, run_settings=run_settings, length=length, reuse=reuse, progress=progress
        )
        results.append(result)
        used = found or used
        made = made or not kept
    warm_up = sum(result.performance.warm_up_seconds for result in results)
    busy = max(result.performance.machine_busy_share or 0.0 for result in results)
    state = "idle" if busy <= environment.BUSY_SHARE else f"{units.share(busy)} busy"
    images, sizes = results[0].performance.images, len(results)
    progress.finish(
        "bench",
        f"{images:,} images at {sizes} batch size{'s' if sizes > 1 else ''}",
        f"warm-up {units.seconds(warm_up)} · machine {state}",
        watch.seconds if made else None,
    )
    if isinstance(data, measurement.Images) and used is not None:
        # Of a prepared set, preparing has told it.
        dataset_step.tell(used, progress)
    return tuple(results), used


def bench_all(
    candidates: Sequence[Candidate],
    data: measurement.Data,
    folder: Path,
    *,
    length: Length = Length(),
    progress: Progress = Silent(),
) -> RunRecord:
    """Measures artifacts of one model anew and writes `run.json` into the folder."""
    names = {(compiled.model.sha256, compiled.model.output.name): compiled.model.name for compiled, _ in candidates}
    if len(names) > 1:
        raise UsageError(
            f"these artifacts are of {len(names)} models ({', '.join(names.values())}); bench one at a time"
        )
    if length.once:
        check_labels(candidates[0][0].model, data, progress)
    with store.lock(folder):
        results, used = measure_all(candidates, data, folder / "bench", length=length, progress=progress)
        record = record_of(candidates[0][0].model, used, results)
        store.write(folder / judgement.RUN_RECORD, record)
    return record


def record_of(classifier: OnnxModel, used: Dataset | None, results: tuple[BatchResult, ...]) -> RunRecord:
    """The record of measurements, with what a reader should know before trusting them."""
    return RunRecord(
        model=classifier,
        dataset=used,
        results=results,
        environment=environment.describe(),
        warnings=_warnings(classifier, used, results),
    )


def trial(
    candidate: CompiledModel,
    data: measurement.Data,
    folder: Path,
    *,
    run_settings: Mapping[str, Setting],
    length: Length = Length(),
    reuse: bool = False,
    progress: Progress = Silent(),
) -> tuple[BatchResult, Dataset | None, bool]:
    """bench → evaluate for one artifact, with accuracy where it goes once over images that have labels.

    The last value says whether the result was kept from an earlier run.
    """
    measured = measurement.bench(
        candidate, data, folder, run_settings=run_settings, length=length, reuse=reuse, progress=progress
    )
    used = measured.dataset
    accuracy = None
    if measured.predictions is not None and used is not None and used.labels is not None:
        accuracy = score_accuracy.evaluate(measured.predictions, used.labels)
    result = BatchResult(
        compiled=candidate,
        performance=measured.performance,
        predictions=measured.predictions,
        accuracy=accuracy,
    )
    return result, used, measured.kept


def _warnings(classifier: OnnxModel, used: Dataset | None, results: Sequence[BatchResult]) -> tuple[str, ...]:
    """What a reader of the record should know before trusting its figures."""
    found = []
    if "assumed" in classifier.transform_source:
        found.append(f"transform: {classifier.transform_source}")
    if any(result.accuracy.label_shift for result in results if result.accuracy is not None):
        found.append(score_accuracy.SHIFTED)
    if used is not None and used.skipped:
        found.append(f"{len(used.skipped)} files are no images by their names: {units.names(used.skipped)}")
    if used is not None and used.failures:
        found.append(f"{len(used.failures)} images could not be decoded and were left out")
    if used is not None and used.warnings:
        found.append(dataset_step.damaged(used.warnings))
    busy = [
        f"batch {result.batch}: {units.share(result.performance.machine_busy_share or 0)}"
        for result in results
        if (result.performance.machine_busy_share or 0) > environment.BUSY_SHARE
    ]
    if busy:
        found.append(f"the machine was busy before measuring ({', '.join(busy)})")
    return tuple(found)
