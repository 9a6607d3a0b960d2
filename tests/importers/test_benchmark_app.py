"""The samples are real: openvino 2026.4.1 on the demo's model."""

from __future__ import annotations

import pytest

from assay.errors import AssayError
from assay.importers import benchmark_app
from assay.importers.report_file import ReportFile
from assay.records.reported import ReportedLatency, ReportedRun
from tests.messages import assert_says
from tests.reports import SAMPLES


def sample(name: str) -> str:
    return (SAMPLES / name).read_text(encoding="utf-8")


def read(text: str, name: str = "ov") -> ReportedRun:
    report = ReportFile(name=name, text=text)
    if benchmark_app.is_report(text):
        return benchmark_app.read_report(report)
    assert benchmark_app.is_log(text)
    return benchmark_app.read_log(report)


def test_a_log_has_microseconds_and_frames_a_second() -> None:
    run = read(sample("benchmark_app_b1.log"))
    assert (run.tool, run.device, run.input_side, run.pixels) == ("benchmark_app", "CPU", 64, "synthetic")
    # No more of the tool's files says how many dies a card has than how the model is called.
    assert (run.dies, run.model) == (None, None)
    # The hint is of what a model leaves open; a quantised one runs as it is.
    assert run.precision is None
    assert run.notes == ("requests at a time: 2", "inference precision hint bfloat16")
    (result,) = run.results
    assert (result.batch, dict(result.throughput)) == (1, {"interface": 12582.63})
    latency = result.latency
    assert latency is not None
    assert latency.median == pytest.approx(133.41e-6)
    assert latency.mean == pytest.approx(134.15e-6)
    assert latency.max == pytest.approx(1588.37e-6)


def test_a_log_of_an_open_batch_says_its_size_by_its_own_formula() -> None:
    text = sample("benchmark_app_b4_open_batch.log")
    assert "Model batch size: ?" in text
    run = read(text)
    assert (run.results[0].batch, run.input_side) == (4, 64)
    latency = run.results[0].latency
    assert latency is not None
    assert (latency.mean, latency.min, latency.max) == pytest.approx((396.27e-6, 365.39e-6, 1998.14e-6))
    assert latency.median is None
    assert latency.p99 == pytest.approx(467.99e-6)
    assert "filling the inputs counts" in run.notes


def test_milliseconds_of_older_versions_are_read_too() -> None:
    text = "[Step 11/11]\nCount: 100 iterations\nDuration: 1000 ms\nLatency:\n  Median: 9.5 ms\nThroughput: 400 FPS"
    (result,) = read(text).results
    assert (result.batch, result.latency) == (4, ReportedLatency(median=9.5 * 1e-3))


@pytest.mark.parametrize(
    ("name", "batch", "rate", "figure"),
    [
        ("benchmark_app_b1.csv", 1, 12582.63, "median"),
        ("benchmark_app_b4_p99.csv", 4, 9857.85, "p99"),
        ("benchmark_app_b4.json", 4, 20200.10, "median"),
    ],
)
def test_reports_of_both_forms_say_the_same_things(name: str, batch: int, rate: float, figure: str) -> None:
    run = read(sample(name))
    (result,) = run.results
    assert (result.batch, dict(result.throughput)) == (batch, {"interface": rate})
    assert (run.device, run.input_side, run.pixels, run.dies) == ("CPU", 64, "synthetic", None)
    assert getattr(result.latency, figure) > 0
    assert "latencies are rounded to 0.01 ms" in run.notes
    assert any("at a time" in note for note in run.notes)


def test_a_run_over_given_images_does_not_say_synthetic() -> None:
    assert read(sample("benchmark_app_b1.csv").replace("-t;2", "-i;val")).pixels is None


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("benchmark_app_b1.csv", ("throughput;12582.63", "throughput;fast"), ["throughput", "'fast'"]),
        ("benchmark_app_b1.csv", ("throughput;12582.63", ""), ["`throughput` among"]),
        ("benchmark_app_b1.csv", ("avg latency;0.13", "avg latency 0.13"), ["line 29", "`key;value`"]),
        ("benchmark_app_b1.csv", ("avg latency;0.13", "avg latency;-1"), ["avg latency", "'-1'"]),
        ("benchmark_app_b4.json", ('"throughput": "20200.10"}', ""), ["whole JSON"]),
        ("benchmark_app_b4.json", ('"execution_results"', '"results"'), ["execution_results"]),
        ("benchmark_app_b1.log", ("12582.63 FPS", "nan FPS"), ["line 80", "Throughput"]),
        ("benchmark_app_b1.log", ("133.41 us", "1x us"), ["line 76", "Median"]),
        ("benchmark_app_b1.log", ("Throughput:", "Thr"), ["`Throughput: … FPS`"]),
    ],
)
def test_a_damaged_file_is_refused(name: str, change: tuple[str, str], said: list[str]) -> None:
    text = sample(name)
    assert change[0] in text
    with pytest.raises(AssayError) as caught:
        read(text.replace(*change), name)
    assert_says(caught, name, *said)


def test_a_log_of_two_runs_is_refused() -> None:
    with pytest.raises(AssayError) as caught:
        read(sample("benchmark_app_b1.log") * 2)
    assert_says(caught, "one run", "a file a run")
