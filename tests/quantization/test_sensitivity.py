from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from assay.quantization import layers, qdq, ranges, sensitivity
from tests.quantization import graphs


def insert(ready: onnx.ModelProto, *kept: str) -> onnx.ModelProto:
    found = ranges.calibrate(ready, graphs.OUTPUT, [graphs.images()], "minmax")
    proto = onnx.ModelProto.FromString(ready.SerializeToString())
    return qdq.insert(proto, found, graphs.OUTPUT, per_channel=False, reduce_range=False, float_layers=kept)


def literally(proto: onnx.ModelProto) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The scores of a graph node by node: whole layers in 8 bits saturate on some processors and not on others."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run([graphs.OUTPUT], graphs.images())[0], np.float64)


def cost(proto: onnx.ModelProto) -> float:
    reference, found = (literally(graph) for graph in (graphs.small(), proto))
    spread = np.std(reference - reference.mean(axis=1, keepdims=True))
    return float(np.sqrt(np.mean((found - reference) ** 2)) / spread)


def test_the_dearest_layer_is_the_one_of_uneven_channels(tmp_path: Path) -> None:
    ready = graphs.made_ready(tmp_path)
    whole, costs = sensitivity.measure(ready, insert(ready), graphs.OUTPUT, [graphs.images()], most=1)
    assert [costs[0].layer, costs[0].operator] == ["Conv_3", "Conv"]
    assert {each.layer for each in costs} == set(layers.weighted(ready.graph))
    assert costs[0].kept_float is not None
    assert costs[0].kept_float < whole
    assert costs[1].kept_float is None


def test_the_costs_are_those_of_the_quantized_graphs(tmp_path: Path) -> None:
    ready = graphs.made_ready(tmp_path)
    whole, costs = sensitivity.measure(ready, insert(ready), graphs.OUTPUT, [graphs.images()], most=3)
    assert whole == pytest.approx(cost(insert(ready)), rel=0.02)
    for each in costs:
        others = [name for name in layers.quantizable(ready.graph, graphs.OUTPUT) if name != each.layer]
        assert each.kept_float == pytest.approx(cost(insert(ready, each.layer)), rel=0.02)
        assert each.alone == pytest.approx(cost(insert(ready, *others)), rel=0.02)
