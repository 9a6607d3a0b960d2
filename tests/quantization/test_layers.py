from __future__ import annotations

from pathlib import Path

import pytest
from onnx import helper

from assay.errors import UnknownNameError
from assay.quantization import layers
from tests.messages import assert_says
from tests.quantization import graphs


def test_only_what_has_constant_weights_is_a_layer(tmp_path: Path) -> None:
    assert layers.weighted(graphs.made_ready(tmp_path).graph) == ("Conv_1", "Conv_3", "Gemm_7")


def test_what_stands_in_front_of_the_first_layer_stays_in_float(tmp_path: Path) -> None:
    found = layers.quantizable(graphs.made_ready(tmp_path).graph, graphs.OUTPUT)
    assert found == ("Conv_1", "Relu_2", "Conv_3", "Relu_4", "GlobalAveragePool_5", "Flatten_6", "Gemm_7")


def test_what_pools_behind_the_last_layer_stays_in_float(tmp_path: Path) -> None:
    proto = graphs.small()
    del proto.graph.node[-1]
    proto.graph.node[-1].output[0] = graphs.OUTPUT
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info(graphs.OUTPUT, 1, ["batch", graphs.CHANNELS]))
    found = layers.quantizable(graphs.made_ready(tmp_path, proto).graph, graphs.OUTPUT)
    assert found == ("Conv_1", "Relu_2", "Conv_3", "Relu_4")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([], ()),
        (["first"], ("Conv_1",)),
        (["last"], ("Gemm_7",)),
        (["depthwise"], ("Conv_3",)),
        (["last", "Flatten_6", "first", "Conv_1"], ("Conv_1", "Flatten_6", "Gemm_7")),
    ],
)
def test_words_and_names_stand_for_nodes(wanted: list[str], found: tuple[str, ...], tmp_path: Path) -> None:
    assert layers.resolve(graphs.made_ready(tmp_path).graph, graphs.OUTPUT, wanted, "small") == found


@pytest.mark.parametrize("name", ["Conv_2", "Relu_2", "Mul_0"])
def test_an_unknown_layer_is_refused_with_the_nearest_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as caught:
        layers.resolve(graphs.made_ready(tmp_path).graph, graphs.OUTPUT, [name], "small")
    assert_says(caught, f"unknown layer of small '{name}'", "Conv_1", "depthwise")
