"""The torch backend on the processor; one package of the demo's network serves the whole file."""

from __future__ import annotations

import os
import re
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from assay import demo
from assay.backends.onnxruntime import OnnxRuntime
from assay.data.prepared import Reader
from assay.data.transform import normalise
from assay.errors import BackendError, ModelError
from assay.records import CompiledModel, OnnxModel, PreparedDataset
from assay.steps.adopt import adopt, describe
from assay.steps.artifact import compile_into, compile_to
from assay.steps.export import export
from assay.storage import store
from tests.messages import assert_says

pytest.importorskip("torch", reason="needs the extra `torch`")

import torch

from assay.backends.torch import Torch, kernel_profile
from assay.backends.torch import package as torch_package
from assay.models import preprocess_fusion, program
from assay.steps.build_options import BuildRequest

pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("torch"), pytest.mark.long]

BATCH = 4


@pytest.fixture(scope="module")
def compiled(exported: OnnxModel, kept: Path) -> CompiledModel:
    options, _ = BuildRequest(backend="torch", device="cpu").options(BATCH)
    return compile_into(exported, options, kept / "torch")[0]


@pytest.fixture(scope="module")
def pixels(demo_data: PreparedDataset) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    batch = np.zeros((BATCH, 64, 64, 3), np.uint8)
    Reader(demo_data.shards).read(0, BATCH, batch)
    return batch


