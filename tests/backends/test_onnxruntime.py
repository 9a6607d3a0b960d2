from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import onnx
import onnxruntime
import pytest

from assay.backends.onnxruntime import OnnxRuntime
from assay.errors import BackendError, UnknownNameError
from assay.quantization.calibration import Scheme
from assay.quantization.quantize import quantize_to
from assay.records import BuildOptions, CompiledModel, OnnxModel, PreparedDataset
from assay.steps.artifact import compile_into, compile_to
from assay.steps.build_options import BuildRequest
from tests.messages import assert_says


def test_a_precision_that_the_processor_does_not_compute_in_lists_those_it_does() -> None:
    with pytest.raises(UnknownNameError, match="unknown precision of onnxruntime on cpu 'fp16'; known: fp32"):
        BuildRequest(backend="onnxruntime", precision="fp16").options(1)


def test_the_artifact_is_optimised_ahead_of_time(demo_model: OnnxModel, tmp_path: Path) -> None:
    options, _ = BuildRequest(backend="onnxruntime").options(2)
    compiled = compile_to(demo_model, options, tmp_path / "artifact.onnx")
    operators = {node.op_type for node in onnx.load(str(compiled.file.path)).graph.node}
    # Convolution and activation are one node after optimisation; the model has them apart.
    assert "Relu" not in operators
    assert "Relu" in {node.op_type for node in onnx.load(str(demo_model.file.path)).graph.node}


def test_nodes_that_the_optimiser_adds_are_named_after_what_they_compute(demo_model: OnnxModel, tmp_path: Path) -> None:
    options, _ = BuildRequest(backend="onnxruntime").options(1)
    compiled, _ = compile_into(demo_model, options, tmp_path)
    known = {node.name for node in onnx.load(str(demo_model.file.path)).graph.node}
    added = [node for node in onnx.load(str(compiled.file.path)).graph.node if node.op_type.startswith("Reorder")]
    assert added
    assert all(node.name == f"{node.op_type} of {node.output[0]}" for node in added)
    assert not known & {node.name for node in added}


@pytest.mark.long
def test_a_layer_kept_in_float_between_8_bits_is_computed_in_float(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    def operators(*float_layers: str) -> Counter[str]:
        out = tmp_path / f"{len(float_layers)}.onnx"
        model = quantize_to(demo_model, demo_data, out, Scheme(images=4, float_layers=float_layers))
        options, _ = BuildRequest(backend="onnxruntime", precision="int8").options(2)
        compiled = compile_to(model, options, tmp_path / f"artifact-{out.name}")
        return Counter(node.op_type for node in onnx.load(str(compiled.file.path)).graph.node)

    # The one in the middle: 8 bits before it and behind.
    whole, kept = operators(), operators("/blocks/blocks.2/conv2/Conv")
    assert whole["QLinearConv"] == kept["QLinearConv"] + 1
    assert kept["Conv"] + kept["FusedConv"] == 1


def test_a_broken_artifact_is_one_line(demo_model: OnnxModel, tmp_path: Path) -> None:
    options, _ = BuildRequest(backend="onnxruntime").options(1)
    compiled = compile_to(demo_model, options, tmp_path / "artifact.onnx")
    compiled.file.path.write_bytes(b"not an onnx file")
    with pytest.raises(BackendError, match=r"onnxruntime could not open .*artifact.onnx: ") as caught:
        OnnxRuntime().open(compiled, {})
    assert "\n" not in str(caught.value)


DEVICES = {"cuda": "CUDA", "tensorrt": "Tensorrt", "openvino": "OpenVINO", "cann": "CANN"}


PROCESSOR = onnxruntime.InferenceSession


class Started:
    """Stands for the vendor's session, of a wheel with every provider; remembers how each was started."""

    calls: list[Started] = []  # noqa: RUF012 - emptied by the fixture
    takes: str | None = None
    """The provider that runs the nodes, where it is another than the one asked for."""

    def __init__(
        self,
        path: str,
        options: Any,
        *,
        providers: list[str],
        provider_options: list[dict[str, str]],
        enable_fallback: int,
        disabled_optimizers: list[str],
    ) -> None:
        self.provider_options, self.override = provider_options, os.environ.get("NVIDIA_TF32_OVERRIDE")
        self.path, self.options, self.providers, self.enable_fallback = path, options, providers, enable_fallback
        self.disabled = False
        if options.optimized_model_filepath:
            shutil.copyfile(path, options.optimized_model_filepath)
        Started.calls.append(self)

    def disable_fallback(self) -> None:
        self.disabled = True

    def run(self, outputs: list[str], given: dict[str, Any]) -> Any:
        """What the model gives on the processor."""
        return PROCESSOR(self.path, providers=["CPUExecutionProvider"]).run(outputs, given)

    def get_providers(self) -> list[str]:
        return [*self.providers, "CPUExecutionProvider"]

    def get_provider_graph_assignment_info(self) -> list[Any]:
        nodes = [SimpleNamespace(op_type="Conv"), SimpleNamespace(op_type="Gemm")]
        return [SimpleNamespace(ep_name=Started.takes or self.providers[0], get_nodes=lambda: nodes)]


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch) -> type[Started]:
    monkeypatch.setattr(Started, "calls", [])
    monkeypatch.setattr(Started, "takes", None)
    available = [f"{name}ExecutionProvider" for name in (*DEVICES.values(), "Azure", "CPU")]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Started)
    return Started


