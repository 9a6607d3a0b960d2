from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from assay.errors import ModelError
from assay.quantization import ready, runtime
from tests import onnx_variants
from tests.messages import assert_says
from tests.quantization import graphs


def scores(proto: onnx.ModelProto) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return runtime.Graph(proto).run([graphs.OUTPUT], graphs.images())[0]


@pytest.mark.parametrize("opset", [11, 13, 17])
def test_the_opset_is_raised_to_thirteen_and_the_scores_stay(opset: int, tmp_path: Path) -> None:
    made = graphs.made_ready(tmp_path, graphs.small(opset))
    assert [(entry.domain, entry.version) for entry in made.opset_import] == [("", max(opset, 13))]
    np.testing.assert_allclose(scores(made), scores(graphs.small(opset)), rtol=1e-5, atol=1e-4)


def test_nodes_without_a_name_are_named_by_operator_and_place(tmp_path: Path) -> None:
    names = [node.name for node in graphs.made_ready(tmp_path).graph.node]
    assert names[:4] == ["Mul_0", "Conv_1", "Relu_2", "Conv_3"]


def test_nodes_of_one_name_get_their_own(tmp_path: Path) -> None:
    proto = graphs.small()
    for node in proto.graph.node:
        node.name = "Conv_3"
    names = [node.name for node in graphs.made_ready(tmp_path, proto).graph.node]
    assert names[0] == "Conv_3"
    assert len(set(names)) == len(names)


def test_names_that_the_quantizer_gives_are_freed(tmp_path: Path) -> None:
    names = {weights.name for weights in graphs.made_ready(tmp_path).graph.initializer}
    assert "image_scale" not in names
    assert "image_scale of the model" in names


def test_batch_normalisation_is_put_into_the_weights(tmp_path: Path) -> None:
    proto = graphs.small()
    (conv,) = (node for node in proto.graph.node if list(node.output) == ["one"])
    conv.output[0] = "raw"
    parameters = ["gamma", "beta", "mean", "variance"]
    place = list(proto.graph.node).index(conv) + 1
    proto.graph.node.insert(place, helper.make_node("BatchNormalization", ["raw", *parameters], ["one"]))
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.full(graphs.CHANNELS, value, np.float32), name)
        for name, value in zip(parameters, (2.0, 0.5, 0.1, 4.0), strict=True)
    )
    made = graphs.made_ready(tmp_path, proto)
    assert "BatchNormalization" not in {node.op_type for node in made.graph.node}
    np.testing.assert_allclose(scores(made), scores(proto), rtol=1e-4, atol=1e-3)


def test_weights_that_an_older_file_lists_as_inputs_are_none(tmp_path: Path) -> None:
    proto = graphs.small()
    proto.ir_version = 3
    proto.graph.input.extend(
        helper.make_tensor_value_info(weights.name, weights.data_type, weights.dims)
        for weights in proto.graph.initializer
    )
    made = graphs.made_ready(tmp_path, proto)
    assert [value.name for value in made.graph.input] == [graphs.INPUT]


def test_a_quantized_graph_is_refused() -> None:
    with pytest.raises(ModelError) as caught:
        ready.require_float32(onnx_variants.quantized(), "model.onnx")
    assert_says(caught, "model.onnx is quantized already", "give the float32 model")


def test_a_graph_of_float16_is_refused() -> None:
    with pytest.raises(ModelError) as caught:
        ready.require_float32(onnx_variants.half(), "model.onnx")
    assert_says(caught, "model.onnx is of float16", "export it in float32")


def test_a_graph_without_weights_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", [graphs.INPUT], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], [graphs.OUTPUT]),
    ]
    with pytest.raises(ModelError) as caught:
        ready.make_ready(graphs.build(nodes, {}), "model.onnx", tmp_path / "ready.onnx")
    assert_says(caught, "model.onnx has no layer", "Conv", "give a model that has one")
