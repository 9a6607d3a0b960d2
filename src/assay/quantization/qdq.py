"""The graph that computes in 8 bits, between QuantizeLinear and DequantizeLinear, by ONNX Runtime's quantizer.

Weights are signed integers around zero, what flows between layers unsigned ones. Input and scores stay float32.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import numpy as np
import onnx

from assay.quantization import layers
from assay.quantization.ranges import Range

_INFERRED = {"onnx.infer": "onnxruntime.quant"}
"""The quantizer's own mark of a graph whose shapes are known; one without it is written and read once more."""


def insert(
    proto: onnx.ModelProto,
    ranges: dict[str, Range],
    output: str,
    *,
    per_channel: bool,
    reduce_range: bool,
    float_layers: Collection[str],
) -> onnx.ModelProto:
    """The quantized graph of one that was made ready, which is changed; `float_layers` are names of its nodes."""
    from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType, TensorsData

    wanted = set(layers.quantizable(proto.graph, output)) - set(float_layers)
    excluded = [node.name for node in proto.graph.node if node.name not in wanted]
    onnx.helper.set_model_props(proto, _INFERRED)
    values = {name: (np.float32(low), np.float32(high)) for name, (low, high) in ranges.items()}
    for node in proto.graph.node:
        if node.op_type in layers.ABSORBED and node.output[0] in values:
            # The quantizer looks for a range here before it takes the bound away.
            values.setdefault(node.input[0], values[node.output[0]])
    with _own_logging():
        quantizer = QDQQuantizer(
            proto,
            per_channel,
            reduce_range,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=TensorsData(CalibrationMethod.MinMax, values),
            nodes_to_quantize=[],
            nodes_to_exclude=excluded,
            op_types_to_quantize=list(layers.OPERATORS),
            extra_options={},
        )
        quantizer.quantize_model()
        # ONNX wants a node behind those that it reads, and the quantizer appends.
        quantizer.model.topological_sort()
    quantized: onnx.ModelProto = quantizer.model.model
    del quantized.metadata_props[:]
    _free_output(quantized.graph, output)
    return quantized


def _free_output(graph: onnx.GraphProto, output: str) -> None:
    """Takes the rounding of the scores themselves away."""
    made_by = {name: node for node in graph.node for name in node.output}
    widened = made_by[output]
    if widened.op_type != "DequantizeLinear":
        return
    rounded = made_by[widened.input[0]]
    maker = made_by[rounded.input[0]]
    maker.output[:] = [output if name == rounded.input[0] else name for name in maker.output]
    for node in (rounded, widened):
        graph.node.remove(node)
    read = {name for node in graph.node for name in node.input}
    for weights in [weights for weights in graph.initializer if weights.name not in read]:
        graph.initializer.remove(weights)


@contextmanager
def _own_logging() -> Iterator[None]:
    """Keeps the quantizer's warnings from setting up logging for the whole process."""
    root, nowhere = logging.getLogger(), logging.NullHandler()
    root.addHandler(nowhere)
    try:
        yield
    finally:
        root.removeHandler(nowhere)
