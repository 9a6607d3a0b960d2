from __future__ import annotations

import pytest

from assay.errors import UnknownNameError, UsageError
from assay.score import gates
from tests.messages import assert_says


@pytest.mark.parametrize(
    ("text", "metric", "batch", "reference", "operator", "bound"),
    [
        ("top1-drop<=1.0", "top1-drop", None, None, "<=", 1.0),
        ("top5-drop<0.5", "top5-drop", None, None, "<", 0.5),
        ("top1-drop@16<=1", "top1-drop", 16, None, "<=", 1.0),
        ("top1-drop/runs/old<=1", "top1-drop", None, "runs/old", "<=", 1.0),
        ("top1>=47%", "top1", None, None, ">=", 47.0),
        ("top3 > 70.5 %", "top3", None, None, ">", 70.5),
        ("throughput>=100", "throughput", None, None, ">=", 100.0),
        ("throughput/guide:T4>=1.6", "throughput", None, "guide:T4", ">=", 1.6),
        ("throughput@1/guide:310>=0.9", "throughput", 1, "guide:310", ">=", 0.9),
        ("latency.p99@1<=250ms", "latency.p99", 1, None, "<=", 0.25),
        ("latency.mean<2s", "latency.mean", None, None, "<", 2.0),
        ("latency.max/old<=1.1", "latency.max", None, "old", "<=", 1.1),
        ("end-to-end/interface>=0.95", "end-to-end", None, "interface", ">=", 0.95),
        ("  interface  >=  50  ", "interface", None, None, ">=", 50.0),
    ],
)
def test_a_gate_is_a_metric_a_batch_a_reference_and_a_bound(
    text: str, metric: str, batch: int | None, reference: str | None, operator: str, bound: float
) -> None:
    gate = gates.parse(text)
    found = (gate.metric, gate.batch, gate.reference, gate.operator, gate.bound)
    assert found == (metric, batch, reference, operator, bound)
    assert gate.text == text.strip()
    assert gate.asked


@pytest.mark.parametrize("name", ["min", "mean", "median", "p50", "p90", "p95", "p99", "max"])
def test_every_latency_can_be_gated(name: str) -> None:
    assert gates.parse(f"latency.{name}<=1ms").bound == 0.001


def test_a_default_gate_is_not_asked_for() -> None:
    assert not gates.parse("top1-drop<=1", asked=False).asked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "top1",
        "top1>=",
        ">=1",
        "top1==47",
        "top1>=x",
        "top1-drop<=-1",
        "top1@>=1",
        "top1@x>=1",
        "throughput/>=1",
        "throughput>=1e3",
        "throughput>=1 images",
        "top1>=47>=48",
    ],
)
def test_what_is_no_gate_is_answered_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        gates.parse(text)
    assert_says(caught, f"gate {text!r}", "METRIC[@BATCH][/REFERENCE] OP NUMBER[UNIT]", "top1-drop<=1.0")


@pytest.mark.parametrize("metric", ["top6", "top2-drop", "latency", "latency.p98", "speed", "troughput"])
def test_an_unknown_metric_lists_the_known_ones(metric: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        gates.parse(f"{metric}>=1")
    assert_says(caught, f"unknown metric {metric!r} in gate '{metric}>=1'; known: ")
    assert_says(caught, "throughput", "latency.p99", "top1-drop")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("latency.p99<=250", "a latency needs ms or s"),
        ("latency.p99<=250%", "a latency needs ms or s"),
        ("latency.p99/old<=1.1ms", "latency.p99 takes none"),
        ("throughput>=100ms", "throughput takes none"),
        ("top1-drop<=1%", "top1-drop takes none"),
        ("top1>=47s", "the unit is wrong"),
        ("infer-busy>=0.9", "the unit is missing; infer-busy needs %"),
        ("top1>0.5", "the unit is missing; top1 needs %, as in top1>75%"),
        ("top5<=90", "the unit is missing; top5 needs %"),
        ("top1>=0.75%", "less than 1 %; write top1>=75% if a share of 0.75 is meant"),
        ("top5@4 > 0.57%", "less than 1 %; write top5@4 > 57% if a share of 0.57 is meant"),
        ("top1>=147%", "top1 is 100% at most"),
        ("latency.p99<=250", "the unit is missing"),
    ],
)
def test_a_wrong_unit_says_which_is_wanted(text: str, wanted: str) -> None:
    with pytest.raises(UsageError) as caught:
        gates.parse(text)
    assert_says(caught, f"gate {text!r}", wanted)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("top1/old>=1", UsageError, "an accuracy is compared with top1-drop or top5-drop"),
        ("infer-busy/old>=1", UsageError, "infer-busy is a share by itself"),
        ("latency.p99/interface<=1", UsageError, "latency.p99 is compared with another run's, not with interface"),
        ("throughput/odl>=1", UnknownNameError, "unknown reference 'odl' in gate 'throughput/odl>=1'; known: old"),
        ("latency.p99/odl<=1", UnknownNameError, "'latency.p99/odl<=1'; known: old; a record has .* in against"),
    ],
)
def test_what_cannot_be_divided_by_is_refused_before_a_run(text: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        gates.check(gates.parse(text), ["old"])


@pytest.mark.parametrize(
    "text", ["top1-drop/old<=1", "throughput/old>=1", "latency.p99/old<=1", "end-to-end/interface<=1"]
)
def test_a_known_reference_may_stand_in_a_gate(text: str) -> None:
    gates.check(gates.parse(text), ["old"])
