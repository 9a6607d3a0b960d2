from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from assay.errors import DatasetError
from assay.records import Predictions
from assay.score import paired
from tests import factories


def _predicted(folder: Path, classes: list[int], count: int = 3) -> Predictions:
    """Images whose first class is this, with a score of 1."""
    return factories.predictions(folder, np.eye(count)[classes])


def test_flips_are_counted_and_named_in_both_directions(tmp_path: Path) -> None:
    labels = [0, 1, 2, 0, 1]
    theirs = _predicted(tmp_path, [0, 1, 2, 1, 0])  # right, right, right, wrong, wrong
    ours = _predicted(tmp_path, [0, 0, 1, 0, 2])  # right, wrong, wrong, right, wrong
    found = paired.compare(ours, theirs, labels, "float32")
    assert found.right_to_wrong == ("1.png", "2.png")
    assert found.wrong_to_right == ("3.png",)
    assert (found.images, found.agreement) == (5, 0.2)
    assert (found.largest_score_change, found.largest_score) == (1.0, 1.0)
    # Three pairs disagree, and a split at least as unequal as 2 to 1 is certain; half of its own 6 / 8 does not count.
    assert found.exact_p_value == 1.0
    assert found.p_value == pytest.approx(1 - 3 / 8)
    assert found.drop == pytest.approx(20)
    assert (found.drop_low, found.drop_high) == pytest.approx((-44.46, 69.71), abs=0.01)


def test_flips_in_one_direction_alone_are_unlikely_by_chance(tmp_path: Path) -> None:
    theirs, ours = _predicted(tmp_path, [0] * 10), _predicted(tmp_path, [1] * 8 + [0] * 2)
    found = paired.compare(ours, theirs, [0] * 10, "float32")
    # All of eight on one side, either side: 2 / 2**8, and half of that.
    assert found.exact_p_value == pytest.approx(stats.binomtest(8, 8, 0.5).pvalue) == 2 / 2**8
    assert found.p_value == pytest.approx(1 / 2**8)
    assert found.drop == 80
    assert found.drop_low is not None
    assert found.drop_low > 25


def test_without_labels_there_is_agreement_and_no_right_or_wrong(tmp_path: Path) -> None:
    found = paired.compare(_predicted(tmp_path, [0, 1]), _predicted(tmp_path, [0, 2]), None, "float32")
    assert (found.agreement, found.right_to_wrong, found.p_value) == (0.5, None, None)
    assert (found.exact_p_value, found.drop, found.drop_low, found.drop_high) == (None, None, None, None)


def test_a_masked_class_is_no_change_of_a_score(tmp_path: Path) -> None:
    theirs = factories.predictions(tmp_path, np.array([[1.0, -np.inf, 0.5]], np.float32))
    ours = factories.predictions(tmp_path, np.array([[0.75, -np.inf, 0.5]], np.float32))
    found = paired.compare(ours, theirs, [0], "float32")
    assert (found.largest_score_change, found.largest_score) == (0.25, 1.0)


def test_many_images_are_compared_in_parts(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    scores = generator.standard_normal((5000, 4)).astype(np.float32)
    changed = scores.copy()
    changed[4999, 0] += 0.25
    found = paired.compare(factories.predictions(tmp_path, changed), factories.predictions(tmp_path, scores), None, "r")
    assert found.images == 5000
    assert found.largest_score_change == pytest.approx(0.25, rel=1e-5)
    assert found.largest_score == pytest.approx(float(np.abs(scores).max()))


def test_predictions_of_other_images_are_refused(tmp_path: Path) -> None:
    ours = _predicted(tmp_path, [0, 1])
    with pytest.raises(DatasetError, match="did not score the same images"):
        paired.compare(ours, factories.predictions(tmp_path, np.eye(3)[[0, 1]], ["x.png", "y.png"]), None, "float32")
