from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from assay.models.quantize import layers, qdq, ranges, runtime, sensitivity
from tests.models.quantize import graphs


def insert(ready: onnx.ModelProto, *kept: str) -> onnx.ModelProto:
    found = ranges.calibrate(ready, graphs.OUTPUT, [graphs.images()], "minmax")
    proto = onnx.ModelProto.FromString(ready.SerializeToString())
    return qdq.insert(proto, found, graphs.OUTPUT, per_channel=False, reduce_range=False, float_layers=kept)


def cost(proto: onnx.ModelProto) -> float:
    reference, found = (
        runtime.Graph(graph).run([graphs.OUTPUT], graphs.images())[0].astype(np.float64)
        for graph in (graphs.small(), proto)
    )
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
    assert whole == pytest.approx(cost(insert(ready)), rel=0.05)
    for each in costs:
        others = [name for name in layers.quantizable(ready.graph, graphs.OUTPUT) if name != each.layer]
        assert each.kept_float == pytest.approx(cost(insert(ready, each.layer)), rel=0.1)
        assert each.alone == pytest.approx(cost(insert(ready, *others)), rel=0.1)
