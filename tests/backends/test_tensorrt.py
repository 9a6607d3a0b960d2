"""The TensorRT backend without a device: packages that stand in for the vendor's compute with ONNX Runtime."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto

from assay import environment
from assay.backends import registry
from assay.backends.base import Backend
from assay.data.prepared import Reader
from assay.errors import BackendError, MissingExtraError, UnknownNameError
from assay.records import OnnxModel, PreparedDataset
from assay.steps.artifact import compile_to
from assay.steps.build_options import BuildRequest
from assay.storage import store
from tests.backends import fake_tensorrt
from tests.messages import assert_says

_OURS = ("assay.backends.tensorrt", "assay.backends.tensorrt.cuda_runtime")


@pytest.fixture
def asked() -> dict[str, Any]:
    return {}


@pytest.fixture
def held() -> dict[int, Any]:
    return {}


@pytest.fixture
def backend(
    asked: dict[str, Any],
    held: dict[int, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_this_process: None,
) -> Iterator[Backend]:
    bindings: Any = ModuleType("cuda.bindings")
    bindings.runtime = fake_tensorrt.cuda_runtime(2, held)
    for name, module in (
        ("tensorrt", fake_tensorrt.tensorrt(asked)),
        ("cuda", ModuleType("cuda")),
        ("cuda.bindings", bindings),
        ("cuda.bindings.runtime", bindings.runtime),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv(environment.CACHE_VARIABLE, str(tmp_path / "cache"))
    yield registry.get("tensorrt")
    for name in _OURS:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_an_engine_is_built_for_its_batch_and_held_to_the_model(
    precision: Any,
    backend: Backend,
    asked: dict[str, Any],
    held: dict[int, Any],
    demo_model: OnnxModel,
    demo_data: PreparedDataset,
    tmp_path: Path,
) -> None:
    options, run_settings = BuildRequest(backend="tensorrt", precision=precision).options(4)
    compiled = compile_to(demo_model, options, tmp_path / "bs4.engine")
    assert compiled.parity is not None
    assert compiled.parity.holds
    assert compiled.target == "NVIDIA H200 sm_90"
    assert asked["flags"] == 1 << 1
    assert asked["cleared"] == "TF32"
    assert asked["shapes"] == ("assay/pixels", (4, 64, 64, 3), (4, 64, 64, 3), (4, 64, 64, 3))
    weights = {tensor.data_type for tensor in onnx.load(str(compiled.file.path)).graph.initializer if tensor.dims}
    assert (TensorProto.FLOAT16 in weights) == (precision == "fp16")
    batch = np.zeros((4, 64, 64, 3), np.uint8)
    Reader(demo_data.shards).read(0, 4, batch)
    with backend.open(compiled, run_settings) as session:
        assert (session.device, session.slots) == ("cuda", 2)
        expected = session.infer(batch)
        with ThreadPoolExecutor(2) as threads:
            for scores in threads.map(session.infer, [batch] * 10):
                np.testing.assert_array_equal(scores, expected)
        assert held
    assert not held


def test_timings_are_kept_by_version_and_device(
    backend: Backend, asked: dict[str, Any], demo_model: OnnxModel, tmp_path: Path
) -> None:
    for batch in (1, 2):
        options, _ = BuildRequest(backend="tensorrt").options(batch)
        compile_to(demo_model, options, tmp_path / f"bs{batch}.engine")
    assert asked["known timings"] == [b"", b"timings"]
    (kept,) = (tmp_path / "cache" / "tensorrt").iterdir()
    assert kept.name == "10.13.0-NVIDIA-H200-sm_90.timings"


def test_devices_are_those_of_cuda(backend: Backend) -> None:
    assert backend.devices() == ("cuda", "cuda:1")
    with pytest.raises(UnknownNameError, match="known: cuda:1, cuda"):
        BuildRequest(backend="tensorrt", device="cuda:2").options(1)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("parse", "unsupported operator NonZero"), ("build", "Could not find any implementation for node conv1")],
)
def test_a_build_that_fails_is_one_line(
    fault: str, said: str, backend: Backend, asked: dict[str, Any], demo_model: OnnxModel, tmp_path: Path
) -> None:
    asked["fails"] = fault
    options, _ = BuildRequest(backend="tensorrt").options(1)
    with pytest.raises(BackendError) as caught:
        compile_to(demo_model, options, tmp_path / "bs1.engine")
    assert_says(caught, "tensorrt", demo_model.name, said)
    assert not (tmp_path / "bs1.engine").exists()


def test_an_engine_of_another_version_says_how_to_make_it_again(
    backend: Backend, demo_model: OnnxModel, tmp_path: Path
) -> None:
    options, _ = BuildRequest(backend="tensorrt").options(1)
    compiled = compile_to(demo_model, options, tmp_path / "bs1.engine")
    compiled.file.path.write_bytes(b"no engine of ours")
    broken = msgspec.structs.replace(compiled, file=store.reference(compiled.file.path))
    with pytest.raises(BackendError) as caught:
        backend.open(broken, {})
    assert_says(caught, "bs1.engine", "Version tag does not match", "assay compile")


def test_a_batch_too_large_for_the_device_is_one_line(
    backend: Backend, demo_model: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, _ = BuildRequest(backend="tensorrt").options(1)
    compiled = compile_to(demo_model, options, tmp_path / "bs1.engine")
    monkeypatch.setattr(sys.modules["cuda.bindings.runtime"], "cudaMalloc", lambda count: (2, None))
    with pytest.raises(BackendError) as caught:
        backend.open(compiled, {})
    assert_says(caught, "take 12,288 bytes of the device", "out of memory", "smaller batch")


def test_without_the_package_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'assay-inference\[tensorrt\]'"):
        registry.get("tensorrt")
