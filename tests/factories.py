"""Small real records, each complete, so that a test names only what it is about."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from assay.records import (
    Accuracy,
    ArrayFile,
    BatchResult,
    BuildOptions,
    Checkpoint,
    CompiledModel,
    Dataset,
    Environment,
    FileReference,
    ImageFailure,
    ImageTransform,
    Machine,
    MachineState,
    OnnxModel,
    Parity,
    Performance,
    Predictions,
    PublishedAccuracy,
    Quantization,
    RunRecord,
    StageTime,
    TensorSpec,
    WarmUp,
)
from assay.records.reported import ReportedReference, ReportedResult, ReportedRun
from assay.storage import store

FLAGSHIP_SHA256 = "32ee1156" + "0" * 56
"""As torchvision's file of the guide's weights begins."""
SQUEEZENET = (94, 131, 143, 153, 156)
"""Right of 200 at top 1 to 5."""

_numbers = itertools.count()


def transform(**changes: Any) -> ImageTransform:
    """A small transform; its mean and std are different for every channel."""
    small = ImageTransform(resize=10, crop=8, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
    return msgspec.structs.replace(small, **changes)


def array_file(folder: Path, array: Any) -> ArrayFile:
    """An array in a file of its own."""
    return store.save_array(folder / f"array-{next(_numbers)}.npy", np.asarray(array))


def file_reference(path: Path = Path("/nowhere/file"), sha256: str = "0" * 64) -> FileReference:
    """A reference to a file that nobody opens."""
    return FileReference(path=path, sha256=sha256, size=1, modified_ns=1)


def predictions(folder: Path, scores: Any, names: Sequence[str] | None = None) -> Predictions:
    """Predictions with these scores; images are called 0.png, 1.png …"""
    rows = np.asarray(scores, dtype=np.float32)
    return Predictions(
        names=tuple(names or (f"{number}.png" for number in range(len(rows)))),
        dataset_fingerprint="f" * 64,
        scores=array_file(folder, rows),
    )


def golden_predictions(material: Path, folder: Path) -> tuple[Predictions, tuple[int, ...]]:
    """The guide's dumps as predictions, and the classes of their images."""
    lines = (material / "labels/val_label.txt").read_text(encoding="utf-8").split("\n")
    labels = {name: int(label) for name, _, label in (line.partition(" ") for line in lines if line)}
    dumps = [material / f"golden/dumpOutput_device0/{name.partition('.')[0]}_1.txt" for name in labels]
    scores = [np.array(dump.read_text(encoding="utf-8").split(), dtype=np.float32) for dump in dumps]
    return predictions(folder, scores, list(labels)), tuple(labels.values())


def model(name: str = "net", classes: int = 1000, crop: int = 224, checkpoint: Checkpoint | None = None) -> OnnxModel:
    """A model's record, without its file."""
    return OnnxModel(
        name=name,
        file=file_reference(sha256="3c1e" + "0" * 60),
        input=TensorSpec(name="image", shape=("batch", 3, crop, crop), dtype="float32"),
        output=TensorSpec(name="class", shape=("batch", classes), dtype="float32"),
        opset=11,
        transform=transform(resize=crop + 32, crop=crop),
        transform_source="given",
        class_names=None,
        parity=None,
        checkpoint=checkpoint,
    )


def quantization(*calibration_sha256: str) -> Quantization:
    """How a model was put into 8 bits, calibrated on images of these hashes."""
    parity = Parity(reference="float32", batches=(1,), images=1, largest_difference=0.0, top1_agreement=1.0, bound=1.0)
    return Quantization(
        calibrator="minmax",
        per_channel=True,
        reduce_range=False,
        float_layers=(),
        layers=1,
        calibration_fingerprint="0" * 64,
        calibration_image_sha256=calibration_sha256,
        float_model=file_reference(),
        float_model_sha256="0" * 64,
        graph_parity=parity,
        change=parity,
        change_elsewhere=parity,
        quantizer="onnxruntime 1.32.0",
    )


