"""model ─quantize→ model of 8 bits."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path

import msgspec
import onnx

from assay import environment, units
from assay.data.transform import TransformChoice
from assay.errors import ModelError, Option, Remedy, UsageError
from assay.models import onnx_file
from assay.processes import child
from assay.progress import Progress, Silent
from assay.quantization import calibration as calibration_step
from assay.quantization import layers, qdq
from assay.quantization.calibration import IMAGES, STEP_SECONDS, CalibrationData, Pixels, Scheme
from assay.records import (
    Calibration,
    Calibrator,
    OnnxModel,
    Parity,
    Quantization,
)
from assay.score import parity as score_parity
from assay.steps.adopt import describe, record_of, step_of, tell
from assay.steps.check_images import PARITY_IMAGES, normalised_demo_images
from assay.steps.keywords import StrPath, several, takes
from assay.steps.reference import open_reference
from assay.storage import store

_CHECKED_IMAGES = 16

_NO_BOUND = 1e9

_WARN_AGREEMENT = 0.85

_RECIPE = 1
"""Raised when the same inputs give another file than before."""


@dataclass(frozen=True)
class QuantizeRequest(TransformChoice):
    """A model to be quantized to int8."""

    model: StrPath
    _: KW_ONLY
    calibration: StrPath
    """Images, or a prepared data set, that it is not evaluated on."""
    out: StrPath
    images: int = IMAGES
    """How many of them to calibrate on, evenly spread."""
    calibrator: Calibrator = "minmax"
    """How a tensor's range is read off them."""
    per_tensor: bool = False
    """Whether weights have one scale for all channels of a layer."""
    reduce_range: bool | None = None
    """Whether weights have 7 bits; by default on processors whose sums of 8-bit products saturate."""
    keep_float: Sequence[str] = ()
    """Nodes to keep in float32, or `first`, `last` and `depthwise`."""
    output: str | None = None
    """The name of the output that holds the classes' scores, if there are several."""
    progress: Progress = Silent()

    @property
    def scheme(self) -> Scheme:
        """How the model is quantized."""
        return Scheme(
            calibrator=self.calibrator,
            images=self.images,
            per_channel=not self.per_tensor,
            reduce_range=self.reduce_range,
            float_layers=several(self.keep_float),
        )


@takes(QuantizeRequest)
def quantize(request: QuantizeRequest) -> OnnxModel:
    """Quantizes a model to int8 (QDQ), calibrated on images; writes it with its record beside it."""
    model = describe(Path(request.model), request.transform, request.output)
    tell(model, request.progress)
    data = calibration_step.calibration_data(Path(request.calibration))
    return quantize_to(model, data, Path(request.out), request.scheme, progress=request.progress)


def quantize_to(
    model: OnnxModel,
    data: CalibrationData,
    out: Path,
    scheme: Scheme = Scheme(),
    calibrations: Path | None = None,
    progress: Progress = Silent(),
) -> OnnxModel:
    """Writes a quantized model with its record beside it, calibrated on some of the images.

    What was calibrated is kept in the folder `calibrations` for the next call, if one is given.
    """
    calibration_step.check(model, data, scheme)
    _require_place(model, out)
    reduced = saturates() if scheme.reduce_range is None else scheme.reduce_range
    made_from = store.hash_of(
        "quantize",
        _RECIPE,
        calibration_step.identity(model, data, scheme),
        model.file.path,
        scheme.per_channel,
        reduced,
        sorted(set(scheme.float_layers)),
    )
    step = replace(step_of("quantize", f"{model.name} → {out.name}", out, made_from), detail=_detail)
    settled = replace(scheme, reduce_range=reduced)
    with calibration_step.kept_in(calibrations) as folder:
        return step.done(
            lambda: _quantized(model, data, out, settled, folder, progress),
            progress,
            lambda quantized: _warn(quantized, progress),
        )


def _quantized(
    model: OnnxModel, data: CalibrationData, out: Path, scheme: Scheme, folder: Path, progress: Progress
) -> OnnxModel:
    """The model, written to its place; how its range is reduced is settled."""
    graph = calibration_step.make_ready(model, folder)
    # A name that is not there is said before the work begins.
    kept_float = _resolved(graph, model, scheme.float_layers)
    calibration = calibration_step.calibrate(model, data, folder, scheme, progress)
    progress.start("quantize", None)
    checked = calibration_step.some(model, data, scheme.images, _CHECKED_IMAGES)
    settled = replace(scheme, float_layers=kept_float)
    with store.replacing(out, expected=graph.file.size) as beside:
        count, change, elsewhere = child.run(
            _written,
            graph,
            calibration,
            settled,
            checked,
            beside,
            call=child.Call(
                name="the quantizer",
                doing=f"quantizing {model.name}",
                timeout=STEP_SECONDS,
                remedy=Remedy("keep layers in float with {}, or give another model", Option("keep_float")),
            ),
        )
    return msgspec.structs.replace(
        model,
        file=store.reference(out),
        data=(),
        opset=graph.opset,
        parity=None,
        exported_program=None,
        precision="int8",
        quantization=Quantization(
            calibrator=scheme.calibrator,
            per_channel=scheme.per_channel,
            reduce_range=bool(scheme.reduce_range),
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
    resolved = layers.resolve(proto.graph, graph.output.name, wanted, model.name)
    if not set(layers.weighted(proto.graph)) - set(resolved):
        raise ModelError(f"every layer of {model.name} is to stay in float32: nothing is left to quantize")
    return resolved


def _written(
    graph: OnnxModel, calibration: Calibration, scheme: Scheme, images: Pixels, out: Path
) -> tuple[int, Parity, Parity]:
    """Writes the quantized graph; how many layers are in 8 bits, and how far scores moved, on the images and others."""
    proto = onnx.load(str(graph.file.path))
    count = len(set(layers.weighted(proto.graph)) - set(scheme.float_layers))
    quantized = qdq.insert(
        proto,
        dict(calibration.ranges),
        graph.output.name,
        per_channel=scheme.per_channel,
        reduce_range=bool(scheme.reduce_range),
        float_layers=scheme.float_layers,
    )
    out.write_bytes(quantized.SerializeToString(deterministic=True))
    described = msgspec.structs.replace(graph, file=store.reference(out))
    with open_reference(graph) as reference, open_reference(described) as written:
        change, elsewhere = (
            score_parity.compare(
                reference,
                written,
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


def _warn(model: OnnxModel, progress: Progress) -> None:
    change = model.quantization.change if model.quantization is not None else None
    if change is not None and change.top1_agreement < _WARN_AGREEMENT:
        progress.note(
            f"only {units.share(change.top1_agreement)} of {change.images} calibration images keep their top-1 class; "
            "measure the sensitivity of the layers and keep those that cost most in float, or try another calibrator"
        )
