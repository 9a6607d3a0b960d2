from __future__ import annotations

import pytest

from assay.errors import UnknownNameError, UsageError
from assay.loadgen.scenarios import SCENARIOS, Load, named
from tests.messages import assert_says


def test_an_unknown_scenario_lists_the_known() -> None:
    with pytest.raises(UnknownNameError) as caught:
        named("online")
    assert_says(caught, "unknown scenario 'online'", *SCENARIOS)


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (Load(named("server")), ["server", "target_qps, the queries a second"]),
        (Load(named("single-stream"), target_qps=5.0), ["leave out target_qps", "single-stream"]),
        (Load(named("multi-stream"), target_qps=5.0), ["leave out target_qps", "multi-stream"]),
        (Load(named("offline"), latency_bound=0.01), ["offline", "latency_bound", "scenario=server"]),
    ],
)
def test_what_a_scenario_cannot_be_asked_is_said(load: Load, said: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        load.check()
    assert_says(caught, *said)


@pytest.mark.parametrize(("name", "batch", "most"), [("single-stream", 2, "1 image"), ("multi-stream", 16, "8 images")])
def test_an_artifact_that_no_query_fills_is_refused(name: str, batch: int, most: str) -> None:
    with pytest.raises(UsageError) as caught:
        Load(named(name)).check_batch(batch)
    assert_says(caught, f"{name} scenario", most, f"takes {batch}", "compile one with batch=")


def test_official_settings_depart_in_nothing() -> None:
    whole = Load(named("server"), official_counts=True, target_qps=10.0)
    assert whole.departures(50_000) == ()
    assert whole.overrides("performance") == {}
    assert whole.bound == 0.015


@pytest.mark.parametrize(
    ("load", "images", "said"),
    [
        (Load(named("offline"), seconds=2.0, official_counts=True), 50_000, "2 s at least"),
        (Load(named("offline")), 50_000, "no least number of queries"),
        (Load(named("server"), official_counts=True, target_qps=1.0, latency_bound=0.02), 50_000, "20 ms"),
        (Load(named("offline"), official_counts=True), 240, "240 images"),
        (Load(named("offline"), official_counts=True), None, "made up"),
    ],
)
def test_what_is_not_official_is_said(load: Load, images: int | None, said: str) -> None:
    (departure,) = load.departures(images)
    assert said in departure


def test_what_a_system_reaches_is_expected_of_it_in_each_scenarios_own_unit() -> None:
    assert Load(named("offline")).configuration(1000.0) == "*.Offline.target_qps = 1100.0\n"
    assert Load(named("server"), target_qps=70.0).configuration(1000.0) == "*.Server.target_qps = 70.0\n"
    key, _, value = Load(named("multi-stream")).configuration(8000.0).partition(" = ")
    assert key == "*.MultiStream.target_latency"
    # Three times as many queries as it can answer: a stream must not run out of them.
    assert float(value) == pytest.approx(1 / 3)