def checkpoint(file: FileReference | None, published: PublishedAccuracy | None = None) -> Checkpoint:
    """A checkpoint of `net`; without a file its weights are random."""
    return Checkpoint(
        file=file,
        architecture="net",
        classes=1000,
        transform=transform(),
        transform_source="given",
        class_names=None,
        published=published,
    )


def flagship(sha256: str | None = FLAGSHIP_SHA256, crop: int = 224) -> OnnxModel:
    """The guide's architecture with weights of this hash; without one they are random."""
    file = None if sha256 is None else file_reference(sha256=sha256)
    trained = msgspec.structs.replace(checkpoint(file), architecture="wide_resnet101_2")
    return model("wrn", crop=crop, checkpoint=trained)


def reported(*results: ReportedResult, **changes: Any) -> ReportedRun:
    """What a tool reported of the guide's model, complete but for what the tests are about."""
    usual: dict[str, Any] = {
        "name": "theirs",
        "tool": "trtexec",
        "sources": ("theirs.log",),
        "model": "wide_resnet101_2",
        "weights_md5": "5961435974bb43104b5a3180fea7c2c4",
        "input_side": 224,
        "device": "a card",
        "dies": 1,
        "precision": "fp32",
        "pixels": "dataset",
        "transfers": True,
    }
    return ReportedRun(**{**usual, "results": results, **changes})


def reported_speed(batch: int | None = 1, images: float = 50.0, **changes: Any) -> ReportedResult:
    """A reported interface throughput."""
    return ReportedResult(batch=batch, **{"throughput": {"interface": images}, **changes})


def as_reference(run: ReportedRun) -> ReportedReference:
    """Reported figures to hold something against."""
    return ReportedReference(name=run.name, described=run.name, reported=run)


def dataset(
    names: Sequence[str] = ("a.png", "b.png"),
    labels: Sequence[int] | None = (0, 1),
    fingerprint: str = "9f3a" + "0" * 60,
    failed: Sequence[str] = (),
) -> Dataset:
    """A data set's record, without its images."""
    return Dataset(
        source=Path("/nowhere/images"),
        names=tuple(names),
        labels=None if labels is None else tuple(labels),
        image_sha256=("0" * 64,) * len(names),
        fingerprint=fingerprint,
        skipped=(),
        failures=tuple(ImageFailure(name=name, reason="empty file") for name in failed),
    )


def stage(name: str, busy: float, **changes: Any) -> StageTime:
    """A stage with one worker over a run of one second."""
    usual = StageTime(
        name=name,
        workers=1,
        items=100,
        busy_seconds=busy,
        span_seconds=1.0,
        waiting_in_seconds=0.0,
        waiting_out_seconds=0.0,
        run_seconds=1.0,
    )
    return msgspec.structs.replace(usual, **changes)


def steady(seconds: float = 1.0, calls: int = 400) -> list[tuple[float, float]]:
    """Starts and ends of inference calls one after the other that take these seconds together, each as long."""
    each = seconds / calls
    return [(number * each, (number + 1) * each) for number in range(calls)]


def performance(folder: Path, calls: Sequence[tuple[float, float]] | None = None, **changes: Any) -> Performance:
    """A measured run of 100 images in 2 seconds; `calls` are the starts and ends of the inference calls.

    Steady ones of one second together by default, so that a figure's interval is the figure.
    """
    usual = Performance(
        batch=1,
        images=100,
        wall_seconds=2.0,
        batch_seconds=array_file(folder, np.array(calls or steady(), dtype=np.float64)),
        stages=(stage("read", 0.1), stage("infer", 0.98)),
        slots=1,
        device="cpu",
        run_settings={},
        warm_up=WarmUp(calls=1, seconds=0.1, steady=True),
        source="prepared",
        machine=Machine(before=MachineState(seconds=0.3, busy_share=0.0)),
    )
    return msgspec.structs.replace(usual, **changes)


