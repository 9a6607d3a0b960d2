"""Scenarios by the real LoadGen, in short: its logs, its result, its answers, and what goes wrong."""

from __future__ import annotations

import _thread
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from assay import demo
from assay.cli.main import main
from assay.errors import BackendError, MissingExtraError, RecordError, UsageError
from assay.loadgen import driver
from assay.loadgen.bench import bench_scenario
from assay.loadgen.records import ScenarioOutcome, ScenarioRecord
from assay.loadgen.request import ScenarioRequest
from assay.page.report import report
from assay.processes import child
from assay.records import CompiledModel, OnnxModel, PreparedDataset, Runnable
from assay.records.reported import ReportedRun
from assay.steps.artifact import compile_into
from assay.steps.bench import bench_all
from assay.steps.build_options import BuildRequest
from assay.steps.compare import compare
from assay.steps.evaluate import accuracy_of
from assay.steps.measurement import Length, Measuring, measure
from assay.steps.results import load_predictions, load_record
from assay.storage import store
from tests.measure import breaking
from tests.messages import assert_says

pytest.importorskip("mlperf_loadgen", reason="LoadGen has no wheel for this Python")

pytestmark = pytest.mark.xdist_group("loadgen")

SEED = 2085463073848966840
"""MLPerf's own, of its round 6.0."""
Compiled = Callable[[str, int], CompiledModel]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory, demo_model: OnnxModel) -> Compiled:
    folder = tmp_path_factory.mktemp("artifacts")

    def of(backend: str, batch: int) -> CompiledModel:
        options, _ = BuildRequest(backend=backend).options(batch)
        return compile_into(demo_model, options, folder)[0]

    return of


def measured(
    artifact: CompiledModel, data: PreparedDataset | None, folder: Path, request: ScenarioRequest
) -> ScenarioOutcome:
    return bench_scenario(Runnable(artifact, {}), data, folder, request)


@pytest.fixture(scope="module")
def rehearsal(
    tmp_path_factory: pytest.TempPathFactory, compiled: Compiled, demo_data: PreparedDataset
) -> tuple[ScenarioOutcome, Path]:
    """The official way through the server scenario, but for its length, with an artifact that is never full."""
    folder = tmp_path_factory.mktemp("server")
    request = ScenarioRequest("server", official=True, seconds=0.5, target_qps=40.0, latency_bound=60.0)
    return measured(compiled("onnxruntime", 4), demo_data, folder, request), folder


@pytest.mark.parametrize(
    ("name", "batch", "images_per_query"),
    [("single-stream", 1, 1), ("multi-stream", 8, 8), ("multi-stream", 1, 8), ("offline", 16, None)],
)
def test_a_short_test_has_loadgens_figures_and_is_not_official(
    name: str, batch: int, images_per_query: int | None, compiled: Compiled, tmp_path: Path
) -> None:
    outcome = measured(compiled("null", batch), None, tmp_path, ScenarioRequest(name, seconds=0.2))
    record = outcome.scenario
    test = record.performance
    assert (record.scenario, record.official, record.source) == (name, False, "synthetic")
    assert any("made up" in departure for departure in record.departures)
    # What LoadGen was told to expect: queries a second, of as many images each.
    assert record.target_qps == pytest.approx(float(test.settings["target_qps"]), rel=0.01)
    assert test.samples_completed == test.samples_issued >= 1
    if images_per_query is None:
        assert test.queries_issued == 1
    else:
        assert test.samples_issued == images_per_query * test.queries_issued
    assert test.settings["qsl_rng_seed"] == SEED
    assert test.settings["min_duration_ms"] == 200
    assert (record.throughput is None) == (name == "multi-stream")
    assert 0 < test.latency["p50"] <= test.latency["p99"] <= test.latency["max"]
    assert not test.errors
    assert outcome.verdict.checks == ()
    assert store.read(tmp_path / "scenario.json", ScenarioRecord) == record


