from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from assay.errors import AssayError
from assay.importers import ais_bench
from assay.importers.report_file import ReportFile
from assay.records.reported import ReportedRun
from tests.messages import assert_says
from tests.reports import SAMPLES

SAMPLE = (SAMPLES / "ais_bench_summary.json").read_text(encoding="utf-8")


def read(changes: dict[str, Any] | None = None, batch: int | None = None) -> ReportedRun:
    text = json.dumps(json.loads(SAMPLE) | (changes or {}))
    assert ais_bench.recognises(text)
    return ais_bench.read(ReportFile(name="bs16_summary.json", text=text, batch=batch))


def test_a_summary_is_of_the_call_alone_on_one_die() -> None:
    run = read()
    assert (run.tool, run.transfers, run.dies, run.pixels) == ("ais_bench", False, None, "synthetic")
    (result,) = run.results
    assert (result.batch, dict(result.throughput)) == (16, {"interface": 1000.0})
    assert result.latency is not None
    figures = {key: value for key, value in msgspec.structs.asdict(result.latency).items() if value is not None}
    assert figures == pytest.approx({"min": 0.0158, "max": 0.0164, "mean": 0.016, "median": 0.01597, "p99": 0.01639})
    assert [stage.name for stage in result.stages] == ["copy to device", "copy from device"]
    assert [stage.latency for stage in result.stages] == pytest.approx([0.002, 0.00006])
    assert "batch 16 by its own formula, throughput × mean NPU compute" in run.notes


def test_batches_of_several_sizes_leave_the_batch_unknown() -> None:
    run = read({"throughput": 990.0})
    assert run.results[0].batch is None
    assert "its batches held 15.84 images on average" in run.notes
    assert read({"throughput": 990.0}, batch=16).results[0].batch == 16


def test_a_figure_may_stand_in_a_list() -> None:
    times = {"min": [15.8], "max": [16.4], "mean": [16.0], "median": [15.97], "percentile(99%)": [16.39], "count": 1}
    assert read({"NPU_compute_time": times, "throughput": [1000.0]}).results == read().results


def test_several_threads_have_no_latency_of_a_call() -> None:
    run = read({"NPU_compute_time": {"mean": 16.0, "count": 100}, "args": ["ais_bench", "--input", "prep"]})
    assert run.results[0].latency is None
    assert run.pixels is None
    assert "several threads: no latencies of single calls" in run.notes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"throughput": 0}, "throughput"),
        ({"throughput": None}, "throughput"),
        ({"throughput": [1, 2]}, "throughput"),
        ({"NPU_compute_time": 3}, "NPU_compute_time"),
        ({"NPU_compute_time": {"min": 1}}, "`mean` of NPU_compute_time"),
        ({"NPU_compute_time": {"mean": True}}, "mean of NPU_compute_time"),
    ],
)
def test_a_damaged_summary_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(AssayError) as caught:
        read(changes)
    assert_says(caught, "bs16_summary.json", said)


def test_a_truncated_summary_is_refused() -> None:
    with pytest.raises(AssayError) as caught:
        ais_bench.read(ReportFile(name="s.json", text=SAMPLE[:-20]))
    assert_says(caught, "s.json", "whole JSON")
