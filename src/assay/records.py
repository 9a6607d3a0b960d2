"""Every type that crosses a folder: what each step takes and returns, and what is kept on disk.

A record is immutable and complete at birth. It keeps raw measurements; rates, shares and percentiles are
properties of it. Arrays live in `.npy` files beside the record, which holds their name and hash. A path in a
record is absolute in memory and relative to the record's file on disk (see `store.py`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from assay.errors import RecordError

Interpolation = Literal["bilinear", "bicubic"]
InputKind = Literal["uint8", "float32"]
Precision = Literal["fp32", "fp16", "int8"]
PixelSource = Literal["prepared", "images", "synthetic"]
VerdictWord = Literal["PASS", "FAIL", "INCONCLUSIVE", "NOT COMPARABLE"]
Setting = bool | int | float | str

TOP_K = 5


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """What all records share: frozen, strict on reading; each is built by keyword."""


class FileReference(Record, frozen=True, kw_only=True):
    """A file and what it held when it was recorded; size and time tell cheaply whether it was touched."""

    path: Path
    sha256: str
    size: int
    modified_ns: int


class ArrayFile(Record, frozen=True, kw_only=True):
    """An array in a `.npy` file."""

    file: FileReference
    shape: tuple[int, ...]
    dtype: str

    def load(self) -> npt.NDArray[Any]:
        """The array, memory-mapped and read-only; raises `RecordError` where its file is gone or damaged."""
        try:
            array: npt.NDArray[Any] = np.load(self.file.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise RecordError(f"cannot read {self.file.path}: {error}; run the step that makes it again") from error
        if array.shape != self.shape or array.dtype.name != self.dtype:
            raise RecordError(f"{self.file.path} holds {array.dtype} {array.shape}, not what its record says")
        return array


class TensorSpec(Record, frozen=True, kw_only=True):
    """Name, shape and element type of a model's input or output; a free axis is named, a fixed one a number."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str


class ImageTransform(Record, frozen=True, kw_only=True):
    """From a decoded RGB image to pixels: short side to `resize`, centre crop, `/255`, minus mean, over std."""

    resize: int
    crop: int
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


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


class Parity(Record, frozen=True, kw_only=True):
    """Two ways to score the same images: how far apart they are."""

    reference: str
    batches: tuple[int, ...]
    images: int
    largest_difference: float
    """The largest difference of two scores, over the largest absolute score of the reference."""
    top1_agreement: float
    bound: float

    @property
    def holds(self) -> bool:
        """Whether the difference is within its bound and every image has the same first class."""
        return self.largest_difference <= self.bound and self.top1_agreement == 1.0


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
    batch: int
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
    compile_seconds: float
    parity: Parity | None


class ImageFailure(Record, frozen=True, kw_only=True):
    """An image that could not be used, and why."""

    name: str
    reason: str


class ImageWarning(Record, frozen=True, kw_only=True):
    """An image that was used though its decoder warned of it, and what it said."""

    name: str
    reason: str


class Dataset(Record, frozen=True, kw_only=True):
    """Named images and, where they are known, their classes, in one order."""

    source: Path
    names: tuple[str, ...]
    labels: tuple[int, ...] | None
    image_sha256: tuple[str, ...]
    """The hash of every image's file."""
    fingerprint: str
    """sha256 over the names and `image_sha256`: the same images, whatever is made of them."""
    skipped: tuple[str, ...]
    """Files beside the images that are no images by their name."""
    failures: tuple[ImageFailure, ...]
    """Images left out of `names` because they could not be decoded and the user asked to go on."""
    warnings: tuple[ImageWarning, ...] = ()
    """Images among `names` whose data is damaged: the decoder made up what was missing, and said so."""


class PreparedDataset(Record, frozen=True, kw_only=True):
    """Decoded, resized and cropped pixels: shards of uint8 N×H×W×3, in the order of the data set."""

    dataset: Dataset
    transform: ImageTransform
    shards: tuple[ArrayFile, ...]


class Predictions(Record, frozen=True, kw_only=True):
    """Every image's scores, float32 [images, classes], in the order of the names."""

    names: tuple[str, ...]
    dataset_fingerprint: str
    scores: ArrayFile


class Accuracy(Record, frozen=True, kw_only=True):
    """How many images had their class among the k best scores, for k from 1 up to 5."""

    count: int
    classes: int
    correct_at: tuple[int, ...]
    label_shift: int = 0
    """What was added to every label: 1 where the model's first class is the background, and the labels know none."""

    def top(self, k: int) -> float:
        """Top-k accuracy in percent."""
        return 100.0 * self.correct_at[k - 1] / self.count


