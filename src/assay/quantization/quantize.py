"""model ─quantize→ model of 8 bits."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

import msgspec
import onnx

from assay import environment, units
from assay.errors import ModelError, Option, Remedy, UsageError
from assay.models import onnx_file
from assay.processes import child
from assay.progress import Progress, Silent, Stopwatch
from assay.quantization import calibration as calibration_step
from assay.quantization import layers, qdq
from assay.quantization.calibration import IMAGES, STEP_SECONDS, CalibrationData, Pixels
from assay.records import (
    Calibration,
    Calibrator,
    OnnxModel,
    Parity,
    Quantization,
)
from assay.score import parity as score_parity
from assay.steps.adopt import record_of
from assay.steps.check_images import PARITY_IMAGES, normalised_demo_images
from assay.steps.parity import open_reference
from assay.storage import store

_CHECKED_IMAGES = 16

_NO_BOUND = 1e9

_WARN_AGREEMENT = 0.85

_RECIPE = 1
"""Raised when the same inputs give another file than before."""


def quantize(
    model: OnnxModel,
    data: CalibrationData,
    out: Path,
    *,
    calibrator: Calibrator = "minmax",
    images: int = IMAGES,
    per_channel: bool = True,
    reduce_range: bool | None = None,
    float_layers: Sequence[str] = (),
    calibrations: Path | None = None,
    progress: Progress = Silent(),
) -> OnnxModel:
    """Writes a model of 8 bits (QDQ) with its record beside it, calibrated on some of the images.

    Weights have a scale for each channel, or one for all; 7 bits with `reduce_range`, which by default is for
    processors that saturate. `float_layers` are nodes, or `first`, `last` and `depthwise`. What was calibrated is kept
    in the folder `calibrations` for the next call, where one is given.
    """
    calibration_step.check(model, data, calibrator, images)
    _require_place(model, out)
    reduced = saturates() if reduce_range is None else reduce_range
    made_from = store.hash_of(
        "quantize",
        _RECIPE,
        calibration_step.identity(model, data, calibrator, images),
        model.file.path,
        per_channel,
        reduced,
        sorted(set(float_layers)),
    )
    described = f"{model.name} → {out.name}"
    found = store.kept(record_of(out), OnnxModel, made_from)
    if found is not None and found.file.path == out.resolve():
        progress.finish("quantize", described, _detail(found), None)
        return found
    with calibration_step.kept_in(calibrations) as folder:
        graph = calibration_step.make_ready(model, folder)
        # A name that is not there is said before the work begins.
        kept_float = _resolved(graph, model, float_layers)
        calibration = calibration_step.calibrate(
            model, data, folder, calibrator=calibrator, images=images, progress=progress
        )
        watch = Stopwatch()
        progress.start("quantize", None)
        checked = calibration_step.some(model, data, images, _CHECKED_IMAGES)
        with store.replacing(out, expected=graph.file.size) as beside:
            count, change, elsewhere = child.run(
                _written,
                graph,
                calibration,
                per_channel,
                reduced,
                kept_float,
                checked,
                beside,
                call=child.Call(
                    name="the quantizer",
                    doing=f"quantizing {model.name}",
                    timeout=STEP_SECONDS,
                    remedy=Remedy("keep layers in float with {}, or give another model", Option("keep_float")),
                ),
            )
    quantized = msgspec.structs.replace(
        model,
        file=store.reference(out),
        data=(),
        opset=graph.opset,
        parity=None,
        exported_program=None,
        quantization=Quantization(
            calibrator=calibrator,
            per_channel=per_channel,
            reduce_range=reduced,
            float_layers=kept_float,
            layers=count,
            calibration_fingerprint=calibration.fingerprint,
            calibration_image_sha256=calibration.image_sha256,
            float_model=model.file,
            float_model_sha256=model.sha256,
            graph_parity=calibration.parity,
            change=change,
            change_elsewhere=elsewhere,
            quantizer=f"onnxruntime {environment.version('onnxruntime')}",
        ),
    )
    store.write(record_of(out), quantized, made_from)
    progress.finish("quantize", described, _detail(quantized), watch.seconds)
    _warn(change, progress)
    return quantized


def saturates() -> bool:
    """Whether this processor's sums of 8-bit products saturate, so that weights of 7 bits score better."""
    return platform.machine().lower() in ("x86_64", "amd64", "i386", "i686") and not environment.has_vnni()


def _require_place(model: OnnxModel, out: Path) -> None:
    if record_of(out) == out:
        raise UsageError(f"{out}: that is where the model's record stands; give a name that ends in .onnx")
    own = [file.path for file in (model.file, *model.data)]
    if out.resolve() in own or record_of(out).resolve() in [record_of(path) for path in own]:
        raise UsageError(f"{out} is the float32 model itself, or has its record; give another name")


def _resolved(graph: OnnxModel, model: OnnxModel, wanted: Sequence[str]) -> tuple[str, ...]:
    proto = onnx_file.load(graph.file.path)
    found = layers.resolve(proto.graph, graph.output.name, wanted, model.name)
    if not set(layers.weighted(proto.graph)) - set(found):
        raise ModelError(f"every layer of {model.name} is to stay in float32: nothing is left to quantize")
    return found


def _written(
    graph: OnnxModel,
    calibration: Calibration,
    per_channel: bool,
    reduce_range: bool,
    float_layers: Sequence[str],
    images: Pixels,
    out: Path,
) -> tuple[int, Parity, Parity]:
    """Writes the quantized graph; how many layers are in 8 bits, and how far scores moved, on the images and others."""
    proto = onnx.load(str(graph.file.path))
    count = len(set(layers.weighted(proto.graph)) - set(float_layers))
    quantized = qdq.insert(
        proto,
        dict(calibration.ranges),
        graph.output.name,
        per_channel=per_channel,
        reduce_range=reduce_range,
        float_layers=float_layers,
    )
    out.write_bytes(quantized.SerializeToString(deterministic=True))
    described = msgspec.structs.replace(graph, file=store.reference(out))
    with open_reference(graph) as reference, open_reference(described) as candidate:
        change, elsewhere = (
            score_parity.compare(
                reference,
                candidate,
                [(floats, floats)],
                name="ONNX Runtime float32",
                bound=_NO_BOUND,
                top1_bound=0.0,
            )
            for floats in (
                calibration_step.normalised(graph, images),
                normalised_demo_images(graph.transform, PARITY_IMAGES),
            )
        )
    return count, change, elsewhere


def _detail(model: OnnxModel) -> str:
    made = model.quantization
    assert made is not None  # noqa: S101 - it was quantized
    kept = f", {len(made.float_layers)} nodes float" if made.float_layers else ""
    return f"opset {model.opset} · {made.layers} layers in 8 bits{kept}"


def _warn(change: Parity, progress: Progress) -> None:
    if change.top1_agreement < _WARN_AGREEMENT:
        progress.note(
            f"only {units.share(change.top1_agreement)} of {change.images} calibration images keep their first class; "
            "measure which layers cost that and keep those in float, or try another calibrator"
        )
