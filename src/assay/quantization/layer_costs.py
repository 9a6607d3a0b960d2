"""model ─measure→ what each of its layers costs in 8 bits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from assay import units
from assay.models import onnx_file
from assay.processes import child
from assay.progress import Progress, Silent, Stopwatch
from assay.quantization import calibration as calibration_step
from assay.quantization import layers, qdq, quantize, sensitivity
from assay.quantization.calibration import STEP_SECONDS, CalibrationData, Pixels, Scheme
from assay.quantization.quantize import QuantizeRequest
from assay.records import Calibration, LayerCost, OnnxModel, Sensitivity
from assay.steps.adopt import describe, tell

SENSITIVITY_IMAGES = 8

DEAREST = 10
"""The layers whose part is also measured the other way around: all in 8 bits but this one."""


@dataclass(frozen=True)
class Depth:
    """How closely layers are looked at."""

    scored: int = SENSITIVITY_IMAGES
    """Of the calibration images."""
    dearest: int = DEAREST
    """Layers that are also measured the other way around."""


def measure_sensitivity(
    model: OnnxModel,
    data: CalibrationData,
    scheme: Scheme = Scheme(),
    depth: Depth = Depth(),
    calibrations: Path | None = None,
    progress: Progress = Silent(),
) -> Sensitivity:
    """What each layer costs in 8 bits on some of the calibration images, the dearest first."""
    reduced = quantize.saturates() if scheme.reduce_range is None else scheme.reduce_range
    with calibration_step.kept_in(calibrations) as folder:
        calibration = calibration_step.calibrate(model, data, folder, scheme, progress)
        graph = calibration_step.make_ready(model, folder)
        watch = Stopwatch()
        progress.start("sensitivity", None)
        chosen = calibration_step.some(model, data, scheme.images, depth.scored)
        whole, costs = child.run(
            _costs,
            graph,
            calibration,
            replace(scheme, reduce_range=reduced),
            chosen,
            depth.dearest,
            call=child.Call(
                name="the quantizer", doing=f"measuring what each layer of {model.name} costs", timeout=STEP_SECONDS
            ),
        )
    progress.finish("costs", f"{len(costs)} layers of {model.name}", units.counted(len(chosen), "image"), watch.seconds)
    return Sensitivity(
        model_sha256=model.sha256,
        calibrator=scheme.calibrator,
        per_channel=scheme.per_channel,
        reduce_range=reduced,
        images=len(chosen),
        whole=whole,
        layers=tuple(LayerCost(**cost._asdict()) for cost in costs),
    )


def sensitivity_of(request: QuantizeRequest) -> Sensitivity:
    """What each layer of the model of a request costs in 8 bits; nothing is written."""
    model = describe(Path(request.model), request.transform, request.output)
    tell(model, request.progress)
    data = calibration_step.calibration_data(Path(request.calibration))
    return measure_sensitivity(model, data, request.scheme, progress=request.progress)


def sensitivity_images(model: OnnxModel, depth: Depth = Depth()) -> int:
    """How many images `measure_sensitivity` runs through the model, so that one can tell how long it takes."""
    count = len(layers.weighted(onnx_file.load(model.file.path, with_weights=False).graph))
    return depth.scored * (2 + count + min(count, depth.dearest))


def _costs(
    graph: OnnxModel, calibration: Calibration, scheme: Scheme, images: Pixels, dearest: int
) -> tuple[float, list[sensitivity.Cost]]:
    ready = onnx.load(str(graph.file.path))
    quantized = qdq.insert(
        onnx.load(str(graph.file.path)),
        dict(calibration.ranges),
        graph.output.name,
        per_channel=scheme.per_channel,
        reduce_range=bool(scheme.reduce_range),
        float_layers=(),
    )
    given = list(calibration_step.batches(graph, images))
    return sensitivity.measure(ready, quantized, graph.output.name, given, dearest)


SHOWN = 10


def table(costs: Sensitivity) -> str:
    """A line for each of the dearest layers: what it costs alone, and what is left where it alone stays float."""
    rows = [(cost.layer, cost.operator, _cost(cost.alone), _cost(cost.kept_float)) for cost in costs.layers[:SHOWN]]
    width = max(len("layer"), *(len(row[0]) for row in rows))
    lines = [f" {'layer':<{width}}  {'operator':<13} {'alone':>8} {'all others':>11}"]
    lines += [f" {name:<{width}}  {operator:<13} {alone:>8} {others:>11}" for name, operator, alone, others in rows]
    whole = f"all {len(costs.layers)} layers in 8 bits move the scores by {_cost(costs.whole)} of their spread"
    return "\n".join([*lines, "", f"{whole}, on {units.counted(costs.images, 'calibration image')}"])


def _cost(value: float | None) -> str:
    return "" if value is None else units.percent(100 * value)