class StageTime(Record, frozen=True, kw_only=True):
    """What one stage of the pipeline did; times are summed over its workers, in seconds."""

    name: str
    workers: int
    items: int
    busy_seconds: float
    span_seconds: float
    """From the start of the run to this stage's last output."""
    waiting_in_seconds: float
    """Waiting for work from the stage before."""
    waiting_out_seconds: float
    """Waiting for room in the stage after."""
    run_seconds: float
    """The wall time of the whole run, of which the shares are."""

    @property
    def rate(self) -> float:
        """Images a second over the span."""
        return self.items / self.span_seconds

    @property
    def busy_share(self) -> float:
        """The share of the run in which a worker of this stage was at work."""
        return self.busy_seconds / (self.workers * self.run_seconds)

    @property
    def waiting_in_share(self) -> float:
        """The share of the run spent waiting for work."""
        return self.waiting_in_seconds / (self.workers * self.run_seconds)

    @property
    def waiting_out_share(self) -> float:
        """The share of the run spent waiting for room."""
        return self.waiting_out_seconds / (self.workers * self.run_seconds)


class Latency(Record, frozen=True, kw_only=True):
    """Times of one inference call, in seconds."""

    min: float
    mean: float
    median: float
    p90: float
    p95: float
    p99: float
    max: float


class Performance(Record, frozen=True, kw_only=True):
    """One measured run of one artifact."""

    batch: int
    images: int
    wall_seconds: float
    batch_seconds: ArrayFile
    """float64 [calls, 2]: start and end of each inference call, in seconds from the start of the run."""
    stages: tuple[StageTime, ...]
    slots: int
    device: str
    run_settings: Mapping[str, Setting]
    warm_up_calls: int
    warm_up_seconds: float
    source: PixelSource
    machine_busy_share: float | None
    """How busy the processors were just before the artifact was opened, 0 to 1."""

    @cached_property
    def call_seconds(self) -> npt.NDArray[np.float64]:
        """The length of each inference call, in the order in which the batches were read."""
        intervals = self.batch_seconds.load()
        return np.asarray(intervals[:, 1] - intervals[:, 0], dtype=np.float64)

    @cached_property
    def interface_seconds(self) -> float:
        """The time in which at least one inference call was in flight."""
        intervals = np.asarray(self.batch_seconds.load(), dtype=np.float64)
        ordered = intervals[np.argsort(intervals[:, 0])]
        # A call adds only what lies beyond the end of all the calls that began before it.
        ended = np.maximum.accumulate(ordered[:, 1])
        begins = np.maximum(ordered[1:, 0], ended[:-1])
        return float(ordered[0, 1] - ordered[0, 0] + np.maximum(ordered[1:, 1] - begins, 0).sum())

    @property
    def end_to_end_throughput(self) -> float:
        """Images a second, from the first read to the last post."""
        return self.images / self.wall_seconds

    @property
    def interface_throughput(self) -> float:
        """Images a second over the time in which at least one inference call was in flight."""
        return self.images / self.interface_seconds

    @cached_property
    def latency(self) -> Latency:
        """Times of one inference call; percentiles interpolate linearly between neighbours."""
        calls = self.call_seconds
        p50, p90, p95, p99 = (float(value) for value in np.percentile(calls, [50, 90, 95, 99]))
        return Latency(
            min=float(calls.min()),
            mean=float(calls.mean()),
            median=p50,
            p90=p90,
            p95=p95,
            p99=p99,
            max=float(calls.max()),
        )

    @property
    def bottleneck(self) -> StageTime:
        """The stage that was at work for the largest share of the run."""
        return max(self.stages, key=lambda stage: stage.busy_share)


class BatchResult(Record, frozen=True, kw_only=True):
    """One artifact's measurement and, where images have labels, its accuracy."""

    compiled: CompiledModel
    performance: Performance
    predictions: Predictions | None
    accuracy: Accuracy | None

    @property
    def batch(self) -> int:
        """The batch size."""
        return self.performance.batch

    @property
    def figures(self) -> Figures:
        """What is derived of the raw measurements, in one place."""
        bottleneck = self.performance.bottleneck
        ranks = range(1, len(self.accuracy.correct_at) + 1) if self.accuracy is not None else ()
        return Figures(
            batch=self.batch,
            end_to_end_throughput=self.performance.end_to_end_throughput,
            interface_throughput=self.performance.interface_throughput,
            latency=self.performance.latency,
            bottleneck=bottleneck.name,
            bottleneck_busy_share=bottleneck.busy_share,
            top=tuple(self.accuracy.top(k) for k in ranks) if self.accuracy is not None else (),
        )


