from __future__ import annotations

import subprocess
import sys
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from assay import demo
from assay.data import labels, transform
from assay.models import onnx_file
from assay.records import ImageTransform

TRANSFORM = ImageTransform(resize=demo.RESIZE, crop=demo.CROP, mean=demo.MEAN, std=demo.STD)


@cache
def _images() -> Any:
    """All of the demo's images, normalised, in the order of their names."""
    paths = sorted(demo.IMAGES.iterdir())
    pixels = np.stack([transform.pixels(path.read_bytes(), TRANSFORM) for path in paths])
    return transform.normalise(pixels, TRANSFORM, np.empty((len(paths), 3, demo.CROP, demo.CROP), dtype=np.float32))


@cache
def _onnx_scores() -> Any:
    session = onnxruntime.InferenceSession(demo.ONNX, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: _images()})[0]


def _labels() -> list[int]:
    names = sorted(path.name for path in demo.IMAGES.iterdir())
    return list(labels.match(names, labels.read(demo.LABELS), "the demo's labels"))


def test_the_demo_is_under_four_megabytes() -> None:
    folder = demo.CHECKPOINT.parent
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) < 4_000_000


def test_every_image_has_its_label_and_every_class_its_images() -> None:
    counted = Counter(_labels())
    assert sorted(counted) == list(range(len(demo.CLASSES)))
    assert 200 <= sum(counted.values()) <= 300
    assert min(counted.values()) >= 10


def test_images_are_jpegs_of_many_sizes_and_shapes() -> None:
    sizes = set()
    for path in demo.IMAGES.iterdir():
        with Image.open(path) as image:
            assert image.format == "JPEG"
            sizes.add(image.size)
    assert len(sizes) > 100
    assert any(width > height for width, height in sizes)
    assert any(width < height for width, height in sizes)


def test_the_onnx_file_takes_any_batch_size_in_the_guides_names() -> None:
    taken, given, opset = onnx_file.inspect(demo.ONNX)
    assert (taken.name, taken.shape) == ("image", ("batch", 3, demo.CROP, demo.CROP))
    assert (given.name, given.shape) == ("class", ("batch", len(demo.CLASSES)))
    assert opset == 11


def test_the_accuracy_is_the_one_that_was_stated_and_a_lost_point_shows() -> None:
    order = np.argsort(-_onnx_scores(), axis=1, kind="stable")
    hits = order[:, :5] == np.array(_labels())[:, np.newaxis]
    correct_at = hits.sum(axis=0).cumsum().tolist()
    assert correct_at == demo.measured()["correct_at"]
    assert 85 <= 100 * correct_at[0] / len(hits) <= 98
    assert pytest.approx(100 * correct_at[0] / len(hits)) == demo.TOP1
    assert pytest.approx(100 * correct_at[4] / len(hits)) == demo.TOP5


def test_what_the_demo_does_not_have_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="TOP2"):
        demo.TOP2  # noqa: B018 - reading it is the test


def test_importing_the_demo_imports_no_torch() -> None:
    code = "import sys, assay.demo; assert not {'torch', 'onnxruntime'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.torch
def test_the_checkpoint_is_half_precision_and_some_200_000_parameters() -> None:
    torch = pytest.importorskip("torch", reason="needs the extra `torch`")
    from assay.demo import network

    weights = torch.load(demo.CHECKPOINT, map_location="cpu", weights_only=True)
    assert {value.dtype for value in weights.values() if value.is_floating_point()} == {torch.float16}
    built = network.build(len(demo.CLASSES))
    parameters = sum(value.numel() for value in built.parameters())
    assert 180_000 <= parameters <= 220_000
    assert parameters == demo.measured()["parameters"]
    assert sum(weights[name].numel() for name, _ in built.named_parameters()) == parameters


@pytest.mark.torch
def test_the_checkpoint_and_the_onnx_file_hold_the_same_weights() -> None:
    pytest.importorskip("torch", reason="needs the extra `torch`")
    from assay.demo import network
    from assay.models import checkpoint, export, weights_file

    built = network.build(len(demo.CLASSES)).eval()
    checkpoint.fill(built, weights_file.load(demo.CHECKPOINT), "the demo's weights")
    found = export.score_function(built)(_images())
    np.testing.assert_allclose(found, _onnx_scores(), rtol=0, atol=1e-4 * float(np.abs(found).max()))


@pytest.mark.torch
def test_the_networks_inner_width_is_doubled_as_in_the_flagship() -> None:
    pytest.importorskip("torch", reason="needs the extra `torch`")
    from assay.demo import network

    block: Any = network.Bottleneck(channels=16, planes=8, stride=2)
    assert [block.conv1.out_channels, block.conv2.out_channels, block.conv3.out_channels] == [16, 16, 32]
    assert block.conv2.stride == (2, 2)
