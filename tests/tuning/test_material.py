"""A search over a trained model on real photographs: what it says of 8 bits."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.steps.adopt import describe
from assay.steps.prepare import PrepareRequest, load_prepared, prepare_with
from assay.tuning import text as render
from assay.tuning.eight_bit_models import Quantizer
from assay.tuning.request import Goal
from assay.tuning.tune import SearchFolder, find_fastest
from tests.tuning.searches import Enough

pytest.importorskip("optuna", reason="needs the extra `tune`")
pytestmark = [pytest.mark.material, pytest.mark.slow]

STARTS = 5
"""The default, and in 8 bits both scales with no layer in float and with many."""


def test_mobilenet_is_found_to_be_lost_with_one_scale_a_layer_whatever_its_speed(
    material: Path, tmp_path: Path
) -> None:
    model = describe(material / "models" / "mobilenet_v1_0.25_224.onnx")
    labels = material / "labels" / "val_label.txt"
    data = prepare_with(PrepareRequest(material / "images", out=tmp_path / "prepared", labels=labels), model.transform)
    request = Goal(backends=["onnxruntime"], batches=[16], budget_seconds=900.0, max_drop=3.0)
    found = find_fastest(model, data, SearchFolder(tmp_path / "T"), request, Enough(STARTS))
    quantized = [one for one in found.trials if one.candidate.calibrator is not None]
    assert len(quantized) == STARTS - 1
    assert all(one.state in ("right", "wrong") for one in quantized)
    (bare,) = (one for one in quantized if not one.candidate.per_channel and not one.candidate.float_layers)
    assert bare.state == "wrong"
    assert bare.sample_agreement is not None
    assert bare.sample_agreement < 0.2
    # What has to stay float is ranked for the scales that it is kept for.
    (kept,) = (one for one in quantized if not one.candidate.per_channel and one.candidate.float_layers)
    calibration = load_prepared(tmp_path / "T/data/calibration")
    two = Quantizer(model, calibration, tmp_path / "T/models", 0.001).model("minmax", False, 2, 600.0).quantization
    assert two is not None
    assert set(two.float_layers) == {"Conv_4", "Conv_8"} <= set(kept.kept_float)
    assert found.eight_bits is not None
    assert (found.eight_bits.scored, found.eight_bits.coarse_scored) == (4, 2)
    said = render.eight_bits(found)
    assert said is not None
    assert said in render.tuning(found, "T").splitlines()
    assert "with one scale a layer" in said
