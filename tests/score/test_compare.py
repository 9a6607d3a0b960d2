from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay.errors import UnknownNameError, UsageError
from assay.records import BatchResult, Check, Gate, PublishedAccuracy, Reference, RunRecord
from assay.score import compare, gates
from tests import factories
from tests.messages import assert_says


def _check(run: RunRecord, gate: str, *references: Reference) -> Check:
    (check,) = compare.judge(run, [gates.parse(gate)], references).checks
    return check


def _given(top1: float, top5: float | None = None) -> Reference:
    return Reference(name="given", described="given", top1=top1, top5=top5)


def _run(folder: Path, *correct: int, count: int = 200, **changes: Any) -> RunRecord:
    """A run with one batch size for each count of images that are right at top 1; top 5 is 10 more."""
    batches = (1, 16, 32, 64)
    results = [
        factories.result(folder, batch, (right, right, right, right, min(right + 10, count)), count)
        for batch, right in zip(batches, correct, strict=False)
    ]
    return factories.run_record(results, **changes)


# Accuracy against figures that were given.


@pytest.mark.parametrize(
    ("correct", "word", "drop"),
    [(94, "PASS", 0.0), (96, "PASS", -1.0), (92, "PASS", 1.0), (91, "FAIL", 1.5), (0, "FAIL", 47.0)],
)
def test_a_drop_is_judged_on_the_counts(tmp_path: Path, correct: int, word: str, drop: float) -> None:
    check = _check(_run(tmp_path, correct), "top1-drop<=1.0", _given(top1=47.0))
    assert (check.verdict, check.measured, check.reference) == (word, drop, 47.0)


@pytest.mark.parametrize(
    ("correct", "count", "expected", "bound"),
    [
        (38924, 50000, 78.848, 1.0),
        (567, 1000, 57.7, 1.0),
        (463, 1000, 47.3, 1.0),
        (5500, 10000, 55.3, 0.3),
        (643, 1000, 64.4, 0.1),
    ],
)
def test_a_drop_of_exactly_the_bound_passes_and_one_image_more_fails(
    tmp_path: Path, correct: int, count: int, expected: float, bound: float
) -> None:
    gate, reference = f"top1-drop<={bound}", _given(top1=expected)
    assert _check(_run(tmp_path, correct, count=count), gate, reference).verdict == "PASS"
    assert _check(_run(tmp_path, correct - 1, count=count), gate, reference).verdict == "FAIL"


def test_below_the_bound_is_not_at_the_bound(tmp_path: Path) -> None:
    assert _check(_run(tmp_path, 92), "top1-drop<1.0", _given(top1=47.0)).verdict == "FAIL"


def test_the_worst_batch_size_decides_a_drop_and_is_named(tmp_path: Path) -> None:
    check = _check(_run(tmp_path, 94, 90), "top1-drop<=1.0", _given(top1=47.0))
    assert check.verdict == "FAIL"
    assert check.reason == "top-1 drop 2.00 points (4.26 % relative) at batch 16"
    assert check.detail == "45.00 % against 47.00 % (given), allowed 1.00 points"


def test_batch_sizes_that_are_equally_bad_are_all_named(tmp_path: Path) -> None:
    assert _check(_run(tmp_path, 94, 94), "top1-drop<=1", _given(top1=47.0)).reason.endswith(" at batch 1, 16")


def test_a_gate_on_one_batch_size_looks_at_that_alone(tmp_path: Path) -> None:
    run = _run(tmp_path, 94, 90)
    assert _check(run, "top1-drop@1<=1.0", _given(top1=47.0)).verdict == "PASS"
    assert _check(run, "top1-drop@16<=1.0", _given(top1=47.0)).verdict == "FAIL"


def test_a_batch_size_that_was_not_measured_is_not_comparable(tmp_path: Path) -> None:
    check = _check(_run(tmp_path, 94, 94), "top1-drop@8<=1.0", _given(top1=47.0))
    assert (check.verdict, check.reason) == ("NOT COMPARABLE", "batch 8 was not measured; measured: 1, 16")


