from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from assay.errors import UnknownNameError, UsageError
from assay.records import (
    BatchResult,
    Blocks,
    Check,
    DeviceUser,
    Gate,
    Machine,
    MachineState,
    PublishedAccuracy,
    Reference,
    RunRecord,
)
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
        ("top1>=45%", "PASS", 45.0),
        ("top1>45%", "FAIL", 45.0),
        ("top1<=46%", "FAIL", 47.0),
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
    for gate in ("top5>=50%", "top5-drop<=1"):
        check = _check(run, gate, _given(top1=50.0, top5=50.0))
        assert (check.verdict, check.reason) == ("NOT COMPARABLE", "the model has fewer than 5 classes")


# Accuracy that cannot be counted.


@pytest.mark.parametrize("gate", ["top1-drop<=1.0", "top1>=1%"])
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
    speed = factories.result(tmp_path, correct_at=None)
    scored = msgspec.structs.replace(speed, predictions=factories.predictions(tmp_path, [[0.0] * 1000] * 2))
    for gate in ("top1-drop<=1", "top1>=1%"):
        check = _check(factories.run_record([scored]), gate, _given(top1=47.0))
        assert check.verdict == "NOT COMPARABLE"
        assert check.reason.startswith("the images have no labels; ")
        check = _check(factories.run_record([speed]), gate, _given(top1=47.0))
        assert check.verdict == "NOT COMPARABLE"
        assert check.reason.startswith("speed alone was measured")


def test_a_model_of_which_nothing_is_published_asks_for_a_reference(tmp_path: Path) -> None:
    check = _check(_run(tmp_path, 94), "top1-drop<=1")
    assert check.verdict == "NOT COMPARABLE"
    assert check.reason == "no published top-1 is known for net. Give a reference top1=… to judge it."


# Published figures.


VALIDATION = tuple(f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, 50_001))
FIFTY_A_CLASS = tuple((65 + place) % 1000 for place in range(50_000))


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
    ("right", "word"), [(830, "PASS"), (740, "FAIL"), (778, "INCONCLUSIVE")], ids=["above", "below", "about"]
)
def test_a_sample_of_the_validation_images_is_judged_with_its_interval(tmp_path: Path, right: int, word: str) -> None:
    images = factories.dataset(VALIDATION[:1000], FIFTY_A_CLASS[:1000])
    checkpoint = factories.checkpoint(factories.file_reference())
    result = factories.result(tmp_path, 1, (right, right, right, right, 950), 1000)
    run = factories.run_record([result], dataset=images, model=factories.model(checkpoint=checkpoint))
    check = _check(run, "top1-drop<=1.0", _published())
    assert check.verdict == word
    assert check.measured == pytest.approx(78.848 - right / 10)
    assert "a sample of 1,000 of the 50,000 images" in check.detail
    assert (check.low is not None and check.high is not None and check.low < check.high) is True
    assert check.detail.endswith("would settle it") == (word == "INCONCLUSIVE")


def test_some_validation_images_of_one_class_say_nothing_of_them_all(tmp_path: Path) -> None:
    names = [name for name, label in zip(VALIDATION, FIFTY_A_CLASS, strict=True) if label == 7]
    images = factories.dataset(names, [7] * 50)
    checkpoint = factories.checkpoint(factories.file_reference())
    result = factories.result(tmp_path, 1, (40, 40, 40, 40, 45), 50)
    run = factories.run_record([result], dataset=images, model=factories.model(checkpoint=checkpoint))
    check = _check(run, "top1-drop<=1.0", _published())
    assert (check.verdict, check.measured) == ("NOT COMPARABLE", None)
    assert "the 50 images cover only 1 class, so they are not a random sample" in check.reason


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        pytest.param([f"{number}.png" for number in range(50_000)], FIFTY_A_CLASS, id="as many others"),
        pytest.param(VALIDATION, (*FIFTY_A_CLASS[:-1], 0), id="51 labels of a class"),
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
        f"these {len(names):,} are others. Give a reference top1=… to judge them."
    )


