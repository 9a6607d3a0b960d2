"""Which trials no other beats, and which candidate may join them."""

from __future__ import annotations

import pytest

from assay.tuning import finish, yardstick
from assay.tuning.records import Candidate
from tests import searches

FLOAT = Candidate(backend="onnxruntime", device="cpu", batch=1, precision="fp32")
BYTES = Candidate(backend="onnxruntime", device="cpu", batch=1, precision="int8", calibrator="minmax")


def test_a_trial_that_another_beats_in_both_is_not_on_it() -> None:
    trials = [
        searches.trial(0, right_images=120, speed=100.0),
        searches.trial(1, right_images=100, speed=300.0),
        searches.trial(2, right_images=99, speed=200.0),
        searches.trial(3, right_images=120, speed=90.0),
        searches.trial(4, speed=900.0),
    ]
    assert yardstick.frontier(trials) == (1, 0)


@pytest.mark.parametrize(
    ("candidate", "speed", "joins"),
    [
        (FLOAT, 150.0, True),  # faster than the only one that is as right
        (FLOAT, 90.0, False),
        (BYTES, 400.0, True),  # faster than all
        (BYTES, 200.0, False),  # the same numbers were evaluated, and were faster then
        (Candidate(backend="mnn", device="cpu", batch=1, precision="fp32"), 150.0, True),
    ],
)
def test_a_candidate_is_evaluated_where_it_may_be_on_it(candidate: Candidate, speed: float, joins: bool) -> None:
    trials = [
        searches.trial(0, candidate=FLOAT, right_images=120, speed=100.0),
        searches.trial(1, candidate=BYTES, right_images=110, speed=300.0),
    ]
    assert yardstick.may_join(candidate, speed, trials, reference=60.0) is joins


def test_the_one_that_was_fastest_in_the_end_is_on_it_whatever_the_trials_said() -> None:
    trials = [
        searches.trial(0, right_images=120, speed=100.0),
        searches.trial(1, right_images=120, speed=300.0),
        searches.trial(2, right_images=110, speed=250.0),
    ]
    settled = finish.settled(trials, {0: 60.0, 1: 50.0})
    assert [one.standing for one in settled] == [300.0, 250.0, 250.0]
    assert yardstick.frontier(settled) == (0,)
    assert finish.settled(trials, {}) == tuple(trials)