def test_scores_are_the_onnx_models(
    compiled: CompiledModel, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    model = compiled.model
    floats = normalise(pixels, model.transform, np.empty((BATCH, 3, 64, 64), np.float32))
    with OnnxRuntime().open_model(model) as reference, Torch().open(compiled, {}) as session:
        expected, found = reference.infer(floats), session.infer(pixels)
        assert (session.device, session.slots) == ("cpu", 1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * float(np.abs(expected).max()))
    np.testing.assert_array_equal(np.argsort(found)[:, -5:], np.argsort(expected)[:, -5:])


def test_the_record_holds_parity_with_the_onnx_model(compiled: CompiledModel) -> None:
    assert compiled.parity is not None
    assert compiled.parity.holds
    assert compiled.parity.reference == "ONNX Runtime float32"
    assert compiled.target.startswith("cpu-")


def test_calls_from_several_threads_agree_and_own_their_scores(
    compiled: CompiledModel, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    threads = torch.get_num_threads()
    with Torch().open(compiled, {"streams": 2, "threads": 1}) as session:
        assert session.slots == 2
        expected = session.infer(pixels)
        kept = expected.copy()
        with ThreadPoolExecutor(2) as workers:
            found = list(workers.map(session.infer, [pixels] * 20))
        np.testing.assert_array_equal(expected, kept)
    torch.set_num_threads(threads)
    for scores in found:
        np.testing.assert_array_equal(scores, expected)


def test_a_read_only_batch_and_one_of_strides_are_scored(
    compiled: CompiledModel, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    sealed = pixels.copy()
    sealed.flags.writeable = False
    with Torch().open(compiled, {}) as session:
        expected = session.infer(pixels)
        np.testing.assert_array_equal(session.infer(sealed), expected)
        np.testing.assert_array_equal(session.infer(pixels[::-1])[::-1], expected)


def test_a_batch_of_another_size_or_type_is_one_line(compiled: CompiledModel) -> None:
    with Torch().open(compiled, {}) as session:
        with pytest.raises(BackendError) as caught:
            session.infer(np.zeros((1, 64, 64, 3), np.uint8))
        assert_says(caught, "takes uint8 (4, 64, 64, 3)", "(1, 64, 64, 3)", "compile it")
        with pytest.raises(BackendError):
            session.infer(np.zeros((BATCH, 64, 64, 3), np.float32))


def test_a_broken_artifact_is_one_line(compiled: CompiledModel, tmp_path: Path) -> None:
    broken = tmp_path / "artifact.pt2"
    broken.write_bytes(b"no package")
    with pytest.raises(BackendError) as caught:
        Torch().open(msgspec.structs.replace(compiled, file=store.reference(broken)), {})
    assert_says(caught, "torch could not open", "artifact.pt2")


def test_a_bare_onnx_is_refused_with_the_command_that_writes_what_is_needed(
    demo_model: OnnxModel, tmp_path: Path
) -> None:
    options, _ = BuildRequest(backend="torch", device="cpu").options(BATCH)
    with pytest.raises(ModelError) as caught:
        compile_to(demo_model, options, tmp_path / "artifact.pt2")
    assert_says(caught, "torch", str(demo_model.file.path), "pt2", "export")


def test_a_machine_without_a_compiler_is_told_what_to_install(
    exported: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    options, _ = BuildRequest(backend="torch", device="cpu").options(2)
    with pytest.raises(BackendError) as caught:
        compile_to(exported, options, tmp_path / "artifact.pt2")
    assert_says(caught, "g++ is not on the PATH", "apt install g++", "CXX")
    assert not (tmp_path / "artifact.pt2").exists()


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes_and_leave_nothing_behind(
    exported: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.LazyLinear(5))
    network(torch.zeros(1, 3, 8, 8))
    program.write(network.eval(), 8, tmp_path / "model.pt2")
    options, _ = BuildRequest(backend="torch", device="cpu", input="float32").options(2)
    small = msgspec.structs.replace(
        exported,
        exported_program=store.reference(tmp_path / "model.pt2"),
        input=msgspec.structs.replace(exported.input, shape=(2, 3, 8, 8)),
    )
    before = dict(os.environ)
    for name in ("one", "two"):
        Torch().compile(small, options, tmp_path / name)
    assert store.hash_file(tmp_path / "one") == store.hash_file(tmp_path / "two")
    assert dict(os.environ) == before
    assert [path.name for path in (tmp_path / "scratch").rglob("*") if path.suffix != ".lock"] == [
        f"assay-torch-{os.getuid()}"
    ]


def test_settings_are_of_the_artifact_or_of_a_run() -> None:
    options, run_settings = BuildRequest(
        backend="torch", device="cpu", set={"threads": "1", "freezing": "false"}
    ).options(1)
    assert options.settings == {"freezing": False}
    assert run_settings == {"threads": 1, "streams": 1}


def test_an_adopted_model_takes_its_exported_program_along(exported: OnnxModel, tmp_path: Path) -> None:
    adopted = adopt(exported.file.path, out=tmp_path / "RUN" / "model.onnx")
    assert exported.exported_program is not None
    assert adopted.exported_program is not None
    assert adopted.exported_program.path == (tmp_path / "RUN" / "model.pt2").resolve()
    assert adopted.exported_program.sha256 == exported.exported_program.sha256


def test_an_exported_program_that_was_touched_is_none(exported: OnnxModel, tmp_path: Path) -> None:
    adopted = adopt(exported.file.path, out=tmp_path / "model.onnx")
    assert describe(tmp_path / "model.onnx").exported_program == adopted.exported_program
    (tmp_path / "model.pt2").write_bytes(b"another")
    assert describe(tmp_path / "model.onnx").exported_program is None


def test_an_export_without_the_program_writes_none(tmp_path: Path) -> None:
    model = export(demo.CHECKPOINT, arch=demo.NAME, out=tmp_path / "model.onnx")
    assert model.exported_program is None
    assert not (tmp_path / "model.pt2").exists()
    both = export(demo.CHECKPOINT, arch=demo.NAME, out=tmp_path / "model.onnx", pt2=True)
    assert both.exported_program == store.reference(tmp_path / "model.pt2")
    assert both.sha256 == model.sha256


KERNELS = """
    KernelContextGuard _ctx("cpp_fused_div_0", R"(
    // Topologically Sorted Source Nodes: [conv, relu], Original ATen: [aten.relu]
    KernelContextGuard _ctx("aoti_torch_cpu_mkldnn__convolution_pointwise", R"()");
    KernelContextGuard _ctx("cpp_fused_mean_1", R"(
    // Topologically Sorted Source Nodes: [], Original ATen: []
    KernelContextGuard _ctx("aoti_torch_cpu_addmm_out", R"()");
"""


def test_kernels_are_named_by_what_they_were_made_of(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.pt2", "w") as package:
        package.writestr("data/aotinductor/model/abc.wrapper.cpp", KERNELS)
    assert kernel_profile.kernels(tmp_path / "p.pt2") == [
        ("cpp_fused_div_0", ""),
        ("aoti_torch_cpu_mkldnn__convolution_pointwise", "conv, relu"),
        ("cpp_fused_mean_1", ""),
        ("aoti_torch_cpu_addmm_out", ""),
    ]


def test_a_profile_is_of_the_kernels_in_their_order(compiled: CompiledModel, capfd: pytest.CaptureFixture[str]) -> None:
    pixels = np.zeros([int(side) for side in compiled.input.shape], np.uint8)
    found = Torch().profile(compiled, {}, pixels, 3)
    assert found.calls == 3
    assert len(found.nodes) == 10
    assert any(node.operator.startswith("mkldnn::") for node in found.nodes)
    assert any(node.name.partition(" ")[2] for node in found.nodes)
    assert all(node.gflops is None for node in found.nodes)
    assert sum(node.share for node in found.nodes) <= 1.0 + 1e-9
    assert "USDT" not in capfd.readouterr().err
    assert not Torch().profiles_on("cuda")


def test_a_package_holds_nothing_that_the_stack_of_its_compiler_happened_to_hold(compiled: CompiledModel) -> None:
    with zipfile.ZipFile(compiled.file.path) as package:
        (wrapper,) = (name for name in package.namelist() if name.endswith("wrapper.cpp"))
        code = package.read(wrapper).decode()
    described = [
        [int(value.strip().rstrip("L")) for value in values.split(",") if value.strip()]
        for values in re.findall(r"\.opaque_metadata = \{(.*?)\}", code)
    ]
    packed = [values for values in described if len(values) == 772]
    assert packed
    # Four bytes of padding follow the type of the elements (3: float32) and the kind of the format (2: blocked).
    assert {tuple(values[104:112]) for values in packed} == {(3, 0, 0, 0, 0, 0, 0, 0)}
    assert {tuple(values[312:320]) for values in packed} == {(2, 0, 0, 0, 0, 0, 0, 0)}


def test_float32_on_cuda_is_compiled_and_captured_without_tf32(
    compiled: CompiledModel, exported: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stands for a device: what torch is told while kernels are chosen."""

    def allowed() -> tuple[bool, bool]:
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32

    seen = []

    def compiles(exported: Any, package_path: str, inductor_configs: Any) -> None:
        seen.append(allowed())
        Path(package_path).write_bytes(b"package")

    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", compiles)
    monkeypatch.setattr(torch_package, "_loaded", lambda *_, **__: None)
    monkeypatch.setattr(torch_package, "_CudaSlot", lambda *_: seen.append(allowed()))
    before = allowed()
    taken, _ = preprocess_fusion.fuse(exported, BATCH, "uint8", tmp_path / "fused.onnx")
    Torch().compile(msgspec.structs.replace(exported, input=taken), compiled.options, tmp_path / "artifact.pt2")
    on_cuda = msgspec.structs.replace(compiled.options, device="cuda")
    with Torch().open(msgspec.structs.replace(compiled, options=on_cuda), {"streams": 2}):
        assert seen == [(False, False)] * 3
    assert allowed() == before
