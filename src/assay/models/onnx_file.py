"""An ONNX file as an image classifier: what goes in, what comes out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from assay import units
from assay.errors import ModelError, Option, Remedy, UnknownNameError
from assay.models import external_data
from assay.records import Precision, TensorSpec
from assay.storage.stand_in import STAND_IN_BYTES, stand_in

_FLOATS = ("float32", "float16")
_INTEGER = re.compile(r"(Deq|Q|DynamicQ)uantize|QLinear|QGemm|QAttention|\w+Integer|MatMulNBits")
"""How operators on integers of 8 bits, or fewer, are called: dequantized ones, or computed with as they are."""
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_COLOURS = 3
_LOWEST_OPSET = 7
"""Where the operators that are put around a model broadcast as they do today."""


def load(path: Path, with_weights: bool = True) -> onnx.ModelProto:
    """Reads an ONNX file, with the weights that lie beside it; raises `ModelError` where it is none."""
    if path.is_dir():
        raise ModelError(f"{path} is a folder; give the .onnx file in it")
    if not path.is_file():
        raise ModelError(
            f"no model at {path}", remedy=Remedy("give an .onnx file or an architecture with {}", Option("weights"))
        )
    size = path.stat().st_size
    if not size:
        raise ModelError(f"{path} is no whole ONNX file: it is empty; copy it again")
    if size > external_data.MOST_BYTES:
        raise ModelError(f"{path} is no ONNX file: it has {units.memory(size)}, and one holds 2 GiB at most")
    try:
        content = path.read_bytes()
        if (instead := stand_in(content[:STAND_IN_BYTES])) is not None:
            raise ModelError(f"{path} is {instead}")
        model: onnx.ModelProto = onnx.ModelProto.FromString(content)
        del content
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}; give a file that can be read") from error
    except DecodeError as error:
        raise ModelError(f"{path} is no whole ONNX file: it is truncated, or of another kind; copy it again") from error
    if not model.graph.node:
        raise ModelError(f"{path} is no whole ONNX file: it holds no operator; copy it again")
    if with_weights:
        external_data.embed(model, path)
    return model


def precision_of(model: onnx.ModelProto) -> Precision:
    """What a model computes in, read off its operators: 8 bits where it holds such integers, or half precision.

    Weights that are stored as halves and widened before they are used are of a model of single precision.
    """
    if holds_integers(model):
        return "int8"
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    kinds |= {node.output[0]: _kind_of(node) for node in model.graph.node if node.op_type == "Constant"}
    used = [
        kinds[name] for node in all_nodes(model) if node.op_type in _WEIGHTED for name in node.input if name in kinds
    ]
    return "fp16" if used and set(used) == {onnx.TensorProto.FLOAT16} else "fp32"


def _kind_of(constant: onnx.NodeProto) -> int:
    return next((attribute.t.data_type for attribute in constant.attribute if attribute.name == "value"), 0)


def holds_integers(model: onnx.ModelProto) -> bool:
    """Whether a model holds integers of 8 bits: dequantized ones, as a QDQ model does, or operators on them."""
    return any(_INTEGER.match(node.op_type) for node in all_nodes(model))


def all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every operator, also of branches, loops and functions."""
    yield from _with_inner(model.graph.node)
    for function in model.functions:
        yield from _with_inner(function.node)


