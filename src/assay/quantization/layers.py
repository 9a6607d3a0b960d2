"""The nodes of a graph that was made ready: which have weights, which are quantized, and what names stand for them."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from assay.errors import UnknownNameError

FIRST, LAST, DEPTHWISE = "first", "last", "depthwise"
"""Words for layers: the first and the last with weights, and the convolutions of each channel for itself."""

WITH_WEIGHTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
ABSORBED = ("Clip", "Relu")
"""Become the bound of the range in front of them, and so have no rounding of their own."""
# Operators that lose more than they gain in 8 bits stay out, as normalisation over a layer does.
OPERATORS = (
    *WITH_WEIGHTS,
    *ABSORBED,
    *("Add", "AveragePool", "Concat", "Flatten", "GlobalAveragePool", "LeakyRelu", "MaxPool", "Mul", "Pad"),
    *("Reshape", "Resize", "Sigmoid", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"),
)
"""What is put into 8 bits."""
_POOLING = ("AveragePool", "Flatten", "GlobalAveragePool", "Reshape", "Squeeze")


def weighted(graph: onnx.GraphProto) -> tuple[str, ...]:
    """The names of the layers with weights, in their order."""
    weights = {initializer.name for initializer in graph.initializer}
    return tuple(node.name for node in graph.node if node.op_type in WITH_WEIGHTS and node.input[1] in weights)


def quantizable(graph: onnx.GraphProto, output: str) -> tuple[str, ...]:
    """The names of all nodes that are put into 8 bits where nobody asks for less, in their order.

    What stands in front of the first layer with weights is not among them, and neither is what only pools or reshapes
    behind the last one: they cost no time, and scores in 256 steps tie.
    """
    layers = set(weighted(graph))
    behind: set[str] = set()
    tail = _tail(graph, output)
    names = []
    for node in graph.node:
        if node.name not in layers and not behind.intersection(node.input):
            continue
        behind.update(node.output)
        if node.op_type in OPERATORS and node.name not in tail:
            names.append(node.name)
    return tuple(names)


def _tail(graph: onnx.GraphProto, output: str) -> set[str]:
    made_by = {name: node for node in graph.node for name in node.output}
    tail = set()
    node = made_by.get(output)
    while node is not None and node.op_type in _POOLING:
        tail.add(node.name)
        node = made_by.get(node.input[0])
    return tail


def resolve(graph: onnx.GraphProto, output: str, wanted: Iterable[str], model: str) -> tuple[str, ...]:
    """The nodes that names and words stand for, in the graph's order; raises `UnknownNameError` for an unknown one."""
    absorbed = {node.name for node in graph.node if node.op_type in ABSORBED}
    named = [name for name in quantizable(graph, output) if name not in absorbed]
    layers = weighted(graph)
    words = {FIRST: layers[:1], LAST: layers[-1:], DEPTHWISE: _depthwise(graph)}
    chosen: set[str] = set()
    for word in wanted:
        if word not in named and word not in words:
            raise UnknownNameError(f"layer of {model}", word, [*named, *words])
        chosen.update([word] if word in named else words[word])
    return tuple(name for name in named if name in chosen)


def _depthwise(graph: onnx.GraphProto) -> tuple[str, ...]:
    shapes = {initializer.name: initializer.dims for initializer in graph.initializer}
    return tuple(
        node.name
        for node in graph.node
        if node.op_type == "Conv" and len(node.input) > 1 and node.input[1] in shapes
        if shapes[node.input[1]][1] == 1 and any(part.name == "group" and part.i > 1 for part in node.attribute)
    )
