"""A model of any origin made into the one graph that backends understand, where wanted with normalisation in front.

Its input is uint8 N×H×W×3 or float32 N×3×H×W and its output float32 N×classes; its batch size is fixed or left
free, and its weights are inside.

The operators that normalise are those of the guide in its order and in float32: transpose, cast, divide by 255,
subtract the mean, divide by the standard deviation. Each is exact to the last bit in IEEE arithmetic, so a model fed
with uint8 pixels gives the very scores of one fed with normalised floats, at a quarter of the bytes. A model of
float16 is given what they make, rounded once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import EncodeError
from onnx import TensorProto, helper, numpy_helper

from assay.errors import ModelError, Option, Remedy
from assay.models import onnx_file
from assay.records import ImageTransform, InputKind, OnnxModel, TensorSpec

_PREFIX = "assay/"
_FREE = "batch"
_TYPES = {"uint8": TensorProto.UINT8, "float16": TensorProto.FLOAT16, "float32": TensorProto.FLOAT}


def fuse(
    model: OnnxModel, batch: int | None, input_kind: InputKind, out: Path, cast_first: bool = False
) -> tuple[TensorSpec, TensorSpec]:
    """Writes the graph that is handed to a backend, for any batch size where none is given; returns input and output.

    `cast_first` is for a device that takes bytes only into a cast; the scores are the same.
    Raises `ModelError` where the model has another batch size.
    """
    require_batch(model, batch)
    proto = onnx_file.load(model.file.path)
    graph = proto.graph
    _keep_only(graph, model.output.name)
    # Shapes inferred for another batch size would contradict the one set now.
    del graph.value_info[:]
    rows = _FREE if batch is None else batch
    side = model.transform.crop
    taken = TensorSpec(name=model.input.name, shape=(rows, 3, side, side), dtype="float32")
    steps: list[_Step] = []
    if input_kind == "uint8":
        taken = TensorSpec(name=_PREFIX + "pixels", shape=(rows, side, side, 3), dtype="uint8")
        steps = _normalising(model.channels_last, graph, model.transform, cast_first)
    elif model.channels_last:
        steps = [("Transpose", (), {"perm": [0, 2, 3, 1]})]
    if model.input.dtype == "float16":
        steps += _rounding(graph)
    if steps and taken.name == model.input.name:
        taken = TensorSpec(name=_PREFIX + "images", shape=taken.shape, dtype=taken.dtype)
    given = TensorSpec(name=model.output.name, shape=(rows, model.classes), dtype="float32")
    ending: list[_Step] = [("Flatten", (), {"axis": 1})] if len(model.output.shape) != 2 else []
    if model.output.dtype != "float32":
        ending.append(("Cast", (), {"to": TensorProto.FLOAT}))
    if ending:
        given = TensorSpec(name=_PREFIX + "scores", shape=given.shape, dtype=given.dtype)
    nodes = [
        *_chain(taken.name, steps, model.input.name),
        *graph.node,
        *_chain(model.output.name, ending, given.name),
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    _declare(next(value for value in graph.input if value.name == model.input.name), taken)
    _declare(graph.output[0], given)
    out.write_bytes(_encoded(proto, model))
    return taken, given


def require_batch(model: OnnxModel, batch: int | None) -> None:
    """Raises `ModelError` where a model has a fixed batch size and this is another."""
    fixed = model.fixed_batch
    if fixed is not None and fixed != batch:
        wanted = "any batch size" if batch is None else f"batch size {batch}"
        raise ModelError(
            f"{model.name} has a fixed batch size of {fixed}, so it cannot be compiled for {wanted}",
            remedy=Remedy("use {}, or export it with a free batch size", Option("batch", fixed)),
        )


_Step = tuple[str, tuple[str | int, ...], dict[str, Any]]
"""An operator, its inputs beside the result of the step before it (a number counts steps back), and its attributes."""


def _chain(source: str, steps: list[_Step], target: str) -> list[onnx.NodeProto]:
    """Operators one behind the other, from the value `source` to the value `target`."""
    results = [source]
    nodes = []
    for number, (operator, others, attributes) in enumerate(steps, start=1):
        name = f"{_PREFIX}{operator}-{number} of {target}"
        inputs = [results[-1], *(results[-1 - other] if isinstance(other, int) else other for other in others)]
        results.append(target if number == len(steps) else name)
        nodes.append(helper.make_node(operator, inputs, results[-1:], name, **attributes))
    return nodes


def _normalising(
    channels_last: bool, graph: onnx.GraphProto, transform: ImageTransform, cast_first: bool
) -> list[_Step]:
    """From uint8 N×H×W×3 to normalised float32 in the model's layout; its constants are put into the graph."""
    shape = (1, 1, 1, 3) if channels_last else (1, 3, 1, 1)
    constants = {
        "scale": np.asarray(255.0, dtype=np.float32),
        "mean": np.asarray(transform.mean, dtype=np.float32).reshape(shape),
        "std": np.asarray(transform.std, dtype=np.float32).reshape(shape),
    }
    graph.initializer.extend(numpy_helper.from_array(value, _PREFIX + name) for name, value in constants.items())
    # Transposing bytes before they are widened moves a quarter of the memory, and takes a third of the time.
    transpose: list[_Step] = [] if channels_last else [("Transpose", (), {"perm": [0, 3, 1, 2]})]
    cast: list[_Step] = [("Cast", (), {"to": TensorProto.FLOAT})]
    return [
        *(cast + transpose if cast_first else transpose + cast),
        ("Div", (_PREFIX + "scale",), {}),
        ("Sub", (_PREFIX + "mean",), {}),
        ("Div", (_PREFIX + "std",), {}),
    ]


