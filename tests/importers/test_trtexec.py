from __future__ import annotations

import re

import pytest

from assay.errors import AssayError
from assay.importers import trtexec
from assay.importers.report_file import ReportFile
from assay.records.reported import ReportedRun
from tests.messages import assert_says
from tests.reports import SAMPLES, TRTEXEC

NEW = (SAMPLES / "trtexec_8601.log").read_text(encoding="utf-8")
OLD = (SAMPLES / "trtexec_7.log").read_text(encoding="utf-8")


def read(text: str, batch: int | None = None) -> ReportedRun:
    assert trtexec.is_log(text)
    return trtexec.read_log(ReportFile(name="t4.log", text=text, batch=batch))


def test_a_log_says_its_queries_its_latency_and_how_it_was_run() -> None:
    run = read(NEW)
    assert (run.tool, run.device, run.dies) == ("trtexec", "Tesla T4", None)
    assert (run.precision, run.input_side, run.pixels, run.transfers) == ("fp16", 224, "synthetic", True)
    assert run.model is None
    (result,) = run.results
    assert (result.batch, result.queries, dict(result.throughput)) == (64, 8.95298, {})
    assert result.latency is not None
    assert result.latency.mean == pytest.approx(0.114928)
    assert result.latency.p99 == pytest.approx(0.116366)
    assert {stage.name: round(stage.latency, 6) for stage in result.stages} == {
        "copy to device": 0.003232,
        "GPU compute": 0.111675,
        "copy from device": 0.000021,
    }
    assert "TensorRT 8.6.1" in run.notes
    assert "model file wrn101_2_pth.onnx" in run.notes


def test_a_log_of_an_older_version_has_its_figures_a_line_each() -> None:
    run = read(OLD)
    (result,) = run.results
    # It says 0 qps, and the guide makes images a second of its mean latency.
    assert (result.batch, run.precision) == (1, "fp16")
    assert result.queries == pytest.approx(1000 / 4.18069)
    assert any("mean latency" in note for note in run.notes)
    assert result.latency is not None
    assert result.latency.mean == pytest.approx(0.00418069)
    assert result.latency.p99 == pytest.approx(0.00467065)
    assert {stage.name: stage.latency for stage in result.stages} == pytest.approx({"GPU compute": 0.00408806})
    # No version and no option says whether copies count.
    assert run.transfers is None


@pytest.mark.parametrize("change", [("--threads", "--threads --streams=2"), ("throughput: 0 qps", "")])
def test_no_rate_is_made_of_a_latency_whose_calls_overlap_or_whose_log_lacks_a_line(change: tuple[str, str]) -> None:
    run = read(OLD.replace(*change))
    assert run.results[0].queries is None
    assert not any("mean latency" in note for note in run.notes)


@pytest.mark.parametrize(
    ("command", "transfers"),
    [
        ("[TensorRT v8601] # trtexec --onnx=m.onnx", True),
        ("[TensorRT v101600] # trtexec --onnx=m.onnx", True),
        ("[TensorRT v8601] # trtexec --onnx=m.onnx --noDataTransfers", False),
        ("[TensorRT v110000] # trtexec --onnx=m.onnx", False),
        ("[TensorRT v110000] # trtexec --onnx=m.onnx --includeDataTransfers", True),
    ],
)
def test_whether_copies_count_is_said_by_an_option_or_by_the_version(command: str, transfers: bool) -> None:
    log = "\n".join([f"&&&& RUNNING TensorRT.trtexec {command}", TRTEXEC])
    run = read(log)
    assert run.transfers is transfers
    assert any("copies to and from the GPU" in note for note in run.notes)


def test_a_summary_alone_leaves_everything_else_unknown() -> None:
    run = trtexec.read_log(ReportFile(name="t4.log", text=TRTEXEC))
    assert (run.transfers, run.precision, run.pixels, run.results[0].batch) == (None, None, None, None)
    assert run.results[0].queries == 250.5


@pytest.mark.parametrize(
    ("flags", "precision"),
    [("", "fp32"), ("--fp16", "fp16"), ("--int8", "int8"), ("--fp16 --int8", None), ("--best", None)],
)
def test_the_precision_is_what_the_operators_were_allowed(flags: str, precision: str | None) -> None:
    command = f"&&&& RUNNING TensorRT.trtexec [TensorRT v8601] # trtexec --onnx=m.onnx {flags}"
    assert read("\n".join([command, TRTEXEC])).precision == precision
    assert read("\n".join([command.replace("--onnx", "--loadEngine"), TRTEXEC])).precision is None
    assert read("\n".join([command.replace("v8601", "v110000"), TRTEXEC])).precision is None


