"""What each layer costs in 8 bits: one float32 graph in which every rounding has a switch, run once a layer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from assay.quantization import layers

Floats = npt.NDArray[np.float32]

_SWITCH = "switch of "
_MIXED = "mixed "


class Cost(NamedTuple):
    """How far a layer moves the scores: the root mean square of the change over that of the scores' own spread."""

    layer: str
    operator: str
    alone: float
    """Where this layer alone is in 8 bits."""
    kept_float: float | None
    """Where all others are; looked at for the layers that cost most alone."""


def measure(
    ready: onnx.ModelProto,
    quantized: onnx.ModelProto,
    output: str,
    batches: Sequence[Mapping[str, Floats]],
    most: int,
) -> tuple[float, list[Cost]]:
    """The cost of all layers together, and of each, the dearest first; `most` of them are also left out in turn."""
    from assay.quantization import runtime

    switched = _Switched(ready, quantized, output)
    graph = runtime.Graph(switched.proto)

    def scores(on: Collection[str]) -> npt.NDArray[np.float64]:
        feeds = {_SWITCH + name: np.asarray(name in on) for name in switched.switches}
        parts = [graph.run([output], {**batch, **feeds})[0] for batch in batches]
        return np.concatenate(parts).astype(np.float64).reshape(sum(len(part) for part in parts), -1)

    reference = scores(())
    spread = float(np.std(reference - reference.mean(axis=1, keepdims=True)))

    def cost(on: Collection[str]) -> float:
        return float(np.sqrt(np.mean((scores(on) - reference) ** 2))) / spread

    return cost(switched.switches), _ranked(switched, cost, most)


def _ranked(switched: _Switched, cost: Callable[[Collection[str]], float], most: int) -> list[Cost]:
    everything = set(switched.switches)
    alone = {name: cost(switched.of_layer(name)) for name in switched.layers}
    order = sorted(alone, key=lambda name: -alone[name])
    return [
        Cost(
            layer=name,
            operator=switched.operator[name],
            alone=alone[name],
            kept_float=cost(everything - switched.of_layer_only(name)) if place < most else None,
        )
        for place, name in enumerate(order)
    ]


class _Switched:
    """The float32 graph with the roundings of the quantized one, each behind a switch that is an input."""

    def __init__(self, ready: onnx.ModelProto, quantized: onnx.ModelProto, output: str) -> None:
        self._quantized = quantized.graph
        self._taken = {weights.name: weights for weights in quantized.graph.initializer}
        self.layers = layers.weighted(ready.graph)
        self.operator = {node.name: node.op_type for node in ready.graph.node}
        self._weights = self._quantized_weights(ready.graph)
        self._touching = _touching(ready.graph, output, {node.input[0] for node in self._of_type("QuantizeLinear")})
        self.switches = (*self._touching, *self._weights.values())
        self.proto = self._built(ready)

    def of_layer(self, layer: str) -> set[str]:
        """The roundings that a layer alone in 8 bits has."""
        touched = {name for name, nodes in self._touching.items() if layer in nodes}
        return touched | self._weight_of(layer)

    def of_layer_only(self, layer: str) -> set[str]:
        """The roundings that go where a layer alone stays in float32: its neighbours need the others."""
        return {name for name, nodes in self._touching.items() if nodes == {layer}} | self._weight_of(layer)

    def _weight_of(self, layer: str) -> set[str]:
        return {self._weights[layer]} & set(self.switches) if layer in self._weights else set()

    def _of_type(self, operator: str) -> list[onnx.NodeProto]:
        return [node for node in self._quantized.node if node.op_type == operator]

    def _quantized_weights(self, graph: onnx.GraphProto) -> dict[str, str]:
        """The weights of each layer that has them in 8 bits, by the layer's name."""
        widened = {node.output[0] for node in self._of_type("DequantizeLinear") if node.input[0] in self._taken}
        in_bytes = {node.name for node in self._quantized.node if len(node.input) > 1 and node.input[1] in widened}
        return {node.name: node.input[1] for node in graph.node if node.name in in_bytes and node.name in self.layers}

    def _built(self, ready: onnx.ModelProto) -> onnx.ModelProto:
        built = onnx.ModelProto()
        built.CopyFrom(ready)
        graph = built.graph
        given = {value.name for value in graph.input} | {weights.name for weights in graph.initializer}
        after: dict[str, list[onnx.NodeProto]] = {}
        for name, nodes in self._roundings():
            mix = helper.make_node("Where", [_SWITCH + name, nodes[-1].output[0], name], [_MIXED + name], _MIXED + name)
            after[name] = [*nodes, mix]
        for node in graph.node:
            node.input[:] = [_MIXED + name if name in after else name for name in node.input]
        placed = [part for name in after if name in given for part in after[name]]
        for node in graph.node:
            placed += [node, *(part for name in node.output for part in after.get(name, []))]
        del graph.node[:]
        graph.node.extend(placed)
        graph.input.extend(
            helper.make_tensor_value_info(_SWITCH + name, TensorProto.BOOL, []) for name in self.switches
        )
        graph.initializer.extend(self._parameters(node for nodes in after.values() for node in nodes))
        return built

    def _roundings(self) -> Iterable[tuple[str, list[onnx.NodeProto]]]:
        """Each tensor's name, with the nodes that round it."""
        widening = {node.input[0]: node for node in self._of_type("DequantizeLinear")}
        for node in self._of_type("QuantizeLinear"):
            if node.input[0] in self._touching:
                yield node.input[0], [node, widening[node.output[0]]]
        layer_of = {node.name: node for node in self._quantized.node}
        widened = {node.output[0]: node for node in self._of_type("DequantizeLinear")}
        for layer, name in self._weights.items():
            yield name, [widened[layer_of[layer].input[1]]]

    def _parameters(self, nodes: Iterable[onnx.NodeProto]) -> list[onnx.TensorProto]:
        names = dict.fromkeys(name for node in nodes for name in node.input if name in self._taken)
        # A weight in float32 is there already, under a name that the quantized graph no longer has.
        return [self._taken[name] for name in names]


def _touching(graph: onnx.GraphProto, output: str, rounded: Collection[str]) -> dict[str, set[str]]:
    """For each rounded tensor, the nodes in 8 bits that make or read it."""
    in_bytes = set(layers.quantizable(graph, output))
    touching: dict[str, set[str]] = {name: set() for name in rounded if name != output}
    made_by = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.name not in in_bytes or node.op_type in layers.ABSORBED:
            continue
        for name in (*node.input, *node.output):
            if name in touching:
                touching[name].add(node.name)
    for name, nodes in touching.items():
        maker = made_by.get(name)
        while maker is not None and maker.op_type in layers.ABSORBED:
            maker = made_by.get(maker.input[0])
        if maker is not None and maker.name in in_bytes:
            nodes.add(maker.name)
    return touching
