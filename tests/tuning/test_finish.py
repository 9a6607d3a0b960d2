"""What each choice was worth."""

from __future__ import annotations

from typing import Any

from assay.tuning import finish
from assay.tuning.records import Candidate
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
    found = {one.choice: (one.instead_of, one.ratio) for one in finish.worth([default, best, *others], best, default)}
    assert found == {"streams 2": ("1", 150 / 125), "threads 2": ("0", 125 / 150)}


def test_how_the_best_was_quantized_is_worth_what_it_is_over_the_fastest_other_way() -> None:
    def quantized(**changes: Any) -> Candidate:
        usual = {"backend": "openvino", "device": "cpu", "batch": 1, "precision": "int8", "calibrator": "minmax"}
        return Candidate(**{**usual, **changes})

    default = searches.trial(0, candidate=_chosen(1, 0), speed=100.0)
    best = searches.trial(1, candidate=quantized(calibrator="entropy", float_layers=2), speed=300.0)
    others = [
        searches.trial(2, candidate=quantized(), speed=250.0),
        searches.trial(3, candidate=quantized(float_layers=16), speed=150.0),
        searches.trial(4, candidate=quantized(per_channel=False), speed=200.0),
    ]
    found = {one.choice: (one.instead_of, one.ratio) for one in finish.worth([default, best, *others], best, default)}
    assert found["calibrator entropy"] == ("minmax", 300 / 250)
    assert found["layers in float 2"] == ("0", 300 / 250)
    assert found["scales one a channel"] == ("one a layer", 300 / 200)
    assert found["precision int8"] == ("fp32", 3.0)
