"""The ONNX model itself as a function of pixels: what every artifact is held to."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from assay.backends.base import Scores
from assay.models import preprocess_fusion
from assay.records import OnnxModel
from assay.storage import store

Rows = npt.NDArray[Any]


@contextmanager
def open_reference(model: OnnxModel) -> Iterator[Callable[[Rows], Scores]]:
    """The model as a function of normalised float32 N×3×H×W, any N, to float32 N×classes."""
    from assay.backends.onnxruntime import OnnxRuntime

    fixed = model.fixed_batch
    with _understood(model) as understood, OnnxRuntime().open_model(understood) as session:
        yield in_batches(session.infer, fixed) if fixed is not None else session.infer


@contextmanager
def _understood(model: OnnxModel) -> Iterator[OnnxModel]:
    """The model itself where it takes float32 N×3×H×W and gives float32 N×classes, or else one made of it that does."""
    types = {model.input.dtype, model.output.dtype}
    if types == {"float32"} and not model.channels_last and len(model.output.shape) == 2:
        yield model
        return
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        file = Path(folder) / "model.onnx"
        taken, given = preprocess_fusion.fuse(model, model.fixed_batch, "float32", file)
        yield msgspec.structs.replace(model, file=store.reference(file), input=taken, output=given, data=())


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