def _with_inner(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _with_inner(graph.node)


def inspect(path: Path, output: str | None = None) -> tuple[TensorSpec, TensorSpec, int]:
    """The input, the output and the opset of a classifier; raises `ModelError` where it is none."""
    return examine(load(path, with_weights=False), path, output)


def examine(model: onnx.ModelProto, path: Path, output: str | None = None) -> tuple[TensorSpec, TensorSpec, int]:
    """The input, the output of that name (or the only one) and the opset of a model read from `path`.

    The input is N×3×H×W or N×H×W×3. The output is N×classes, with axes of length 1 anywhere behind N.
    """
    opset = _opset(path, model)
    taken, given = image_input(model, path), _class_output(model, path, output)
    sizes = {spec.shape[0] for spec in (taken, given) if isinstance(spec.shape[0], int)}
    if len(sizes) > 1:
        raise ModelError(f"{path} is no image classifier: {_shown(taken)} gives {_shown(given)}, not a row an image")
    return taken, given, opset


def image_input(model: onnx.ModelProto, path: Path) -> TensorSpec:
    """The one input, of images; a number of channels that the file leaves open is read off its first operator."""
    weights = {initializer.name for initializer in model.graph.initializer}
    inputs = [_spec(value) for value in model.graph.input if value.name not in weights]
    refused = f"{path} is no image classifier"
    if len(inputs) != 1:
        named = f" ({', '.join(spec.name for spec in inputs)})" if inputs else ""
        raise ModelError(f"{refused}: it has {len(inputs)} inputs{named}, not one; export it with its image alone")
    spec = inputs[0]
    expected = "expected is N×3×H×W or N×H×W×3, float32 or float16"
    if len(spec.shape) != 4:
        raise ModelError(f"{refused}: its input is {_shown(spec)}, of rank {len(spec.shape)}; {expected}")
    if spec.dtype not in _FLOATS:
        raise ModelError(f"{refused}: its input is {_shown(spec)}, of type {spec.dtype}; {expected}")
    batch, first, second, last = spec.shape
    if first != _COLOURS and last != _COLOURS:
        if not isinstance(first, str) or not _convolves_colours(model, spec.name):
            raise ModelError(f"{refused}: its input is {_shown(spec)}, without an axis of 3 colours; {expected}")
        first = _COLOURS
    spec = TensorSpec(name=spec.name, shape=(batch, first, second, last), dtype=spec.dtype)
    if len(_fixed_sides(spec)) > 1:
        raise ModelError(
            f"{path}: its input is {_shown(spec)}, not square, and images are cut to squares; export it for a square"
        )
    return spec


def side(taken: TensorSpec) -> int | None:
    """Height and width of the images that an input takes, in pixels; None where they are free."""
    return next(iter(_fixed_sides(taken)), None)


def _fixed_sides(taken: TensorSpec) -> set[int]:
    sides = taken.shape[2:] if taken.shape[1] == _COLOURS else taken.shape[1:3]
    return {length for length in sides if isinstance(length, int)}


def _convolves_colours(model: onnx.ModelProto, name: str) -> bool:
    """Whether a convolution takes the input as it is and has weights for three channels."""
    shapes = {initializer.name: initializer.dims for initializer in model.graph.initializer}
    kernels = [node.input[1] for node in model.graph.node if node.op_type == "Conv" and node.input[0] == name]
    return any(list(shapes.get(kernel, ()))[1:2] == [_COLOURS] for kernel in kernels)


def _class_output(model: onnx.ModelProto, path: Path, wanted: str | None) -> TensorSpec:
    outputs = {value.name: value for value in model.graph.output}
    if wanted is not None and wanted not in outputs:
        raise UnknownNameError(f"output of {path}", wanted, outputs)
    if wanted is None and len(outputs) != 1:
        named = ", ".join(_shown(_spec(value)) for value in outputs.values())
        raise ModelError(
            f"{path} has {len(outputs)} outputs ({named})",
            remedy=Remedy("choose the one of classes with {}", Option("output", "NAME")),
        )
    name = wanted if wanted is not None else next(iter(outputs))
    spec = _spec(outputs[name])
    if not spec.shape or any(isinstance(side, str) for side in spec.shape[1:]):
        spec = _inferred(model, spec)
    refused = f"{path} is no image classifier: its output is {_shown(spec)}"
    if spec.dtype not in _FLOATS:
        raise ModelError(f"{refused}, of type {spec.dtype}; expected are the scores, float32 or float16")
    if any(isinstance(side, str) for side in spec.shape[1:]):
        raise ModelError(f"{refused}, whose number of classes is not known; export it with a fixed number")
    behind = [int(side) for side in spec.shape[1:]]
    if math.prod(behind) < 2 or max(behind) != math.prod(behind):
        raise ModelError(f"{refused}; expected is N×classes, of 2 classes or more")
    return spec


def _inferred(model: onnx.ModelProto, spec: TensorSpec) -> TensorSpec:
    """The output as the operators before it make it, where the file leaves its shape open."""
    try:
        inferred = onnx.shape_inference.infer_shapes(model)
    except (onnx.shape_inference.InferenceError, ValueError):
        return spec  # what is not known is named by the caller
    return next((_spec(value) for value in inferred.graph.output if value.name == spec.name), spec)


def _opset(path: Path, model: onnx.ModelProto) -> int:
    """The version of the standard operators."""
    versions = [int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not versions:
        raise ModelError(f"{path} names no set of standard operators: it is truncated, or no classifier; copy it again")
    if versions[0] < _LOWEST_OPSET:
        raise ModelError(f"{path} is of opset {versions[0]}; export it with opset {_LOWEST_OPSET} or higher")
    return versions[0]


def _shown(spec: TensorSpec) -> str:
    return f"{spec.name} {'×'.join(str(side) for side in spec.shape) or 'of no rank'} {spec.dtype}"


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    except KeyError:
        dtype = "of an unknown type"
    return TensorSpec(name=value.name, shape=tuple(_sides(tensor.shape.dim)), dtype=dtype)


def _sides(axes: Iterable[onnx.TensorShapeProto.Dimension]) -> list[int | str]:
    """Each axis: a number, or a name where it is free; some exporters write 0 or -1 for a free one."""
    return [int(axis.dim_value) if axis.dim_value > 0 else axis.dim_param or "?" for axis in axes]