def test_top_5_is_held_against_top_5(tmp_path: Path) -> None:
    run = _run(tmp_path, 94)
    assert _check(run, "top5-drop<=0", _given(top1=0.0, top5=52.0)).verdict == "PASS"
    assert _check(run, "top5-drop<=0", _given(top1=0.0, top5=52.5)).verdict == "FAIL"


def test_a_reference_without_top_5_says_so(tmp_path: Path) -> None:
    check = _check(_run(tmp_path, 94), "top5-drop<=1", _given(top1=47.0))
    assert (check.verdict, check.reason) == ("NOT COMPARABLE", "given has no top-5 figure")


def test_a_reference_of_nothing_can_be_held_against(tmp_path: Path) -> None:
    assert _check(_run(tmp_path, 0), "top1-drop<=1", _given(top1=0.0)).verdict == "PASS"


def test_a_gate_names_its_reference_among_several(tmp_path: Path) -> None:
    old = Reference(name="old", described="the old run", top1=50.0)
    check = _check(_run(tmp_path, 94), "top1-drop/old<=1", _given(top1=47.0), old)
    assert (check.verdict, check.reference) == ("FAIL", 50.0)


def test_an_unknown_reference_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as caught:
        _check(_run(tmp_path, 94), "top1-drop/odl<=1", Reference(name="old", described="old"))
    assert_says(caught, "top1-drop/odl<=1", "'odl'", "known: old")


# Accuracy by itself.


@pytest.mark.parametrize(
    ("gate", "word", "measured"),
    [
        ("top1>=46%", "FAIL", 45.0),
        ("top1>=45", "PASS", 45.0),
        ("top1>45", "FAIL", 45.0),
        ("top1<=46", "FAIL", 47.0),
        ("top1@1>=47%", "PASS", 47.0),
        ("top5>=50%", "PASS", 50.0),
    ],
)
def test_an_accuracy_must_hold_at_every_batch_size(tmp_path: Path, gate: str, word: str, measured: float) -> None:
    check = _check(_run(tmp_path, 94, 90), gate)
    assert (check.verdict, check.measured) == (word, measured)


def test_an_accuracy_is_no_ratio(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        _check(_run(tmp_path, 94), "top1/given>=0.9", _given(top1=47.0))
    assert_says(caught, "top1/given>=0.9", "top1-drop or top5-drop")


def test_a_model_of_few_classes_has_no_top_5(tmp_path: Path) -> None:
    run = factories.run_record([factories.result(tmp_path, correct_at=(1, 2, 2), count=2, classes=3)])
    for gate in ("top5>=50", "top5-drop<=1"):
        check = _check(run, gate, _given(top1=50.0, top5=50.0))
        assert (check.verdict, check.reason) == ("NOT COMPARABLE", "the model has fewer than 5 classes")


# Accuracy that cannot be counted.


@pytest.mark.parametrize("gate", ["top1-drop<=1.0", "top1>=1"])
def test_a_run_that_skipped_images_is_not_comparable_with_how_many(tmp_path: Path, gate: str) -> None:
    run = _run(tmp_path, 94, dataset=factories.dataset(failed=["broken.png"]))
    check = _check(run, gate, _given(top1=47.0))
    assert check.verdict == "NOT COMPARABLE"
    assert check.reason.startswith("1 of 3 images were skipped")
    assert "run again" in check.reason


@pytest.mark.parametrize("references", [[], [_given(top1=47.0)]])
def test_random_weights_have_no_accuracy(tmp_path: Path, references: list[Reference]) -> None:
    run = _run(tmp_path, 94, model=factories.model(checkpoint=factories.checkpoint(file=None)))
    check = _check(run, "top1-drop<=1.0", *references)
    assert check.verdict == "NOT COMPARABLE"
    assert check.reason == "the weights are random, so there is no accuracy to judge; speed and parity stand"


def test_images_without_labels_ask_for_them(tmp_path: Path) -> None:
    run = factories.run_record([factories.result(tmp_path, correct_at=None)])
    for gate in ("top1-drop<=1", "top1>=1"):
        check = _check(run, gate, _given(top1=47.0))
        assert (check.verdict, check.reason) == ("NOT COMPARABLE", "the images have no labels; give --labels FILE")


def test_a_model_of_which_nothing_is_published_asks_for_a_reference(tmp_path: Path) -> None:
    check = _check(_run(tmp_path, 94), "top1-drop<=1")
    assert check.verdict == "NOT COMPARABLE"
    assert check.reason == "no published top-1 is known for net. Give --reference top1=… to judge it."


# Published figures.


VALIDATION = tuple(f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, 50_001))
FIFTY_A_CLASS = tuple(range(1000)) * 50


