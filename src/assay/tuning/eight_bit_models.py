"""The 8-bit models of a search: made when a candidate first asks for one, and kept."""

from __future__ import annotations

import math
from pathlib import Path

from assay import command_line, units
from assay.backends import opening
from assay.errors import UsageError
from assay.quantization import calibration, layer_costs, quantize, ranges
from assay.quantization.calibration import Scheme
from assay.records import Calibrator, OnnxModel, PreparedDataset, Sensitivity
from assay.storage import store
from assay.storage.layout import Folder, Place
from assay.tuning import image_split
from assay.tuning.records import Candidate

_MOST_SHARE = 0.3
"""Of the time that is left, for telling which layers cost most."""


LAYOUT = Folder(
    (
        Place("sensitivity*.json", Sensitivity),
        *(
            place
            for calibrator in ranges.CALIBRATORS
            for scales in ("channel", "tensor")
            for place in (
                Place(f"{calibrator}-{scales}-[0-9]*.json", OnnxModel),
                Place(f"{calibrator}-{scales}-[0-9]*.onnx"),
            )
        ),
    ),
    {"calibrations": calibration.LAYOUT},
)
"""The folder of a search's int8 models."""


class Quantizer:
    """Makes 8-bit models of one model; quantizing is in a process of its own, and what was calibrated is kept."""

    def __init__(
        self, model: OnnxModel, calibration: PreparedDataset | None, folder: Path, seconds_an_image: float
    ) -> None:
        self._model, self._calibration, self._folder = model, calibration, folder
        self._seconds_an_image = seconds_an_image

    def model(self, calibrator: Calibrator, per_channel: bool, float_layers: int, seconds_left: float) -> OnnxModel:
        """The model in 8 bits, with so many of the layers that cost most there kept in float.

        Raises `UsageError` where telling which those are would take most of the time that is left.
        """
        kept_float = self._layers(float_layers, per_channel, seconds_left)
        return quantize.quantize_to(
            self._model,
            self._images(),
            self._path(calibrator, per_channel, float_layers),
            Scheme(calibrator=calibrator, per_channel=per_channel, float_layers=kept_float),
            self._folder / "calibrations",
        )

    def _layers(self, count: int, per_channel: bool, seconds_left: float = math.inf) -> tuple[str, ...]:
        """So many layers, those first whose 8 bits move the scores most with weights of these scales."""
        if count == 0:
            return ()
        record = self._folder / f"sensitivity-{_scales(per_channel)}.json"
        made_from = store.hash_of(
            self._model.sha256, self._model.transform, self._images().dataset.fingerprint, per_channel
        )
        sensitivity = store.kept(record, Sensitivity, made_from)
        if sensitivity is None:
            expected = layer_costs.sensitivity_images(self._model) * self._seconds_an_image
            if expected > _MOST_SHARE * seconds_left:
                raise UsageError(
                    f"which {units.counted(count, 'layer')} to keep in float is not known: measuring what each costs "
                    f"takes about {units.seconds(expected)}, and {units.seconds(seconds_left)} are left"
                )
            sensitivity = layer_costs.measure_sensitivity(
                self._model,
                self._images(),
                Scheme(per_channel=per_channel),
                calibrations=self._folder / "calibrations",
            )
            store.write(record, sensitivity, made_from)
        return tuple(cost.layer for cost in sensitivity.layers)[:count]

    def command(self, candidate: Candidate) -> str | None:
        """The command line that makes a candidate's 8-bit model again; None of one in float."""
        if candidate.calibrator is None:
            return None
        return command_line.of(
            "quantize",
            self._model.file.path,
            calibration=image_split.folder_of(self._images()),
            calibrator=candidate.calibrator,
            per_tensor=not candidate.per_channel,
            keep_float=list(self._layers(candidate.float_layers, candidate.per_channel)),
            **opening.options_of_a_bare_file(self._model),
            out=self._path(candidate.calibrator, candidate.per_channel, candidate.float_layers).resolve(),
        )

    def _images(self) -> PreparedDataset:
        if self._calibration is None:
            raise UsageError("nothing can be quantized without images to calibrate on")
        return self._calibration

    def _path(self, calibrator: Calibrator, per_channel: bool, float_layers: int) -> Path:
        return self._folder / f"{calibrator}-{_scales(per_channel)}-{float_layers}.onnx"


def _scales(per_channel: bool) -> str:
    return "channel" if per_channel else "tensor"