def test_a_network_without_a_batch_axis_counts_images() -> None:
    command = "&&&& RUNNING TensorRT.trtexec [TensorRT v7203] # trtexec --deploy=m.prototxt --batch=16"
    (result,) = read("\n".join([command, TRTEXEC])).results
    assert (result.batch, result.queries, dict(result.throughput)) == (16, None, {"interface": 250.5})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("Throughput: 8.95298 qps", "Throughput: fast qps"), ["line 20", "throughput", "'fast'"]),
        (("mean = 114.928 ms", "mean = 1e999 ms"), ["line 21", "mean", "1e999"]),
        (("mean = 114.928 ms, ", ""), ["line 21", "`Latency: min"]),
        (("dimensions 64x3x224x224", "dimensions 1x3x224x224"), ["(64, 3, 224, 224)", "(1, 3, 224, 224)"]),
        (("[I] Latency: ", "[I] Late"), ["GPU"]),
    ],
)
def test_a_damaged_line_is_named(change: tuple[str, str], said: list[str]) -> None:
    text = NEW.replace(*change)
    if change[1] == "[I] Late":
        # What is left is the GPU's computing alone, and the record says so.
        assert "the latency is of the GPU's computing alone" in read(text).notes
        return
    with pytest.raises(AssayError) as caught:
        read(text)
    assert_says(caught, "t4.log", *said)


def test_a_log_that_ends_early_or_holds_two_runs_is_refused() -> None:
    with pytest.raises(AssayError) as caught:
        read(NEW.partition("[10/03/2024-10:47:59] [I] Throughput")[0] + "\n&&&& FAILED TensorRT.trtexec")
    assert_says(caught, "t4.log", "Latency: min", "trtexec failed")
    with pytest.raises(AssayError) as caught:
        read(NEW + NEW)
    assert_says(caught, "t4.log, line", "one run", "a file a run")


def test_exported_times_give_the_latency_of_every_query() -> None:
    text = (SAMPLES / "trtexec_times.json").read_text(encoding="utf-8")
    assert trtexec.is_times(text)
    run = trtexec.read_times(ReportFile(name="times.json", text=text, batch=8))
    (result,) = run.results
    assert result.batch == 8
    assert result.latency is not None
    assert (result.latency.min, result.latency.mean, result.latency.max) == pytest.approx((0.00425, 0.00475, 0.00525))
    assert {stage.name: stage.latency for stage in result.stages}["GPU compute"] == pytest.approx(0.0045)
    assert run.notes == ("times of 2 queries, those of the warm-up among them",)
    assert run.dies is None
    # From the first copy's start at 208 ms to the last one's end at 217.55 ms.
    assert result.queries == pytest.approx(2 / 0.00955)


def test_exported_times_of_later_versions_are_without_the_warm_up() -> None:
    text = (SAMPLES / "trtexec_times.json").read_text(encoding="utf-8")
    text = re.sub(r', "endToEndMs" : [\d.]+', "", text)
    assert "endToEnd" not in text
    assert trtexec.read_times(ReportFile(name="times.json", text=text)).notes == ("times of 2 queries",)


def test_exported_times_of_tensorrt_7_have_other_names_for_the_copies() -> None:
    text = (SAMPLES / "trtexec_times.json").read_text(encoding="utf-8")
    old = text.replace("H2dMs", "InMs").replace("D2hMs", "OutMs").replace("h2dMs", "inMs").replace("d2hMs", "outMs")
    assert '"startInMs"' in old
    assert '"outMs"' in old
    assert trtexec.is_times(old)
    found, expected = (trtexec.read_times(ReportFile(name="times.json", text=one)) for one in (old, text))
    assert found == expected


def test_exported_times_without_their_span_have_no_rate() -> None:
    text = (SAMPLES / "trtexec_times.json").read_text(encoding="utf-8").replace('"startH2dMs" : 208, ', "")
    (result,) = trtexec.read_times(ReportFile(name="times.json", text=text)).results
    assert result.queries is None


def test_exported_times_that_end_before_they_start_are_refused() -> None:
    text = (SAMPLES / "trtexec_times.json").read_text(encoding="utf-8")
    with pytest.raises(AssayError) as caught:
        trtexec.read_times(ReportFile(name="times.json", text=text.replace('endD2hMs" : 21', 'endD2hMs" : 11')))
    assert_says(caught, "times.json", "endD2hMs", "startH2dMs")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "a list of objects"),
        ('[{"latencyMs": 1}]', "h2dMs of query 1"),
        ('[{"latencyMs": "a", "computeMs": 1}]', "latencyMs of query 1"),
        ('[{"latencyMs": 1, ', "whole JSON"),
        ("[3]", "query 1"),
    ],
)
def test_damaged_times_are_refused(text: str, said: str) -> None:
    with pytest.raises(AssayError) as caught:
        trtexec.read_times(ReportFile(name="times.json", text=text))
    assert_says(caught, "times.json", said)
