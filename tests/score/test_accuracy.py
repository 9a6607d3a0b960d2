from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assay.errors import DatasetError
from assay.records import ScoredImage
from assay.score import accuracy
from tests import factories
from tests.messages import assert_says


def _best(rows: list[list[float]], k: int = 5) -> list[list[int]]:
    order: list[list[int]] = accuracy.best(np.array(rows, dtype=np.float32), k)[0].tolist()
    return order


def test_the_best_classes_stand_first() -> None:
    assert _best([[0.1, 0.9, 0.3, 0.7, 0.5, 0.2]]) == [[1, 3, 4, 2, 5]]


def test_their_scores_stand_beside_them() -> None:
    order, values = accuracy.best(np.array([[1.0, 3.0, 2.0]], dtype=np.float32), 2)
    assert order.tolist() == [[1, 2]]
    assert values.tolist() == [[3.0, 2.0]]


@pytest.mark.parametrize(
    ("row", "order"),
    [
        ([1.0, 1.0, 1.0, 1.0, 1.0, 1.0], [0, 1, 2, 3, 4]),
        ([0.0, 5.0, 5.0, 9.0, 5.0, 0.0], [3, 1, 2, 4, 0]),
        ([-0.0, 0.0, -0.0], [0, 1, 2]),
    ],
)
def test_of_equal_scores_the_lower_class_stands_first(row: list[float], order: list[int]) -> None:
    assert _best([row]) == [order]


def test_classes_that_score_minus_infinity_each_stand_once() -> None:
    assert _best([[-np.inf, 5.0, -np.inf, -np.inf]]) == [[1, 0, 2, 3]]


def test_of_few_classes_there_are_fewer_than_five() -> None:
    assert _best([[0.1, 0.3, 0.2]]) == [[1, 2, 0]]


def test_the_scores_given_are_left_as_they_are() -> None:
    scores = np.array([[1.0, 2.0]], dtype=np.float32)
    accuracy.best(scores)
    assert scores.tolist() == [[1.0, 2.0]]


def test_every_row_of_many_is_ranked_by_itself() -> None:
    # More rows than are ranked at a time; row n is best at class n modulo 7, then at the class after it.
    rows = np.zeros((5000, 7), dtype=np.float32)
    numbers = np.arange(5000)
    rows[numbers, numbers % 7] = 2.0
    rows[numbers, (numbers + 1) % 7] = 1.0
    order, values = accuracy.best(rows, 2)
    assert np.array_equal(order[:, 0], numbers % 7)
    assert np.array_equal(order[:, 1], (numbers + 1) % 7)
    assert values.min(axis=0).tolist() == [2.0, 1.0]


# Image n's class 1 stands at place n + 1.
ROWS = [
    [0.0, 9.0, 0.0, 0.0, 0.0, 0.0],
    [8.0, 7.0, 0.0, 0.0, 0.0, 0.0],
    [8.0, 6.0, 7.0, 0.0, 0.0, 0.0],
    [8.0, 5.0, 7.0, 6.0, 0.0, 0.0],
    [8.0, 4.0, 7.0, 6.0, 5.0, 0.0],
    [8.0, 3.0, 7.0, 6.0, 5.0, 4.0],
]


def test_images_are_counted_at_every_rank(tmp_path: Path) -> None:
    found = accuracy.evaluate(factories.predictions(tmp_path, ROWS), [1] * 6)
    assert (found.count, found.classes, found.correct_at) == (6, 6, (1, 2, 3, 4, 5))


def test_a_tie_counts_for_the_lower_class_only(tmp_path: Path) -> None:
    tied = factories.predictions(tmp_path, [[5.0, 5.0, 0.0], [5.0, 5.0, 0.0]])
    assert accuracy.evaluate(tied, [0, 1]).correct_at == (1, 2, 2)


def test_a_model_of_three_classes_has_three_ranks(tmp_path: Path) -> None:
    few = factories.predictions(tmp_path, [[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]])
    assert accuracy.evaluate(few, [2, 2]).correct_at == (1, 1, 2)


def test_an_image_is_counted_once_where_scores_are_minus_infinity(tmp_path: Path) -> None:
    masked = factories.predictions(tmp_path, [[5.0, -np.inf, -np.inf], [5.0, -np.inf, -np.inf]])
    assert accuracy.evaluate(masked, [0, 1]).correct_at == (1, 2, 2)


@pytest.mark.parametrize("label", [3, 1000, -1])
def test_a_class_that_the_model_does_not_have_is_named_with_its_image(tmp_path: Path, label: int) -> None:
    few = factories.predictions(tmp_path, [[0.0, 1.0, 2.0]] * 2, ["good.png", "bad.png"])
    with pytest.raises(DatasetError) as caught:
        accuracy.evaluate(few, [0, label])
    assert_says(caught, "1 of 2 labels", "classes 0 to 2", "give the labels that belong to this model")
    assert caught.value.files == (f"bad.png: class {label}",)


