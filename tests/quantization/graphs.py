"""Small graphs, made ready: what the parts of quantizing are given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from assay.quantization import ready

OUTPUT, INPUT, SIDE, CHANNELS, CLASSES = "class", "image", 8, 4, 5


def build(
    nodes: Sequence[onnx.NodeProto], weights: dict[str, npt.NDArray[np.float32]], opset: int = 13
) -> onnx.ModelProto:
    """N×3×8×8 float32 to N×5."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)


def small(opset: int = 13) -> onnx.ModelProto:
    """Scale, convolution, bound, convolution of each channel for itself, bound, pooling and a matrix; nameless nodes.

    One channel's depthwise weights are a hundred times the others', and its scale's name is one of the quantizer's.
    """
    random = np.random.default_rng(0)
    depthwise = random.standard_normal((CHANNELS, 1, 3, 3), dtype=np.float32)
    depthwise[0] *= 100
    matrix = random.standard_normal((CLASSES, CHANNELS), dtype=np.float32)
    matrix[:, 0] /= 100
    weights: dict[str, npt.NDArray[np.float32]] = {
        "image_scale": np.full((1, 3, 1, 1), 2.0, np.float32),
        "full": random.standard_normal((CHANNELS, 3, 3, 3), dtype=np.float32),
        "bias": random.standard_normal(CHANNELS, dtype=np.float32),
        "depthwise": depthwise,
        "matrix": matrix,
    }
    nodes = [
        helper.make_node("Mul", [INPUT, "image_scale"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "full", "bias"], ["one"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["one"], ["one bound"]),
        helper.make_node("Conv", ["one bound", "depthwise"], ["two"], group=CHANNELS),
        helper.make_node("Relu", ["two"], ["two bound"]),
        helper.make_node("GlobalAveragePool", ["two bound"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix"], [OUTPUT], transB=1),
    ]
    return build(nodes, weights, opset)


def made_ready(folder: Path, proto: onnx.ModelProto | None = None) -> onnx.ModelProto:
    """The graph as quantizing starts from it."""
    out = folder / "ready.onnx"
    ready.make_ready(proto or small(), "small", out)
    return onnx.load(str(out))


def images(count: int = 8) -> dict[str, npt.NDArray[np.float32]]:
    """A batch of the graph's input."""
    return {INPUT: np.random.default_rng(1).standard_normal((count, 3, SIDE, SIDE), dtype=np.float32)}
