"""What a child process does of a compile: the vendor's work, and one inference against the ONNX model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from assay.backends import opening
from assay.backends.base import Backend, Scores
from assay.data.transform import normalise
from assay.errors import BackendError, Option, ParityError, Remedy
from assay.progress import Stopwatch
from assay.records import CompiledModel, OnnxModel, Parity, Precision, Quantization
from assay.score import parity as score_parity
from assay.steps import soundness
from assay.steps.build_options import written
from assay.steps.check_images import CheckImages, Pixels, order_of_rows
from assay.steps.reference import in_batches


@dataclass(frozen=True)
class Bound:
    """How far an artifact's scores may be from those of its ONNX model in float32."""

    difference: float
    """Of two scores at most, over the largest absolute score of the reference."""
    top1_agreement: float
    """The share of images that must keep their first class."""


BOUNDS: Mapping[Precision, Bound] = {
    # Another order of summation: kernels of 32 bits differ by some 1e-6 a layer, Winograd convolution by some 1e-5.
    "fp32": Bound(1e-4, 1.0),
    # 11 bits of mantissa are 5e-4 a rounding, and a hundred layers round one after the other; first classes that
    # are not close calls stay.
    "fp16": Bound(2e-2, 1.0),
    # The reference is the quantized graph itself where the artifact is made of one, run by another kernel: a step of
    # 8 bits is 4e-3 of a layer's range, and ties that round the other way add up. Whether quantizing kept the accuracy
    # is for the data set to say; here one image of the four may change its mind.
    "int8": Bound(1e-1, 0.75),
}
"""The bounds of the parity at compile, by precision."""


def make(
    backend: Backend, graph: OnnxModel, described: CompiledModel, file: Path, images: CheckImages | None
) -> tuple[float, Parity | None]:
    """Compiles a graph to a file; the seconds that took, and the parity on images where there are some.

    A fault of the model itself is found before the backend sees it: `own_scores` says so.
    """
    model, options = described.model, described.options
    expected, unanswered = None, None
    try:
        expected = own_scores(model, images, options.batch) if images is not None else None
    except BackendError as error:
        unanswered = error  # what the backend itself says of such a model comes first
    watch = Stopwatch()
    with opening.memory_suffices(backend.name, options.batch):
        backend.compile(graph, described.options, file)
    seconds = watch.seconds
    if not file.is_file():
        raise BackendError(
            f"{backend.name} wrote no artifact of {model.name}",
            remedy=Remedy("try another {}", Option("set")),
        )
    if unanswered is not None:
        with backend.open(described, {}):
            raise unanswered
    if images is None or expected is None:
        return seconds, None
    return seconds, _parity(backend, described, images.pixels, expected)


def own_scores(model: OnnxModel, images: CheckImages, batch: int) -> Scores:
    """The model's scores of images; raises `ModelError` where it is at fault itself, at batches of this size."""
    return soundness.own_scores(model, images, batch, BOUNDS[model.precision].difference)


def bound_of(precision: Precision, quantization: Quantization | None) -> Bound:
    """That of the precision; where 8 bits move scores far, the ties of another kernel move them as far as those did.

    First classes that quantizing itself changed are close calls, and bind no kernel.
    """
    bound = BOUNDS[precision]
    if precision != "int8" or quantization is None:
        return bound
    moved = quantization.change_elsewhere
    stable = moved.top1_agreement == 1.0
    return Bound(max(bound.difference, moved.largest_difference), bound.top1_agreement if stable else 0.0)


def _parity(backend: Backend, compiled: CompiledModel, images: Pixels, expected: Scores) -> Parity:
    """The artifact against the ONNX model's scores of uint8 N×H×W×3; raises `ParityError` beyond the precision's bound.

    The images are repeated until they fill whole batches, and of each one the row counts that is farthest off.
    """
    batch, transform = compiled.options.batch, compiled.model.transform
    bound = bound_of(compiled.options.precision, compiled.model.quantization)
    floats = normalise(images, transform, np.empty((len(images), 3, transform.crop, transform.crop), np.float32))
    order = order_of_rows(len(images), batch)
    given = (images if compiled.options.input_kind == "uint8" else floats)[order]
    with opening.memory_suffices(backend.name, batch), backend.open(compiled, {}) as session:
        farthest = _farthest(in_batches(session.infer, batch)(given), expected, order)
        parity = score_parity.compare(
            lambda scores: scores,
            lambda scores: scores,
            [(expected, farthest)],
            name="ONNX Runtime float32",
            bound=bound.difference,
            top1_bound=bound.top1_agreement,
        )
    try:
        return score_parity.require(parity, f"compiling {compiled.model.name} with {backend.name}")
    except ParityError as error:
        raise ParityError(error.message, remedy=_remedy(backend, compiled)) from error


def _remedy(backend: Backend, compiled: CompiledModel) -> Remedy:
    """What else can be asked of a backend whose scores are too far off, and then of another."""
    options = compiled.options
    others = {
        key: [written(value) for value in values if value != chosen]
        for key, values in backend.build_settings(options.device).items()
        for chosen in [options.settings.get(key)]
    }
    settings = [Option("set", f"{key}={'|'.join(values)}") for key, values in others.items() if values]
    is_open = compiled.model.precision == "fp32"
    others_than = (options.precision, "int8")
    precisions = [one for one in backend.precisions(options.device) if is_open and one not in others_than]
    asked = [*settings, *(Option("precision", one) for one in precisions)]
    instead = f"{', '.join('{}' for _ in asked)} or " if asked else ""
    return Remedy(f"try {instead}another {{}}", *asked, Option("backend"))


def _farthest(scores: Scores, expected: Scores, order: npt.NDArray[np.intp]) -> Scores:
    """For each image the one of its rows whose scores are farthest from those expected; no number is the farthest."""
    wanted = expected[order]
    if scores.shape != wanted.shape:
        raise ParityError(f"the artifact gives scores of {scores.shape}, not {wanted.shape}; choose another backend")
    with np.errstate(invalid="ignore"):
        apart = np.abs(scores.astype(np.float64) - wanted)
    difference = np.where(scores == wanted, 0.0, apart).max(axis=1)  # equal infinities are equal
    rows = [np.flatnonzero(order == image) for image in range(len(expected))]
    return scores[[of_image[difference[of_image].argmax()] for of_image in rows]]
