"""The reference that everything is held to: the ONNX model itself, in ONNX Runtime and float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from assay.records import OnnxModel

Rows = npt.NDArray[Any]
Scores = npt.NDArray[np.float32]


@contextmanager
def open_reference(model: OnnxModel) -> Iterator[Callable[[Rows], Scores]]:
    """The model as a function of normalised float32 N×3×H×W, any N, to float32 N×classes."""
    from assay.backends.onnxruntime import OnnxRuntime

    with OnnxRuntime().open_model(model) as session:
        fixed = model.input.shape[0]
        yield in_batches(session.infer, fixed) if isinstance(fixed, int) else session.infer


def in_batches(infer: Callable[[Rows], Scores], size: int) -> Callable[[Rows], Scores]:
    """A function that scores any number of images, made of one that takes exactly `size`; padding is cut off."""

    def score(rows: Rows) -> Scores:
        parts = []
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            padding = np.zeros((size - len(part), *rows.shape[1:]), rows.dtype)
            parts.append(infer(np.concatenate([part, padding]))[: len(part)])
        return np.concatenate(parts)

    return score