@pytest.mark.long
def test_a_folder_holds_a_run_or_a_scenario(compiled: Compiled, tmp_path: Path) -> None:
    artifact, length = compiled("null", 1), Length(batches=1)
    request = ScenarioRequest("offline", seconds=0.2, gates=["scenario>=1"])
    run, scenario = tmp_path / "run", tmp_path / "scenario"
    bench_all([Runnable(artifact, {})], None, run, Measuring(length=length))
    with pytest.raises(RecordError) as caught:
        measured(artifact, None, run, request)
    assert_says(caught, f"{run / 'run.json'} is there", "a scenario needs a folder without one", "-o")
    assert not (run / "verdict.json").exists()
    (run / "verdict.json").write_text("of an earlier run")
    bench_all([Runnable(artifact, {})], None, run, Measuring(length=length))
    assert not (run / "verdict.json").exists()
    measured(artifact, None, scenario, request)
    with pytest.raises(RecordError) as caught:
        bench_all([Runnable(artifact, {})], None, scenario, Measuring(length=length))
    assert_says(caught, f"{scenario / 'scenario.json'} is there", "a run needs a folder without one", "-o")
    # As an earlier assay left it: whose the verdict is cannot be known.
    shutil.copytree(run, scenario, dirs_exist_ok=True)
    with pytest.raises(RecordError) as caught:
        load_record(scenario)
    assert_says(caught, f"{scenario} holds a run and reported figures", str(scenario / "run.json"))
    page = report([scenario / "run.json"], out=tmp_path / "page.html")
    assert "PASS" not in page.path.read_text(encoding="utf-8")


@pytest.mark.long
def test_the_logs_are_kept_whole(rehearsal: tuple[ScenarioOutcome, Path]) -> None:
    outcome, folder = rehearsal
    for test in (outcome.scenario.performance, outcome.scenario.accuracy_test):
        assert test is not None
        names = {log.path.name for log in test.logs}
        assert {driver.SUMMARY, driver.DETAIL, driver.ACCURACY, driver.CONFIGURATION} <= names
        for log in test.logs:
            assert store.verified(log).is_relative_to(folder / "bench")
    assert outcome.scenario.performance.version.startswith("6.0.")


@pytest.mark.long
def test_the_official_way_takes_mlperfs_settings_and_says_what_departs(
    rehearsal: tuple[ScenarioOutcome, Path],
) -> None:
    record = rehearsal[0].scenario
    settings = record.performance.settings
    assert settings["qsl_rng_seed"] == SEED
    assert settings["sample_index_rng_seed"] == 2747215439041700203
    assert settings["schedule_rng_seed"] == 16159082839903944936
    assert settings["performance_sample_count"] == 1024
    assert settings["target_latency_percentile"] == 0.99
    assert settings["target_latency_ns"] == 60 * 10**9
    assert settings["target_qps"] == 40.0
    assert len(record.departures) == 3
    assert not record.official