def _rounding(graph: onnx.GraphProto) -> list[_Step]:
    """From float32 to float16, by arithmetic that no runtime leaves out.

    A runtime that computes a model of float16 in float32 drops a cast to float16 where one back to float32 follows at
    once, which hangs on the operators around it and so on the kind of input. Veltkamp's splitting rounds to the 11
    bits of float16 in float32, and the cast that follows has nothing left to lose.
    """
    factor = _PREFIX + "factor"
    graph.initializer.append(numpy_helper.from_array(np.asarray(2**13 + 1, dtype=np.float32), factor))
    return [
        ("Mul", (factor,), {}),  # wide = factor · x
        ("Sub", (1,), {}),  # rest = wide - x
        ("Sub", (1,), {}),  # rest - wide: x rounded, with its sign changed
        ("Neg", (), {}),
        ("Cast", (), {"to": TensorProto.FLOAT16}),
    ]


def _declare(value: onnx.ValueInfoProto, spec: TensorSpec) -> None:
    value.CopyFrom(helper.make_tensor_value_info(spec.name, _TYPES[spec.dtype], spec.shape))


def _keep_only(graph: onnx.GraphProto, output: str) -> None:
    """Takes the other outputs away, and with them the operators and weights that only they need."""
    if len(graph.output) == 1:
        return
    kept = [value for value in graph.output if value.name == output]
    needed = {output}
    nodes = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(_read_by(node))
            nodes.append(node)
    weights = [initializer for initializer in graph.initializer if initializer.name in needed]
    del graph.output[:], graph.node[:], graph.initializer[:]
    graph.output.extend(kept)
    graph.node.extend(reversed(nodes))
    graph.initializer.extend(weights)


def _read_by(node: onnx.NodeProto) -> Iterator[str]:
    """What an operator reads, in its branches and loops too."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from (value.name for value in graph.output)
            yield from _read_by_all(graph.node)


def _read_by_all(nodes: Iterable[onnx.NodeProto]) -> Iterator[str]:
    for node in nodes:
        yield from _read_by(node)


def _encoded(proto: onnx.ModelProto, model: OnnxModel) -> bytes:
    try:
        encoded: bytes = proto.SerializeToString(deterministic=True)
    except (EncodeError, ValueError) as error:
        raise ModelError(
            f"{model.name} with its weights is larger than 2 GiB, the most that one ONNX file holds; "
            "use a smaller model, or one of half precision"
        ) from error
    return encoded
