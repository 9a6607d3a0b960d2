"""Weights that an ONNX file keeps in files beside it: found, checked, and taken in.

Where they lie is the word of whoever made the file, so every location is judged before anything is opened: one
that leads out of the model's own folder is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PureWindowsPath

import onnx

from assay import units
from assay.errors import ModelError

MOST_BYTES = 2**31 - 1
"""The largest message that protobuf, in which an ONNX file is written, can hold."""


def files(model: onnx.ModelProto, path: Path) -> tuple[Path, ...]:
    """The files beside `path` that hold its weights; raises `ModelError` where one is missing or not beside it."""
    locations = dict.fromkeys(_entry(tensor, "location") for tensor in _outside(model))
    return tuple(dict.fromkeys(_located(path.resolve(), location) for location in locations))


def embed(model: onnx.ModelProto, path: Path) -> None:
    """Takes the weights that lie beside `path` into the model; raises `ModelError` where that is not possible."""
    beside = files(model, path)
    size = path.stat().st_size + sum(file.stat().st_size for file in beside)
    if beside and size > MOST_BYTES:
        raise ModelError(
            f"{path} and the weights beside it have {units.memory(size)}, and a single ONNX file holds 2 GiB at most; "
            "use a smaller model, or one of half precision"
        )
    for tensor in _outside(model):
        file = _located(path.resolve(), _entry(tensor, "location"))
        tensor.raw_data = _bytes_of(tensor, file, path)
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")


def _bytes_of(tensor: onnx.TensorProto, file: Path, path: Path) -> bytes:
    offset = _number(tensor, "offset", path) or 0
    length = _number(tensor, "length", path)
    held = file.stat().st_size
    end = held if length is None else offset + length
    if offset > held or end > held:
        raise ModelError(
            f"{path}: {file.name} beside it is truncated: it has {held:,} bytes, and the weights {tensor.name!r} "
            f"end at {end:,}; copy it again"
        )
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read(end - offset)


def _number(tensor: onnx.TensorProto, key: str, path: Path) -> int | None:
    text = _entry(tensor, key)
    if text and not (text.isascii() and text.isdecimal()):
        raise ModelError(f"{path} is damaged: the {key} of its weights {tensor.name!r} is {text[:40]!r}; copy it again")
    return int(text) if text else None


def _located(path: Path, location: str) -> Path:
    """The file that a location names; `path` has its links resolved."""
    # Read as Windows reads it, a location is split at both kinds of slash and shows its drive.
    parts = PureWindowsPath(location)
    outside = f"{path} keeps weights outside its folder, at {location[:200]!r}"
    advice = "only files beside the model are read; save the model again with its weights beside it"
    if not location or "\0" in location or parts.drive or parts.root or ".." in parts.parts:
        raise ModelError(f"{outside}; {advice}")
    file = path.parent / location
    try:
        if not file.resolve().is_relative_to(path.parent):
            raise ModelError(f"{outside}, a symbolic link to {file.resolve()}; {advice}")
        exists = file.is_file()
    except (OSError, RuntimeError) as error:  # a name that is too long, or a circle of links
        raise ModelError(f"{path} keeps weights at {location[:200]!r}, which cannot be opened; {advice}") from error
    if not exists:
        raise ModelError(
            f"{path} keeps its weights in {location[:200]!r}, and no such file is in {path.parent}; put it there"
        )
    return file


def _entry(tensor: onnx.TensorProto, key: str) -> str:
    value: str | bytes = next((entry.value for entry in tensor.external_data if entry.key == key), "")
    # Of bytes that are no text protobuf gives the bytes.
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")


def _outside(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor whose values are not in the file."""
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            yield tensor


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of_nodes(function.node)
    for training in model.training_info:
        yield from _of_graph(training.initialization)
        yield from _of_graph(training.algorithm)


def _of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for graph in (attribute.g, *attribute.graphs):
                yield from _of_graph(graph)
