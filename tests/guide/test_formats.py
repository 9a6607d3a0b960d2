from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from assay.guide import formats
from assay.records import Accuracy, StageTime
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


@pytest.mark.parametrize("count", [160, 800, 1600, 4000, 20000])
def test_percentages_are_the_originals_where_halves_are_rounded(count: int) -> None:
    """The script divides numpy's sums by the number of files, and rounds a hundred times that."""
    for start in range(0, count + 1, 5):
        correct = tuple(min(start + more, count) for more in range(5))
        text = formats.result_json(Accuracy(count=count, classes=5, correct_at=correct))
        hits = np.zeros(5)
        hits[0] = correct[0]
        hits[1:] = np.diff(correct)
        accuracy = np.cumsum(hits) / count
        expected = [f"{round(accuracy[k] * 100, 2)}%" for k in range(5)]
        assert [entry["value"] for entry in json.loads(text)["value"][2:]] == expected


def test_a_half_is_not_rounded_as_pythons_own_floats_are() -> None:
    text = formats.result_json(Accuracy(count=160, classes=2, correct_at=(23, 160)))
    assert json.loads(text)["value"][2] == {"key": "Top1 accuracy", "value": "14.37%"}


def test_a_model_of_few_classes_has_as_many_lines() -> None:
    text = formats.result_json(Accuracy(count=2, classes=3, correct_at=(1, 1, 2)))
    keys = [entry["key"] for entry in json.loads(text)["value"]]
    assert keys == ["Number of images", "Number of classes", "Top1 accuracy", "Top2 accuracy", "Top3 accuracy"]


@pytest.mark.material
def test_result_json_of_the_dumps_is_the_originals_byte_for_byte(material: Path, tmp_path: Path) -> None:
    found = accuracy.evaluate(*factories.golden_predictions(material, tmp_path))
    assert formats.result_json(found).encode() == (material / "golden/result.json").read_bytes()


def _stages(infer: float) -> tuple[StageTime, ...]:
    """Of 32 images in 2 seconds; the stage of the inference calls is at work for so many of its 1.6."""
    return (
        factories.stage("read", 0.2, items=32, span_seconds=1.0),
        factories.stage("preprocess", 0.3, items=32, span_seconds=1.25),
        factories.stage("infer", infer, items=32, span_seconds=1.6),
        factories.stage("post", 0.1, items=32, span_seconds=2.0),
    )


def test_the_performance_file_follows_the_guides_arithmetic(tmp_path: Path) -> None:
    # 32 images in two batches: 2 s in all, of which the inference call 0.8 s.
    found = factories.performance(
        tmp_path,
        calls=((0.5, 0.9), (1.4, 1.8)),
        batch=16,
        images=32,
        wall_seconds=2.0,
        stages=_stages(infer=0.96),
    )
    assert formats.performance(found).splitlines() == [
        "[e2e] throughputRate: 16, latency: 2000",
        "[data read] throughputRate: 32, moduleLatency: 31.25",
        "[preprocess] throughputRate: 25.6, moduleLatency: 39.0625",
        "[infer] throughputRate: 20, Interface throughputRate: 40, moduleLatency: 30",
        "[post] throughputRate: 1, moduleLatency: 1000",
    ]
    assert formats.pure_inference(found) == "ave_throughputRate: 40 samples/s, ave_latency: 25 ms\n"


@pytest.mark.parametrize(("copies", "latency"), [(0.0, 25.0), (0.16, 27.5), (3.0, 50.0)])
def test_what_two_calls_in_flight_have_in_common_counts_once(copies: float, latency: float, tmp_path: Path) -> None:
    # 32 images in two calls of 0.8 s, both in flight at once. The stage is there for 1.6 s.
    found = factories.performance(
        tmp_path,
        calls=((0.0, 0.8), (0.0, 0.8)),
        slots=2,
        batch=16,
        images=32,
        wall_seconds=2.0,
        stages=_stages(infer=1.6 + copies),
    )
    assert formats.performance(found).splitlines()[3] == (
        f"[infer] throughputRate: 20, Interface throughputRate: 40, moduleLatency: {latency:.6g}"
    )
    # The reference's relation, 1000 / interface ≤ moduleLatency ≤ 1000 / rate.
    assert 1000 / 40 <= latency <= 1000 / 20


def test_figures_have_six_digits_as_the_original_prints_them(tmp_path: Path) -> None:
    stages = tuple(
        factories.stage(name, 1.0, items=50_000, span_seconds=445.089)
        for name in ("read", "preprocess", "infer", "post")
    )
    found = factories.performance(tmp_path, images=50_000, wall_seconds=471.859, stages=stages)
    lines = formats.performance(found).splitlines()
    assert lines[0] == "[e2e] throughputRate: 105.964, latency: 471859"
    assert lines[1] == "[data read] throughputRate: 112.337, moduleLatency: 8.90178"


@pytest.mark.parametrize(
    ("image", "tensor"),
    [("ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_00000001.bin"), ("two.dots.name.jpg", "two.bin"), ("a", "a.bin")],
)
def test_a_tensor_is_named_by_what_stands_before_the_first_dot(image: str, tensor: str) -> None:
    assert formats.tensor_name(image) == tensor