def test_weights_that_are_not_the_published_ones_are_not_comparable(tmp_path: Path) -> None:
    check = _check(_validation(tmp_path, 39_424), "top1-drop<=1.0", _published(matched=False))
    assert check.verdict == "NOT COMPARABLE"
    for part in ("78.85 %", "torchvision V1", "these weights are not (by their sha256)", "published entry"):
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


def _timed(folder: Path, seconds: float, **changes: Any) -> BatchResult:
    """100 images in steady calls that take so many seconds together, in 2 seconds from end to end."""
    return factories.result(folder, calls=factories.steady(seconds), **changes)


def _calls(folder: Path, lengths: Sequence[float], batch: int = 1, **changes: Any) -> BatchResult:
    """Calls of whole batches, of these lengths, one after the other."""
    ends = np.cumsum(lengths)
    calls = list(zip((ends - lengths).tolist(), ends.tolist(), strict=True))
    images, seconds = batch * len(lengths), float(ends[-1])
    return factories.result(folder, batch, calls=calls, images=images, wall_seconds=seconds, **changes)


def _varied(seed: int, mean: float = 0.01, count: int = 500, spread: float = 0.2) -> list[float]:
    """Lengths of calls that vary by a share of their mean, the same for one seed."""
    return [float(one) for one in np.random.default_rng(seed).normal(mean, spread * mean, count)]


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
    run = factories.run_record([_timed(tmp_path, 1.0), _timed(tmp_path, 0.5, batch=16)])
    check = _check(run, gate)
    assert (check.verdict, check.measured) == (word, measured)


@pytest.mark.parametrize(
    ("gate", "word", "measured"),
    [
        # Calls of 1, 2 and 3 s at batch 1; of 4 s at batch 16.
        ("latency.max<=4s", "PASS", 4.0),
        ("latency.median@16<=4000ms", "PASS", 4.0),
        ("latency.p50@16<4s", "FAIL", 4.0),
        ("latency.mean@16<=3999ms", "FAIL", 4.0),
        ("latency.min<=3s", "FAIL", 4.0),
        ("latency.min>=2s", "FAIL", 1.0),
    ],
)
def test_a_latency_must_hold_at_every_batch_size(tmp_path: Path, gate: str, word: str, measured: float) -> None:
    run = factories.run_record([_calls(tmp_path, [1.0, 2.0, 3.0]), _calls(tmp_path, [4.0] * 400, batch=16)])
    check = _check(run, gate)
    assert check.verdict == word
    assert check.measured == pytest.approx(measured)


def test_a_latency_that_is_in_doubt_at_one_batch_size_does_not_pass_by_another(tmp_path: Path) -> None:
    few, many = _calls(tmp_path, [0.1] * 40), _calls(tmp_path, [0.2] * 400, batch=16)
    check = _check(factories.run_record([few, many]), "latency.p99<=250ms")
    assert (check.verdict, "at batch 1," in check.reason) == ("INCONCLUSIVE", True)
    # What fails at one batch size fails, whatever is known of another.
    check = _check(factories.run_record([few, many]), "latency.p99<=150ms")
    assert check.verdict == "FAIL"
    assert check.measured == pytest.approx(0.2)
    varied = _calls(tmp_path, _varied(seed=1, mean=0.1))
    steady = _calls(tmp_path, [0.112] * 400, batch=16)
    check = _check(factories.run_record([varied, steady]), "latency.p50<=0.112s")
    assert check.verdict == _check(factories.run_record([varied]), "latency.p50<=0.112s").verdict == "PASS"
    assert _check(factories.run_record([varied, steady]), "latency.p50<=0.1s").verdict == "FAIL"
    assert _check(factories.run_record([varied]), "latency.p50<=0.1s").verdict == "INCONCLUSIVE"


def test_a_speed_says_what_was_measured_where_and_what_was_asked(tmp_path: Path) -> None:
    run = factories.run_record([_timed(tmp_path, 1.0), _timed(tmp_path, 0.25, batch=16)])
    assert _check(run, "throughput>=500").reason == (
        "throughput 400.0 /s (400.0 /s to 400.0 /s) at batch 16, asked >= 500.0 /s"
    )
    assert _check(run, "latency.p99<=2ms").reason == (
        "latency.p99 2.50 ms (2.50 ms to 2.50 ms) at batch 1, asked <= 2.00 ms"
    )


