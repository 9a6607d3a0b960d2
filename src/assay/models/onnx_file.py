"""An ONNX file as an image classifier: what goes in, what comes out."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from assay.errors import ModelError
from assay.records import TensorSpec


def load(path: Path, with_weights: bool = True) -> onnx.ModelProto:
    """Reads an ONNX file; raises `ModelError` where it is none."""
    if not path.is_file():
        raise ModelError(f"no model at {path}; give an .onnx file or an architecture with --weights")
    try:
        model = onnx.load(str(path), load_external_data=with_weights)
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        raise ModelError(f"{path} is no whole ONNX file: {' '.join(str(error).split())[:200]}") from error
    if not model.graph.node:
        raise ModelError(f"{path} is no whole ONNX file: it holds no operator")
    return model


def inspect(path: Path) -> tuple[TensorSpec, TensorSpec, int]:
    """The input, the output and the opset of a classifier; raises `ModelError` where it is none."""
    model = load(path, with_weights=False)
    weights = {initializer.name for initializer in model.graph.initializer}
    inputs = [_spec(value) for value in model.graph.input if value.name not in weights]
    outputs = [_spec(value) for value in model.graph.output]
    return _image_input(path, inputs), _class_output(path, outputs), _opset(path, model)


def _opset(path: Path, model: onnx.ModelProto) -> int:
    """The version of the standard operators."""
    found = [int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not found:
        raise ModelError(f"{path} names no set of standard operators: it is truncated, or no classifier")
    return found[0]


def _image_input(path: Path, inputs: list[TensorSpec]) -> TensorSpec:
    if len(inputs) != 1:
        named = ", ".join(spec.name for spec in inputs)
        raise ModelError(f"{path} is no image classifier: it has {len(inputs)} inputs ({named}), not one")
    spec = inputs[0]
    if len(spec.shape) != 4 or spec.shape[1] != 3 or spec.dtype != "float32":
        raise ModelError(f"{path} is no image classifier of N×3×H×W float32: its input is {_shown(spec)}")
    return spec


def _class_output(path: Path, outputs: list[TensorSpec]) -> TensorSpec:
    if len(outputs) != 1:
        named = ", ".join(spec.name for spec in outputs)
        raise ModelError(f"{path} has {len(outputs)} outputs ({named}); one of N×classes is expected")
    spec = outputs[0]
    if len(spec.shape) != 2 or not isinstance(spec.shape[1], int) or spec.dtype != "float32":
        raise ModelError(f"{path} is no image classifier with float32 N×classes: its output is {_shown(spec)}")
    return spec


def _shown(spec: TensorSpec) -> str:
    return f"{spec.name} {'×'.join(str(side) for side in spec.shape) or 'of no rank'} {spec.dtype}"


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    shape = tuple(
        int(axis.dim_value) if axis.HasField("dim_value") else (axis.dim_param or "?") for axis in tensor.shape.dim
    )
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    except KeyError:
        dtype = "of an unknown type"
    return TensorSpec(name=value.name, shape=shape, dtype=dtype)