def test_labels_of_1000_classes_are_shifted_for_a_model_that_has_the_background_too(tmp_path: Path) -> None:
    scores = np.zeros((3, 1001), dtype=np.float32)
    scores[[0, 1, 2], [1, 2, 1000]] = 1.0
    found = accuracy.evaluate(factories.predictions(tmp_path, scores), [0, 1, 999])
    assert (found.correct_at[0], found.label_shift) == (3, 1)
    ranked = list(accuracy.ranked(factories.predictions(tmp_path, scores), [0, 1, 999]))
    assert [image.label for image in ranked] == [image.classes[0] for image in ranked] == [1, 2, 1000]


def test_labels_that_count_the_background_are_taken_as_they_are(tmp_path: Path) -> None:
    scores = np.zeros((2, 1001), dtype=np.float32)
    scores[[0, 1], [1, 1000]] = 1.0
    found = accuracy.evaluate(factories.predictions(tmp_path, scores), [1, 1000])
    assert (found.correct_at[0], found.label_shift) == (2, 0)


@pytest.mark.parametrize(("classes", "labels"), [(10, [0, 9]), (1000, [0, 999]), (1002, [0, 999])])
def test_other_numbers_of_classes_shift_nothing(classes: int, labels: list[int]) -> None:
    assert accuracy.fit(["a", "b"], labels, classes) == (labels, 0, False)


@pytest.mark.parametrize("label", [-1, 1001])
def test_a_label_outside_1001_classes_is_named(label: int) -> None:
    with pytest.raises(DatasetError) as caught:
        accuracy.fit(["good.png", "bad.png"], [0, label], 1001)
    assert_says(caught, "1 of 2 labels are outside the model's classes 0 to 1000")
    assert caught.value.files == (f"bad.png: class {label}",)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([np.nan, 1.0, 2.0], "NaN for class 0"),
        ([0.0, np.nan, np.nan], "NaN for classes 1, 2"),
        ([3.0, 2.0, np.nan], "NaN for class 2"),
        ([3.0, 2.0, np.inf], "infinity for class 2"),
        ([-np.inf, -np.inf, -np.inf], "minus infinity"),
    ],
)
def test_images_whose_scores_are_not_numbers_are_named(tmp_path: Path, row: list[float], said: str) -> None:
    broken = factories.predictions(tmp_path, [[0.0, 1.0, 2.0], row], ["good.png", "bad.png"])
    with pytest.raises(DatasetError) as caught:
        accuracy.evaluate(broken, [0, 0])
    assert_says(caught, "the scores of 1 image are not numbers", f"the model gives {said}")
    assert caught.value.files == ("bad.png",)


def test_a_masked_class_ranks_last() -> None:
    order, _ = accuracy.best(np.array([[-np.inf, 1.0, 2.0], [3.0, -np.inf, 2.0]], np.float32))
    assert order.tolist() == [[2, 1, 0], [0, 2, 1]]


def test_nan_is_never_ranked() -> None:
    with pytest.raises(DatasetError):
        accuracy.best(np.array([[np.nan, 1.0]], np.float32))


def test_scores_without_labels_must_be_numbers_too(tmp_path: Path) -> None:
    broken = factories.predictions(tmp_path, [[0.0, 1.0], [np.nan, 1.0], [0.0, np.inf]], ["a.png", "b.png", "c.png"])
    with pytest.raises(DatasetError) as caught:
        accuracy.require_numbers(broken)
    assert_says(caught, "the scores of 2 images are not numbers: the model gives NaN for class 0")
    assert caught.value.files == ("b.png", "c.png")
    accuracy.require_numbers(factories.predictions(tmp_path, [[-np.inf, 1.0]], ["a.png"]))


def test_one_nan_among_a_thousand_scores_is_seen(tmp_path: Path) -> None:
    scores = np.tile(np.arange(1000, dtype=np.float32), (2, 1))
    scores[1, 3] = np.nan
    with pytest.raises(DatasetError) as caught:
        accuracy.evaluate(factories.predictions(tmp_path, scores), [0, 0])
    assert caught.value.files == ("1.png",)


def test_images_are_ranked_with_their_classes_and_scores(tmp_path: Path) -> None:
    found = list(accuracy.ranked(factories.predictions(tmp_path, [[1.0, 3.0], [4.0, 2.0]], ["a.png", "b.png"]), [0, 1]))
    assert found == [
        ScoredImage(name="a.png", label=0, classes=(1, 0), scores=(3.0, 1.0)),
        ScoredImage(name="b.png", label=1, classes=(0, 1), scores=(4.0, 2.0)),
    ]


@pytest.mark.material
def test_squeezenets_dumps_score_what_they_scored(material: Path, tmp_path: Path) -> None:
    found = accuracy.evaluate(*factories.golden_predictions(material, tmp_path))
    assert (found.count, found.classes, found.correct_at) == (200, 1000, factories.SQUEEZENET)
