"""artifact and images ─LoadGen→ a scenario's figures, VALID or INVALID, and the accuracy of its accuracy mode."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from assay import environment, units
from assay.data import prepared, transform_fingerprint
from assay.errors import Option, Remedy, UsageError
from assay.importers import loadgen as summary
from assay.importers.report_file import ReportFile
from assay.loadgen import driver
from assay.loadgen import log as loadgen_log
from assay.loadgen.driver import Driven
from assay.loadgen.records import LoadGenTest, ScenarioMode, ScenarioOutcome, ScenarioRecord
from assay.loadgen.request import ScenarioRequest
from assay.loadgen.scenarios import Load
from assay.measure import machine
from assay.progress import Progress, Stopwatch
from assay.published import guide
from assay.records import Accuracy, CompiledModel, Dataset, Machine, Predictions, PreparedDataset, Runnable, Verdict
from assay.records.reported import ReportedResult, ReportedRun
from assay.score import accuracy as score_accuracy
from assay.steps import measurement, pixel_sources, results
from assay.steps.fit_labels import fit_labels
from assay.steps.measurement import Measuring
from assay.storage import files, store
from assay.storage.layout import Folder, Place

_LOG_BYTES = 1 << 20
"""Of LoadGen's logs, about; a log that the disk cut short leaves less room than that."""


LAYOUT = Folder(
    (
        Place(results.SCENARIO_RECORD, ScenarioRecord),
        Place(results.REPORTED_RECORD, ReportedRun),
        Place(results.VERDICT_RECORD, Verdict),
    ),
    {
        "prepared": prepared.LAYOUT,
        "bench": Folder(
            folders={
                "*": Folder(
                    (Place(measurement.PREDICTIONS_RECORD, Predictions), Place(measurement.SCORES)),
                    {mode: Folder((Place("*"),)) for mode in ("performance", "accuracy")},
                )
            }
        ),
    },
)
"""The folder of a scenario; LoadGen's logs are in a folder for each of its modes."""


def bench_scenario(
    runnable: Runnable,
    data: PreparedDataset | None,
    folder: Path,
    request: ScenarioRequest,
    measuring: Measuring = Measuring(),
    command: str | None = None,
) -> ScenarioOutcome:
    """Lets LoadGen drive one artifact, and writes its record and the figures that a comparison takes into the folder.

    LoadGen's logs are kept whole below `bench`. The official way also runs the accuracy mode, and so needs images.
    """
    request.check()
    compiled, load, progress = runnable.compiled, request.load, measuring.progress
    load.check_batch(compiled.options.batch)
    if request.official and data is None:
        raise UsageError(
            "MLPerf's official way runs the accuracy mode too, which needs images",
            remedy=Remedy("give {} or {}, or leave out {}", Option("data"), Option("images"), Option("mlperf")),
        )
    if data is not None:
        data = fit_labels(compiled.model, data, progress)
        # Raises where the pixels are not what the artifact takes, or damaged.
        pixel_sources.source_of(data).stages(compiled, once=True)
    with results.held(folder, "scenario", again=True):
        home = measurement.new_home(folder / "bench", compiled)
        tests = _Tests(runnable, data, load, _Folders(folder, home), progress)
        before = measuring.patience.look(compiled.options.device, progress)
        driven, performance = tests.run("performance")
        seen = machine.after(before, driven.during, driven.users, compiled.options.device)
        accuracy_test = tests.run("accuracy")[1] if request.official else None
        predictions, accuracy = tests.scored() if request.official else (None, None)
        with files.told_if_full(folder, _LOG_BYTES):
            reported = _reported(compiled, data, home / "performance", accuracy)
        departures = load.departures(len(data.dataset.names) if data is not None else None)
        record = ScenarioRecord(
            scenario=load.scenario.name,
            compiled=compiled,
            run_settings=runnable.run_settings,
            device=driven.device,
            slots=driven.slots,
            source="synthetic" if data is None else "prepared",
            dataset=data.dataset if data is not None else None,
            official=not departures,
            departures=departures,
            target_qps=driven.target_qps,
            latency_bound=load.bound,
            performance=performance,
            throughput=reported.results[0].throughput.get("scenario"),
            warm_up=driven.warm_up,
            machine=seen,
            peak_memory_bytes=driven.peak_memory_bytes,
            accuracy_test=accuracy_test,
            predictions=predictions,
            accuracy=accuracy,
            environment=msgspec.structs.replace(
                environment.describe(), transform_fingerprint=transform_fingerprint.of_this_machine()
            ),
            warnings=_warnings(driven, seen, (performance, accuracy_test)),
            command=command,
        )
        # One that stands there judges another test.
        (folder / results.VERDICT_RECORD).unlink(missing_ok=True)
        store.write(folder / results.REPORTED_RECORD, reported)
        store.write(folder / results.SCENARIO_RECORD, record)
        outcome = ScenarioOutcome(scenario=record, verdict=request.verdict(record, reported))
        store.write(folder / results.VERDICT_RECORD, outcome.verdict)
    return outcome


