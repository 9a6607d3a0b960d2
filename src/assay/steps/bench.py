"""artifacts and data ─bench→ the record of a run: each measured, and scored if the images have labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from assay import environment, units
from assay.data import transform_fingerprint
from assay.errors import UsageError
from assay.measure import machine, processes
from assay.processes import child
from assay.progress import Silent, Stopwatch
from assay.records import BatchResult, Dataset, OnnxModel, Runnable, RunRecord, Verdict
from assay.score import accuracy as score_accuracy
from assay.score import label_checks
from assay.steps import dataset as datasets
from assay.steps import profile
from assay.steps.fit_labels import fit_labels, require_apart
from assay.steps.measurement import MEASUREMENTS, Measured, Measuring, measure
from assay.steps.pixel_sources import Data, Images
from assay.steps.results import RUN_RECORD, VERDICT_RECORD, held
from assay.storage import store
from assay.storage.layout import Folder, Place

LAYOUT = Folder((Place(RUN_RECORD, RunRecord), Place(VERDICT_RECORD, Verdict)), {"bench": MEASUREMENTS})
"""What measuring leaves in the folder of a run."""

_LONGEST_SECONDS = 7 * 24 * 3600.0
"""Of one process that measures: what hangs is told by the timeout of its stages."""


def bench_each(
    runnables: Sequence[Runnable], data: Data, folder: Path, measuring: Measuring = Measuring()
) -> tuple[tuple[BatchResult, ...], Dataset | None]:
    """Every artifact's result, one after the other, and the images that they were measured on."""
    watch, progress = Stopwatch(), measuring.progress
    benched = [bench_one(runnable, data, folder, measuring) for runnable in runnables]
    results = tuple(one.result for one in benched)
    dataset = next((one.dataset for one in reversed(benched) if one.dataset is not None), None)
    images, sizes = results[0].performance.images, len(results)
    progress.finish(
        "bench",
        f"{images:,} images at {sizes} batch size{'s' if sizes > 1 else ''}",
        quietness(results),
        None if all(one.kept for one in benched) else watch.seconds,
    )
    if isinstance(data, Images) and dataset is not None:
        # Of a prepared set, preparing has told it.
        datasets.tell(dataset, progress)
    return results, dataset


def quietness(results: Sequence[BatchResult]) -> str:
    """How long the warm-ups took, and whether others were at work, for a step's line."""
    warm_up = sum(result.performance.warm_up.seconds for result in results)
    busy = max(result.performance.machine.busiest for result in results)
    state = "idle" if busy <= environment.BUSY_SHARE else f"{units.share(busy)} busy"
    return f"warm-up {units.seconds(warm_up)} · machine {state}"


def bench_all(
    runnables: Sequence[Runnable],
    data: Data,
    folder: Path,
    measuring: Measuring = Measuring(),
    command: str | None = None,
) -> RunRecord:
    """Measures artifacts of one model anew and writes `run.json` into the folder; `command` is kept in it.

    Raises `UsageError` if they are of several models, or a profile is asked of a backend that has none.
    """
    artifacts = [one.compiled for one in runnables]
    names = {(compiled.model.sha256, compiled.model.output.name): compiled.model.full_name for compiled in artifacts}
    if len(names) > 1:
        raise UsageError(
            f"these artifacts are of {len(names)} models ({', '.join(names.values())}); bench one at a time"
        )
    if measuring.length.once:
        data = fit_labels(artifacts[0].model, data, measuring.progress)
    if measuring.workers is not None:
        measuring.workers.check(compiled.options.backend for compiled in artifacts)
    if measuring.profile:
        profile.require(artifacts)
    with held(folder, "run", again=True):
        measured, dataset = bench_each(runnables, data, folder / "bench", measuring)
        record = record_of(artifacts[0].model, dataset, measured, command)
        # One that stands there judges another run.
        (folder / VERDICT_RECORD).unlink(missing_ok=True)
        store.write(folder / RUN_RECORD, record)
        if measuring.profile:
            # What is measured stays, whatever a backend's profiler makes of it.
            record = msgspec.structs.replace(record, results=profile.profiled(measured, measuring.progress))
            store.write(folder / RUN_RECORD, record)
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


@dataclass(frozen=True)
class Benched:
    """One artifact's result, the images that it was measured on, and whether it was kept from an earlier run."""

    result: BatchResult
    dataset: Dataset | None
    kept: bool