def _published(matched: bool = True, top5: float | None = 94.284) -> Reference:
    figures = PublishedAccuracy(
        source="torchvision V1",
        top1=78.848,
        top5=top5,
        dataset="the 50,000 ImageNet validation images",
        images=50_000,
        matched=matched,
    )
    return Reference(name="published", described="torchvision V1", top1=78.848, top5=top5, published=figures)


def _validation(
    folder: Path,
    correct: int,
    names: Sequence[str] = VALIDATION,
    labels: Sequence[int] | None = FIFTY_A_CLASS,
    failed: Sequence[str] = (),
) -> RunRecord:
    images = factories.dataset(names, labels, failed=failed)
    checkpoint = factories.checkpoint(factories.file_reference())
    result = factories.result(folder, 1, (correct, correct, correct, correct, 47_142), 50_000)
    return factories.run_record([result], dataset=images, model=factories.model(checkpoint=checkpoint))


@pytest.mark.parametrize(("correct", "word"), [(39_424, "PASS"), (38_924, "PASS"), (38_923, "FAIL")])
def test_a_published_figure_is_exact_on_its_very_images(tmp_path: Path, correct: int, word: str) -> None:
    check = _check(_validation(tmp_path, correct), "top1-drop<=1.0", _published())
    assert (check.verdict, check.reference) == (word, 78.848)


def test_the_validation_images_are_known_in_class_folders_and_in_any_order(tmp_path: Path) -> None:
    names = [f"n{label:08}/{name}" for name, label in zip(VALIDATION, FIFTY_A_CLASS, strict=True)]
    run = _validation(tmp_path, 39_424, names[::-1], FIFTY_A_CLASS[::-1])
    assert _check(run, "top5-drop<=0", _published()).verdict == "PASS"


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        pytest.param(VALIDATION[:200], FIFTY_A_CLASS[:200], id="a part of them"),
        pytest.param([f"{number}.png" for number in range(50_000)], FIFTY_A_CLASS, id="as many others"),
        pytest.param(VALIDATION, (0, *FIFTY_A_CLASS[:-1]), id="51 labels of a class"),
        pytest.param(VALIDATION, tuple(label + 1 for label in FIFTY_A_CLASS), id="labels from 1"),
        pytest.param([VALIDATION[0], *VALIDATION[:-1]], FIFTY_A_CLASS, id="one of them twice"),
    ],
)
def test_a_published_figure_is_not_comparable_on_other_images(
    tmp_path: Path, names: Sequence[str], labels: Sequence[int]
) -> None:
    check = _check(_validation(tmp_path, 39_424, names, labels), "top1-drop<=1.0", _published())
    assert check.verdict == "NOT COMPARABLE"
    assert check.measured is None
    assert check.reason == (
        "published top-1 78.85 % (torchvision V1) is of the 50,000 ImageNet validation images; "
        f"these {len(names):,} are others. Give --reference top1=… to judge them."
    )


