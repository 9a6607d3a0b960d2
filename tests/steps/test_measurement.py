from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from assay import demo
from assay.errors import RecordError, UsageError
from assay.records import CompiledModel, OnnxModel, PreparedDataset, Runnable
from assay.steps.artifact import compile_into
from assay.steps.build_options import BuildRequest, run_settings_of
from assay.steps.measurement import Length, Measuring, measure
from assay.steps.pixel_sources import Images
from assay.steps.prepare import PrepareRequest, prepare_with


@pytest.fixture
def compiled(demo_model: OnnxModel, tmp_path: Path) -> CompiledModel:
    options, _ = BuildRequest(backend="onnxruntime").options(16)
    return compile_into(demo_model, options, tmp_path / "compiled")[0]


def test_once_over_the_data_keeps_raw_times_and_scores(
    compiled: CompiledModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    measured = measure(Runnable(compiled, {}), demo_data, tmp_path)
    performance = measured.performance
    assert performance.images == 240
    assert performance.batch_seconds.load().shape == (15, 2)
    assert [stage.name for stage in performance.stages] == ["read", "preprocess", "infer", "post"]
    assert [stage.items for stage in performance.stages] == [240] * 4
    assert performance.source == "prepared"
    assert measured.predictions is not None
    assert measured.predictions.scores.load().shape == (240, 10)
    assert performance.end_to_end_throughput <= performance.interface_throughput
    calls = np.diff(performance.batch_seconds.load(), axis=1)
    assert float(calls.min()) <= performance.latency(50) <= performance.latency(99) <= float(calls.max())


def test_iterations_go_around_the_data_without_predictions(
    compiled: CompiledModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    measured = measure(Runnable(compiled, {}), demo_data, tmp_path, Measuring(length=Length(batches=40)))
    assert measured.performance.images == 640
    assert measured.predictions is None


def test_synthetic_pixels_measure_the_inference_call_and_nothing_else(compiled: CompiledModel, tmp_path: Path) -> None:
    measured = measure(Runnable(compiled, {}), None, tmp_path, Measuring(length=Length(batches=5)))
    assert measured.performance.source == "synthetic"
    assert [stage.name for stage in measured.performance.stages] == ["infer"]
    assert measured.performance.images == 80


def test_a_measurement_says_what_the_machine_did_and_what_memory_it_took(
    compiled: CompiledModel, tmp_path: Path
) -> None:
    found = measure(Runnable(compiled, {}), None, tmp_path, Measuring(length=Length(seconds=1.3))).performance
    assert found.warm_up.calls >= 2
    assert found.machine.during is not None
    assert found.machine.after is not None
    assert found.machine.during.seconds >= 1.3
    assert all(0.0 <= state.busy_share <= 1.0 for state in (found.machine.before, found.machine.during))
    assert os.getpid() not in {user.process for user in found.machine.users}
    assert found.peak_memory_bytes is not None
    assert found.peak_memory_bytes > compiled.file.size
    assert found.device_peak_memory_bytes is None
    assert found.blocks is None


def test_a_duration_ends_after_at_least_that_long(compiled: CompiledModel, tmp_path: Path) -> None:
    measured = measure(Runnable(compiled, {}), None, tmp_path, Measuring(length=Length(seconds=0.2)))
    assert measured.performance.wall_seconds >= 0.2


def test_straight_from_the_images_reads_and_decodes_on_the_way(compiled: CompiledModel, tmp_path: Path) -> None:
    measured = measure(Runnable(compiled, {}), Images.of(demo.IMAGES, demo.LABELS), tmp_path)
    assert measured.performance.source == "images"
    assert measured.dataset is not None
    assert measured.dataset.labels is not None
    assert all(len(sha256) == 64 for sha256 in measured.dataset.image_sha256)


def test_several_streams_are_in_flight_at_once(
    demo_model: OnnxModel, demo_data: PreparedDataset, compiled: CompiledModel, tmp_path: Path
) -> None:
    settings = run_settings_of(compiled, {"streams": "2", "threads": "1"})
    measured = measure(Runnable(compiled, settings), demo_data, tmp_path)
    assert measured.performance.slots == 2
    assert measured.performance.run_settings == {"streams": 2, "threads": 1}
    alone = measure(Runnable(compiled, {}), demo_data, tmp_path)
    assert measured.predictions is not None
    assert alone.predictions is not None
    np.testing.assert_allclose(
        np.asarray(measured.predictions.scores.load()), np.asarray(alone.predictions.scores.load()), atol=1e-5
    )


def test_a_prepared_set_of_another_transform_is_refused(compiled: CompiledModel, tmp_path: Path) -> None:
    from assay.data.transform import preset

    other = prepare_with(PrepareRequest(demo.IMAGES, out=tmp_path / "prepared"), preset("resnet"))
    with pytest.raises(UsageError, match=r"cropped to 224 .* wants 72 and 64"):
        measure(Runnable(compiled, {}), other, tmp_path)


def test_an_artifact_whose_bytes_changed_is_refused_by_name(compiled: CompiledModel, tmp_path: Path) -> None:
    content = bytearray(compiled.file.path.read_bytes())
    content[len(content) // 2] ^= 1
    compiled.file.path.write_bytes(bytes(content))
    with pytest.raises(RecordError, match=r"artifact.onnx is damaged: it is not what its record says"):
        measure(Runnable(compiled, {}), None, tmp_path)


def test_a_shard_whose_bytes_changed_is_refused_by_name(
    compiled: CompiledModel, demo_model: OnnxModel, tmp_path: Path
) -> None:
    data = prepare_with(PrepareRequest(demo.IMAGES, out=tmp_path / "prepared"), demo_model.transform)
    path = data.shards[0].file.path
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(RecordError, match=r"images-00000.npy is damaged: it is not what its record says"):
        measure(Runnable(compiled, {}), data, tmp_path)
