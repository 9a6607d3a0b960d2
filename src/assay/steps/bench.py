"""bench → evaluate for candidates, and the record of several of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from assay import environment, units
from assay.data import transform_fingerprint
from assay.errors import DatasetError, UsageError
from assay.measure import machine, processes
from assay.measure.machine import Patience
from assay.progress import Progress, Silent, Stopwatch
from assay.records import BatchResult, CompiledModel, Dataset, OnnxModel, PreparedDataset, RunRecord, Setting
from assay.remote import gather
from assay.remote.bench import Spread
from assay.score import accuracy as score_accuracy
from assay.steps import measurement, profile
from assay.steps import prepare as dataset_step
from assay.steps import results as results_step
from assay.steps.measurement import Length
from assay.steps.pixel_sources import Data, Images, source_of
from assay.storage import store

Candidate = tuple[CompiledModel, Mapping[str, Setting]]
"""An artifact and the settings of its run."""


def check_labels(classifier: OnnxModel, data: Data, progress: Progress = Silent()) -> None:
    """Raises `DatasetError` with images whose class the model does not have, or that it was calibrated on.

    Says where labels are shifted.
    """
    if isinstance(data, PreparedDataset):
        require_apart(classifier, data.dataset)
    source = source_of(data)
    if source.labels is not None and score_accuracy.fit(source.names, source.labels, classifier.classes)[1]:
        progress.note(score_accuracy.SHIFTED)


def measure_all(
    candidates: Sequence[Candidate],
    data: Data,
    folder: Path,
    *,
    length: Length = Length(),
    reuse: bool = False,
    patience: Patience = machine.AT_ONCE,
    spread: Spread | None = None,
    progress: Progress = Silent(),
) -> tuple[tuple[BatchResult, ...], Dataset | None]:
    """Every candidate's result, one after the other, and the images that they were measured on."""
    watch = Stopwatch()
    results: list[BatchResult] = []
    used: Dataset | None = None
    made = False
    for compiled, run_settings in candidates:
        result, found, kept = trial(
            compiled,
            data,
            folder,
            run_settings=run_settings,
            length=length,
            reuse=reuse,
            patience=patience,
            spread=spread,
            progress=progress,
        )
        results.append(result)
        used = found or used
        made = made or not kept
    images, sizes = results[0].performance.images, len(results)
    progress.finish(
        "bench",
        f"{images:,} images at {sizes} batch size{'s' if sizes > 1 else ''}",
        quietness(results),
        watch.seconds if made else None,
    )
    if isinstance(data, Images) and used is not None:
        # Of a prepared set, preparing has told it.
        dataset_step.tell(used, progress)
    return tuple(results), used


def quietness(results: Sequence[BatchResult]) -> str:
    """How long the warm-ups took, and whether others were at work, for a step's line."""
    warm_up = sum(result.performance.warm_up.seconds for result in results)
    busy = max(result.performance.machine.busiest for result in results)
    state = "idle" if busy <= environment.BUSY_SHARE else f"{units.share(busy)} busy"
    return f"warm-up {units.seconds(warm_up)} · machine {state}"


def bench_all(
    candidates: Sequence[Candidate],
    data: Data,
    folder: Path,
    *,
    length: Length = Length(),
    wait_idle: float = 0.0,
    spread: Spread | None = None,
    profiled: bool = False,
    command: str | None = None,
    progress: Progress = Silent(),
) -> RunRecord:
    """Measures artifacts of one model anew and writes `run.json` into the folder.

    Waits `wait_idle` seconds in all at most for an idle machine. Raises `UsageError` where a profile is asked of a
    backend that has none.
    """
    names = {(compiled.model.sha256, compiled.model.output.name): compiled.model.name for compiled, _ in candidates}
    if len(names) > 1:
        raise UsageError(
            f"these artifacts are of {len(names)} models ({', '.join(names.values())}); bench one at a time"
        )
    if length.once:
        check_labels(candidates[0][0].model, data, progress)
    if spread is not None:
        spread.check(compiled.options.backend for compiled, _ in candidates)
    if profiled:
        profile.require(compiled for compiled, _ in candidates)
    with results_step.held(folder, "run", again=True):
        results, used = measure_all(
            candidates,
            data,
            folder / "bench",
            length=length,
            patience=Patience(wait_idle),
            spread=spread,
            progress=progress,
        )
        record = record_of(candidates[0][0].model, used, results, command)
        # One that stands there judges another run.
        (folder / results_step.VERDICT_RECORD).unlink(missing_ok=True)
        store.write(folder / results_step.RUN_RECORD, record)
        if profiled:
            # What is measured stays, whatever a backend's profiler makes of it.
            record = msgspec.structs.replace(record, results=profile.profiled(results, progress))
            store.write(folder / results_step.RUN_RECORD, record)
    return record


