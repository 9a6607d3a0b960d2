"""Constants of arithmetic as sums of two halves, so that a file of half-precision values loses nothing of them.

MNN stores every constant of a file alike, those of a fused normalisation too. A value of about one is its nearest half
and a rest that another half holds to the last bits of float32.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

_SUMS = ("Add", "Sub")
_PRODUCTS = ("Mul", "Div")


def split(source: Path, target: Path) -> None:
    """Writes a graph anew in which Add, Sub, Mul and Div by a constant that no half holds take two halves."""
    proto = onnx.load(str(source))
    constants = {one.name: numpy_helper.to_array(one) for one in proto.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for number, node in enumerate(proto.graph.node):
        value = constants.get(node.input[1]) if node.op_type in (*_SUMS, *_PRODUCTS) else None
        if value is None or value.dtype != np.float32 or np.array_equal(_half(value), value):
            nodes.append(node)
            continue
        wanted = (1.0 / value.astype(np.float64)) if node.op_type == "Div" else value.astype(np.float64)
        first = _half(wanted)
        names = [f"assay/halves-{number}-{part}" for part in ("first", "rest", "a", "b")]
        rest = _half(wanted - first)
        for name, part in zip(names[:2], (first, rest), strict=True):
            proto.graph.initializer.append(numpy_helper.from_array(part, name))
        nodes += _in_two(node, names)
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    target.write_bytes(proto.SerializeToString(deterministic=True))


def _in_two(node: onnx.NodeProto, names: list[str]) -> list[onnx.NodeProto]:
    first, rest, one, other = names
    given, made = node.input[0], node.output[0]
    if node.op_type in _SUMS:
        return [
            helper.make_node(node.op_type, [given, first], [one], one),
            helper.make_node(node.op_type, [one, rest], [made], made),
        ]
    return [
        helper.make_node("Mul", [given, first], [one], one),
        helper.make_node("Mul", [given, rest], [other], other),
        helper.make_node("Add", [one, other], [made], made),
    ]


def _half(value: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return value.astype(np.float16).astype(np.float32)
