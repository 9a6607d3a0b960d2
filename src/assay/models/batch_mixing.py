"""The operator that makes the scores of an image hang on its neighbours, as far as a graph shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from assay.models import onnx_file

_OVER_AN_AXIS = ("Softmax", "LogSoftmax", "Hardmax", "CumSum", "LpNormalization", "ArgMax", "TopK")
_RANDOM = ("Bernoulli", "Multinomial")
_SMALL = 64
"""Values of a constant that may be a list of axes."""

Constants = Mapping[str, npt.NDArray[np.generic]]


def likely_operator(path: Path) -> str | None:
    """The operator in training mode, or across the batch, in a sentence; None where none is seen."""
    model = onnx_file.load(path, with_weights=False)
    constants = dict(_constants(model))
    for says in (_in_training, _random, _across_batch):
        for node in onnx_file.all_nodes(model):
            if (why := says(node, constants)) is not None:
                return f"{node.op_type} {node.name or node.output[0]!r} {why}"
    return None


def _in_training(node: onnx.NodeProto, constants: Constants) -> str | None:
    if node.op_type == "BatchNormalization":
        # Before opset 14 it was told by its further outputs.
        further = len([name for name in node.output if name]) > 1
        return "is in training mode" if _attribute(node, "training_mode") or further else None
    if node.op_type == "Dropout" and len(node.input) > 2:
        return "is in training mode" if bool(constants.get(node.input[2], np.zeros(1)).any()) else None
    return None


def _random(node: onnx.NodeProto, constants: Constants) -> str | None:
    return "draws at random" if node.op_type.startswith("Random") or node.op_type in _RANDOM else None


def _across_batch(node: onnx.NodeProto, constants: Constants) -> str | None:
    name = node.op_type
    if name.startswith("Reduce"):
        axes = [*(_attribute(node, "axes") or ()), *_listed(node, 1, constants)]
        return "reduces over the batch" if 0 in axes else None
    if name in _OVER_AN_AXIS:
        axes = [_attribute(node, "axis", None), *_listed(node, 1, constants)]
        return "goes over the batch" if 0 in axes else None
    if name == "MeanVarianceNormalization":
        return "goes over the batch" if 0 in (_attribute(node, "axes") or (0,)) else None
    return None


def _listed(node: onnx.NodeProto, at: int, constants: Constants) -> list[int]:
    """The numbers of a constant input, where an operator takes its axes so."""
    value = constants.get(node.input[at]) if len(node.input) > at else None
    return [] if value is None else [int(number) for number in value.ravel()]


def _attribute(node: onnx.NodeProto, name: str, otherwise: Any = 0) -> Any:
    found = next((attribute for attribute in node.attribute if attribute.name == name), None)
    return otherwise if found is None else onnx.helper.get_attribute_value(found)


def _constants(model: onnx.ModelProto) -> Iterator[tuple[str, npt.NDArray[np.generic]]]:
    """Small constants by name."""
    tensors = [(tensor.name, tensor) for tensor in model.graph.initializer]
    tensors += [
        (node.output[0], attribute.t)
        for node in onnx_file.all_nodes(model)
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    ]
    for name, tensor in tensors:
        is_inside = tensor.data_location != onnx.TensorProto.EXTERNAL
        if is_inside and int(np.prod(tensor.dims)) <= _SMALL:
            yield name, numpy_helper.to_array(tensor)
