"""Calibration: the range of each tensor that is quantized, read off real images.

The quantizer of ONNX Runtime is given these ranges. Its own calibrators are not used: they keep every tensor of every
image at once, and its entropy (1.32) is min-max with its own 128 bins and, with more, takes such narrow ranges that
half of SqueezeNet's first classes change. A histogram here is over a power of two, which doubles where a larger value
comes: so it does not hang on how the images were cut into batches, and no more than one batch is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx

from assay.errors import ModelError
from assay.quantization import layers

CALIBRATORS = ("minmax", "entropy", "percentile")
"""All values; the range that loses least information, by Kullback and Leibler; without the outermost values."""
PERCENTILE = 99.99
"""The share of values that the percentile keeps, in percent."""

Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]
Range = tuple[float, float]

_HALF = 2048
"""Bins on either side of zero."""
_STEP = 16
_LEVELS = 255
_ABSENT = 1e-9


def calibrate(
    proto: onnx.ModelProto, output: str, batches: Iterable[Mapping[str, Floats]], calibrator: str
) -> dict[str, Range]:
    """The range of each tensor over batches of the graph's input; raises `ModelError` where one is not finite."""
    from assay.quantization import runtime

    names = tensors(proto.graph, output)
    graph = runtime.Graph(_showing(proto, names))
    given = {value.name for value in proto.graph.input}
    shown = [name for name in names if name not in given]
    collected = {name: Values(histogram=calibrator != "minmax") for name in names}
    for batch in batches:
        for name, values in zip(shown, graph.run(shown, batch), strict=True):
            collected[name].add(values, name)
        for name in given.intersection(collected):
            collected[name].add(batch[name], name)
    return {name: values.range(calibrator) for name, values in sorted(collected.items())}


def tensors(graph: onnx.GraphProto, output: str) -> tuple[str, ...]:
    """The tensors that are rounded to 8 bits wherever their nodes are, sorted."""
    quantized = set(layers.quantizable(graph, output))
    weights = {initializer.name for initializer in graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    kept = {value.name for value in graph.output}
    floats = _floats(graph) - weights
    touched = {name for node in graph.node if node.name in quantized for name in (*node.input, *node.output)}
    return tuple(sorted(name for name in touched & floats if name in kept or not _bounded(readers.get(name, []))))


def _bounded(read_by: Sequence[onnx.NodeProto]) -> bool:
    """Whether a bound alone follows, behind which a tensor is rounded in place of here."""
    return [node.op_type in layers.ABSORBED for node in read_by] == [True]


def _floats(graph: onnx.GraphProto) -> set[str]:
    known = (*graph.value_info, *graph.input, *graph.output)
    return {value.name for value in known if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}


def _showing(proto: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """The graph with these tensors as outputs."""
    shown = onnx.ModelProto()
    shown.CopyFrom(proto)
    there = {value.name for value in (*proto.graph.output, *proto.graph.input)}
    of_name = {value.name: value for value in proto.graph.value_info}
    shown.graph.output.extend(of_name[name] for name in names if name not in there)
    return shown


class Values:
    """What is kept of one tensor's values: their ends and, where it is asked for, their histogram."""

    def __init__(self, histogram: bool) -> None:
        self.least, self.largest = 0.0, 0.0
        self._bound = 0.0
        self._counts: Counts | None = np.zeros(2 * _HALF, np.int64) if histogram else None

    def add(self, values: Floats, name: str) -> None:
        """Takes the values of one batch; raises `ModelError` where one is not finite."""
        least, largest = float(values.min()), float(values.max())
        if not np.isfinite([least, largest]).all():
            raise ModelError(f"the values of {name} are not finite on the calibration images; mend the model")
        self.least, self.largest = min(self.least, least), max(self.largest, largest)
        if self._counts is not None and (reach := max(-least, largest)) > 0:
            self._widen(reach)
            scaled = values.ravel() * np.float32(_HALF / self._bound)
            places = np.floor(scaled, out=scaled).astype(np.int32) + _HALF
            np.minimum(places, 2 * _HALF - 1, out=places)
            self._counts += np.bincount(places, minlength=2 * _HALF)
            # Zero is exact whatever the range, and there are so many that they would outweigh all others.
            self._counts[_HALF] -= values.size - np.count_nonzero(values)

    def _widen(self, reach: float) -> None:
        """Doubles the bound until it holds the value: each two bins become one."""
        assert self._counts is not None  # noqa: S101 - the caller has looked
        wanted = 2.0 ** np.ceil(np.log2(reach))
        if not self._bound:
            self._bound = float(wanted)
        while self._bound < wanted:
            merged = self._counts.reshape(-1, 2).sum(axis=1)
            self._counts[:] = 0
            self._counts[_HALF // 2 : _HALF + _HALF // 2] = merged
            self._bound *= 2

    def range(self, calibrator: str) -> Range:
        """What is kept of all values."""
        if self._counts is None or not self._counts.any():
            return self.least, self.largest
        low, high = _percentile(self._counts) if calibrator == "percentile" else _entropy(self._counts, self.least < 0)
        width = self._bound / _HALF
        return max(self.least, low * width), min(self.largest, high * width)


def _percentile(counts: Counts) -> Range:
    """The ends, in bins from zero, of the middle share of the values."""
    below = np.cumsum(counts) / counts.sum()
    cut = (100 - PERCENTILE) / 200
    low, high = np.searchsorted(below, [cut, 1 - cut])
    return float(min(low - _HALF, 0)), float(max(high + 1 - _HALF, 0))


def _entropy(counts: Counts, signed: bool) -> Range:
    """The bound, in bins on either side of zero, whose levels tell least wrongly how the values are spread."""
    reach = counts[_HALF:] + counts[_HALF - 1 :: -1]
    levels = _LEVELS // 2 if signed else _LEVELS
    used = int(np.flatnonzero(reach)[-1]) + 1
    candidates = [*range(levels, used, _STEP), used]
    lost = [_divergence(reach, bound, levels) for bound in candidates]
    bound = float(candidates[int(np.argmin(lost))])
    return -bound, bound


def _divergence(counts: Counts, bound: int, levels: int) -> float:
    """What is lost (Kullback and Leibler) where values beyond a bound become the bound, and those within levels."""
    inside = counts[:bound].astype(np.float64)
    clipped = inside.copy()
    clipped[-1] += counts[bound:].sum()
    level = np.arange(bound) * levels // bound
    there = inside > 0
    shares = np.bincount(level, inside, levels) / np.maximum(np.bincount(level, there, levels), 1)
    spread = np.where(there, shares[level], 0.0)
    true, told = clipped / clipped.sum(), np.maximum(spread / max(spread.sum(), 1.0), _ABSENT)
    seen = true > 0
    return float(np.sum(true[seen] * np.log(true[seen] / told[seen])))
