"""Reported figures on either side of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assay.errors import UnknownNameError
from assay.published import guide
from assay.records import Check, Reference, RunRecord
from assay.records.reported import ReportedLatency, ReportedResult, ReportedRun
from assay.score import compare, gates
from tests import factories

POINT = "figures without samples: the point decides"
INTERVAL = f"interval missing ({POINT})"


def _check(record: RunRecord | ReportedRun, gate: str, *references: Reference) -> Check:
    (check,) = compare.judge(record, [gates.parse(gate)], references, guide.weights_md5).checks
    return check


def _against(run: ReportedRun) -> Reference:
    return factories.as_reference(run)


def _run(folder: Path, **changes: Any) -> RunRecord:
    """100 images in calls of 1 s at batch 1, and of 0.5 s at batch 16: 100 and 200 images a second."""
    results = [factories.result(folder), factories.result(folder, 16, calls=factories.steady(0.5))]
    return factories.run_record(results, **{"model": factories.flagship(), **changes})


# Speed.


def test_reported_speeds_are_over_each_other_at_the_best_batch_sizes() -> None:
    ours = factories.reported(factories.reported_speed(1, 90.0), factories.reported_speed(8, 150.0), name="ours")
    theirs = _against(factories.reported(factories.reported_speed(1, 100.0), factories.reported_speed(64, 50.0)))
    check = _check(ours, "throughput/theirs>=1.5", theirs)
    assert (check.verdict, check.measured, check.reference) == ("PASS", 1.5, 100.0)
    assert check.reason == "throughput 1.500 × theirs, asked >= 1.500"
    assert check.detail == "150.0 /s over 100.0 /s, batch 8 over batch 1"
    assert check.differences == (INTERVAL,)
    assert _check(ours, "throughput@1/theirs>=0.9", theirs).measured == 0.9


@pytest.mark.parametrize(
    ("dies", "gate", "word", "measured"),
    [(4, "throughput>=200", "PASS", 200.0), (1, "throughput>=200", "FAIL", 50.0), (4, "interface<200", "FAIL", 200.0)],
)
def test_a_reported_throughput_is_that_of_the_card(dies: int, gate: str, word: str, measured: float) -> None:
    check = _check(factories.reported(factories.reported_speed(), dies=dies), gate)
    assert (check.verdict, check.measured, check.detail) == (word, measured, POINT)


def test_queries_of_a_batch_are_that_many_images() -> None:
    reported = factories.reported(ReportedResult(batch=16, queries=2.5), dies=2)
    assert _check(reported, "throughput>=80").measured == 80.0


def test_what_a_card_of_several_dies_reaches_from_end_to_end_is_unknown() -> None:
    speeds = {"interface": 100.0, "end-to-end": 80.0}
    reported = factories.reported(ReportedResult(batch=1, throughput=speeds), dies=4)  # type: ignore[arg-type]
    check = _check(reported, "end-to-end>=1")
    assert check.verdict == "NOT COMPARABLE"
    assert check.reason == "the end-to-end throughput of theirs is of one die of 4; what the card reaches is unknown"
    assert _check(reported, "end-to-end/interface>=0.8").measured == 0.8


def test_a_run_is_over_reported_figures_and_what_differs_is_noted(tmp_path: Path) -> None:
    theirs = factories.reported(
        factories.reported_speed(8, 25.0), dies=4, precision="fp16", pixels="synthetic", transfers=False
    )
    check = _check(_run(tmp_path), "throughput/theirs>=2", _against(theirs))
    assert (check.verdict, check.measured, check.reference) == ("PASS", 2.0, 100.0)
    assert check.detail == "200.0 /s over 100.0 /s, batch 16 over batch 8"
    assert check.differences == (
        "tool assay with onnxruntime against trtexec",
        "device cpu against a card",
        "precision fp32 against fp16",
        "pixels of a data set against synthetic",
        "transfers counted against not counted",
        "dies a card 1 against 4",
        INTERVAL,
    )


def test_reported_figures_are_over_a_run(tmp_path: Path) -> None:
    old = Reference(name="runs/old", described="runs/old", run=_run(tmp_path))
    check = _check(factories.reported(factories.reported_speed(1, 50.0)), "throughput/runs/old>=0.25", old)
    assert (check.verdict, check.measured) == ("PASS", 0.25)
    assert "device a card against cpu" in check.differences


@pytest.mark.parametrize(
    ("change", "noted"),
    [
        ({"precision": None}, "precision fp32 against unknown"),
        ({"input_side": None}, "input size 224 against unknown"),
        ({"weights_md5": None}, "weights md5 59614359… against unknown"),
        ({"pixels": None}, "pixels of a data set against unknown"),
        ({"transfers": None}, "transfers counted against unknown"),
        ({"device": None}, "device cpu against unknown"),
    ],
)
def test_what_is_unknown_of_one_side_is_noted(tmp_path: Path, change: dict[str, Any], noted: str) -> None:
    theirs = factories.reported(factories.reported_speed(), **change)
    check = _check(_run(tmp_path), "throughput/theirs>=1", _against(theirs))
    assert check.verdict == "PASS"
    assert noted in check.differences


def test_what_is_unknown_of_both_sides_is_no_difference() -> None:
    ours = factories.reported(factories.reported_speed(), name="ours", precision=None, transfers=None)
    theirs = factories.reported(factories.reported_speed(), precision=None, transfers=None)
    assert _check(ours, "throughput/theirs>=1", _against(theirs)).differences == (INTERVAL,)


@pytest.mark.parametrize(
    ("sha256", "noted"),
    [
        (None, "weights random against md5 59614359…"),
        ("ab" * 32, "weights sha256 abababab… against md5 59614359…"),
    ],
)
def test_other_weights_are_noted_and_do_not_block_a_speed(tmp_path: Path, sha256: str | None, noted: str) -> None:
    run = _run(tmp_path, model=factories.flagship(sha256))
    check = _check(run, "throughput/theirs>=1", _against(factories.reported(factories.reported_speed())))
    assert check.verdict == "PASS"
    assert noted in check.differences


def test_a_run_of_an_onnx_file_is_of_the_model_of_its_name(tmp_path: Path) -> None:
    run = _run(tmp_path, model=factories.model("wide_resnet101_2"))
    check = _check(run, "throughput/theirs>=1", _against(factories.reported(factories.reported_speed())))
    assert check.verdict == "PASS"
    assert "weights unknown against md5 59614359…" in check.differences


@pytest.mark.parametrize(
    ("change", "batch", "said"),
    [
        ({"model": "resnet50"}, 1, "another model: wide_resnet101_2 against resnet50"),
        ({"model": None}, 1, "the model of theirs is unknown; import it again with model=…"),
        ({"model": None, "input_side": None}, 1, "the model of theirs is unknown"),
        ({"input_side": 299}, 1, "another input size: 224 against 299"),
        ({"dies": None}, 1, "the dies a card of theirs are unknown; import it again with dies=…"),
    ],
)
@pytest.mark.parametrize("gate", ["throughput/theirs>=0.001", "throughput@1/theirs>=0.001"])
def test_what_blocks_a_ratio_is_named(tmp_path: Path, gate: str, change: dict[str, Any], batch: int, said: str) -> None:
    theirs = factories.reported(factories.reported_speed(batch), **change)
    check = _check(_run(tmp_path), gate, _against(theirs))
    assert (check.verdict, check.measured) == ("NOT COMPARABLE", None)
    assert check.reason.startswith(said)


@pytest.mark.parametrize(
    ("gate", "result"),
    [
        ("throughput/theirs>=1", ReportedResult(batch=None, queries=2.5)),
        ("throughput@16/theirs>=1", factories.reported_speed(None)),
        ("latency.mean/theirs<=1", ReportedResult(batch=None, latency=ReportedLatency(mean=1.0))),
    ],
)
def test_a_batch_size_that_is_needed_and_unknown_blocks_a_ratio(
    tmp_path: Path, gate: str, result: ReportedResult
) -> None:
    check = _check(_run(tmp_path), gate, _against(factories.reported(result)))
    assert check.verdict == "NOT COMPARABLE"
    assert check.reason == "the batch size of theirs is unknown; import it again with batch=…"
    own = _check(factories.reported(result, name="ours"), "throughput@16>=1")
    assert own.reason == "the batch size of ours is unknown; import it again with batch=…"


def test_images_a_second_need_no_batch_size_at_the_best(tmp_path: Path) -> None:
    check = _check(_run(tmp_path), "throughput/theirs>=4", _against(factories.reported(factories.reported_speed(None))))
    assert (check.verdict, check.measured) == ("PASS", 4.0)
    assert check.detail.endswith("batch 16 over batch unknown")


def test_another_kind_of_figure_blocks_a_ratio(tmp_path: Path) -> None:
    scenario = factories.reported(ReportedResult(batch=1, throughput={"scenario": 90.0}))
    check = _check(_run(tmp_path), "throughput/theirs>=1", _against(scenario))
    assert check.verdict == "NOT COMPARABLE"
    assert check.reason == ("theirs has no interface throughput: its scenario throughput is another kind of figure")
    assert "a run has no scenario throughput" in _check(_run(tmp_path), "scenario/theirs>=1", _against(scenario)).reason
    ours = factories.reported(ReportedResult(batch=1, throughput={"scenario": 180.0}), name="ours")
    assert _check(ours, "scenario/theirs>=2", _against(scenario)).verdict == "PASS"


@pytest.mark.parametrize("batch", ["", "@4"])
def test_figures_of_accuracy_have_no_speed(tmp_path: Path, batch: str) -> None:
    check = _check(_run(tmp_path), f"throughput{batch}/theirs>=1", _against(factories.reported()))
    assert check.verdict == "NOT COMPARABLE"
    top = factories.reported(ReportedResult(batch=1, top={1: 70.0}), name="ours")
    assert _check(top, "throughput>=1").reason == "ours has no speed"
    nothing = factories.reported(name="ours")
    for gate in ("latency.p99<=1s", "latency.p99/theirs<=1"):
        assert _check(nothing, gate, _against(factories.reported())).reason == "ours has no speed"


def test_a_batch_size_that_was_not_reported_is_not_comparable(tmp_path: Path) -> None:
    theirs = factories.reported(factories.reported_speed(1), factories.reported_speed(8))
    assert _check(_run(tmp_path), "throughput@16/theirs>=1", _against(theirs)).reason == "theirs has no batch 16"
    assert _check(theirs, "throughput@16>=1").reason == "batch 16 was not measured; measured: 1, 8"


def test_latencies_are_compared_where_they_were_reported(tmp_path: Path) -> None:
    latency = ReportedLatency(mean=4.0, p99=5.0)
    theirs = factories.reported(ReportedResult(batch=1, latency=latency))
    check = _check(_run(tmp_path), "latency.mean@1/theirs<=0.25", _against(theirs))
    assert (check.verdict, check.measured) == ("PASS", 0.0025 / 4)
    at_every = _check(_run(tmp_path), "latency.mean/theirs<=0.25", _against(theirs))
    assert at_every.verdict == "NOT COMPARABLE"
    assert at_every.reason == "theirs has no batch 16; name one that both have, as in latency.p99@1"
    missing = _check(_run(tmp_path), "latency.p50@1/theirs<=1", _against(theirs))
    assert (missing.verdict, missing.reason) == ("NOT COMPARABLE", "theirs has no median latency")
    own = _check(theirs, "latency.p99<=5s")
    assert (own.verdict, own.measured, own.detail) == ("PASS", 5.0, POINT)
    assert _check(theirs, "latency.p90<=5s").reason == "theirs has no p90 latency at batch 1"


def test_a_gate_on_an_unknown_record_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match=r"known: .*theirs"):
        _check(factories.reported(), "throughput/guide:T5>=1", _against(factories.reported()))


# Accuracy.


def _accuracy(*tops: dict[int, float], **changes: Any) -> ReportedRun:
    results = [ReportedResult(batch=batch, top=top) for batch, top in zip((1, 16), tops, strict=False)]
    return factories.reported(*results, **{"dataset": "ImageNet validation", "images": 50_000, **changes})


def test_the_worst_reported_accuracy_decides_a_drop() -> None:
    ours = _accuracy({1: 78.84, 5: 94.29}, {1: 78.85}, name="ours")
    theirs = _against(_accuracy({1: 78.848, 5: 94.284}))
    check = _check(ours, "top1-drop<=1.0", theirs)
    assert (check.verdict, check.reference) == ("PASS", 78.848)
    assert check.measured == pytest.approx(0.008)
    assert check.reason == "top-1 drop 0.01 points (0.01 % relative) at batch 1"
    assert check.differences == (INTERVAL,)
    assert _check(ours, "top1-drop/theirs<=0.005", theirs).verdict == "FAIL"
    assert _check(ours, "top5-drop/theirs<=0", theirs).verdict == "PASS"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dataset": None}, "the data set of theirs is unknown; import it again with dataset=…"),
        ({"images": None}, "the number of images of theirs is unknown; import it again with images=…"),
        (
            {"images": 200},
            "ours is of the 50,000 images of ImageNet validation, and theirs of the 200 images of ImageNet validation",
        ),
        (
            {"dataset": "ImageNetV2"},
            "ours is of the 50,000 images of ImageNet validation, and theirs of the 50,000 images of ImageNetV2",
        ),
    ],
)
def test_reported_accuracies_of_other_images_are_not_comparable(change: dict[str, Any], said: str) -> None:
    check = _check(_accuracy({1: 70.0}, name="ours"), "top1-drop<=1", _against(_accuracy({1: 70.0}, **change)))
    assert (check.verdict, check.reason) == ("NOT COMPARABLE", said)


def test_another_model_is_noted_beside_a_drop() -> None:
    theirs = _accuracy({1: 70.0}, model="resnet50", weights_md5=None)
    check = _check(_accuracy({1: 70.0}, name="ours"), "top1-drop<=1", _against(theirs))
    assert check.differences == (
        "model wide_resnet101_2 against resnet50",
        "weights md5 59614359… against unknown",
        INTERVAL,
    )


def test_a_reported_accuracy_is_judged_by_itself_and_against_given_figures() -> None:
    ours = _accuracy({1: 70.0, 3: 80.0}, {1: 69.0})
    assert _check(ours, "top1>=69.5%").measured == 69.0
    assert _check(ours, "top1@1>=69.5%").verdict == "PASS"
    assert _check(ours, "top3>=80%").detail == POINT
    missing = _check(ours, "top2>=1%")
    assert (missing.verdict, missing.reason) == ("NOT COMPARABLE", "theirs has no top-2 figure")
    given = Reference(name="given", described="given", top1=70.0)
    assert _check(ours, "top1-drop<=1", given).measured == 1.0
    assert "nothing to hold theirs against" in _check(ours, "top1-drop<=1").reason


def test_a_reference_without_the_figure_says_so() -> None:
    check = _check(_accuracy({1: 70.0, 5: 90.0}, name="ours"), "top5-drop<=1", _against(_accuracy({1: 70.0})))
    assert (check.verdict, check.reason) == ("NOT COMPARABLE", "theirs has no top-5")


def test_a_drop_that_names_nothing_passes_over_figures_of_speed(tmp_path: Path) -> None:
    speed = _against(factories.reported(factories.reported_speed(), name="fast"))
    check = _check(_run(tmp_path), "top1-drop<=1", speed)
    assert check.reason == "no published top-1 is known for wrn. Give a reference top1=… to judge it."
    given = Reference(name="given", described="given", top1=47.0)
    assert _check(_run(tmp_path), "top1-drop<=1", speed, given).verdict == "PASS"
    named = _check(_run(tmp_path), "top1-drop/fast<=1", speed)
    assert (named.verdict, named.reason) == ("NOT COMPARABLE", "fast has no top-1")


VALIDATION = tuple(f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, 50_001))
CLASSES = tuple((65 + place) % 1000 for place in range(50_000))


def _validation(folder: Path, sha256: str | None = factories.FLAGSHIP_SHA256) -> RunRecord:
    result = factories.result(folder, 1, (39_000, 39_000, 39_000, 39_000, 47_000), 50_000)
    images = factories.dataset(VALIDATION, CLASSES)
    return factories.run_record([result], dataset=images, model=factories.flagship(sha256))


def test_a_run_on_the_very_images_with_the_very_weights_is_comparable(tmp_path: Path) -> None:
    run, theirs = _validation(tmp_path), _accuracy({1: 78.848})
    check = _check(run, "top1-drop<=1", _against(theirs))
    assert check.verdict == "PASS"
    assert check.measured == pytest.approx(0.848)
    back = _check(theirs, "top1-drop/old<=0", Reference(name="old", described="old", run=run))
    assert (back.verdict, back.reference) == ("PASS", 78.0)


def test_a_run_on_other_images_is_not_comparable(tmp_path: Path) -> None:
    check = _check(_run(tmp_path), "top1-drop<=1", _against(_accuracy({1: 78.848})))
    assert check.verdict == "NOT COMPARABLE"
    assert check.reason == (
        "theirs is of the 50,000 images of ImageNet validation; these 2 of this run are others. "
        "Give a reference top1=… to judge them."
    )


@pytest.mark.parametrize(
    ("sha256", "change", "said"),
    [
        ("ab" * 32, {}, "theirs is of weights with md5 59614359…, which those of this run are not known to be. Give"),
        (factories.FLAGSHIP_SHA256, {"weights_md5": None}, "the weights of theirs are unknown; give a reference"),
        (factories.FLAGSHIP_SHA256, {"dataset": "my photographs"}, "theirs is of the 50,000 images of my photographs"),
        (None, {}, "the weights are random, so there is no accuracy to judge"),
    ],
)
def test_a_run_with_other_weights_is_not_comparable(
    tmp_path: Path, sha256: str | None, change: dict[str, Any], said: str
) -> None:
    check = _check(_validation(tmp_path, sha256), "top1-drop<=1", _against(_accuracy({1: 78.848}, **change)))
    assert check.verdict == "NOT COMPARABLE"
    assert check.reason.startswith(said)


# The verdict.


def test_a_verdict_on_reported_figures_has_no_files_to_name() -> None:
    verdict = compare.judge(factories.reported(factories.reported_speed()), [gates.parse("throughput>=1")], [])
    assert (verdict.artifact_sha256, verdict.model_sha256, verdict.dataset_fingerprint) == ((), None, None)
    assert verdict.word == "PASS"


def test_a_sample_of_the_reported_images_is_judged_by_its_interval_and_not_noted_to_have_none(tmp_path: Path) -> None:
    names = [f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, 1001)]
    images = factories.dataset(names, CLASSES[:1000])
    result = factories.result(tmp_path, 1, (830, 830, 830, 830, 950), 1000)
    run = factories.run_record([result], model=factories.flagship(), dataset=images)
    check = _check(run, "top1-drop/guide:published<=1", _against(guide.load("guide:published")))
    assert check.verdict == "PASS"
    assert check.high is not None
    assert "a sample of 1,000 of the 50,000 images" in check.detail
    assert INTERVAL not in check.differences
