from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.guide import formats
from assay.records import Accuracy
from assay.score import accuracy
from tests import factories


def test_result_json_is_the_guides_text() -> None:
    text = formats.result_json(Accuracy(count=200, classes=1000, correct_at=factories.SQUEEZENET))
    assert text == (
        '{"title": "Overall statistical evaluation", "value": ['
        '{"key": "Number of images", "value": "200"}, {"key": "Number of classes", "value": "1000"}, '
        '{"key": "Top1 accuracy", "value": "47.0%"}, {"key": "Top2 accuracy", "value": "65.5%"}, '
        '{"key": "Top3 accuracy", "value": "71.5%"}, {"key": "Top4 accuracy", "value": "76.5%"}, '
        '{"key": "Top5 accuracy", "value": "78.0%"}]}'
    )


@pytest.mark.parametrize(
    ("correct", "count", "shown"),
    [
        (39420, 50000, "78.84%"),
        (39424, 50000, "78.85%"),
        (1, 3, "33.33%"),
        (2, 3, "66.67%"),
        (3, 3, "100.0%"),
        (0, 3, "0.0%"),
    ],
)
def test_percentages_are_rounded_to_two_decimals_as_python_prints_them(correct: int, count: int, shown: str) -> None:
    text = formats.result_json(Accuracy(count=count, classes=2, correct_at=(correct, count)))
    assert json.loads(text)["value"][2] == {"key": "Top1 accuracy", "value": shown}


def test_a_model_of_few_classes_has_as_many_lines() -> None:
    text = formats.result_json(Accuracy(count=2, classes=3, correct_at=(1, 1, 2)))
    keys = [entry["key"] for entry in json.loads(text)["value"]]
    assert keys == ["Number of images", "Number of classes", "Top1 accuracy", "Top2 accuracy", "Top3 accuracy"]


@pytest.mark.material
def test_result_json_of_the_dumps_is_the_originals_byte_for_byte(material: Path, tmp_path: Path) -> None:
    found = accuracy.evaluate(*factories.golden_predictions(material, tmp_path))
    assert formats.result_json(found).encode() == (material / "golden/result.json").read_bytes()