def record_of(
    classifier: OnnxModel, used: Dataset | None, results: tuple[BatchResult, ...], command: str | None = None
) -> RunRecord:
    """The record of measurements, with what a reader should know before trusting them."""
    return RunRecord(
        model=classifier,
        dataset=used,
        results=results,
        environment=msgspec.structs.replace(
            environment.describe(), transform_fingerprint=transform_fingerprint.of_this_machine()
        ),
        warnings=_warnings(classifier, used, results),
        command=command,
    )


def trial(
    candidate: CompiledModel,
    data: Data,
    folder: Path,
    *,
    run_settings: Mapping[str, Setting],
    length: Length = Length(),
    reuse: bool = False,
    patience: Patience = machine.AT_ONCE,
    spread: Spread | None = None,
    progress: Progress = Silent(),
) -> tuple[BatchResult, Dataset | None, bool]:
    """bench → evaluate for one artifact, with accuracy where it goes once over images that have labels.

    The last value says whether the result was kept from an earlier run.
    """
    measured = measurement.bench(
        candidate,
        data,
        folder,
        run_settings=run_settings,
        length=length,
        reuse=reuse,
        patience=patience,
        spread=spread,
        progress=progress,
    )
    used = measured.dataset
    if used is not None:
        require_apart(candidate.model, used)
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
    found += [
        f"batch {result.batch}: batch times were still changing after {units.seconds(warm_up.seconds)} of warm-up"
        for result in results
        if not (warm_up := result.performance.warm_up).steady
    ]
    found += [
        f"batch {result.batch}: the run was stopped and went on: its time is that of its parts up to their last "
        "answers, and its warm-up that of the last part"
        for result in results
        if gather.is_resumed(result.performance.shares)
    ]
    found += [
        f"batch {result.batch}: worker {share.worker.name} died; what it had not given back was done again by others"
        for result in results
        for share in result.performance.shares
        if share.lost
    ]
    if (busy := _busy(results)) is not None:
        found.append(busy)
    return tuple(found)


def _busy(results: Sequence[BatchResult]) -> str | None:
    """At which batch sizes others took more than they may, and who was seen to."""
    busy = [result for result in results if not machine.is_idle(result.performance.machine)]
    if not busy:
        return None
    shares = dict.fromkeys(
        f"batch {result.batch}: {units.share(result.performance.machine.busiest)}" for result in busy
    )
    users = processes.merged(user for result in busy for user in result.performance.machine.users)
    who = machine.named(users) or "no process that can be seen from here"
    return f"the machine was busy while measuring ({', '.join(shares)}) with {who}"


def require_apart(model: OnnxModel, dataset: Dataset) -> None:
    """Raises `DatasetError` with the images of a data set whose bytes are those of a calibration image."""
    if model.quantization is None:
        return
    seen = set(model.quantization.calibration_image_sha256)
    shared = [name for name, sha256 in zip(dataset.names, dataset.image_sha256, strict=True) if sha256 in seen]
    if shared:
        raise DatasetError(
            f"{len(shared)} of {len(dataset.names)} images in {dataset.source} are among those that {model.name} was "
            "calibrated on, so it would look better than it is; evaluate it on others, or quantize it again with "
            "others",
            shared,
        )