class Figures(Record, frozen=True, kw_only=True):
    """Figures derived of a result, for those who read records without this package."""

    batch: int
    end_to_end_throughput: float
    """Images a second."""
    interface_throughput: float
    """Images a second."""
    latency: Latency
    bottleneck: str
    bottleneck_busy_share: float
    top: tuple[float, ...]
    """Top-1 to Top-5 in percent; empty where the images have no labels."""


class Environment(Record, frozen=True, kw_only=True):
    """The machine and the software that a result was made on."""

    assay: str
    python: str
    system: str
    machine: str
    processor: str
    cores: int
    memory_bytes: int
    packages: Mapping[str, str]


class RunRecord(Record, frozen=True, kw_only=True):
    """Everything that one run found."""

    model: OnnxModel
    dataset: Dataset | None
    results: tuple[BatchResult, ...]
    environment: Environment
    warnings: tuple[str, ...]


class Reference(Record, frozen=True, kw_only=True):
    """What a run is held against: figures that were given or published, or another run."""

    name: str
    """The name that a gate calls it by."""
    described: str
    top1: float | None = None
    top5: float | None = None
    published: PublishedAccuracy | None = None
    run: RunRecord | None = None


class Gate(Record, frozen=True, kw_only=True):
    """A bound on a figure, `METRIC[@BATCH][/REFERENCE] OP NUMBER`."""

    text: str
    metric: str
    batch: int | None
    reference: str | None
    operator: Literal["<=", ">=", "<", ">"]
    bound: float
    """In the metric's own unit: points, images a second, seconds, or a plain ratio."""
    asked: bool
    """Whether the user asked for it; a default gate that cannot be judged does not fail the run."""


class Check(Record, frozen=True, kw_only=True):
    """What a gate found."""

    gate: Gate
    verdict: VerdictWord
    measured: float | None
    low: float | None
    high: float | None
    reference: float | None
    reason: str
    detail: str
    """The figures behind the reason; empty where there are none."""
    differences: tuple[str, ...]


class Verdict(Record, frozen=True, kw_only=True):
    """The gates of one run, with the hashes of what they judged."""

    artifact_sha256: tuple[str, ...]
    model_sha256: str
    dataset_fingerprint: str | None
    checks: tuple[Check, ...]

    @property
    def word(self) -> VerdictWord | None:
        """The verdict of the whole; None where there was nothing to judge."""
        found = {check.verdict for check in self.checks if check.gate.asked or check.verdict in ("PASS", "FAIL")}
        order: tuple[VerdictWord, ...] = ("FAIL", "NOT COMPARABLE", "INCONCLUSIVE", "PASS")
        return next((word for word in order if word in found), None)

    @property
    def holds(self) -> bool:
        """Whether no gate failed and every gate that was asked for passed."""
        return self.word in (None, "PASS")


class Outcome(Record, frozen=True, kw_only=True):
    """A run with the verdict on it, and the figures that both are about."""

    run: RunRecord
    verdict: Verdict
    word: VerdictWord | None
    """The verdict of the whole; None where there was nothing to judge."""
    figures: tuple[Figures, ...]


class BenchOutcome(Record, frozen=True, kw_only=True):
    """A run that was measured and not judged, and its figures."""

    run: RunRecord
    figures: tuple[Figures, ...]


class VerdictList(Record, frozen=True, kw_only=True):
    """The verdicts on several runs."""

    verdicts: tuple[Verdict, ...]
    words: tuple[VerdictWord | None, ...]
    """The verdict of the whole, for each run."""


class NamedAccuracy(Record, frozen=True, kw_only=True):
    """The accuracy of one of several predictions."""

    name: str
    accuracy: Accuracy


class Evaluation(Record, frozen=True, kw_only=True):
    """The accuracies of all predictions that were asked for."""

    results: tuple[NamedAccuracy, ...]


class ScoredImage(Record, frozen=True, kw_only=True):
    """An image's class, and its best classes with their scores, best first."""

    name: str
    label: int
    classes: tuple[int, ...]
    scores: tuple[float, ...]


class ImagePrediction(Record, frozen=True, kw_only=True):
    """The best classes of one image, best first."""

    image: Path
    classes: tuple[int, ...]
    scores: tuple[float, ...]
    names: tuple[str, ...] | None


class PredictionList(Record, frozen=True, kw_only=True):
    """The best classes of several images by one model."""

    model: OnnxModel
    images: tuple[ImagePrediction, ...]


class BackendState(Record, frozen=True, kw_only=True):
    """What a backend offers on this machine, or why it offers nothing."""

    name: str
    version: str | None
    devices: tuple[str, ...]
    problem: str | None


class Diagnosis(Record, frozen=True, kw_only=True):
    """What a machine offers."""

    environment: Environment
    busy_share: float
    backends: tuple[BackendState, ...]