class _Folders(NamedTuple):
    """The folder of a scenario, and below it that of its tests."""

    folder: Path
    home: Path


class _Tests:
    """The tests of one artifact, each with LoadGen's logs in a folder of its own."""

    def __init__(
        self, runnable: Runnable, data: PreparedDataset | None, load: Load, folders: _Folders, progress: Progress
    ) -> None:
        self._runnable, self._data, self._load = runnable, data, load
        self._folder, self._home = folders
        self._progress = progress

    def run(self, mode: ScenarioMode) -> tuple[Driven, LoadGenTest]:
        """One test by LoadGen, and what its logs say of it."""
        watch = Stopwatch()
        self._progress.start(f"{self._load.scenario.name} {mode}", None)
        folder = self._home / mode
        with files.told_if_full(self._folder, _LOG_BYTES):
            driven = driver.run(
                driver.Test(
                    compiled=self._runnable.compiled,
                    run_settings=self._runnable.run_settings,
                    shards=self._data.shards if self._data is not None else None,
                    load=self._load,
                    mode=mode,
                    folder=folder,
                )
            )
            detail = loadgen_log.read(folder / driver.DETAIL)
        test = LoadGenTest(
            mode=mode,
            version=detail.version,
            result=detail.result,
            reasons=detail.reasons,
            settings=detail.settings,
            errors=detail.errors,
            warnings=detail.warnings,
            queries_issued=driven.queries_issued,
            samples_issued=driven.samples_issued,
            samples_completed=driven.samples_completed,
            latency=detail.latency,
            logs=tuple(store.reference(path) for path in sorted(folder.iterdir())),
        )
        self._progress.finish(
            "loadgen",
            f"{self._load.scenario.name} · {mode}",
            f"{driven.queries_issued:,} queries of {driven.samples_completed:,} images",
            watch.seconds,
        )
        return driven, test

    def scored(self) -> tuple[Predictions, Accuracy | None]:
        """The answers of the accuracy mode as predictions, and their accuracy where the images have labels."""
        assert self._data is not None  # noqa: S101 - the accuracy mode was run, which needs images
        dataset: Dataset = self._data.dataset
        log = self._home / "accuracy" / driver.ACCURACY
        with files.told_if_full(self._folder, _LOG_BYTES):
            scores = loadgen_log.answers(log, len(dataset.names), self._runnable.compiled.model.classes)
        predictions = Predictions(
            names=dataset.names,
            dataset_fingerprint=dataset.fingerprint,
            scores=store.save_array(self._home / "scores.npy", scores),
        )
        store.write(self._home / "predictions.json", predictions)
        score_accuracy.require_numbers(predictions)
        labels = dataset.labels
        return predictions, score_accuracy.evaluate(predictions, labels) if labels is not None else None


def _reported(
    compiled: CompiledModel, data: PreparedDataset | None, folder: Path, accuracy: Accuracy | None
) -> ReportedRun:
    """LoadGen's summary as it is read of anybody's run, with all that is known of this one."""
    place = folder / driver.SUMMARY
    text = place.read_text(encoding="utf-8")
    reported = summary.read(
        ReportFile(name=place.name, text=text, batch=compiled.options.batch, path=str(place)),
    )
    model = compiled.model
    top = {k: accuracy.top(k) for k in range(1, len(accuracy.correct_at) + 1)} if accuracy is not None else {}
    result: ReportedResult = msgspec.structs.replace(reported.results[0], top=top)
    return msgspec.structs.replace(
        reported,
        sources=(str(place),),
        model=model.checkpoint.architecture if model.checkpoint is not None else model.name,
        weights_md5=guide.weights_md5(model.checkpoint) if model.checkpoint is not None else None,
        input_side=model.transform.crop,
        device=compiled.options.device,
        dies=1,
        precision=compiled.options.precision,
        pixels="synthetic" if data is None else "dataset",
        transfers=True,
        images=accuracy.count if accuracy is not None else None,
        results=(result,),
    )


def _warnings(driven: Driven, seen: Machine, tests: Sequence[LoadGenTest | None]) -> tuple[str, ...]:
    """What a reader of the record should know before trusting its figures."""
    warnings = []
    if not driven.warm_up.steady:
        warnings.append(f"batch times were still changing after {units.seconds(driven.warm_up.seconds)} of warm-up")
    if not machine.is_idle(seen):
        who = machine.named(seen.users) or "no process that can be seen from here"
        warnings.append(f"the machine was busy while measuring ({units.share(seen.busiest)}) with {who}")
    for test in tests:
        if test is not None:
            warnings += [f"LoadGen ({test.mode}): {said}" for said in (*test.errors, *test.warnings)]
    return tuple(warnings)
