from __future__ import annotations

import itertools

import numpy as np
import pytest

from assay.measure import clock
from assay.measure.clock import Intervals


def test_intervals_of_several_workers_are_merged_in_the_order_of_their_jobs() -> None:
    one, two, none = Intervals(), Intervals(), Intervals()
    one.add(2, 14.0, 15.0)
    two.add(0, 10.0, 11.0)
    one.add(1, 12.0, 13.5)
    np.testing.assert_array_equal(Intervals.merged([one, two, none], begin=10.0), [[0.0, 1.0], [2.0, 3.5], [4.0, 5.0]])


@pytest.mark.parametrize(
    ("seconds_a_call", "calls"),
    [(0.01, 50), (0.3, 3), (8.0, 3), (30.0, 1)],
    ids=["half a second", "three calls", "three slow calls", "twenty seconds at most"],
)
def test_warm_up_is_three_calls_and_half_a_second_and_twenty_seconds_at_most(
    seconds_a_call: float, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count()
    # One look at the clock before the first call, then one after each.
    monkeypatch.setattr(clock, "now", lambda: next(ticks) * seconds_a_call)
    made, spent = clock.warm_up(lambda: None)
    assert made == pytest.approx(calls, abs=1)
    assert spent == pytest.approx(made * seconds_a_call)