def test_weights_that_are_not_the_published_ones_are_not_comparable(tmp_path: Path) -> None:
    check = _check(_validation(tmp_path, 39_424), "top1-drop<=1.0", _published(matched=False))
    assert check.verdict == "NOT COMPARABLE"
    for part in ("78.85 %", "torchvision V1", "these weights are not (by their sha256)", "--weights-entry"):
        assert part in check.reason


def test_a_top_5_that_nobody_published_is_not_comparable(tmp_path: Path) -> None:
    check = _check(_validation(tmp_path, 39_424), "top5-drop<=1.0", _published(top5=None))
    assert check.verdict == "NOT COMPARABLE"
    assert check.reason == "torchvision V1 has no top-5 figure"


def test_skipped_validation_images_are_called_skipped(tmp_path: Path) -> None:
    run = _validation(tmp_path, 39_424, VALIDATION[1:], FIFTY_A_CLASS[1:], failed=VALIDATION[:1])
    check = _check(run, "top1-drop<=1.0", _published())
    assert check.verdict == "NOT COMPARABLE"
    assert check.reason.startswith("1 of 50000 images were skipped")


# Another run as the reference.


def _against(run: RunRecord) -> Reference:
    return Reference(name="old", described="runs/old", run=run)


def test_another_run_on_the_same_images_is_exact(tmp_path: Path) -> None:
    old = _against(_run(tmp_path, 93, 94))
    assert _check(_run(tmp_path, 92), "top1-drop<=1.0", old).verdict == "PASS"
    check = _check(_run(tmp_path, 91), "top1-drop<=1.0", old)
    assert (check.verdict, check.measured, check.reference) == ("FAIL", 1.5, 47.0)
    assert "runs/old" in check.detail


@pytest.mark.parametrize(
    "other",
    [
        factories.dataset(fingerprint="e" * 64),
        factories.dataset(labels=(1, 1)),
        factories.dataset(labels=None),
        None,
    ],
)
def test_another_run_on_other_images_or_labels_is_not_comparable(tmp_path: Path, other: Any) -> None:
    check = _check(_run(tmp_path, 94), "top1-drop<=1.0", _against(_run(tmp_path, 94, dataset=other)))
    assert check.verdict == "NOT COMPARABLE"
    assert check.reason == "runs/old is of other images or labels than this run; run both on the same"


def test_another_run_without_accuracy_is_not_comparable(tmp_path: Path) -> None:
    old = _against(factories.run_record([factories.result(tmp_path, correct_at=None)]))
    check = _check(_run(tmp_path, 94), "top1-drop<=1.0", old)
    assert (check.verdict, check.reason) == ("NOT COMPARABLE", "runs/old has no top-1")


# Speed by itself.


def _timed(folder: Path, call_seconds: Sequence[float], **changes: Any) -> BatchResult:
    """100 images in calls of these lengths, one after the other, in 2 seconds from end to end."""
    calls = [(10.0 * number, 10.0 * number + length) for number, length in enumerate(call_seconds)]
    return factories.result(folder, calls=calls, **changes)


@pytest.mark.parametrize(
    ("gate", "word", "measured"),
    [
        # 100 images in 1 s at batch 1 and in 0.5 s at batch 16, both 2 s from end to end.
        ("throughput>=200", "PASS", 200.0),
        ("interface>=200", "PASS", 200.0),
        ("throughput>200", "FAIL", 200.0),
        ("throughput@1>=101", "FAIL", 100.0),
        ("end-to-end>=50", "PASS", 50.0),
        ("end-to-end<50", "FAIL", 50.0),
        ("end-to-end@1/interface>=0.5", "PASS", 0.5),
        ("end-to-end@16/interface>=0.5", "FAIL", 0.25),
    ],
)
def test_a_throughput_is_that_of_the_best_batch_size(tmp_path: Path, gate: str, word: str, measured: float) -> None:
    run = factories.run_record([_timed(tmp_path, [1.0]), _timed(tmp_path, [0.5], batch=16)])
    check = _check(run, gate)
    assert (check.verdict, check.measured) == (word, measured)


