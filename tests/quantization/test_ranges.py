from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.errors import ModelError
from assay.quantization import ranges
from tests.messages import assert_says
from tests.quantization import graphs

Floats = npt.NDArray[np.float32]


def ranges_of(parts: list[Floats], calibrator: str) -> tuple[float, float]:
    values = ranges.Values(histogram=calibrator != "minmax")
    for part in parts:
        values.add(part, "tensor")
    return values.range(calibrator)


def test_the_tensors_are_those_that_are_rounded(tmp_path: Path) -> None:
    made = graphs.made_ready(tmp_path)
    found = ranges.tensors(made.graph, graphs.OUTPUT)
    assert found == ("class", "flat", "one bound", "pooled", "scaled", "two bound")


def test_min_max_is_that_of_all_images_and_holds_zero(tmp_path: Path) -> None:
    made = graphs.made_ready(tmp_path)
    batch = graphs.images()
    parts = [{graphs.INPUT: batch[graphs.INPUT][start : start + 3]} for start in (0, 3, 6)]
    found = ranges.calibrate(made, graphs.OUTPUT, parts, "minmax")
    scaled = 2 * batch[graphs.INPUT]
    assert found["scaled"] == (float(scaled.min()), float(scaled.max()))
    assert found["one bound"][0] == 0


@pytest.mark.parametrize("calibrator", ranges.CALIBRATORS)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(1, 499), scale=st.floats(1e-3, 1e3))
def test_a_range_does_not_hang_on_how_the_images_are_cut_into_batches(
    calibrator: str, seed: int, cut: int, scale: float
) -> None:
    values = (np.random.default_rng(seed).standard_normal(500) * scale).astype(np.float32)
    whole = ranges_of([values], calibrator)
    assert ranges_of([values[:cut], values[cut:]], calibrator) == whole
    assert values.min() <= whole[0] <= 0 <= whole[1] <= values.max()


def test_the_percentile_leaves_what_few_values_reach() -> None:
    values = np.random.default_rng(0).random(100_000, dtype=np.float32)
    values[:3] = 50
    low, high = ranges_of([values], "percentile")
    assert low == 0
    assert 0.98 < high < 1.1


def test_entropy_leaves_a_far_outlier_and_keeps_an_even_spread() -> None:
    even = np.random.default_rng(0).random(100_000, dtype=np.float32)
    assert ranges_of([even], "entropy")[1] == pytest.approx(even.max(), rel=0.02)
    outlier = np.append(even, np.float32(30))
    assert ranges_of([outlier], "entropy")[1] < 15


def test_many_zeros_do_not_narrow_a_range() -> None:
    even = np.random.default_rng(0).random(10_000, dtype=np.float32)
    zeros = np.zeros(1_000_000, np.float32)
    assert ranges_of([even, zeros], "entropy") == ranges_of([even], "entropy")


@pytest.mark.parametrize("calibrator", ranges.CALIBRATORS)
def test_a_tensor_of_zeros_has_no_width(calibrator: str) -> None:
    assert ranges_of([np.zeros(10, np.float32)], calibrator) == (0.0, 0.0)


def test_values_that_are_not_finite_are_refused_by_name(tmp_path: Path) -> None:
    batch = graphs.images()
    batch[graphs.INPUT][0, 0, 0, 0] = np.inf
    with pytest.raises(ModelError) as caught:
        ranges.calibrate(graphs.made_ready(tmp_path), graphs.OUTPUT, [batch], "minmax")
    assert_says(caught, "not finite on the calibration images", "mend the model")
