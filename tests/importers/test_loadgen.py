"""The samples are real: mlcommons-loadgen 6.0.17 over a system that sleeps."""

from __future__ import annotations

import pytest

from assay.errors import AssayError
from assay.importers import loadgen
from assay.importers.report_file import ReportFile
from assay.records.reported import ReportedRun
from tests.messages import assert_says
from tests.reports import SAMPLES


def sample(scenario: str) -> str:
    return (SAMPLES / f"loadgen_{scenario}.txt").read_text(encoding="utf-8")


def read(text: str) -> ReportedRun:
    assert loadgen.recognises(text)
    return loadgen.read(ReportFile(name="summary.txt", text=text))


@pytest.mark.parametrize(
    ("scenario", "batch", "rate", "p99"),
    [
        ("Offline", None, 9700.22, None),
        ("Server", None, 190.54, None),
        ("SingleStream", 1, 1689.54, 617501e-9),
        ("MultiStream", None, None, 4250981e-9),
    ],
)
def test_each_scenario_has_its_own_figures(
    scenario: str, batch: int | None, rate: float | None, p99: float | None
) -> None:
    run = read(sample(scenario))
    assert (run.tool, run.scenario, run.dies, run.pixels) == ("LoadGen", scenario, None, None)
    (result,) = run.results
    assert (result.batch, result.throughput.get("scenario")) == (batch, rate)
    assert (result.latency.p99 if result.latency else None) == (pytest.approx(p99) if p99 else None)


def test_the_notes_say_whether_the_run_is_valid_and_why_not() -> None:
    assert "LoadGen calls the run VALID" in read(sample("SingleStream")).notes
    assert "LoadGen calls the run INVALID: not satisfied min duration" in read(sample("Offline")).notes


def test_an_older_server_run_counts_what_was_scheduled() -> None:
    text = sample("Server").replace("Completed samples per second", "Other")
    assert dict(read(text).results[0].throughput) == {"scenario": 190.61}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("Scenario : Offline", "Scenario : Online"), ["line 5", "Scenario"]),
        (("Scenario : Offline", ""), ["Scenario"]),
        (("Samples per second: 9700.22", "Samples per second: many"), ["line 7", "'many'"]),
        (("Samples per second: 9700.22", ""), ["`Samples per second : …`"]),
        (("Result is : INVALID", "Result is : FINE"), ["line 8", "VALID"]),
        (("PerformanceOnly", "AccuracyOnly"), ["AccuracyOnly", "measures no speed"]),
        (("8141412", "soon"), ["line 18", "'soon'"]),
    ],
)
def test_a_damaged_summary_is_refused(change: tuple[str, str], said: list[str]) -> None:
    text = sample("Offline")
    assert change[0] in text
    with pytest.raises(AssayError) as caught:
        read(text.replace(*change))
    assert_says(caught, "summary.txt", *said)


def test_two_summaries_in_one_file_and_half_of_one_are_refused() -> None:
    with pytest.raises(AssayError) as caught:
        read(sample("Offline") * 2)
    assert_says(caught, "a second")
    with pytest.raises(AssayError) as caught:
        read(sample("Offline").partition("Additional Stats")[0])
    assert_says(caught, "percentile latency")