@pytest.mark.parametrize(
    ("gate", "word", "measured"),
    [
        # Calls of 1, 2 and 3 s at batch 1; of 4 s at batch 16.
        ("latency.max<=4s", "PASS", 4.0),
        ("latency.median@1<=2000ms", "PASS", 2.0),
        ("latency.p50@1<2s", "FAIL", 2.0),
        ("latency.mean@1<=1999ms", "FAIL", 2.0),
        ("latency.min<=3s", "FAIL", 4.0),
        ("latency.min>=2s", "FAIL", 1.0),
    ],
)
def test_a_latency_must_hold_at_every_batch_size(tmp_path: Path, gate: str, word: str, measured: float) -> None:
    run = factories.run_record([_timed(tmp_path, [1.0, 2.0, 3.0]), _timed(tmp_path, [4.0], batch=16)])
    check = _check(run, gate)
    assert check.verdict == word
    assert check.measured == pytest.approx(measured)


def test_a_speed_says_what_was_measured_where_and_what_was_asked(tmp_path: Path) -> None:
    run = factories.run_record([_timed(tmp_path, [1.0]), _timed(tmp_path, [0.25], batch=16)])
    assert _check(run, "throughput>=500").reason == "throughput 400.0 /s at batch 16, asked >= 500.0 /s"
    assert _check(run, "latency.p99<=250ms").reason == "latency.p99 1,000 ms at batch 1, asked <= 250 ms"


def test_a_latency_is_no_share_of_a_throughput(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        _check(_run(tmp_path, 94), "latency.p99/interface<=1")
    assert_says(caught, "latency.p99/interface<=1", "another run")


# Speed against another run.


def test_a_ratio_is_of_the_best_batch_sizes(tmp_path: Path) -> None:
    ours = factories.run_record([_timed(tmp_path, [1.0]), _timed(tmp_path, [0.25], batch=16)])
    theirs = factories.run_record([_timed(tmp_path, [0.5], batch=4)])
    check = _check(ours, "throughput/old>=2", _against(theirs))
    assert (check.verdict, check.measured, check.reference) == ("PASS", 2.0, 200.0)
    assert check.reason == "throughput 2.000 × runs/old, asked >= 2.000"
    assert check.detail == (
        "400.0 /s over 200.0 /s, batch 16 over batch 4; single runs, without an interval: the point decides"
    )
    assert _check(ours, "throughput/old>2", _against(theirs)).verdict == "FAIL"


def test_a_ratio_at_one_batch_size_needs_it_on_both_sides(tmp_path: Path) -> None:
    ours = factories.run_record([_timed(tmp_path, [1.0]), _timed(tmp_path, [0.25], batch=16)])
    theirs = factories.run_record([_timed(tmp_path, [2.0])])
    assert _check(ours, "throughput@1/old>=2", _against(theirs)).measured == 2.0
    check = _check(ours, "throughput@16/old>=2", _against(theirs))
    assert (check.verdict, check.reason) == ("NOT COMPARABLE", "runs/old has no batch 16")


def test_a_ratio_of_latencies_is_of_the_same_batch_size(tmp_path: Path) -> None:
    ours = factories.run_record([_timed(tmp_path, [1.0])])
    theirs = factories.run_record([_timed(tmp_path, [2.0]), _timed(tmp_path, [9.0], batch=16)])
    check = _check(ours, "latency.median/old<=0.5", _against(theirs))
    assert (check.verdict, check.measured) == ("PASS", 0.5)
    other = factories.run_record([_timed(tmp_path, [2.0], batch=4)])
    assert _check(ours, "latency.median/old<=0.5", _against(other)).verdict == "NOT COMPARABLE"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            msgspec.structs.replace(factories.model(), file=factories.file_reference(sha256="a" * 64)),
            "another model: net 3c1e0000… against net aaaaaaaa…",
        ),
        (factories.model(crop=299), "another input size: 224 against 299"),
    ],
)
def test_another_model_or_input_size_blocks_a_ratio(tmp_path: Path, model: Any, said: str) -> None:
    check = _check(_run(tmp_path, 94), "throughput/old>=1", _against(_run(tmp_path, 94, model=model)))
    assert check.verdict == "NOT COMPARABLE"
    assert said in check.reason


