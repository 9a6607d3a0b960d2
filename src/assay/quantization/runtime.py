"""Graphs run in ONNX Runtime to be calibrated and weighed; its quantizer, and nothing else here, is the vendor's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

Floats = npt.NDArray[np.float32]
_ERRORS_ONLY = 3


class Graph:
    """A graph that gives the tensors asked for."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        self._session = onnxruntime.InferenceSession(
            proto.SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
            # It rounds weights that were kept in float32, as in the backend.
            disabled_optimizers=["WeightBiasQuantization"],
        )

    def run(self, outputs: Sequence[str], feeds: Mapping[str, npt.NDArray[Any]]) -> list[Floats]:
        """The values of these outputs for one batch."""
        return list(self._session.run(list(outputs), dict(feeds)))


def fold(proto: onnx.ModelProto, out: Path) -> onnx.ModelProto:
    """The graph with constants computed and batch normalisation put into the weights, in standard operators.

    `out` is written to on the way.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(out)
    options.log_severity_level = _ERRORS_ONLY
    onnxruntime.InferenceSession(
        proto.SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
        # Weights that two layers shared would have to share their scale too.
        disabled_optimizers=["ConstantSharing"],
    )
    folded = onnx.load(str(out))
    used = {node.domain for node in folded.graph.node} | {""}
    imports = [entry for entry in folded.opset_import if entry.domain in used]
    del folded.opset_import[:]
    folded.opset_import.extend(imports)
    return folded