def result(
    folder: Path,
    batch: int = 1,
    correct_at: Sequence[int] | None = SQUEEZENET,
    count: int = 200,
    classes: int = 1000,
    calls: Sequence[tuple[float, float]] | None = None,
    options: dict[str, Any] | None = None,
    **measured: Any,
) -> BatchResult:
    """One batch size's result; without `correct_at` its images have no labels."""
    chosen = BuildOptions(**{"backend": "onnxruntime", "device": "cpu", "batch": batch, **(options or {})})
    of = model(classes=classes)
    compiled = CompiledModel(
        file=file_reference(sha256=f"{batch:04}" + "a" * 60),
        key=f"{batch:04}" + "k" * 60,
        model=of,
        input=of.input,
        output=of.output,
        options=chosen,
        backend_version="1",
        target="cpu",
        compile_seconds=0.1,
        parity=None,
    )
    counted = None
    if correct_at is not None:
        counted = Accuracy(count=count, classes=classes, correct_at=tuple(correct_at))
    return BatchResult(
        compiled=compiled,
        performance=performance(folder, calls, batch=batch, **measured),
        predictions=None,
        accuracy=counted,
    )


def run_record(results: Sequence[BatchResult], **changes: Any) -> RunRecord:
    """A run on two labelled images, whatever its results count."""
    usual = RunRecord(
        model=model(),
        dataset=dataset(),
        results=tuple(results),
        environment=environment(),
        warnings=(),
    )
    return msgspec.structs.replace(usual, **changes)


def environment() -> Environment:
    """A machine."""
    return Environment(
        assay="0.1.0",
        python="3.11.2",
        system="Linux 6.1",
        machine="x86_64",
        processor="A Processor",
        cores=2,
        memory_bytes=8 * 2**30,
        packages={"numpy": "2.0.0"},
    )


def write_image(path: Path, size: tuple[int, int] = (12, 10), mode: str = "RGB", seed: int = 0) -> Path:
    """An image of noise in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise(size, mode, seed).save(path)
    return path


def jpeg(size: tuple[int, int] = (200, 150), mode: str = "RGB", **options: Any) -> bytes:
    """The bytes of a JPEG of noise."""
    file = io.BytesIO()
    noise(size, mode).save(file, "jpeg", **options)
    return file.getvalue()


def damaged(content: bytes) -> bytes:
    """The same JPEG with a few bits of its scan turned: it still decodes, and libjpeg warns of it."""
    scan = content.index(b"\xff\xda") + 20
    turned = bytearray(content)
    for place in range(scan, len(content) - 2, max(1, (len(content) - scan) // 7)):
        turned[place] ^= 0x10
    return bytes(turned)


def noise(size: tuple[int, int], mode: str = "RGB", seed: int = 0) -> Image.Image:
    """An image in which every pixel differs from its neighbours, so that a shift by one shows."""
    width, height = size
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    if mode in ("RGBA", "CMYK"):
        return Image.frombytes(mode, size, values.tobytes())
    if mode == "LA":
        return Image.frombytes(mode, size, np.ascontiguousarray(values[:, :, :2]).tobytes())
    return Image.fromarray(np.ascontiguousarray(values[:, :, :3])).convert(mode)


def onnx_classifier(
    batch: int | str = "batch", side: int = 8, classes: int = 5, input_name: str = "data", opset: int = 11
) -> onnx.ModelProto:
    """A real classifier: a 3×3 convolution, the mean of each channel, and a matrix."""
    rng = np.random.default_rng(7)
    weights = {
        "kernel": rng.standard_normal((6, 3, 3, 3)).astype(np.float32),
        "matrix": rng.standard_normal((6, classes)).astype(np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", [input_name, "kernel"], ["maps"]),
            helper.make_node("Relu", ["maps"], ["active"]),
            helper.make_node("GlobalAveragePool", ["active"], ["means"]),
            helper.make_node("Flatten", ["means"], ["flat"]),
            helper.make_node("MatMul", ["flat", "matrix"], ["logits"]),
        ],
        "classifier",
        [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, [batch, 3, side, side])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, classes])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
