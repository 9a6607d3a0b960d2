"""Records of the way from a checkpoint to an artifact."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Annotated

import msgspec

from assay.records.base import (
    Calibrator,
    Count,
    FileReference,
    InputKind,
    Interpolation,
    Natural,
    Precision,
    Record,
    Seconds,
    Setting,
    require,
)

LARGEST_SIDE = 9459
"""Pixels: of a square with 89 million, the most that are decoded."""
Side = Annotated[int, msgspec.Meta(ge=1, le=LARGEST_SIDE)]
Divisor = Annotated[float, msgspec.Meta(gt=0)]


class TensorSpec(Record, frozen=True, kw_only=True):
    """Name, shape and element type of a model's input or output; a free axis is named, a fixed one a number."""

    name: str
    shape: tuple[Natural | str, ...]
    dtype: str


class ImageTransform(Record, frozen=True, kw_only=True):
    """From a decoded RGB image to pixels: short side to `resize`, centre crop, `/255`, minus mean, over std."""

    resize: Side
    crop: Side
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, float, float]
    std: tuple[Divisor, Divisor, Divisor]


def transform_warnings(source: str) -> tuple[str, ...]:
    """The warning of a transform whose source says that it is assumed; none of any other."""
    return (f"transform: {source}; give it if the model was trained otherwise",) if "assumed" in source else ()


class PublishedAccuracy(Record, frozen=True, kw_only=True):
    """An accuracy in percent that somebody published, and the data set that it belongs to."""

    source: str
    top1: float
    top5: float | None
    dataset: str
    images: int
    matched: bool
    """Whether the weights are known to be the published ones, by their hash or by the user's word."""


class Checkpoint(Record, frozen=True, kw_only=True):
    """Trained weights with an architecture; without a file the weights are random."""

    file: FileReference | None
    architecture: str
    classes: int
    transform: ImageTransform
    transform_source: str
    class_names: tuple[str, ...] | None
    published: PublishedAccuracy | None
    weights_set: str | None = None
    """Which of the sets of weights in the file, by the keys that lead to it; None where the file is the set."""


class Parity(Record, frozen=True, kw_only=True):
    """Two ways to score the same images: how far apart they are."""

    reference: str
    batches: tuple[int, ...]
    images: int
    largest_difference: float
    """The largest difference of two scores, over the largest absolute score of the reference."""
    top1_agreement: float
    bound: float
    top1_bound: float = 1.0
    """The share of images that must have the same first class."""

    @property
    def holds(self) -> bool:
        """Whether the difference and the share of images with the same first class are within their bounds."""
        return self.largest_difference <= self.bound and self.top1_agreement >= self.top1_bound


class Calibration(Record, frozen=True, kw_only=True):
    """The ranges of a model's tensors on some images, and the float32 graph whose tensors those are."""

    graph: FileReference
    """The model of opset 13 or more, with normalisation folded into its weights and every node named."""
    parity: Parity
    """The graph against the model."""
    calibrator: Calibrator
    names: tuple[str, ...]
    image_sha256: tuple[str, ...]
    fingerprint: str
    """As that of a data set of these images."""
    ranges: Mapping[str, tuple[float, float]]


class Quantization(Record, frozen=True, kw_only=True):
    """What a model of 8 bits was made from, and how."""

    calibrator: Calibrator
    per_channel: bool
    reduce_range: bool
    """Whether weights have 7 bits, for processors whose sums of 8-bit products saturate."""
    float_layers: tuple[str, ...]
    """The nodes that were kept in float32, by name."""
    layers: int
    """How many layers with weights are in 8 bits."""
    calibration_fingerprint: str
    calibration_image_sha256: tuple[str, ...]
    """The hash of every image's file: an evaluation on one of them would flatter the model."""
    float_model: FileReference
    float_model_sha256: str
    """Of all of its files."""
    graph_parity: Parity
    """What was quantized, in float32 and of a higher opset, against the float32 model."""
    change: Parity
    """The model of 8 bits against what was quantized, on some of the calibration images; its bound judges nothing."""
    change_elsewhere: Parity
    """The same on images that it was not calibrated on, the first of the demo: those of a compile's parity."""
    quantizer: str
    """With its version."""


