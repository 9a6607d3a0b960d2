"""What counts as the same file: bytes of what a user gives, and of images what no tool can set back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

import assay
from assay import demo, environment
from assay.data.transform import TransformChoice
from assay.steps.adopt import adopt
from tests import onnx_variants

LONG_AGO = 1_000_000_000_000_000_000


def _with_time_of_long_ago(path: Path) -> Path:
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    return path


def _model(factor: float) -> onnx.ModelProto:
    """The demo's, with its classifier scaled: as many bytes whatever the factor."""
    model = onnx_variants.original()
    name = model.graph.node[-1].input[1]
    weights = next(weight for weight in model.graph.initializer if weight.name == name)
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(factor), name))
    return model


@pytest.mark.parametrize("save", [onnx_variants.save, onnx_variants.save_with_data])
def test_another_model_of_the_same_size_and_time_is_another_model(
    save: Callable[[onnx.ModelProto, Path], Path], tmp_path: Path, demo_choice: TransformChoice
) -> None:
    def taken(factor: float) -> str:
        shutil.rmtree(tmp_path / "given", ignore_errors=True)
        path = save(_model(factor), tmp_path / "given" / "model.onnx")
        files = [_with_time_of_long_ago(file) for file in sorted(path.parent.iterdir())]
        sizes.append([file.stat().st_size for file in files])
        return adopt(path, out=tmp_path / "model.onnx", **vars(demo_choice)).file.sha256

    sizes: list[list[int]] = []
    first, second, again = taken(1.0), taken(2.0), taken(1.0)
    assert sizes[0] == sizes[1] == sizes[2]
    assert first != second
    assert again == first


def test_another_model_of_the_same_size_and_time_is_measured_again(
    tmp_path: Path, demo_choice: TransformChoice
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for path in sorted(demo.IMAGES.iterdir())[:3]:
        (images / path.name).write_bytes(path.read_bytes())
    hashes = []
    for factor in (1.0, 2.0):
        path = _with_time_of_long_ago(onnx_variants.save(_model(factor), tmp_path / "model.onnx"))
        done = assay.run(path, images=images, batch=3, no_images=True, out=tmp_path / "RUN", **vars(demo_choice))
        assert done.run.results[0].predictions is not None
        hashes.append((done.run.model.sha256, done.run.results[0].predictions.scores.file.sha256))
    assert hashes[0][0] != hashes[1][0]
    assert hashes[0][1] != hashes[1][1]


@pytest.mark.torch
@pytest.mark.skipif(environment.version("torchvision") is None, reason="needs the extra `torch`")
def test_another_checkpoint_of_the_same_size_and_time_is_exported_again(tmp_path: Path) -> None:
    import torch

    table = torch.load(demo.CHECKPOINT, weights_only=True)
    hashes = []
    for factor in (1.0, 2.0):
        table["fc.weight"] *= factor
        torch.save(table, tmp_path / "weights.pth")
        _with_time_of_long_ago(tmp_path / "weights.pth")
        model = assay.export(tmp_path / "weights.pth", arch=demo.NAME, out=tmp_path / "model.onnx")
        hashes.append(model.file.sha256)
    assert hashes[0] != hashes[1]


def test_an_image_put_in_anothers_place_with_its_size_and_time_is_prepared(
    tmp_path: Path, demo_choice: TransformChoice
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    pixels = []
    for value in (10, 200, 200):
        if value not in pixels:
            Image.fromarray(np.full((80, 80, 3), value, np.uint8)).save(images / "one.bmp")
            _with_time_of_long_ago(images / "one.bmp")
        prepared = assay.prepare(images, out=tmp_path / "prepared", **vars(demo_choice))
        pixels.append(int(prepared.shards[0].load()[0, 0, 0, 0]))
    assert pixels == [10, 200, 200]
