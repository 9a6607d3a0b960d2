from __future__ import annotations

from typing import Any

import pytest

from assay.backends import node_costs
from assay.backends.node_costs import NodeRun


def test_a_convolution_counts_a_multiplication_and_an_addition_a_weight_and_output() -> None:
    # ResNet's first: 64 filters of 7×7 over 3 channels, 112×112 outputs: 118 million multiplications.
    assert node_costs.convolution([1, 64, 112, 112], [64, 3, 7, 7]) == 2 * 118_013_952
    # In 32 groups of 4 channels each, the groups first.
    assert node_costs.convolution([2, 128, 56, 56], [32, 4, 4, 3, 3]) == 2 * 2 * 128 * 56 * 56 * 4 * 9


def test_a_matrix_product_counts_its_inner_length() -> None:
    assert node_costs.matrix_product([16, 1000], [16, 2048]) == 2 * 16 * 1000 * 2048


def test_nodes_are_ordered_by_the_median_of_their_calls() -> None:
    quick = [NodeRun("quick", "Add", seconds) for seconds in (0.001, 0.5, 0.001)]
    slow = [NodeRun("slow", "Conv", 0.003, 6e9)] * 3
    found = node_costs.costliest(list(zip(quick, slow, strict=True)))
    assert found.calls == 3
    assert found.seconds == pytest.approx(0.004)
    assert [(node.name, node.operator) for node in found.nodes] == [("slow", "Conv"), ("quick", "Add")]
    assert [node.share for node in found.nodes] == pytest.approx([0.75, 0.25])
    assert found.nodes[0].gflops == pytest.approx(2000.0)
    assert found.nodes[1].gflops is None


def test_a_node_that_runs_several_times_in_a_call_is_one() -> None:
    found = node_costs.costliest([[NodeRun("loop", "Conv", 0.25, 1e9), NodeRun("loop", "Conv", 0.25, 1e9)]])
    (node,) = found.nodes
    assert (node.seconds, node.gflops) == (0.5, 4.0)


@pytest.mark.parametrize("second", [NodeRun("mixed", "Conv", 0.25), NodeRun("mixed", "Conv", 0.25, None)])
def test_what_is_not_known_of_one_run_is_not_known_of_the_node(second: NodeRun) -> None:
    (node,) = node_costs.costliest([[NodeRun("mixed", "Conv", 0.25, 1e9), second]]).nodes
    assert node.gflops is None


def test_ten_nodes_are_kept_and_the_shares_are_of_all() -> None:
    found = node_costs.costliest([[NodeRun(str(number), "Add", 1.0) for number in range(20)]])
    assert len(found.nodes) == 10
    assert found.nodes[0].share == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("node", "operations"),
    [
        ({"op_name": "Conv", "given": [[1, 3, 8, 8], [16, 3, 3, 3], [16]], "made": [[1, 16, 8, 8]]}, 2 * 16 * 64 * 27),
        # Weights that were packed when the graph was loaded are not listed, and the bias is in their place.
        ({"op_name": "Conv", "given": [[1, 3, 8, 8], [16]], "made": [[1, 16, 8, 8]]}, None),
        ({"op_name": "Gemm", "given": [[4, 128], [10]], "made": [[4, 10]]}, 2 * 4 * 10 * 128),
        ({"op_name": "Relu", "given": [[4, 128]], "made": [[4, 128]]}, None),
        ({"op_name": "Conv", "given": [], "made": []}, None),
        (
            {"op_name": "QLinearConv", "given": [[1, 8, 8, 3], [], [], [16, 3, 3, 3], []], "made": [[1, 8, 8, 16]]},
            2 * 16 * 64 * 27,
        ),
    ],
)
def test_onnxruntimes_shapes_say_what_a_node_computes(node: dict[str, Any], operations: float | None) -> None:
    from assay.backends.onnxruntime import _operations

    listed = {
        "op_name": node["op_name"],
        "input_type_shape": [{"float": shape} for shape in node["given"]],
        "output_type_shape": [{"float": shape} for shape in node["made"]],
    }
    assert _operations(listed) == operations