@pytest.fixture
def compiled(demo_model: OnnxModel, tmp_path: Path) -> CompiledModel:
    options, _ = BuildRequest(backend="onnxruntime").options(1)
    return compile_to(demo_model, options, tmp_path / "artifact.onnx")


def _for(device: str) -> BuildOptions:
    return BuildRequest(backend="onnxruntime", device=device).options(1)[0]


def test_the_installed_wheel_has_the_processor_first() -> None:
    assert OnnxRuntime().devices()[0] == "cpu"


def test_a_provider_that_the_wheel_lacks_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(UnknownNameError, match="unknown device of backend onnxruntime 'cuda'; known: cpu"):
        BuildRequest(backend="onnxruntime", device="cuda").options(1)


def test_the_providers_of_the_wheel_are_devices(wheel: type[Started]) -> None:
    assert OnnxRuntime().devices() == ("cpu", *DEVICES)
    assert len({OnnxRuntime().target(device) for device in DEVICES}) == len(DEVICES)


@pytest.mark.parametrize("device", DEVICES)
def test_a_provider_is_started_with_no_way_back_to_the_processor(
    device: str, compiled: CompiledModel, wheel: type[Started]
) -> None:
    with OnnxRuntime().open(msgspec.structs.replace(compiled, options=_for(device)), {"streams": 2}) as session:
        assert session.device == device
        assert session.slots == 2
    (started,) = wheel.calls
    assert started.providers == [f"{DEVICES[device]}ExecutionProvider"]
    assert started.enable_fallback == 0
    assert started.disabled
    assert started.options.get_session_config_entry("session.disable_cpu_ep_fallback") == "1"


@pytest.mark.parametrize("device", DEVICES)
def test_a_node_that_runs_elsewhere_is_an_error(device: str, compiled: CompiledModel, wheel: type[Started]) -> None:
    wheel.takes = "CPUExecutionProvider"
    with pytest.raises(BackendError) as caught:
        OnnxRuntime().open(msgspec.structs.replace(compiled, options=_for(device)), {})
    assert_says(caught, f"{device} does not take the whole graph", "Conv on CPUExecutionProvider, Gemm on CPU")


