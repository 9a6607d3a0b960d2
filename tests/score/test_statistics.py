"""Intervals and tests against values worked by hand and against SciPy and statsmodels; simulations are in `proof/`."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression import linear_model
from statsmodels.stats import contingency_tables, proportion

from assay.records import Estimate
from assay.score import statistics
from proof.series import autoregression

RANDOM = np.random.default_rng(7)
NOISE = RANDOM.normal(1.0, 0.1, 400)


def test_scipy_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, assay.score.statistics; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_figures_do_without_the_part_of_scipy_that_is_slow_to_import() -> None:
    code = (
        "import sys, numpy as np; from assay.score import statistics as s; samples = np.arange(100.0); "
        "s.mean(samples), s.percentile(samples, 50), s.share(8, 10), s.mcnemar(1, 9); "
        "sys.exit('scipy.special' not in sys.modules or 'scipy.stats' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestMean:
    def test_independent_samples_have_nearly_the_interval_of_a_plain_t_test(self) -> None:
        found = statistics.mean(NOISE)
        plain = stats.ttest_1samp(NOISE, 0).confidence_interval(0.95)
        assert found.interval is not None
        assert found.value == pytest.approx(NOISE.mean())
        assert found.interval[1] - found.interval[0] == pytest.approx(plain.high - plain.low, rel=0.25)

    def test_correlated_samples_have_an_interval_as_much_wider_as_their_autocorrelation_time_says(self) -> None:
        series = autoregression(np.random.default_rng(1), 1, 20000, 0.8)[0]
        found = statistics.mean(series)
        assert found.interval is not None
        independent = 2 * 1.96 * series.std() / math.sqrt(len(series))
        assert (found.interval[1] - found.interval[0]) / independent == pytest.approx(math.sqrt(9), rel=0.25)

    def test_an_interval_moves_and_grows_with_the_unit(self) -> None:
        one, other = statistics.mean(NOISE).interval, statistics.mean(1000 * NOISE + 5).interval
        assert one is not None
        assert other == pytest.approx((1000 * one[0] + 5, 1000 * one[1] + 5))

    @pytest.mark.parametrize("count", [1, 2, 19])
    def test_a_handful_of_samples_has_none_and_says_how_many_are_needed(self, count: int) -> None:
        samples = NOISE[:count]
        assert statistics.mean(samples) == Estimate(
            value=float(samples.mean()), obstacle=f"{count} samples are too few", wanted=20
        )

    def test_no_samples_have_no_mean(self) -> None:
        found = statistics.mean(np.array([]))
        assert math.isnan(found.value)
        assert found.obstacle == "0 samples are too few"

    def test_samples_that_are_all_the_same_have_an_interval_without_width(self) -> None:
        assert statistics.mean(np.full(50, 0.3)).interval == pytest.approx((0.3, 0.3))

    def test_two_values_in_turns_are_no_fault(self) -> None:
        interval = statistics.mean(np.tile([1.0, 2.0], 100)).interval
        assert interval is not None
        assert interval[0] < 1.5 < interval[1]

    def test_too_few_autocorrelation_times_are_counted_and_the_calls_for_enough_are_named(self) -> None:
        series = autoregression(np.random.default_rng(3), 1, 300, 0.95)[0]
        found = statistics.mean(series)
        assert found.interval is None
        assert found.obstacle is not None
        times = int(found.obstacle.removeprefix("the sample holds ").split()[0])
        assert found.obstacle == f"the sample holds {times} autocorrelation times and 20 are needed"
        assert 0 < times < 20
        assert found.wanted is not None
        assert found.wanted > 300 * 20 / (times + 1)

    @pytest.mark.parametrize("size", [0.2, 1.0, 100.0])
    @pytest.mark.parametrize("shape", ["drift", "step up", "step down"])
    def test_a_series_that_drifts_or_steps_is_not_stationary(self, shape: str, size: float) -> None:
        moment = np.arange(len(NOISE)) / len(NOISE)
        change = {"drift": moment, "step up": 1.0 * (moment > 0.5), "step down": 1.0 * (moment < 0.3)}[shape]
        found = statistics.mean(NOISE + size * change)
        assert found == Estimate(value=found.value, obstacle="not stationary")

    def test_the_autocorrelation_time_is_that_of_the_autoregression_that_statsmodels_fits(self) -> None:
        series = np.random.default_rng(5).standard_normal(39)  # So few have an autoregression of up to three terms.
        fits = [
            (order, *linear_model.yule_walker(series, order, method="mle", result_object=False)) for order in (1, 2, 3)
        ]
        order, weights, deviation = min(fits, key=lambda fit: len(series) * math.log(fit[2] ** 2) + 2 * fit[0])
        adjusted = deviation**2 * len(series) / (len(series) - order - 1)
        expected = adjusted / (1 - weights.sum()) ** 2 / series.var()
        assert statistics._autocorrelation_time(series) == pytest.approx(expected)


class TestPercentile:
    def test_the_median_of_ten_lies_between_the_second_and_the_ninth(self) -> None:
        # By hand: (C(10,0) + C(10,1)) / 2^10 = 1.07 % lie below the second; with C(10,2) it would be 5.5 %.
        assert statistics.percentile(np.arange(1.0, 11.0), 50) == Estimate(value=5.5, low=2, high=9)

    @pytest.mark.parametrize("percent", [5, 25, 50, 90, 99])
    @pytest.mark.parametrize("count", [100, 500, 4001])
    def test_the_interval_is_that_of_scipy(self, percent: float, count: int) -> None:
        samples = np.random.default_rng(count).lognormal(size=count)
        theirs = stats.quantile_test(samples, p=percent / 100).confidence_interval(0.95)
        found = statistics.percentile(samples, percent)
        if found is None:
            assert math.isnan(theirs.low) or math.isnan(theirs.high)
        else:
            assert found.interval == (theirs.low, theirs.high)

    # By hand: 0.5^6, 0.9^36, 0.95^72, 0.99^368 are the first powers that are no more than 0.025.
    @pytest.mark.parametrize(("percent", "calls"), [(50, 6), (90, 36), (95, 72), (99, 368), (5, 72)])
    def test_so_many_calls_have_one_and_one_fewer_has_none(self, percent: float, calls: int) -> None:
        assert statistics.calls_for(percent) == calls
        assert statistics.percentile(np.arange(calls, dtype=float), percent) is not None
        assert statistics.percentile(np.arange(calls - 1, dtype=float), percent) is None

    def test_no_samples_have_none(self) -> None:
        assert statistics.percentile(np.array([]), 50) is None


class TestShare:
    def test_eight_of_ten_by_hand(self) -> None:
        # (0.8 + z²/20 ± z √(0.016 + z²/400)) / (1 + z²/10) with z = 1.96.
        found = statistics.share(8, 10)
        assert found.value == 0.8
        assert found.interval == pytest.approx((0.4902, 0.9433), abs=5e-5)

    @pytest.mark.parametrize(("successes", "total"), [(0, 10), (1, 7), (94, 200), (38_990, 50_000), (5, 5)])
    def test_the_interval_is_that_of_statsmodels(self, successes: int, total: int) -> None:
        theirs = proportion.proportion_confint(successes, total, method="wilson")
        assert statistics.share(successes, total).interval == pytest.approx(theirs)


class TestMcnemar:
    # By hand: 2 (1 + 10) / 2^10, 2 (1 + 12 + 66) / 2^12, and what can be no more even.
    @pytest.mark.parametrize(
        ("one", "other", "p_value"), [(1, 9, 22 / 1024), (10, 2, 158 / 4096), (3, 3, 1), (0, 0, 1)]
    )
    def test_by_hand(self, one: int, other: int, p_value: float) -> None:
        assert statistics.mcnemar(one, other) == pytest.approx(p_value)

    @pytest.mark.parametrize(("one", "other"), [(0, 5), (7, 12), (130, 95)])
    def test_it_is_that_of_statsmodels(self, one: int, other: int) -> None:
        theirs = contingency_tables.mcnemar([[1000, one], [other, 50]], exact=True).pvalue
        assert statistics.mcnemar(one, other) == pytest.approx(theirs)


class TestRatio:
    def test_distances_add_up_in_quadrature_on_the_logarithmic_scale(self) -> None:
        # By hand, in powers of two: 2 from -1 to +1, 1 from -1 to +1, so that 2 reaches from -√2 to +√2.
        found = statistics.ratio(Estimate(value=2, low=1, high=4), Estimate(value=1, low=0.5, high=2))
        assert found.value == 2
        assert found.interval == pytest.approx((2 * 2 ** -math.sqrt(2), 2 * 2 ** math.sqrt(2)))

    def test_the_upper_end_of_the_other_makes_the_lower_end_of_the_ratio(self) -> None:
        found = statistics.ratio(Estimate(value=6, low=6, high=6), Estimate(value=2, low=1.5, high=3))
        assert found.interval == pytest.approx((2, 4))

    def test_without_an_interval_on_either_side_its_reason_is_carried_over(self) -> None:
        good, lacking = Estimate(value=4, low=3, high=5), Estimate(value=2, obstacle="9 samples are too few", wanted=20)
        assert statistics.ratio(good, lacking) == Estimate(value=2, obstacle="9 samples are too few", wanted=20)
        assert statistics.ratio(lacking, good) == Estimate(value=0.5, obstacle="9 samples are too few", wanted=20)

    def test_a_figure_that_never_had_one_is_said_to_lack_it(self) -> None:
        assert statistics.ratio(Estimate(value=3), Estimate(value=2)).obstacle == "a figure without interval"

    def test_an_interval_that_reaches_zero_has_no_ratio(self) -> None:
        found = statistics.ratio(Estimate(value=1, low=-0.1, high=2), Estimate(value=1, low=0.9, high=1.1))
        assert found == Estimate(value=1, obstacle="an interval that reaches zero has no ratio")


class TestPairedRatio:
    def test_it_is_a_t_interval_of_the_log_ratios(self) -> None:
        other = np.random.default_rng(2).uniform(50, 100, 12)
        mine = other * np.random.default_rng(3).lognormal(0.1, 0.02, 12)
        theirs = stats.ttest_1samp(np.log(mine / other), 0).confidence_interval(0.95)
        found = statistics.paired_ratio(mine, other)
        assert found.value == pytest.approx(stats.gmean(mine / other))
        assert found.interval == pytest.approx((math.exp(theirs.low), math.exp(theirs.high)))

    def test_by_hand(self) -> None:
        # Logarithms to base two: 0 2 0 2 0 2; mean 1, deviation √1.2, t of 5 degrees 2.5706, so 2.5706 √(1.2 / 6).
        found = statistics.paired_ratio(np.array([1.0, 4.0] * 3), np.ones(6))
        half = 2.5706 * math.sqrt(0.2)
        assert found.value == pytest.approx(2)
        assert found.interval == pytest.approx((2 * 2**-half, 2 * 2**half), rel=1e-4)

    def test_many_pairs_are_a_series_in_the_order_of_measurement(self) -> None:
        found = statistics.paired_ratio(np.exp(NOISE), np.ones(len(NOISE)))
        assert found.interval == pytest.approx(tuple(math.exp(end) for end in statistics.mean(NOISE).interval or ()))
        drifting = statistics.paired_ratio(np.linspace(1, 2, 40), np.ones(40))
        assert (drifting.interval, drifting.obstacle) == (None, "not stationary")

    @pytest.mark.parametrize("pairs", [1, 5])
    def test_few_pairs_have_none(self, pairs: int) -> None:
        found = statistics.paired_ratio(np.full(pairs, 3.0), np.full(pairs, 2.0))
        assert found.value == pytest.approx(1.5)
        assert (found.interval, found.obstacle, found.wanted) == (None, f"{pairs} pairs are too few", 6)

    def test_unequal_numbers_of_blocks_are_refused(self) -> None:
        with pytest.raises(ValueError, match="broadcast"):
            statistics.paired_ratio(np.ones(7), np.ones(8))


class TestSamplesFor:
    def test_half_the_width_takes_four_times_the_samples(self) -> None:
        estimate = Estimate(value=100, low=90, high=120)
        assert statistics.samples_for(estimate, 50, 95) == 201
        assert statistics.samples_for(estimate, 50, 110) == 201

    def test_a_bound_that_is_outside_already_takes_no_more(self) -> None:
        assert statistics.samples_for(Estimate(value=100, low=90, high=110), 50, 80) == 50

    def test_nothing_settles_a_bound_that_is_the_value(self) -> None:
        assert statistics.samples_for(Estimate(value=100, low=90, high=110), 50, 100) is None

    def test_without_an_interval_it_is_what_would_give_one(self) -> None:
        assert statistics.samples_for(Estimate(value=1, obstacle="9 samples are too few", wanted=20), 9, 2) == 20
        assert statistics.samples_for(Estimate(value=1, obstacle="not stationary"), 900, 2) is None
