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
from assay.score import spectrum, statistics
from proof.series import autoregression

RANDOM = np.random.default_rng(7)
NOISE = RANDOM.normal(1.0, 0.1, 400)


def test_scipy_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, assay.score.statistics; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_figures_do_without_the_part_of_scipy_that_is_slow_to_import() -> None:
    code = (
        "import sys, numpy as np; from assay.score import spectrum, statistics as s; samples = np.arange(100.0); "
        "s.mean(samples), s.percentile(samples, 50), s.share(8, 10), s.mcnemar(1, 9); "
        "sys.exit('scipy.special' not in sys.modules or 'scipy.stats' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestMean:
    def test_by_hand(self) -> None:
        # Half waves of equal power, 256 · 0.01² each: the spectrum is 256 · 0.01², and the standard error 0.01.
        moments = (np.arange(256) + 0.5) / 256
        waves = [0.01 * math.sqrt(2) * np.cos(math.pi * number * moments) for number in range(1, 41)]
        # Student's t of two degrees; the tails of 2.5 % are smaller by 5.9 / √256.
        half = stats.t.ppf(1 - 0.025 * (1 - 5.9 / 16), 2) * 0.01
        assert statistics.mean(5 + np.sum(waves, axis=0)).interval == pytest.approx((5 - half, 5 + half))

    def test_independent_samples_have_an_interval_of_a_plausible_width(self) -> None:
        series = np.random.default_rng(1).normal(1.0, 0.1, (200, 400))
        widths = [statistics.mean(one).interval for one in series]
        plain = 2 * 1.96 * 0.1 / math.sqrt(400)
        ratios = [(high - low) / plain for low, high in (width for width in widths if width is not None)]
        assert len(ratios) == 200
        assert 1.5 < np.median(ratios) < 2.5
        assert min(ratios) > 0.25

    def test_correlated_samples_have_an_interval_as_much_wider_as_their_autocorrelation_time_says(self) -> None:
        runs = autoregression(np.random.default_rng(1), 100, 5000, 0.8)
        found = [statistics.mean(run).spread for run in runs + 100]
        plain = [statistics.mean(run).spread for run in np.random.default_rng(2).normal(100, 1, (100, 5000))]
        assert np.median(np.array(found, float)) / np.median(np.array(plain, float)) == pytest.approx(3, rel=0.2)

    def test_an_interval_moves_and_grows_with_the_unit(self) -> None:
        one, other = statistics.mean(NOISE).interval, statistics.mean(1000 * NOISE + 5).interval
        assert one is not None
        assert other == pytest.approx((1000 * one[0] + 5, 1000 * one[1] + 5))

    def test_more_confidence_takes_a_wider_interval(self) -> None:
        usual, sure = statistics.mean(NOISE).spread, statistics.mean(NOISE, 0.99).spread
        assert usual is not None
        assert sure is not None
        assert 1.5 * usual < sure < 3 * usual

    @pytest.mark.parametrize("count", [1, 2, 199])
    def test_too_few_samples_have_none_and_say_how_many_are_needed(self, count: int) -> None:
        samples = NOISE[:count]
        assert statistics.mean(samples) == Estimate(
            value=float(samples.mean()), obstacle=f"{count} samples are too few", wanted=200
        )
        assert statistics.mean(NOISE[:200]).interval is not None

    def test_no_samples_have_no_mean(self) -> None:
        found = statistics.mean(np.array([]))
        assert math.isnan(found.value)
        assert found.obstacle == "0 samples are too few"

    @pytest.mark.parametrize("rounding", [0, 1e-15])
    def test_samples_that_are_all_the_same_have_an_interval_without_width(self, rounding: float) -> None:
        samples = 0.3 + rounding * np.random.default_rng(1).normal(size=250)
        assert statistics.mean(samples).interval == pytest.approx((0.3, 0.3))
        assert statistics.percentile(samples, 50).interval == pytest.approx((0.3, 0.3))

    def test_two_values_in_turns_are_no_fault(self) -> None:
        interval = statistics.mean(np.tile([1.0, 2.0], 100)).interval
        assert interval is not None
        assert interval[0] <= 1.5 <= interval[1]

    @pytest.mark.parametrize("size", [0.3, 1.0, 100.0])
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
        assert spectrum.autocorrelation_time(series) == pytest.approx(expected)


class TestPercentile:
    @pytest.mark.parametrize("percent", [25, 50, 90, 99])
    def test_independent_samples_have_an_interval_no_narrower_than_the_exact_one(self, percent: float) -> None:
        for seed in range(20):
            samples = np.random.default_rng(seed).lognormal(size=4001)
            exact = stats.quantile_test(samples, p=percent / 100).confidence_interval(0.95)
            found = statistics.percentile(samples, percent)
            assert found.value == pytest.approx(np.percentile(samples, percent))
            assert found.interval is not None
            assert found.interval[0] <= exact.low
            assert found.interval[1] >= exact.high

    def test_dependent_samples_have_a_wider_one(self) -> None:
        random = np.random.default_rng(1)
        spreads = {
            correlation: [
                statistics.percentile(5 + run, 50).spread for run in autoregression(random, 50, 1000, correlation)
            ]
            for correlation in (0, 0.9)
        }
        plain, dependent = (np.median(np.array(spreads[one], float)) for one in (0, 0.9))
        assert 2.5 * plain < dependent < 7 * plain

    # By hand: 0.5^6, 0.9^36, 0.95^72, 0.99^368 are the first powers that are no more than 0.025.
    @pytest.mark.parametrize(("percent", "calls"), [(50, 6), (90, 36), (95, 72), (99, 368), (5, 72)])
    def test_so_many_independent_calls_enclose_it(self, percent: float, calls: int) -> None:
        assert statistics.calls_for(percent) == calls

    @pytest.mark.parametrize(("percent", "calls"), [(50, 200), (95, 200), (99, 368)])
    def test_fewer_calls_have_no_interval_and_say_how_many_are_needed(self, percent: float, calls: int) -> None:
        found = statistics.percentile(np.arange(calls - 1.0), percent)
        assert found.value == pytest.approx(np.percentile(np.arange(calls - 1.0), percent))
        assert found.obstacle == f"{calls} calls are needed, and {calls - 1} were measured"
        assert (found.interval, found.wanted) == (None, calls)

    def test_calls_that_depend_on_each_other_are_worth_fewer(self) -> None:
        found = statistics.percentile(autoregression(np.random.default_rng(3), 1, 1000, 0.95)[0], 99)
        assert found.interval is None
        assert found.obstacle is not None
        assert found.obstacle.startswith("1,000 calls are worth ")
        assert found.obstacle.endswith(" independent ones, and 368 are needed")
        assert found.wanted is not None
        assert found.wanted > 2000

    def test_no_samples_have_none(self) -> None:
        found = statistics.percentile(np.array([]), 50)
        assert math.isnan(found.value)
        assert found.obstacle == "200 calls are needed, and 0 were measured"


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

    def test_of_nothing_there_is_none(self) -> None:
        found = statistics.share(0, 0)
        assert math.isnan(found.value)
        assert (found.interval, found.obstacle) == (None, "0 samples are too few")


class TestMcnemar:
    # By hand, of a fair coin: 2 (1 + 10) / 2^10 - 10 / 2^10, 2 (1 + 12 + 66) / 2^12 - 66 / 2^12, 1 - (20 / 2^6) / 2.
    @pytest.mark.parametrize(
        ("one", "other", "p_value"),
        [(1, 9, 12 / 1024), (9, 1, 12 / 1024), (10, 2, 92 / 4096), (3, 3, 1 - 10 / 64), (0, 1, 0.5), (0, 0, 1)],
    )
    def test_mid_p_by_hand(self, one: int, other: int, p_value: float) -> None:
        assert statistics.mcnemar(one, other) == pytest.approx(p_value)

    # The airway example of Fagerland, Lydersen and Laake (2013): 1 and 7 discordant pairs; exact 0.0703, mid-p 0.0391.
    def test_published_values(self) -> None:
        assert statistics.mcnemar(1, 7) == pytest.approx(0.0391, abs=5e-5)
        assert statistics.mcnemar_exact(1, 7) == pytest.approx(0.0703, abs=5e-5)

    @pytest.mark.parametrize(("one", "other"), [(0, 5), (7, 12), (130, 95), (3, 3), (0, 0)])
    def test_the_exact_one_is_that_of_statsmodels(self, one: int, other: int) -> None:
        theirs = contingency_tables.mcnemar([[1000, one], [other, 50]], exact=True).pvalue if one + other else 1.0
        assert statistics.mcnemar_exact(one, other) == pytest.approx(theirs)

    def test_many_flips_are_no_fault(self) -> None:
        assert statistics.mcnemar(40_000, 40_500) == pytest.approx(0.078, abs=0.001)


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

    def test_over_nothing_there_is_none(self) -> None:
        found = statistics.ratio(Estimate(value=1, low=0.9, high=1.1), Estimate(value=0, low=0, high=0))
        assert (math.isnan(found.value), found.obstacle) == (True, "a figure of zero has no ratio")


class TestPairedRatio:
    def test_it_is_the_ratio_of_totals_with_the_interval_of_relative_differences(self) -> None:
        # Seconds an image: 1 1 1 1 1 3 beside 2 2 2 2 2 2. Totals 8 and 12: the first has 1.5 times the rate.
        found = statistics.paired_ratio(1 / np.array([1.0, 1, 1, 1, 1, 3]), np.full(6, 0.5))
        assert found.value == pytest.approx(1.5)
        # Differences of relative seconds: 1/4 five times, -5/4; mean 0, deviation √(15/8 / 5); t of 5 degrees 2.5706.
        half = 2.5706 * math.sqrt(15 / 8 / 5 / 6)
        assert found.interval == pytest.approx((1.5 * math.exp(-half), 1.5 * math.exp(half)), rel=1e-4)

    def test_few_blocks_have_students_t_interval(self) -> None:
        differences = np.random.default_rng(2).normal(0.1, 0.02, 13)
        theirs = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
        assert statistics.mean_of_blocks(differences).interval == pytest.approx((theirs.low, theirs.high))

    def test_neighbouring_blocks_that_depend_on_each_other_have_a_wider_one(self) -> None:
        runs = 10 + autoregression(np.random.default_rng(2), 1000, 60, 0.5)
        held = [low <= 10 <= high for low, high in (statistics.mean_of_blocks(run).interval or (0, 0) for run in runs)]
        plain = [np.abs(run.mean() - 10) <= stats.t.ppf(0.975, 59) * run.std(ddof=1) / math.sqrt(60) for run in runs]
        assert np.mean(held) > 0.9 > np.mean(plain) + 0.1

    @pytest.mark.parametrize("calls", [(1, 1), (1, 2), (2, 3)])
    def test_equal_artifacts_are_equal_whatever_the_number_of_calls_a_block(self, calls: tuple[int, int]) -> None:
        random = np.random.default_rng(5)
        ratios = []
        for _ in range(1000):
            seconds = [random.gamma(2, 0.5, (24, number)).sum(axis=1) for number in calls]
            ratios.append(statistics.paired_ratio(calls[0] / seconds[0], calls[1] / seconds[1]))
        assert np.mean([one.value for one in ratios]) == pytest.approx(1, abs=0.04)
        assert np.mean([not (one.low or 0) <= 1 <= (one.high or 9) for one in ratios]) < 0.08

    @pytest.mark.parametrize("pairs", [1, 5])
    def test_few_pairs_have_none(self, pairs: int) -> None:
        found = statistics.paired_ratio(np.full(pairs, 3.0), np.full(pairs, 2.0))
        assert found.value == pytest.approx(1.5)
        assert (found.interval, found.obstacle, found.wanted) == (None, f"{pairs} pairs are too few", 6)

    def test_no_pairs_have_no_ratio(self) -> None:
        found = statistics.paired_ratio(np.array([]), np.array([]))
        assert (math.isnan(found.value), found.obstacle) == (True, "0 pairs are too few")

    def test_unequal_numbers_of_blocks_are_refused(self) -> None:
        with pytest.raises(ValueError, match="7 blocks of one side and 8 of the other"):
            statistics.paired_ratio(np.ones(8), np.ones(7))


class TestBestOf:
    def test_by_hand(self) -> None:
        # The square of 0.9747 is 0.95.
        assert statistics.confidence_for_best_of(1) == pytest.approx(0.95)
        assert statistics.confidence_for_best_of(2) == pytest.approx(0.974679)

    def test_the_best_of_eight_equal_ones_is_covered_as_often_as_claimed(self) -> None:
        random = np.random.default_rng(6)
        usual, corrected = list[bool](), list[bool]()
        for _ in range(600):
            blocks = random.normal(1, 0.03, (8, 20))
            best = blocks[blocks.mean(axis=1).argmax()]
            for held, confidence in ((usual, 0.95), (corrected, statistics.confidence_for_best_of(8))):
                low, high = statistics.mean_of_blocks(best, confidence).interval or (0, 0)
                held.append(low <= 1 <= high)
        assert np.mean(usual) < 0.9
        assert np.mean(corrected) >= 0.93


class TestSamplesFor:
    def test_half_the_width_takes_four_times_the_samples_and_more_for_the_movement_of_the_value(self) -> None:
        # By hand: (1 + 1.4051 / 1.9600)² = 2.9477.
        estimate = Estimate(value=100, low=90, high=120)
        assert statistics.samples_for(estimate, 50, 95) == math.floor(50 * 4 * 2.9477) + 1
        assert statistics.samples_for(estimate, 50, 110) == math.floor(50 * 4 * 2.9477) + 1

    @pytest.mark.parametrize("freedom", [2, 8])
    def test_widths_of_few_degrees_of_freedom_take_more(self, freedom: float) -> None:
        estimate = Estimate(value=100, low=90, high=110)
        assert (statistics.samples_for(estimate, 50, 95, freedom) or 0) > (
            statistics.samples_for(estimate, 50, 95) or 0
        )

    def test_so_many_blocks_settle_it_in_nine_cases_of_ten(self) -> None:
        random, settled = np.random.default_rng(8), list[bool]()
        while len(settled) < 400:
            truth = random.uniform(0.98, 1.02)
            first = statistics.mean_of_blocks(random.normal(truth, 0.03, 20))
            low, high = first.interval or (0, 0)
            # If the value stays where it is: it is the truth that more samples are drawn around.
            wanted = statistics.samples_for(first, 20, 1.0, statistics.BLOCK_FREEDOM)
            if low <= 1 <= high and wanted is not None and wanted < 100_000:
                again = statistics.mean_of_blocks(random.normal(first.value, 0.03, wanted)).interval or (0, 9)
                settled.append(not again[0] <= 1 <= again[1])
        assert np.mean(settled) >= 0.88

    def test_a_bound_that_is_outside_already_takes_no_more(self) -> None:
        assert statistics.samples_for(Estimate(value=100, low=90, high=110), 50, 80) == 50

    def test_nothing_settles_a_bound_that_is_the_value(self) -> None:
        assert statistics.samples_for(Estimate(value=100, low=90, high=110), 50, 100) is None

    def test_without_an_interval_it_is_what_would_give_one(self) -> None:
        assert statistics.samples_for(Estimate(value=1, obstacle="9 samples are too few", wanted=20), 9, 2) == 20
        assert statistics.samples_for(Estimate(value=1, obstacle="not stationary"), 900, 2) is None


LONG = 1 + np.arange(250.0) % 7
NOT_FINITE = {
    "nan": np.where(np.arange(250) == 3, math.nan, LONG),
    "infinite": np.where(np.arange(250) == 3, math.inf, LONG),
    "both infinities": np.where(LONG > 4, math.inf, -math.inf),
    "an overflowing sum": np.where(LONG > 4, 1.7e308, 1.6e308),
}


@pytest.mark.parametrize("kind", NOT_FINITE)
def test_samples_that_are_not_finite_have_no_figure(kind: str) -> None:
    samples = NOT_FINITE[kind]
    for found in (
        statistics.mean(samples),
        statistics.percentile(samples, 50),
        statistics.ratio_of_totals(samples, LONG),
        statistics.ratio_of_totals(LONG, samples),
        statistics.paired_ratio(samples, LONG),
        statistics.around_ratio(1.0, samples),
        statistics.around_ratio(float(samples[3]) * 2 - math.inf, LONG),
        statistics.mean_of_blocks(samples),
        statistics.mean_of_processes([*samples]),
        statistics.mean(samples[:5]),
    ):
        assert math.isnan(found.value)
        assert found.interval is None
        assert found.obstacle == "a sample is not a finite number"
    assert math.isnan(statistics.next_process([*samples]))


@pytest.mark.parametrize("size", [5e-324, 1e-308, 1e-200, 1e200, 1e305])
def test_samples_whose_squares_are_no_numbers_have_no_interval(size: float) -> None:
    samples = size * LONG
    for found in (
        statistics.mean(samples),
        statistics.percentile(samples, 50),
        statistics.mean_of_blocks(samples),
        statistics.ratio_of_totals(samples, samples),
        statistics.paired_ratio(samples, samples),
    ):
        assert found.interval is None
        assert found.obstacle is not None
        assert "have no variance" in found.obstacle
    assert statistics.percentile(samples, 50).value == np.median(samples)
    assert statistics.mean(samples).value == samples.mean()


def test_figures_that_are_not_above_zero_have_no_ratio() -> None:
    zeros, at_zero = np.zeros(8), Estimate(value=1.0, low=0.0, high=2.0)
    for found in (
        statistics.ratio_of_totals(zeros, LONG[:8]),
        statistics.ratio_of_totals(LONG[:8], zeros),
        statistics.ratio_of_totals(-LONG[:8], LONG[:8]),
        statistics.paired_ratio(LONG[:8] - 1, LONG[:8]),
        statistics.around_ratio(0.0, LONG[:8]),
        statistics.around_ratio(1.0, 1e9 * LONG[:8]),
        statistics.mean_of_processes([0.0, 0.0]),
        statistics.mean_of_processes([1.0, -1.0]),
        statistics.widened(Estimate(value=0.0, low=0.0, high=0.0), 0.1),
        statistics.widened(at_zero, 0.1),
        statistics.widened(Estimate(value=1.0, low=0.5, high=2.0), math.inf),
        statistics.widened(Estimate(value=1.0, low=0.5, high=2.0), math.nan),
        statistics.ratio(at_zero, at_zero),
        statistics.ratio(Estimate(value=math.inf, low=1.0, high=math.inf), at_zero),
    ):
        assert found.interval is None
        assert found.obstacle is not None
    assert statistics.next_process([0.0, 0.0]) == 0.0
    assert statistics.next_process([1.0, -1.0]) == math.inf


def test_arguments_that_cannot_be_are_said() -> None:
    for percent in (0, 100, -1, 101, math.nan):
        with pytest.raises(ValueError, match="give one between 0 and 100"):
            statistics.percentile(LONG, percent)
    for successes, total in ((2, 1), (-1, 5), (math.nan, 5), (1, math.inf)):
        with pytest.raises(ValueError, match="give 0 to"):
            statistics.share(successes, total)
    for confidence in (0, 1, 1.5):
        with pytest.raises(ValueError, match="give one between 0 and 1"):
            statistics.mean(LONG, confidence)
    with pytest.raises(ValueError, match="0 or more"):
        statistics.mcnemar(-1, 5)
    with pytest.raises(ValueError, match="give 2 or more"):
        statistics.next_process([1.0])
