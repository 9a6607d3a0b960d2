"""The logs are those of mlcommons-loadgen 6.0.17, cut to the lines that are read."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.errors import RecordError
from assay.loadgen import log as loadgen_log
from tests.messages import assert_says


def line(key: str, value: object, error: bool = False, warning: bool = False) -> str:
    rest = {"time_ms": 0.006742, "namespace": "mlperf::logging", "event_type": "POINT_IN_TIME"}
    marks = {"is_error": error, "is_warning": warning, "file": "results.cc", "line_no": 674, "pid": 1, "tid": 1}
    return f":::MLLOG {json.dumps({'key': key, 'value': value, **rest, 'metadata': marks})}\n"


WHOLE = "".join(
    [
        line("loadgen_version", "6.0.17 @ d6147c7eb7"),
        line("effective_min_duration_ms", 500),
        line("effective_schedule_rng_seed", 16159082839903944936),
        line("loaded_qsl_set", [2, 0, 1]),
        line("result_validity", "INVALID"),
        line("result_invalid_reason", "Reduce target QPS to improve latency.\n "),
        line("early_stopping_result", " * Run unsuccessful.\n * Processed 49 queries.\n"),
        line("result_mean_latency_ns", 187802),
        line("result_99.00_percentile_latency_ns", 5379512),
        line("result_99.90_percentile_latency_ns", 6000000),
        line("num_errors", 0),
    ]
)


def read(text: str, folder: Path) -> loadgen_log.Detail:
    log = folder / "mlperf_log_detail.txt"
    log.write_text(text, encoding="utf-8")
    return loadgen_log.read(log)


def test_an_invalid_result_has_its_reasons(tmp_path: Path) -> None:
    found = read(WHOLE, tmp_path)
    assert found.version == "6.0.17 @ d6147c7eb7"
    assert found.result == "INVALID"
    assert found.reasons == ("Reduce target QPS to improve latency.", "Run unsuccessful.", "Processed 49 queries.")
    assert found.settings == {"min_duration_ms": 500, "schedule_rng_seed": 16159082839903944936}
    assert found.latency == {"mean": 187802e-9, "p99": 5379512e-9, "p99.9": 6e-3}
    assert (found.errors, found.warnings) == ((), ())


def test_a_test_of_accuracy_ends_without_results(tmp_path: Path) -> None:
    begin = line("loadgen_version", "6.0.17 @ d6147c7eb7") + line("effective_test_mode", "AccuracyOnly")
    found = read(begin + line("power_end", "11-29-2026"), tmp_path)
    assert (found.result, found.errors, found.latency) == (None, (), {})
    with pytest.raises(RecordError, match="whole test"):
        read(begin, tmp_path)


@pytest.mark.parametrize("lines", [1, 5, 10])
def test_a_log_that_was_cut_off_is_refused(lines: int, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="expected LoadGen's log of a whole test"):
        read("".join(WHOLE.splitlines(keepends=True)[:lines]), tmp_path)


def test_a_valid_result_has_none(tmp_path: Path) -> None:
    found = read(WHOLE.replace("INVALID", "VALID"), tmp_path)
    assert (found.result, found.reasons) == ("VALID", ())


def test_errors_and_warnings_are_kept_and_counted(tmp_path: Path) -> None:
    errors = "".join(line("error_runtime", f"ran out {number}", error=True) for number in range(25))
    found = read(WHOLE + errors + line("warning_generic", "slow", warning=True), tmp_path)
    assert found.errors[0] == "error_runtime: ran out 0"
    assert found.errors[-1] == "… and 5 more"
    assert found.warnings == ("warning_generic: slow",)


@pytest.mark.parametrize("text", ["", "nothing of LoadGen's\n", ":::MLLOG {not json}\n", ":::MLLOG [1]\n"])
def test_what_is_no_log_of_a_whole_test_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(RecordError) as caught:
        read(text, tmp_path)
    assert_says(caught, "mlperf_log_detail.txt", "run")


def test_a_missing_log_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot read"):
        loadgen_log.read(tmp_path / "mlperf_log_detail.txt")
    with pytest.raises(RecordError, match="cannot read"):
        loadgen_log.answers(tmp_path / "mlperf_log_accuracy.json", 1, 1)


def answers(content: str, folder: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    log = folder / "mlperf_log_accuracy.json"
    log.write_text(content, encoding="utf-8")
    return loadgen_log.answers(log, images=2, classes=1)


def test_answers_stand_in_the_order_of_the_library(tmp_path: Path) -> None:
    first, second = '{ "qsl_idx" : 1, "data" : "00000040" }', '{ "qsl_idx" : 0, "data" : "0000803f" }'
    assert answers(f"[\n{first},\n{second}\n]\n", tmp_path).tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[\n{ "seq_id" : 0, "qsl_idx" : 0, "data" : "0000803f" }\n]\n', "1 of 2 images have no answer"),
        ('[\n{ "seq_id" : 0, "qsl_idx" : 5, "data" : "0000803f" }\n]\n', "line 2"),
        ('[\n{ "qsl_idx" : 0, "data" : "0000803f" },\n{ "qsl_idx" : 0, "data" : "0000803f" }\n]\n', "line 3"),
        ('[\n{ "seq_id" : 0, "qsl_idx" : 0, "data" : "00" }\n]\n', "line 2"),
        ('[\n{ "seq_id" : 0, "qsl_idx" : 0, "data" : "zz" }\n]\n', "run it again"),
        ("not json", "run it again"),
    ],
)
def test_a_damaged_log_of_answers_is_refused(content: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(RecordError) as caught:
        answers(content, tmp_path)
    assert_says(caught, "mlperf_log_accuracy.json", said)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(), st.text().map(lambda text: f":::MLLOG {text}".encode())))
def test_any_bytes_are_a_result_or_an_error_of_ours(content: bytes, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(content)
    with suppress(RecordError):
        loadgen_log.read(log)
    with suppress(RecordError):
        loadgen_log.answers(log, 2, 1)
