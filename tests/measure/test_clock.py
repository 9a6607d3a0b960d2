from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, count, repeat

import numpy as np
import pytest

from assay.measure import clock
from assay.measure.clock import Intervals
from assay.records import WarmUp


def test_intervals_of_several_workers_are_merged_in_the_order_of_their_jobs() -> None:
    one, two, none = Intervals(), Intervals(), Intervals()
    one.add(2, 14.0, 15.0)
    two.add(0, 10.0, 11.0)
    one.add(1, 12.0, 13.5)
    np.testing.assert_array_equal(Intervals.merged([one, two, none], begin=10.0), [[0.0, 1.0], [2.0, 3.5], [4.0, 5.0]])


@pytest.fixture
def warmed_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterable[float]], WarmUp]:
    """A warm-up of calls that take these seconds, on a clock of their own."""

    def run(seconds: Iterable[float]) -> WarmUp:
        time, coming = [0.0], iter(seconds)

        def call() -> None:
            time[0] += next(coming)

        monkeypatch.setattr(clock, "now", lambda: time[0])
        return clock.warm_up(call)

    return run


WarmedUp = Callable[[Iterable[float]], WarmUp]


@pytest.mark.parametrize(
    ("seconds_a_call", "calls"),
    [(0.0003, 1668), (0.01, 50), (0.2, 4), (3.0, 4), (6.0, 4), (20.0, 2), (100.0, 2)],
)
def test_steady_calls_end_the_warm_up_soon_however_long_they_are(
    seconds_a_call: float, calls: int, warmed_up: WarmedUp
) -> None:
    made = warmed_up(repeat(seconds_a_call))
    assert made.steady
    assert made.calls == pytest.approx(calls, abs=2)
    assert made.seconds == pytest.approx(made.calls * seconds_a_call)


def test_a_slow_beginning_is_waited_for(warmed_up: WarmedUp) -> None:
    made = warmed_up(chain([0.5], (0.01 + 0.02 * 0.99**number for number in count())))
    assert made.steady
    # 5 % in a window of some twenty calls is reached once the excess has gone down to a quarter or so.
    assert made.calls > 100


@pytest.mark.parametrize("decline", [0.004, 0.03])
def test_times_that_fall_slowly_are_waited_for_until_they_stop(decline: float, warmed_up: WarmedUp) -> None:
    """Two neighbouring windows differ by less than 5 % all the time."""
    down = [0.01 * (1 - decline) ** (number / 25) for number in range(1000)]
    made = warmed_up(chain(down, repeat(down[-1])))
    assert made.steady
    assert made.calls >= 1000


def test_a_decline_without_end_is_not_steady(warmed_up: WarmedUp) -> None:
    made = warmed_up(0.01 * (1 - number / 6000) for number in range(5000))
    assert not made.steady


def test_one_slow_first_call_does_not_stand_for_the_others(warmed_up: WarmedUp) -> None:
    made = warmed_up(chain([2.0], repeat(1.0)))
    assert made.steady
    assert made.calls == 6


@pytest.mark.parametrize("first", [0.0003, 0.01, 0.3, 2.0])
def test_times_that_go_on_changing_end_the_warm_up_unsteady_after_twenty_seconds(
    first: float, warmed_up: WarmedUp
) -> None:
    time = [0.0]

    def growing() -> Iterable[float]:
        while True:
            # 30 % in a second, as long as it lasts.
            seconds = first * 1.3 ** time[0]
            time[0] += seconds
            yield seconds

    made = warmed_up(growing())
    assert not made.steady
    assert 20.0 <= made.seconds < 20.0 + first * 1.3**25


def test_two_slow_calls_that_differ_are_not_steady(warmed_up: WarmedUp) -> None:
    assert warmed_up([24.0, 20.0]) == WarmUp(calls=2, seconds=44.0, steady=False)


def test_noise_does_not_keep_a_warm_up_from_its_end(warmed_up: WarmedUp) -> None:
    generator = np.random.default_rng(0)
    made = warmed_up(0.1 * generator.uniform(0.8, 1.2) for _ in count())
    assert made.steady
    assert made.seconds < 5.0
