"""What each choice was worth."""

from __future__ import annotations

from assay.records import Candidate
from assay.workflow.tuning import outcome
from tests import searches


def _chosen(streams: int, threads: int) -> Candidate:
    return Candidate(
        backend="openvino", device="cpu", batch=1, precision="fp32", run={"streams": streams, "threads": threads}
    )


def test_a_choice_is_worth_the_fastest_with_it_over_the_fastest_without_whatever_was_measured_of_the_best() -> None:
    default = searches.trial(0, candidate=_chosen(1, 0), speed=100.0)
    best = searches.trial(1, candidate=_chosen(2, 2), speed=120.0)
    others = [
        searches.trial(2, candidate=_chosen(2, 0), speed=150.0),
        searches.trial(3, candidate=_chosen(1, 2), speed=125.0),
        searches.trial(4, "wrong", candidate=_chosen(1, 1), speed=900.0),
    ]
    found = {one.choice: (one.instead_of, one.ratio) for one in outcome.worth([default, best, *others], best, default)}
    assert found == {"streams 2": ("1", 150 / 125), "threads 2": ("0", 125 / 150)}
