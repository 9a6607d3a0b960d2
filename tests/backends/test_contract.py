"""One suite for every backend of the table that is installed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest

from assay import workflow
from assay.backends import registry
from assay.backends.base import Backend
from assay.data.prepared import Reader
from assay.data.transform import normalise
from assay.errors import MissingExtraError
from assay.records import CompiledModel, InputKind, OnnxModel, PreparedDataset

BATCH = 4


@pytest.fixture(params=sorted(registry.BACKENDS))
def backend(request: pytest.FixtureRequest) -> Backend:
    try:
        return registry.get(request.param)
    except MissingExtraError as error:
        pytest.skip(str(error))


def compiled(
    backend: Backend, model: OnnxModel, folder: Path, kind: InputKind = "uint8", batch: int = BATCH
) -> CompiledModel:
    options, _ = workflow.build_options(backend.name, batch=batch, input_kind=kind)
    return workflow.compile_into(model, options, folder)[0]


def pixels(data: PreparedDataset, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    side = data.transform.crop
    batch = np.zeros((count, side, side, 3), np.uint8)
    Reader(data).read(0, count, batch)
    return batch


def test_a_backend_describes_itself(backend: Backend) -> None:
    assert backend.name in registry.BACKENDS
    assert backend.version()
    for device in backend.devices():
        settings = {**backend.build_settings(device), **backend.run_settings(device)}
        assert all(values for values in settings.values())
        assert set(backend.build_settings(device)).isdisjoint(backend.run_settings(device))


@pytest.mark.parametrize("batch", [1, 4, 16])
def test_an_artifact_scores_whole_batches(
    backend: Backend, batch: int, demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    artifact = compiled(backend, demo_model, tmp_path, batch=batch)
    with backend.open(artifact, {}) as session:
        scores = session.infer(pixels(demo_data, batch))
        assert session.device in backend.devices()
        assert session.slots == 1
        assert tuple(session.input.shape) == (batch, 64, 64, 3)
        assert tuple(session.output.shape) == (batch, 10)
    assert scores.shape == (batch, 10)
    assert scores.dtype == np.float32


def test_the_caller_owns_the_scores(
    backend: Backend, demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    with backend.open(compiled(backend, demo_model, tmp_path), {}) as session:
        batch = pixels(demo_data, BATCH)
        first = session.infer(batch)
        kept = first.copy()
        session.infer(batch[::-1].copy())
        np.testing.assert_array_equal(first, kept)


def test_scores_from_bytes_are_those_from_normalised_floats(
    backend: Backend, demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    batch = pixels(demo_data, BATCH)
    floats = normalise(batch, demo_model.transform, np.empty((BATCH, 3, 64, 64), np.float32))
    with backend.open(compiled(backend, demo_model, tmp_path), {}) as session:
        from_bytes = session.infer(batch)
    with backend.open(compiled(backend, demo_model, tmp_path, "float32"), {}) as session:
        from_floats = session.infer(floats)
    if backend.name in ("onnxruntime", "null"):
        np.testing.assert_array_equal(from_bytes, from_floats)
    else:
        np.testing.assert_allclose(from_bytes, from_floats, atol=1e-5 * float(np.abs(from_floats).max()))


def test_calls_from_as_many_threads_as_there_are_slots_agree(
    backend: Backend, demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    several = {key: values[-1] for key, values in backend.run_settings(backend.devices()[0]).items()}
    batch = pixels(demo_data, BATCH)
    with backend.open(compiled(backend, demo_model, tmp_path), several) as session:
        assert session.slots > 1
        expected = session.infer(batch)
        with ThreadPoolExecutor(session.slots) as threads:
            found = list(threads.map(session.infer, [batch] * 20))
    for scores in found:
        np.testing.assert_array_equal(scores, expected)


def test_the_same_inputs_give_the_same_key_and_bytes(backend: Backend, demo_model: OnnxModel, tmp_path: Path) -> None:
    one = compiled(backend, demo_model, tmp_path / "one")
    two = compiled(backend, demo_model, tmp_path / "two")
    assert (one.key, one.file.sha256) == (two.key, two.file.sha256)


def test_whatever_alters_the_artifact_alters_its_key(backend: Backend, demo_model: OnnxModel, tmp_path: Path) -> None:
    brighter = msgspec.structs.replace(
        demo_model, transform=msgspec.structs.replace(demo_model.transform, mean=(0.4, 0.4, 0.4))
    )
    keys = {
        compiled(backend, demo_model, tmp_path).key,
        compiled(backend, demo_model, tmp_path, batch=2).key,
        compiled(backend, demo_model, tmp_path, kind="float32").key,
        compiled(backend, brighter, tmp_path).key,
    }
    assert len(keys) == 4


def test_an_artifact_is_not_compiled_twice(backend: Backend, demo_model: OnnxModel, tmp_path: Path) -> None:
    options, _ = workflow.build_options(backend.name, batch=BATCH)
    first, kept = workflow.compile_into(demo_model, options, tmp_path)
    assert not kept
    again, kept = workflow.compile_into(demo_model, options, tmp_path)
    assert kept
    assert again == first