def test_a_latency_is_no_share_of_a_throughput(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        _check(_run(tmp_path, 94), "latency.p99/interface<=1")
    assert_says(caught, "latency.p99/interface<=1", "another run")


# Speed in doubt.


@pytest.mark.parametrize(
    ("bound", "word"), [(90, "PASS"), (110, "FAIL"), (100, "INCONCLUSIVE")], ids=["below", "above", "within"]
)
def test_a_throughput_passes_or_fails_with_its_whole_interval(tmp_path: Path, bound: int, word: str) -> None:
    check = _check(factories.run_record([_calls(tmp_path, _varied(seed=1))]), f"throughput>={bound}")
    assert check.verdict == word
    assert check.low is not None
    assert check.high is not None
    assert check.measured is not None
    assert check.low < check.measured < check.high


def test_what_is_in_doubt_says_how_much_more_would_settle_it(tmp_path: Path) -> None:
    check = _check(factories.run_record([_calls(tmp_path, _varied(seed=1))]), "throughput>=99.5")
    assert check.verdict == "INCONCLUSIVE"
    assert re.search(
        r"about [\d,]+ images or [\d.]+ (s|min) more \(a min-time or duration of [\d.]+ (s|min)\) would", check.detail
    )


def test_the_best_of_many_batch_sizes_has_an_interval_wide_enough_for_all_of_them(tmp_path: Path) -> None:
    best = _calls(tmp_path, _varied(seed=1))
    slower = [_calls(tmp_path, _varied(seed=2, mean=0.06), batch) for batch in (2, 3)]
    alone, of_three = (_check(factories.run_record(some), "throughput>=1") for some in ([best], [best, *slower]))
    named = _check(factories.run_record([best, *slower]), "throughput@1>=1")
    assert alone.measured == of_three.measured == named.measured
    for check in (alone, of_three, named):
        assert check.low is not None
    assert (of_three.low or 0) < (alone.low or 0)
    assert named.low == alone.low


def test_a_percentile_of_too_few_calls_is_in_doubt_and_says_how_many_it_needs(tmp_path: Path) -> None:
    check = _check(factories.run_record([_calls(tmp_path, [0.1] * 40)]), "latency.p99<=1s")
    assert check.verdict == "INCONCLUSIVE"
    assert "p99: 368 calls are needed, and 40 were measured; about 330 images or 32.8 s more" in check.detail


def test_a_ratio_of_two_runs_in_doubt_is_settled_by_more_on_each_side(tmp_path: Path) -> None:
    ours, theirs = (factories.run_record([_calls(tmp_path, _varied(seed))]) for seed in (1, 2))
    check = _check(ours, "throughput/old>=1.0", _against(theirs))
    assert check.verdict == "INCONCLUSIVE"
    repeat = "processes may differ by 2.0 %; measure both again with 5 repeats on an idle machine, or in turn"
    assert check.detail.endswith(repeat)
    assert _check(ours, "throughput/old>=0.9", _against(theirs)).verdict == "PASS"
    # Further from the bound than restarts move it, and within an interval that more calls would narrow.
    ours, theirs = (factories.run_record([_calls(tmp_path, _varied(seed, spread=0.3))]) for seed in (1, 2))
    value = _check(ours, "throughput/old>=0.1", _against(theirs)).measured
    assert value is not None
    check = _check(ours, f"throughput/old>={0.97 * value:.4f}", _against(theirs))
    assert (check.verdict, ("more on each side (a min-time" in check.detail)) == ("INCONCLUSIVE", True)


def _repeated(folder: Path, *rates: float, busy: float = 0.0) -> RunRecord:
    """A run of as many processes, each with calls that all take the same."""
    machine = Machine(before=MachineState(seconds=1.0, busy_share=busy))
    first, *others = [_timed(folder, 1.0 / rate, machine=machine) for rate in rates]
    performance = msgspec.structs.replace(first.performance, repeats=tuple(one.performance for one in others))
    return factories.run_record([msgspec.structs.replace(first, performance=performance)])


def test_repeats_show_what_restarts_change(tmp_path: Path) -> None:
    ours, theirs = _repeated(tmp_path, 1.00, 1.01, 0.99), _repeated(tmp_path, 1.00, 1.03, 0.97)
    check = _check(ours, "throughput/old>=0.9", _against(theirs))
    # Student's t of two degrees of freedom, 4.303, times 1 % and 3 % of standard deviation over the root of three.
    half = 4.303 / 3**0.5 * (0.01**2 + 0.03**2) ** 0.5
    assert check.low == pytest.approx(1 - half, abs=0.006)
    assert check.high == pytest.approx(1 + half, abs=0.008)
    assert check.verdict == "PASS"


def test_repeats_of_one_side_say_what_a_single_process_of_the_other_may_be(tmp_path: Path) -> None:
    repeated, single = _repeated(tmp_path, 1.00, 1.05, 0.95), _repeated(tmp_path, 1.0)
    check = _check(repeated, "throughput/old>=1", _against(single))
    assert check.verdict == "INCONCLUSIVE"
    assert "processes may differ by 21.5 %; measure both again with 5 repeats" in check.detail


@pytest.mark.parametrize(("rates", "verdict"), [((2.0,), "INCONCLUSIVE"), ((2.0, 2.0), "PASS")])
def test_single_processes_on_a_busy_machine_have_no_ratio(
    rates: tuple[float, ...], verdict: str, tmp_path: Path
) -> None:
    ours = _repeated(tmp_path, *rates, busy=0.5)
    theirs = _repeated(tmp_path, *(rate / 2 for rate in rates))
    for gate in ("throughput/old>=1.5", "latency.mean/old<=0.9"):
        check = _check(ours, gate, _against(theirs))
        assert check.verdict == verdict
        assert ("single processes on a busy machine; measure both again" in check.detail) == (verdict != "PASS")


def test_the_side_without_an_interval_is_the_one_that_needs_more(tmp_path: Path) -> None:
    long, short = (factories.run_record([_calls(tmp_path, _varied(1, count=count))]) for count in (4000, 10))
    check = _check(long, "throughput/old>=1.0", _against(short))
    assert check.verdict == "INCONCLUSIVE"
    # 10 calls of 200 that are needed, each of one image.
    said = "10 samples are too few; about 190 images or 2.0 s more of runs/old (a min-time or duration of 2.1 s)"
    assert check.detail.endswith(f"{said} would settle it")


def test_a_share_of_too_few_stretches_counts_them_and_not_the_calls(tmp_path: Path) -> None:
    # 20 calls in pairs make two stretches, and six are needed: twice as much again.
    calls = [(number // 2 * 0.1, number // 2 * 0.1 + 0.1) for number in range(20)]
    run = factories.run_record([factories.result(tmp_path, calls=calls, images=20, wall_seconds=1.0, slots=2)])
    check = _check(run, "end-to-end/interface>=0.9")
    assert check.verdict == "INCONCLUSIVE"
    said = "2 pairs are too few; about 40 images or 2.0 s more (a min-time or duration of 3.0 s) would settle it"
    assert check.detail.endswith(said)


def test_the_share_of_slots_that_work_is_judged_where_the_other_shares_look_well(tmp_path: Path) -> None:
    # Four slots, one call at a time: infer's own span is full, and three slots of four are idle.
    calls = [(number * 0.01, number * 0.01 + 0.01) for number in range(1000)]
    run = factories.run_record([factories.result(tmp_path, calls=calls, images=1000, wall_seconds=10.0, slots=4)])
    assert _check(run, "end-to-end/interface>=0.95").verdict == "PASS"
    check = _check(run, "infer-busy>=90%")
    assert check.verdict == "FAIL"
    assert check.measured == pytest.approx(25.0)
    assert check.detail.startswith("1.00 calls in flight on average, of 4")
    assert _check(run, "infer-busy>=20%").verdict == "PASS"


def test_latencies_of_runs_in_turn_are_compared_pair_by_pair(tmp_path: Path) -> None:
    # A machine that drifts by half, and one artifact that is 4 % faster throughout.
    drift = np.linspace(0.01, 0.015, 30) * np.random.default_rng(3).normal(1, 0.002, 30)
    slower = drift * 1.04 * np.random.default_rng(4).normal(1, 0.002, 30)
    ours, theirs = _in_turn(tmp_path, drift.tolist()), _in_turn(tmp_path, slower.tolist())
    for metric in ("mean", "p50", "p90"):
        check = _check(ours, f"latency.{metric}/old<=0.97", _against(theirs))
        assert (check.verdict, check.detail.endswith("measured in turn")) == ("PASS", True)
        assert check.measured == pytest.approx(1 / 1.04, abs=0.01)
    apart = _in_turn(tmp_path, slower.tolist(), interleaving="another")
    assert _check(ours, "latency.p50/old<=0.97", _against(apart)).verdict == "INCONCLUSIVE"


def test_a_percentile_of_blocks_of_few_calls_is_in_doubt(tmp_path: Path) -> None:
    ours, theirs = _in_turn(tmp_path, [0.01] * 20), _in_turn(tmp_path, [0.01] * 20)
    check = _check(ours, "latency.p99/old<=2", _against(theirs))
    assert check.verdict == "INCONCLUSIVE"
    # Parts of 200 calls are 20 blocks, and six parts are needed.
    assert "20 blocks are too few for p99; about 1,000 images or" in check.detail


def _in_turn(folder: Path, seconds: Sequence[float], interleaving: str = "one") -> RunRecord:
    """Blocks of ten calls, whose calls took so long in each block."""
    lengths = [length for block in seconds for length in [block] * 10]
    blocks = Blocks(
        interleaving=interleaving,
        calls=(10,) * len(seconds),
        wall_seconds=tuple(10 * length for length in seconds),
    )
    return factories.run_record([_calls(folder, lengths, blocks=blocks)])


def test_what_was_measured_in_turn_is_compared_pair_by_pair(tmp_path: Path) -> None:
    # A machine that drifts by half, and one artifact that is 4 % faster throughout.
    drift = np.linspace(0.01, 0.015, 30) * np.random.default_rng(3).normal(1, 0.002, 30)
    slower = drift * 1.04 * np.random.default_rng(4).normal(1, 0.002, 30)
    ours, theirs = _in_turn(tmp_path, drift.tolist()), _in_turn(tmp_path, slower.tolist())
    check = _check(ours, "throughput/old>=1.03", _against(theirs))
    assert check.verdict == "PASS"
    assert check.measured == pytest.approx(1.04, abs=0.003)
    assert check.detail.endswith("measured in turn")
    apart = _in_turn(tmp_path, slower.tolist(), interleaving="another")
    assert _check(ours, "throughput/old>=1.03", _against(apart)).verdict == "INCONCLUSIVE"


def test_what_was_measured_in_turn_at_other_batch_sizes_is_compared_by_images(tmp_path: Path) -> None:
    blocks = Blocks(interleaving="one", calls=(10,) * 30, wall_seconds=(0.1,) * 30)
    steady = [0.01 * float(one) for one in np.random.default_rng(5).normal(1, 0.001, 300)]
    ours, theirs = (factories.run_record([_calls(tmp_path, steady, batch=batch, blocks=blocks)]) for batch in (16, 1))
    assert _check(ours, "throughput/old>=15", _against(theirs)).measured == pytest.approx(16.0)


def test_a_share_of_calls_in_flight_at_once_has_its_interval(tmp_path: Path) -> None:
    # Two streams: every second call begins and ends within the one before.
    calls = [(0.01 * pair + lag, 0.01 * pair + 0.009 - lag) for pair in range(30) for lag in (0.0, 0.001)]
    run = factories.run_record([factories.result(tmp_path, calls=calls, slots=2, images=60, wall_seconds=0.299)])
    check = _check(run, "end-to-end/interface>=0.5")
    assert (check.verdict, check.low is not None) == ("PASS", True)
    assert check.measured == pytest.approx(0.9, abs=0.01)


def test_a_busy_machine_is_noted_at_the_gate(tmp_path: Path) -> None:
    user = DeviceUser(device="cpu", process=7, name="backup", share=0.4)
    busy = Machine(before=MachineState(seconds=0.3, busy_share=0.4), users=(user,))
    run = factories.run_record([_timed(tmp_path, 1.0, machine=busy)])
    for gate in ("throughput>=1", "latency.max<=9s", "end-to-end/interface>=0"):
        assert _check(run, gate).differences == ("the machine of this run was 40 % busy with others (backup)",)


# Speed against another run.


def test_a_ratio_is_of_the_best_batch_sizes(tmp_path: Path) -> None:
    ours = factories.run_record([_timed(tmp_path, 1.0), _timed(tmp_path, 0.25, batch=16)])
    theirs = factories.run_record([_timed(tmp_path, 0.5, batch=4)])
    check = _check(ours, "throughput/old>=1.9", _against(theirs))
    assert (check.verdict, check.measured, check.reference) == ("PASS", 2.0, 200.0)
    # Calls that all take the same leave what restarts change: 2 %.
    assert check.reason == "throughput 2.000 (1.961 to 2.040) × runs/old, asked >= 1.900"
    assert check.detail == "400.0 /s over 200.0 /s, batch 16 over batch 4"
    assert _check(ours, "throughput/old>2.1", _against(theirs)).verdict == "FAIL"


def test_a_ratio_at_one_batch_size_needs_it_on_both_sides(tmp_path: Path) -> None:
    ours = factories.run_record([_timed(tmp_path, 1.0), _timed(tmp_path, 0.25, batch=16)])
    theirs = factories.run_record([_timed(tmp_path, 2.0)])
    assert _check(ours, "throughput@1/old>=2", _against(theirs)).measured == 2.0
    check = _check(ours, "throughput@16/old>=2", _against(theirs))
    assert (check.verdict, check.reason) == ("NOT COMPARABLE", "runs/old has no batch 16")


def test_a_ratio_of_latencies_is_of_the_same_batch_size(tmp_path: Path) -> None:
    ours = factories.run_record([_timed(tmp_path, 1.0)])
    theirs = factories.run_record([_timed(tmp_path, 2.0), _timed(tmp_path, 9.0, batch=16)])
    check = _check(ours, "latency.median/old<=0.52", _against(theirs))
    assert (check.verdict, check.measured) == ("PASS", 0.5)
    other = factories.run_record([_timed(tmp_path, 2.0, batch=4)])
    assert _check(ours, "latency.median/old<=0.5", _against(other)).verdict == "NOT COMPARABLE"


def test_a_ratio_of_latencies_must_hold_at_every_batch_size(tmp_path: Path) -> None:
    ours = factories.run_record([_timed(tmp_path, 1.0), _timed(tmp_path, 9.0, batch=16)])
    theirs = factories.run_record([_timed(tmp_path, 2.0), _timed(tmp_path, 3.0, batch=16)])
    check = _check(ours, "latency.median/old<=1.0", _against(theirs))
    assert check.verdict == "FAIL"
    assert check.measured == pytest.approx(3.0)
    assert _check(ours, "latency.median@1/old<=1.0", _against(theirs)).verdict == "PASS"


@pytest.mark.parametrize("field", ["min", "max"])
def test_the_extremes_of_two_runs_have_no_ratio(tmp_path: Path, field: str) -> None:
    ours, theirs = (factories.run_record([_calls(tmp_path, _varied(seed))]) for seed in (1, 2))
    check = _check(ours, f"latency.{field}/old<=9", _against(theirs))
    assert check.verdict == "NOT COMPARABLE"
    assert re.search(r"no interval; ask for latency\.p99", check.reason)


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


def test_a_model_in_8_bits_is_compared_with_the_one_that_it_was_made_from(tmp_path: Path) -> None:
    whole = factories.model()
    made = msgspec.structs.replace(factories.quantization(), float_model_sha256=whole.sha256)
    quantized = msgspec.structs.replace(
        whole, file=factories.file_reference(sha256="a" * 64), quantization=made, checkpoint=None
    )
    theirs = factories.run_record([_timed(tmp_path, 2.0)], model=whole)
    ours = factories.run_record([_timed(tmp_path, 1.0, options={"precision": "int8"})], model=quantized)
    check = _check(ours, "throughput/old>=1.5", _against(theirs))
    assert (check.verdict, check.differences) == ("PASS", ("precision int8 against fp32",))
    other = msgspec.structs.replace(quantized, quantization=factories.quantization())
    assert _check(msgspec.structs.replace(ours, model=other), "throughput/old>=1", _against(theirs)).verdict == (
        "NOT COMPARABLE"
    )


def test_other_processors_and_settings_are_noted_beside_a_ratio(tmp_path: Path) -> None:
    theirs = factories.run_record([_timed(tmp_path, 1.0, run_settings={"threads": 64})])
    elsewhere = msgspec.structs.replace(theirs.environment, processor="Another", cores=64)
    theirs = msgspec.structs.replace(theirs, environment=elsewhere)
    ours = factories.run_record([_timed(tmp_path, 1.0, run_settings={"threads": 1})])
    assert _check(ours, "throughput/old>=1", _against(theirs)).differences == (
        "processor A Processor of 2 cores against Another of 64 cores",
        "settings threads=1 against threads=64",
    )


def test_random_weights_do_not_block_a_ratio(tmp_path: Path) -> None:
    run = _run(tmp_path, 94, model=factories.model(checkpoint=factories.checkpoint(file=None)))
    assert _check(run, "throughput/old>=0.9", _against(run)).verdict == "PASS"


def test_a_figure_has_no_speed(tmp_path: Path) -> None:
    check = _check(_run(tmp_path, 94), "throughput/given>=1", _given(top1=47.0))
    assert (check.verdict, check.reason) == ("NOT COMPARABLE", "given has no speed")


def test_what_differs_is_noted_beside_a_ratio(tmp_path: Path) -> None:
    ours = _timed(tmp_path, 1.0, options={"precision": "int8", "input_kind": "float32"}, source="synthetic")
    theirs = _timed(tmp_path, 1.0, options={"backend": "mnn"}, device="gpu")
    check = _check(factories.run_record([ours]), "throughput/old>=0.9", _against(factories.run_record([theirs])))
    assert check.verdict == "PASS"
    assert check.differences == (
        "backend onnxruntime against mnn",
        "device cpu against gpu",
        "precision int8 against fp32",
        "input float32 against uint8",
        "pixels from synthetic against prepared",
    )


@pytest.mark.parametrize("gate", ["throughput/old>=1", "top1-drop/old<=1"])
def test_decoders_that_make_other_pixels_are_noted(gate: str, tmp_path: Path) -> None:
    ours, theirs = (
        factories.run_record(
            [_timed(tmp_path, 1.0)],
            environment=msgspec.structs.replace(factories.environment(), transform_fingerprint=fingerprint),
        )
        for fingerprint in ("a" * 64, "b" * 64)
    )
    (noted,) = _check(ours, gate, _against(theirs)).differences
    assert noted.startswith("transform fingerprint aaaaaaaa… against bbbbbbbb…: the decoders make other pixels")
    assert _check(ours, gate, _against(ours)).differences == ()


def test_nothing_is_noted_where_nothing_differs(tmp_path: Path) -> None:
    run = factories.run_record([_timed(tmp_path, 1.0)])
    assert _check(run, "throughput/old>=1", _against(run)).differences == ()


# The verdict.


def _gates(*texts: str) -> list[Gate]:
    return [gates.parse(text) for text in texts]


def test_the_verdict_holds_what_it_judged_and_accuracy_comes_first(tmp_path: Path) -> None:
    run = _run(tmp_path, 94, 94)
    verdict = compare.judge(
        run, _gates("throughput>=1", "top1-drop<=1", "latency.max<=9s", "top5>=1%"), [_given(top1=47.0)]
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
