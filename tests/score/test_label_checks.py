from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.records import Accuracy
from assay.score import accuracy, label_checks
from tests import factories

CLASSES = 10
LABELS = [number % CLASSES for number in range(200)]


def _counted(folder: Path, predicted: list[int], labels: list[int], classes: int = CLASSES) -> Accuracy:
    scores = np.zeros((len(predicted), classes), np.float32)
    scores[np.arange(len(predicted)), predicted] = 1.0
    return accuracy.evaluate(factories.predictions(folder, scores), labels)


def test_a_good_score_warns_of_nothing(tmp_path: Path) -> None:
    assert label_checks.warnings(_counted(tmp_path, LABELS, LABELS)) == ()


@pytest.mark.parametrize(
    ("shift", "change"), [(1, "with 1 taken from every label"), (-1, "with 1 added to every label")]
)
def test_labels_that_are_off_by_one_are_told_with_both_figures(shift: int, change: str, tmp_path: Path) -> None:
    predicted = [label for label in LABELS if 0 <= label + shift < CLASSES]
    (told,) = label_checks.warnings(_counted(tmp_path, predicted, [label + shift for label in predicted]))
    assert told == f"the labels seem to be off by one: top-1 is 0.00 % as they are, and 100.00 % {change}"


@pytest.mark.parametrize(("images", "told"), [(4, True), (9, True), (2, False)])
def test_few_images_tell_that_labels_are_off_by_one_if_all_are(images: int, told: bool, tmp_path: Path) -> None:
    predicted = LABELS[:images][::-1]
    counted = _counted(tmp_path, predicted, [label + 1 for label in predicted], 1000)
    assert any("off by one" in warning for warning in label_checks.warnings(counted)) == told


def test_a_score_of_chance_is_told_with_what_guessing_gives(tmp_path: Path) -> None:
    guessed = np.random.default_rng(1).integers(0, CLASSES, len(LABELS)).tolist()
    (told,) = label_checks.warnings(_counted(tmp_path, guessed, LABELS))
    assert "is no better than guessing (" in told
    assert label_checks.warnings(_counted(tmp_path, guessed, LABELS), trained=False) == ()


def test_one_class_for_all_images_is_a_guess_however_often_it_is_right(tmp_path: Path) -> None:
    labels = [0] * 150 + [1] * 50
    (told,) = label_checks.warnings(_counted(tmp_path, [0] * 200, labels))
    assert "top-1 75.00 % is no better than guessing (75.00 %)" in told


@pytest.mark.parametrize("right", [6, 20])
def test_few_images_or_a_score_above_chance_say_nothing(right: int, tmp_path: Path) -> None:
    few = LABELS[:10] if right == 6 else LABELS
    wrong = [(label + 5) % CLASSES for label in few]
    predicted = [
        label if place % 10 < 3 else other for place, (label, other) in enumerate(zip(few, wrong, strict=True))
    ]
    assert label_checks.warnings(_counted(tmp_path, predicted, few)) == ()


@pytest.mark.parametrize(
    ("background", "taken"),
    [
        (False, "1 is added to each label (top-1 100.00 %; 0.00 % unchanged)"),
        (True, "labels taken unchanged (top-1 100.00 %; 0.00 % with 1 added)"),
    ],
)
def test_labels_that_may_count_the_background_or_not_are_taken_as_they_score_better(
    background: bool, taken: str, tmp_path: Path
) -> None:
    labels = [1, 5, 500, 999]
    predicted = [label + (0 if background else 1) for label in labels]
    counted = _counted(tmp_path, predicted, labels, 1001)
    assert counted.correct_at[0] == 4
    (told,) = label_checks.warnings(counted)
    assert told.endswith(f"the background or not: {taken}")


def test_the_guides_shift_is_told(tmp_path: Path) -> None:
    assert label_checks.warnings(_counted(tmp_path, [1, 501], [0, 500], 1001)) == (accuracy.SHIFTED,)