@pytest.mark.long
def test_official_offline_sends_as_many_images_as_mlperf_asks_for(
    compiled: Compiled, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    request = ScenarioRequest("offline", official=True, seconds=0.1)
    outcome = measured(compiled("null", 16), demo_data, tmp_path, request)
    assert outcome.scenario.performance.samples_completed >= 24_576
    assert outcome.verdict.checks[0].gate.text == "valid"


@pytest.mark.long
def test_the_answers_of_the_accuracy_mode_are_the_predictions_of_a_bench(
    rehearsal: tuple[ScenarioOutcome, Path], compiled: Compiled, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    found = rehearsal[0].scenario
    bench = measure(Runnable(compiled("onnxruntime", 4), {}), demo_data, tmp_path)
    assert bench.predictions is not None
    assert found.predictions is not None
    assert found.predictions.names == bench.predictions.names
    assert found.predictions.dataset_fingerprint == bench.predictions.dataset_fingerprint
    assert np.array_equal(found.predictions.scores.load(), bench.predictions.scores.load())
    record = bench_all([Runnable(compiled("onnxruntime", 4), {})], demo_data, tmp_path / "whole")
    assert found.accuracy == record.results[0].accuracy


@pytest.mark.long
def test_a_scenarios_folder_is_evaluated_by_the_answers_of_its_accuracy_mode(
    rehearsal: tuple[ScenarioOutcome, Path], compiled: Compiled, tmp_path: Path
) -> None:
    outcome, folder = rehearsal
    ((name, predictions),) = load_predictions(folder)
    assert name == "server"
    assert accuracy_of(predictions, demo.LABELS) == outcome.scenario.accuracy
    assert main(["evaluate", str(folder), "--labels", str(demo.LABELS)]) == 0
    measured(compiled("null", 1), None, tmp_path, ScenarioRequest("offline", seconds=0.2))
    with pytest.raises(RecordError) as caught:
        load_predictions(tmp_path)
    assert_says(caught, f"{tmp_path} holds a scenario without predictions", "mlperf")


@pytest.mark.long
def test_the_verdict_repeats_loadgens_result(rehearsal: tuple[ScenarioOutcome, Path]) -> None:
    outcome, _ = rehearsal
    (check,) = outcome.verdict.checks
    assert check.reason.startswith(f"LoadGen calls the run {outcome.scenario.performance.result}")
    assert (check.verdict == "PASS") == (outcome.scenario.performance.result == "VALID")
    assert outcome.verdict.artifact_sha256 == (outcome.scenario.compiled.file.sha256,)


def test_too_slow_for_the_bound_is_invalid_in_loadgens_own_words(compiled: Compiled, tmp_path: Path) -> None:
    request = ScenarioRequest("server", seconds=0.5, target_qps=50.0, latency_bound=1e-6, gates=["valid"])
    outcome = measured(compiled("null", 1), None, tmp_path, request)
    (check,) = outcome.verdict.checks
    assert check.verdict == "FAIL"
    assert "INVALID: not satisfied performance constraints" in check.reason
    assert "Reduce target QPS to improve latency" in check.detail
    assert "Reduce target QPS to improve latency." in outcome.scenario.performance.reasons
    assert not outcome.verdict.passes()


@pytest.mark.long
def test_a_folder_of_a_scenario_is_compared_as_reported_figures(
    rehearsal: tuple[ScenarioOutcome, Path], compiled: Compiled, tmp_path: Path
) -> None:
    reported = load_record(rehearsal[1])
    assert isinstance(reported, ReportedRun)
    assert (reported.scenario, reported.name, reported.images) == ("Server", str(rehearsal[1]), 240)
    assert reported.results[0].batch == 4
    assert reported.results[0].throughput == {"scenario": rehearsal[0].scenario.throughput}
    measured(compiled("null", 1), None, tmp_path, ScenarioRequest("offline", seconds=0.1))
    gate = f"scenario/{tmp_path}>=0.5"
    comparison = compare([rehearsal[1]], against=[tmp_path], gate=[gate])
    assert [check.verdict for check in comparison.verdicts[0].checks if check.gate.text == gate] == ["NOT COMPARABLE"]
    assert "another scenario" in comparison.verdicts[0].checks[-1].reason


def test_a_gate_on_the_figure_is_judged(compiled: Compiled, tmp_path: Path) -> None:
    request = ScenarioRequest("offline", seconds=0.1, gates=["scenario>=1", "scenario>=1000000000"])
    verdict = measured(compiled("null", 16), None, tmp_path, request).verdict
    assert [check.verdict for check in verdict.checks] == ["PASS", "FAIL"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("drive", "said"),
    [
        (breaking.refusing, ["onnxruntime refused a batch"]),
        (breaking.dying, ["LoadGen was killed (SIGKILL) while running offline", "its logs are in"]),
    ],
)
def test_what_breaks_under_loadgen_is_one_line(
    drive: Callable[..., object], said: list[str], compiled: Compiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "drive", drive)
    with pytest.raises(BackendError) as caught:
        measured(compiled("onnxruntime", 1), None, tmp_path, ScenarioRequest("offline", seconds=0.1))
    assert_says(caught, *said)
    assert child._spare is None
    assert not (tmp_path / "scenario.json").exists()


def test_an_interrupt_ends_loadgens_process(
    compiled: Compiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "drive", breaking.hanging)
    monkeypatch.setattr(driver, "LOOK_SECONDS", 0.2)
    over = threading.Event()

    def interrupt() -> None:
        while not over.is_set() and not list(tmp_path.rglob("at-work")):
            time.sleep(0.05)
        if not over.is_set():
            _thread.interrupt_main()

    waiter = threading.Thread(target=interrupt)
    waiter.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            measured(compiled("onnxruntime", 1), None, tmp_path, ScenarioRequest("offline", seconds=0.1))
    finally:
        over.set()
        waiter.join()
    assert child._spare is None


def test_the_official_way_needs_images(compiled: Compiled, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        measured(compiled("null", 1), None, tmp_path, ScenarioRequest("offline", official=True))
    assert_says(caught, "accuracy mode", "give data or images, or leave out mlperf")


def test_without_loadgen_it_says_what_to_install_and_for_which_python(
    compiled: Compiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = compiled("null", 1)
    monkeypatch.setattr(driver, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as caught:
        measured(artifact, None, tmp_path, ScenarioRequest("offline"))
    assert_says(caught, "assay-inference[loadgen]", "wheels for Python 3.11 to 3.13")


def test_pixels_of_another_size_are_refused(compiled: Compiled, demo_data: PreparedDataset, tmp_path: Path) -> None:
    other = msgspec.structs.replace(demo_data, transform=msgspec.structs.replace(demo_data.transform, resize=80))
    with pytest.raises(UsageError) as caught:
        measured(compiled("null", 1), other, tmp_path, ScenarioRequest("offline"))
    assert_says(caught, "resized to 80")