class LayerCost(Record, frozen=True, kw_only=True):
    """How far a layer in 8 bits moves the scores: the root mean square of the change over that of their own spread."""

    layer: str
    operator: str
    alone: float
    """Where this layer alone is in 8 bits."""
    kept_float: float | None
    """Where every other layer is; known of the layers that cost most alone."""


class Sensitivity(Record, frozen=True, kw_only=True):
    """What each layer of a model costs in 8 bits, the dearest first."""

    model_sha256: str
    calibrator: Calibrator
    per_channel: bool
    reduce_range: bool
    images: int
    whole: float
    """Where all layers are in 8 bits."""
    layers: tuple[LayerCost, ...]


class OnnxModel(Record, frozen=True, kw_only=True):
    """An ONNX file that classifies images, with the transform that its pixels need."""

    name: str
    file: FileReference
    input: TensorSpec
    output: TensorSpec
    opset: int
    transform: ImageTransform
    transform_source: str
    class_names: tuple[str, ...] | None
    parity: Parity | None
    checkpoint: Checkpoint | None
    data: tuple[FileReference, ...] = ()
    """Files beside `file` that hold its weights; none where they are in it."""
    exported_program: FileReference | None = None
    """The same network as `torch.export` writes it, for float32 N×3×H×W of any N; where it was asked for."""
    quantization: Quantization | None = None
    """How assay put it into 8 bits; None where it is float, or where another tool did."""
    precision: Precision = "fp32"
    """What its graph computes in, read off its operators."""
    assumptions: tuple[str, ...] = ()
    """What its checkpoint left open, and how that was read."""

    def __post_init__(self) -> None:
        require(len(self.input.shape) == 4, "an input of rank 4")
        sides = self.output.shape[1:]
        require(bool(sides) and all(isinstance(side, int) and side > 0 for side in sides), "an output of N×classes")

    @property
    def full_name(self) -> str:
        """Its name, with its precision where that is not float32: `resnet50 int8`."""
        name, precision = self.name, self.precision
        return name if precision == "fp32" or precision in name.split() else f"{name} {precision}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before trusting its scores: what was assumed, the transform included."""
        return (*transform_warnings(self.transform_source), *self.assumptions)

    @property
    def classes(self) -> int:
        """The number of classes that the model scores."""
        return math.prod(int(side) for side in self.output.shape[1:])

    @property
    def channels_last(self) -> bool:
        """Whether the file takes N×H×W×3, and not N×3×H×W."""
        return self.input.shape[1] != 3

    @property
    def fixed_batch(self) -> int | None:
        """The one batch size that the file takes; None where it is free."""
        sizes = (self.input.shape[0], self.output.shape[0])
        return next((size for size in sizes if isinstance(size, int)), None)

    @property
    def sha256(self) -> str:
        """Tells the model by its bytes: the hash of its file, or of all its files' hashes where they are several."""
        if not self.data:
            return self.file.sha256
        return hashlib.sha256(" ".join(file.sha256 for file in (self.file, *self.data)).encode()).hexdigest()


class BuildOptions(Record, frozen=True, kw_only=True):
    """Only what alters the artifact's bytes."""

    backend: str
    device: str
    batch: Count
    precision: Precision = "fp32"
    input_kind: InputKind = "uint8"
    settings: Mapping[str, Setting] = {}


class CompiledModel(Record, frozen=True, kw_only=True):
    """The ahead-of-time file for one backend, device, batch size and precision: the artifact."""

    file: FileReference
    key: str
    model: OnnxModel
    input: TensorSpec
    output: TensorSpec
    options: BuildOptions
    backend_version: str
    target: str
    compile_seconds: Seconds
    parity: Parity | None
    notes: tuple[str, ...] = ()
    """What was asked for and could not be so."""
    run_settings: Mapping[str, Setting] = {}
    """What a search found best for its runs; taken where nothing else is asked for."""


class Runnable(Record, frozen=True):
    """An artifact with the settings of its run (threads, streams, slots)."""

    compiled: CompiledModel
    run_settings: Mapping[str, Setting] = {}
