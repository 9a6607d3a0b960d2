from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import numpy_helper

from assay.quantization import layers, qdq, ranges, runtime
from tests.quantization import graphs


def quantized(folder: Path, *wanted: str, per_channel: bool = True, reduce_range: bool = False) -> onnx.ModelProto:
    made = graphs.made_ready(folder)
    found = ranges.calibrate(made, graphs.OUTPUT, [graphs.images()], "minmax")
    kept = layers.resolve(made.graph, graphs.OUTPUT, wanted, "small")
    return qdq.insert(made, found, graphs.OUTPUT, per_channel=per_channel, reduce_range=reduce_range, float_layers=kept)


def weights(proto: onnx.ModelProto) -> dict[str, npt.NDArray[np.generic]]:
    return {each.name: numpy_helper.to_array(each) for each in proto.graph.initializer}


def change(proto: onnx.ModelProto) -> float:
    reference, found = (
        runtime.Graph(graph).run([graphs.OUTPUT], graphs.images())[0] for graph in (graphs.small(), proto)
    )
    return float(np.abs(found - reference).max() / np.abs(reference).max())


def test_weights_are_signed_with_a_scale_for_each_channel(tmp_path: Path) -> None:
    found = weights(quantized(tmp_path))
    assert found["depthwise_quantized"].dtype == np.int8
    assert found["depthwise_scale"].shape == (graphs.CHANNELS,)
    assert found["one bound_zero_point"].dtype == np.uint8


def test_one_scale_for_all_channels_leaves_small_weights_a_few_steps(tmp_path: Path) -> None:
    one, each = weights(quantized(tmp_path, per_channel=False)), weights(quantized(tmp_path))
    assert one["depthwise_scale"].size == 1
    assert np.abs(one["depthwise_quantized"][1:].astype(int)).max() < 5
    assert np.abs(each["depthwise_quantized"][1:].astype(int)).max() == 127


def test_the_scores_stay_near_those_in_float(tmp_path: Path) -> None:
    assert change(quantized(tmp_path)) < 0.3


def test_a_reduced_range_has_seven_bits(tmp_path: Path) -> None:
    whole = weights(quantized(tmp_path))["full_quantized"].astype(int)
    reduced = weights(quantized(tmp_path, reduce_range=True))["full_quantized"].astype(int)
    assert np.abs(whole).max() == 127
    assert np.abs(reduced).max() == 64


def test_a_layer_kept_in_float_has_its_weights_as_they_were(tmp_path: Path) -> None:
    found = weights(quantized(tmp_path, "depthwise"))
    np.testing.assert_array_equal(found["depthwise"], weights(graphs.small())["depthwise"])
    assert "depthwise_quantized" not in found
    assert "full_quantized" in found


def test_input_and_scores_are_not_rounded(tmp_path: Path) -> None:
    proto = quantized(tmp_path)
    (first,) = (node for node in proto.graph.node if graphs.INPUT in node.input)
    assert first.op_type == "Mul"
    (last,) = (node for node in proto.graph.node if graphs.OUTPUT in node.output)
    assert last.op_type == "Gemm"
    used = {name for node in proto.graph.node for name in node.input}
    assert {each.name for each in proto.graph.initializer} <= used
    onnx.checker.check_model(proto, full_check=True)


def test_the_same_graph_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = (quantized(tmp_path).SerializeToString(deterministic=True) for _ in range(2))
    assert one == two


def test_logging_is_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = list(logging.getLogger().handlers)
    quantized(tmp_path)
    assert logging.getLogger().handlers == before
    assert capsys.readouterr().out == ""