@pytest.mark.parametrize(
    ("device", "started_on"), [("cuda", "CUDA"), ("tensorrt", "Tensorrt"), ("openvino", "CPU"), ("cann", "CPU")]
)
def test_the_artifact_holds_what_the_provider_can_write(
    device: str, started_on: str, demo_model: OnnxModel, tmp_path: Path, wheel: type[Started]
) -> None:
    OnnxRuntime().compile(demo_model, _for(device), tmp_path / "artifact.onnx")
    (started,) = wheel.calls
    assert started.providers == [f"{started_on}ExecutionProvider"]
    if device == "tensorrt":
        assert started.options.get_session_config_entry("ep.context_file_path") == str(tmp_path / "artifact.onnx")
        assert started.options.get_session_config_entry("ep.context_embed_mode") == "1"
    else:
        assert started.options.optimized_model_filepath == str(tmp_path / "artifact.onnx")


@pytest.mark.parametrize(
    ("device", "first"), [("cpu", "Transpose"), ("tensorrt", "Cast"), ("openvino", "Transpose"), ("cann", "Transpose")]
)
def test_bytes_go_into_a_cast_where_tensorrt_takes_the_graph(
    device: str,
    first: str,
    demo_model: OnnxModel,
    tmp_path: Path,
    wheel: type[Started],
    in_this_process: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No other layer of TensorRT takes uint8."""
    seen: list[str] = []

    def compiles(self: OnnxRuntime, model: OnnxModel, options: BuildOptions, out: Path) -> None:
        graph = onnx.load(str(model.file.path)).graph
        seen.extend(node.op_type for node in graph.node if graph.input[0].name in node.input)

    monkeypatch.setattr(OnnxRuntime, "compile", compiles)
    with pytest.raises(BackendError, match="wrote no artifact"):
        compile_into(demo_model, _for(device), tmp_path)
    assert seen == [first]


@pytest.mark.parametrize(("device", "known"), [("cuda", "int8"), ("tensorrt", "int8"), ("cann", "fp32")])
def test_half_precision_is_put_into_the_graph_of_a_device_that_computes_in_it(
    device: str,
    known: str,
    demo_model: OnnxModel,
    tmp_path: Path,
    wheel: type[Started],
    in_this_process: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert {"fp16", known} <= set(OnnxRuntime().precisions(device))
    original = OnnxRuntime.compile
    weights: set[int] = set()
    written: list[bool] = []

    def compiles(self: OnnxRuntime, model: OnnxModel, options: BuildOptions, out: Path) -> None:
        weights.update(one.data_type for one in onnx.load(str(model.file.path)).graph.initializer if one.dims)
        original(self, model, options, out)
        written.append(out.is_file() and out.read_bytes() == model.file.path.read_bytes())
        raise BackendError("far enough")

    monkeypatch.setattr(OnnxRuntime, "compile", compiles)
    options, _ = BuildRequest(backend="onnxruntime", device=device, precision="fp16").options(1)
    with pytest.raises(BackendError, match="far enough"):
        compile_into(demo_model, options, tmp_path)
    assert onnx.TensorProto.FLOAT16 in weights
    if device == "cann":
        assert written == [True]
    if device == "tensorrt":
        assert wheel.calls[-1].provider_options == [{"trt_fp16_enable": "1"}]


def test_nvidias_devices_compute_float32_in_float32(
    compiled: CompiledModel, demo_model: OnnxModel, tmp_path: Path, wheel: type[Started]
) -> None:
    """By default they round products to TF32, which is off by more than a compile allows."""
    with OnnxRuntime().open(msgspec.structs.replace(compiled, options=_for("cuda")), {}):
        assert wheel.calls[-1].provider_options == [{"use_tf32": "0"}]
    before = os.environ.get("NVIDIA_TF32_OVERRIDE")
    OnnxRuntime().compile(demo_model, _for("tensorrt"), tmp_path / "engine.onnx")
    assert wheel.calls[-1].override == "0"
    assert os.environ.get("NVIDIA_TF32_OVERRIDE") == before


def test_a_provider_that_does_not_start_is_an_error(
    compiled: CompiledModel, wheel: type[Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel, "get_providers", lambda _: ["CPUExecutionProvider"])
    with pytest.raises(BackendError, match=r"cannot start CUDAExecutionProvider \(CPUExecutionProvider would run"):
        OnnxRuntime().open(msgspec.structs.replace(compiled, options=_for("cuda")), {})
