from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from assay.records import Accuracy, Check, Gate, ImageTransform, Parity, Verdict, VerdictWord
from tests import factories, searches


@pytest.mark.parametrize(
    ("calls", "in_flight"),
    [
        pytest.param([(0.0, 1.0)], 1.0, id="one call"),
        pytest.param([(0.0, 1.0), (1.5, 2.0)], 1.5, id="with a pause between"),
        pytest.param([(0.0, 1.0), (0.5, 1.5)], 1.5, id="overlapping"),
        pytest.param([(0.0, 4.0), (1.0, 2.0), (3.0, 5.0)], 5.0, id="one inside another"),
        pytest.param([(3.0, 4.0), (0.0, 1.0)], 2.0, id="in any order"),
        pytest.param([(0.0, 1.0), (0.0, 1.0)], 1.0, id="at once"),
    ],
)
def test_interface_time_counts_each_moment_once(
    tmp_path: Path, calls: list[tuple[float, float]], in_flight: float
) -> None:
    measured = factories.performance(tmp_path, calls, images=30)
    assert measured.interface_seconds == in_flight
    assert measured.interface_throughput == 30 / in_flight


def test_end_to_end_throughput_is_over_the_whole_run(tmp_path: Path) -> None:
    assert factories.performance(tmp_path, images=100, wall_seconds=2.5).end_to_end_throughput == 40.0


def test_latency_percentiles_interpolate_between_neighbours(tmp_path: Path) -> None:
    calls = [(0.0, 5.0), (10.0, 11.0), (20.0, 22.0), (30.0, 34.0), (40.0, 43.0)]
    measured = factories.performance(tmp_path, calls)
    assert [measured.latency(percent) for percent in (50, 90, 99)] == pytest.approx([3.0, 4.6, 4.96])


def test_call_times_stand_in_the_order_of_the_batches(tmp_path: Path) -> None:
    assert factories.performance(tmp_path, [(2.0, 5.0), (0.0, 1.0)]).call_seconds.tolist() == [3.0, 1.0]


def test_a_stage_has_a_rate_over_its_span_and_shares_of_the_run() -> None:
    stage = factories.stage(
        "preprocess",
        3.0,
        workers=2,
        items=50,
        span_seconds=2.0,
        run_seconds=2.5,
        waiting_in_seconds=0.6,
        waiting_out_seconds=0.4,
    )
    assert (stage.rate, stage.busy_share, stage.waiting_in_share, stage.waiting_out_share) == pytest.approx(
        (25.0, 0.6, 0.12, 0.08)
    )


def test_the_bottleneck_is_the_stage_at_work_for_the_largest_share(tmp_path: Path) -> None:
    # Two workers busy for 1.2 s of one second are at work for 60 %, less than one worker busy for 0.7 s.
    stages = (factories.stage("read", 0.7), factories.stage("preprocess", 1.2, workers=2), factories.stage("post", 0.1))
    assert factories.performance(tmp_path, stages=stages).bottleneck.name == "read"


def test_top_k_is_in_percent() -> None:
    accuracy = Accuracy(count=200, classes=1000, correct_at=factories.SQUEEZENET)
    assert [accuracy.top(k) for k in range(1, 6)] == [47.0, 65.5, 71.5, 76.5, 78.0]


@pytest.mark.parametrize(
    ("difference", "agreement", "holds"),
    [
        (0.0, 1.0, True),
        (1e-4, 1.0, True),
        (1.1e-4, 1.0, False),
        (0.0, 0.99, False),
        (float("inf"), 1.0, False),
        (float("nan"), 1.0, False),
    ],
)
def test_parity_holds_within_its_bound_and_with_the_same_first_classes(
    difference: float, agreement: float, holds: bool
) -> None:
    found = Parity(
        reference="torch",
        batches=(1, 3),
        images=4,
        largest_difference=difference,
        top1_agreement=agreement,
        bound=1e-4,
    )
    assert found.holds is holds


def _verdict(*checks: tuple[VerdictWord, bool]) -> Verdict:
    return Verdict(
        artifact_sha256=(),
        model_sha256="",
        dataset_fingerprint=None,
        checks=tuple(
            Check(
                gate=Gate(
                    text="top1-drop<=1",
                    metric="top1-drop",
                    batch=None,
                    reference=None,
                    operator="<=",
                    bound=1.0,
                    asked=asked,
                ),
                verdict=word,
                measured=None,
                low=None,
                high=None,
                reference=None,
                detail="",
                reason="",
                differences=(),
            )
            for word, asked in checks
        ),
    )


@pytest.mark.parametrize(
    ("checks", "word", "holds"),
    [
        ([], None, True),
        ([("PASS", True)], "PASS", True),
        ([("PASS", False)], "PASS", True),
        ([("FAIL", True)], "FAIL", False),
        ([("FAIL", False)], "FAIL", False),
        ([("NOT COMPARABLE", True)], "NOT COMPARABLE", False),
        ([("NOT COMPARABLE", False)], None, True),
        ([("INCONCLUSIVE", True)], "INCONCLUSIVE", False),
        ([("INCONCLUSIVE", False)], None, True),
        ([("PASS", True), ("NOT COMPARABLE", False)], "PASS", True),
        ([("PASS", True), ("NOT COMPARABLE", True)], "NOT COMPARABLE", False),
        ([("PASS", True), ("INCONCLUSIVE", True)], "INCONCLUSIVE", False),
        ([("NOT COMPARABLE", True), ("FAIL", True)], "FAIL", False),
        ([("INCONCLUSIVE", True), ("NOT COMPARABLE", True)], "NOT COMPARABLE", False),
    ],
)
def test_the_verdict_is_that_of_the_worst_gate_that_was_asked_for(
    checks: list[tuple[VerdictWord, bool]], word: VerdictWord | None, holds: bool
) -> None:
    verdict = _verdict(*checks)
    assert verdict.word == word
    assert verdict.holds is holds


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        factories.transform().crop = 9  # type: ignore[misc]  # that is the point


def test_a_record_read_with_an_unknown_field_is_refused() -> None:
    text = b'{"resize": 10, "crop": 8, "mean": [0, 0, 0], "std": [1, 1, 1], "flip": true}'
    with pytest.raises(msgspec.ValidationError, match="flip"):
        msgspec.json.decode(text, type=ImageTransform)


def test_a_record_read_with_a_wrong_value_says_where() -> None:
    text = b'{"resize": 10, "crop": 8, "mean": [0, 0, "x"], "std": [1, 1, 1]}'
    with pytest.raises(msgspec.ValidationError, match=r"\$\.mean\[2\]"):
        msgspec.json.decode(text, type=ImageTransform)


def test_an_array_is_loaded_without_being_writable(tmp_path: Path) -> None:
    array = factories.array_file(tmp_path, [1.0, 2.0]).load()
    assert array.tolist() == [1.0, 2.0]
    assert not array.flags.writeable


def test_a_trials_top1_is_that_of_all_images_or_without_labels_the_share_that_agrees() -> None:
    assert searches.trial(1, right_images=100).top1 == 50.0
    assert searches.trial(1, paired=searches.agreeing(0.75)).top1 == 75.0
    assert searches.trial(1).top1 is None


def test_a_search_counts_its_trials_and_names_the_faster_ones_that_are_wrong(tmp_path: Path) -> None:
    found = searches.search(searches.run(tmp_path))
    assert found.states == {"right": 2, "slower": 1, "wrong": 2, "too large": 1, "failed": 2}
    assert [one.number for one in found.faster_but_wrong] == [30, 20]
