from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from assay import demo
from assay.errors import DatasetError
from assay.records import OnnxModel, PreparedDataset, Runnable
from assay.steps.artifact import compile_to
from assay.steps.bench import bench_all
from assay.steps.build_options import BuildRequest
from assay.steps.fit_labels import require_apart
from assay.steps.pixel_sources import Images
from tests import factories
from tests.messages import assert_says


def calibrated_on(model: OnnxModel, *hashes: str) -> OnnxModel:
    return msgspec.structs.replace(model, quantization=factories.quantization(*hashes))


def test_an_evaluation_on_calibration_images_is_refused_with_their_names(
    demo_model: OnnxModel, demo_data: PreparedDataset
) -> None:
    dataset = demo_data.dataset
    model = calibrated_on(demo_model, "other", *dataset.image_sha256[:2])
    with pytest.raises(DatasetError) as caught:
        require_apart(model, dataset)
    assert_says(caught, f"2 of {len(dataset.names)} images", "demo was calibrated on", "evaluate it on others")
    assert caught.value.files == dataset.names[:2]


def test_other_images_and_float_models_are_evaluated(demo_model: OnnxModel, demo_data: PreparedDataset) -> None:
    require_apart(calibrated_on(demo_model, "other"), demo_data.dataset)
    require_apart(demo_model, demo_data.dataset)


def test_a_bench_on_calibration_images_is_refused(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    model = calibrated_on(demo_model, demo_data.dataset.image_sha256[0])
    options, run_settings = BuildRequest(backend="onnxruntime").options(16)
    compiled = compile_to(model, options, tmp_path / "a.onnx")
    for data in (demo_data, Images.of(demo.IMAGES, demo.LABELS)):
        with pytest.raises(DatasetError, match="was calibrated on"):
            bench_all([Runnable(compiled, run_settings)], data, tmp_path / "BENCH")
        assert not (tmp_path / "BENCH/run.json").exists()