def bench_one(runnable: Runnable, data: Data, folder: Path, measuring: Measuring = Measuring()) -> Benched:
    """measure → evaluate for one artifact, with accuracy if it goes once over images that have labels."""
    measured = (
        measure(runnable, data, folder, measuring)
        if measuring.repeats == 1
        else _repeated(runnable, data, folder, measuring)
    )
    dataset, model = measured.dataset, runnable.compiled.model
    if dataset is not None:
        require_apart(model, dataset)
    accuracy = None
    if measured.predictions is not None:
        score_accuracy.require_numbers(measured.predictions)
    if measured.predictions is not None and dataset is not None and dataset.labels is not None:
        accuracy = score_accuracy.evaluate(measured.predictions, dataset.labels)
    result = BatchResult(
        compiled=runnable.compiled,
        performance=measured.performance,
        predictions=measured.predictions,
        accuracy=accuracy,
    )
    return Benched(result, dataset, measured.kept)


def _repeated(runnable: Runnable, data: Data, folder: Path, measuring: Measuring) -> Measured:
    """Measures an artifact in several processes, one after the other; what it predicts is that of the first."""
    progress = measuring.progress
    progress.start(f"bench {runnable.compiled.options.batch}", measuring.repeats)
    each: list[Measured] = []
    for number in range(1, measuring.repeats + 1):
        child.close()
        alone = replace(measuring, repeats=1, process=number, progress=Silent())
        call = child.Call(
            name=f"measuring {runnable.compiled.model.name}",
            doing=f"process {number} of {measuring.repeats}",
            timeout=_LONGEST_SECONDS,
        )
        each.append(child.run(measure, runnable, data, folder, alone, call=call))
        progress.advance()
    child.close()
    first, *others = each
    performance = msgspec.structs.replace(first.performance, repeats=tuple(one.performance for one in others))
    return replace(first, performance=performance, kept=all(one.kept for one in each))


def _warnings(classifier: OnnxModel, used: Dataset | None, results: Sequence[BatchResult]) -> tuple[str, ...]:
    """What a reader of the record should know before trusting its figures."""
    warnings = [*classifier.warnings, *(used.assumptions if used is not None else ())]
    trained = classifier.checkpoint is None or classifier.checkpoint.file is not None
    counted = [result.accuracy for result in results if result.accuracy is not None]
    warnings += dict.fromkeys(one for accuracy in counted for one in label_checks.warnings(accuracy, trained=trained))
    if used is not None and used.skipped:
        warnings.append(f"{len(used.skipped)} files are no images by their names: {units.names(used.skipped)}")
    if used is not None and used.failures:
        warnings.append(f"{len(used.failures)} images could not be decoded and were left out")
    if used is not None and used.warnings:
        warnings.append(datasets.damaged(used.warnings))
    each = [(result.batch, performance) for result in results for performance in result.performance.processes]
    warnings += [
        f"batch {batch}: batch times were still changing after {units.seconds(warm_up.seconds)} of warm-up"
        for batch, performance in each
        if not (warm_up := performance.warm_up).steady
    ]
    warnings += [
        f"batch {result.batch}: the run was stopped and went on: its time is that of its parts up to their last "
        "answers, and its warm-up that of the last part"
        for result in results
        if any(share.is_resumed for share in result.performance.shares)
    ]
    warnings += [
        f"batch {result.batch}: worker {share.worker.name} died; what it had not given back was done again by others"
        for result in results
        for share in result.performance.shares
        if share.lost
    ]
    if (busy := _busy(results)) is not None:
        warnings.append(busy)
    warnings += [
        f"batch {batch}: this process may use {state.allowed_processors:g} processors (the quota of its control group) "
        f"and was stopped in {units.share(state.throttled_share)} of the quota's periods: the figures are the quota's"
        for batch, performance in each
        if (state := performance.machine.during) is not None and state.throttled_share
    ]
    return tuple(warnings)


def _busy(results: Sequence[BatchResult]) -> str | None:
    """At which batch sizes others took more than they may, and who was seen to."""
    busy = [
        (result.batch, performance.machine)
        for result in results
        for performance in result.performance.processes
        if not machine.is_idle(performance.machine)
    ]
    if not busy:
        return None
    most = {batch: max(seen.busiest for size, seen in busy if size == batch) for batch, _ in busy}
    shares = [f"batch {batch}: {units.share(share)}" for batch, share in most.items()]
    users = processes.merged(user for _, seen in busy for user in seen.users)
    who = machine.named(users) or "no process that can be seen from here"
    return f"the machine was busy while measuring ({', '.join(shares)}) with {who}"