def test_random_weights_do_not_block_a_ratio(tmp_path: Path) -> None:
    run = _run(tmp_path, 94, model=factories.model(checkpoint=factories.checkpoint(file=None)))
    assert _check(run, "throughput/old>=1", _against(run)).verdict == "PASS"


def test_a_figure_has_no_speed(tmp_path: Path) -> None:
    check = _check(_run(tmp_path, 94), "throughput/given>=1", _given(top1=47.0))
    assert (check.verdict, check.reason) == ("NOT COMPARABLE", "given has no speed")


def test_what_differs_is_noted_beside_a_ratio(tmp_path: Path) -> None:
    ours = _timed(tmp_path, [1.0], options={"precision": "int8", "input_kind": "float32"}, source="synthetic")
    theirs = _timed(tmp_path, [1.0], options={"backend": "mnn"}, device="gpu")
    check = _check(factories.run_record([ours]), "throughput/old>=1", _against(factories.run_record([theirs])))
    assert check.verdict == "PASS"
    assert check.differences == (
        "backend onnxruntime against mnn",
        "device cpu against gpu",
        "precision int8 against fp32",
        "input float32 against uint8",
        "pixels from synthetic against prepared",
    )


def test_nothing_is_noted_where_nothing_differs(tmp_path: Path) -> None:
    run = factories.run_record([_timed(tmp_path, [1.0])])
    assert _check(run, "throughput/old>=1", _against(run)).differences == ()


# The verdict.


def _gates(*texts: str) -> list[Gate]:
    return [gates.parse(text) for text in texts]


def test_the_verdict_holds_what_it_judged_and_accuracy_comes_first(tmp_path: Path) -> None:
    run = _run(tmp_path, 94, 94)
    verdict = compare.judge(
        run, _gates("throughput>=1", "top1-drop<=1", "latency.max<=9s", "top5>=1"), [_given(top1=47.0)]
    )
    assert [check.gate.metric for check in verdict.checks] == ["top1-drop", "top5", "throughput", "latency.max"]
    assert verdict.artifact_sha256 == tuple(result.compiled.file.sha256 for result in run.results)
    assert verdict.model_sha256 == run.model.file.sha256
    assert run.dataset is not None
    assert verdict.dataset_fingerprint == run.dataset.fingerprint
    assert (verdict.word, verdict.holds) == ("PASS", True)


def test_one_gate_that_fails_fails_the_run(tmp_path: Path) -> None:
    verdict = compare.judge(_run(tmp_path, 94), _gates("top1-drop<=1", "throughput>=1000"), [_given(top1=47.0)])
    assert (verdict.word, verdict.holds) == ("FAIL", False)


@pytest.mark.parametrize(("asked", "word", "holds"), [(True, "NOT COMPARABLE", False), (False, None, True)])
def test_a_gate_that_cannot_be_judged_counts_only_when_asked_for(
    tmp_path: Path, asked: bool, word: str | None, holds: bool
) -> None:
    verdict = compare.judge(_run(tmp_path, 94), [gates.parse("top1-drop<=1", asked=asked)], [])
    assert (verdict.word, verdict.holds) == (word, holds)


def test_a_run_on_synthetic_pixels_has_no_data_set_to_name(tmp_path: Path) -> None:
    run = factories.run_record([factories.result(tmp_path, correct_at=None)], dataset=None)
    verdict = compare.judge(run, _gates("throughput>=1"), [])
    assert verdict.dataset_fingerprint is None
    assert verdict.word == "PASS"
