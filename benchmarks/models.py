"""Models for benchmarks, and the images that belong to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from assay import demo
from assay.backends import registry
from assay.data.transform import TransformChoice
from assay.records import OnnxModel
from assay.steps.adopt import describe
from assay.steps.export import export
from benchmarks.harness import MATERIAL


def classifier_of(folder: Path, side: int, classes: int) -> OnnxModel:
    """The least classifier of this input and output: the mean of each plane times a matrix."""
    weights = np.random.default_rng(0).standard_normal((3, classes), dtype=np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image"], ["means"], axes=[2, 3], keepdims=0),
            helper.make_node("MatMul", ["means", "weights"], ["class"]),
        ],
        "least",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, side, side])],
        [helper.make_tensor_value_info("class", TensorProto.FLOAT, ["batch", classes])],
        [numpy_helper.from_array(weights, "weights")],
    )
    path = folder / "least.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8), str(path))
    return describe(path, TransformChoice(resize=side, crop=side, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)))


def small_for(backend: str, folder: Path, *, material: bool) -> OnnxModel:
    """A small model that a backend can start from: if a bare ONNX file is not enough, the demo's, exported."""
    if registry.get(backend).starts_from == "exported program":
        return exported_demo(folder)
    return small_classifier(material=material)


def small_classifier(*, material: bool) -> OnnxModel:
    """MobileNet 0.25 if it is wanted and the material is there; the demo's model otherwise."""
    mobilenet = MATERIAL / "models" / "mobilenet_v1_0.25_224.onnx"
    if material and mobilenet.is_file():
        return describe(mobilenet)
    transform = TransformChoice(resize=demo.RESIZE, crop=demo.CROP, mean=demo.MEAN, std=demo.STD)
    return describe(demo.ONNX, transform)


def exported_demo(folder: Path) -> OnnxModel:
    """The demo's model with its exported program."""
    return export(demo.CHECKPOINT, arch=demo.NAME, out=folder / "demo.onnx", pt2=True)


def photographs(*, material: bool) -> Path:
    """The material's images if they are wanted and there; the demo's otherwise."""
    images = MATERIAL / "images"
    return images if material and images.is_dir() else demo.IMAGES
