from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from assay import demo
from assay.data.transform import TransformChoice
from assay.errors import BackendError, ModelError
from assay.records import CompiledModel, OnnxModel
from assay.steps.adopt import describe
from assay.steps.artifact import compile_to
from assay.steps.build_options import BuildRequest
from tests.onnx_variants import save

pytest.importorskip("openvino")


def made(model: OnnxModel, out: Path, **settings: str) -> CompiledModel:
    options, _ = BuildRequest(backend="openvino", set=settings).options(4)
    return compile_to(model, options, out)


def test_weights_that_half_precision_holds_exactly_take_half_the_file(demo_model: OnnxModel, tmp_path: Path) -> None:
    proto = onnx.load(str(demo.ONNX))
    for weight in proto.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32:
            weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16).astype(np.float32), weight.name))
    choice = TransformChoice(resize=demo.RESIZE, crop=demo.CROP, mean=demo.MEAN, std=demo.STD)
    model = describe(save(proto, tmp_path / "half.onnx"), choice)
    half, single = made(model, tmp_path / "half", storage="fp16"), made(model, tmp_path / "single")
    assert half.file.size < 0.6 * single.file.size
    # What it does not hold stays as it is: no score is rounded by the choice of storage.
    for compiled in (half, made(demo_model, tmp_path / "demo", storage="fp16")):
        assert compiled.parity is not None
        assert compiled.parity.largest_difference < 1e-5


def test_an_artifact_of_another_version_names_the_command_that_makes_it_again(
    demo_model: OnnxModel, tmp_path: Path
) -> None:
    from assay.backends.openvino import OpenVino

    compiled = made(demo_model, tmp_path / "artifact")
    content = compiled.file.path.read_bytes()
    assert content.count(b"ov=20") == 1
    compiled.file.path.write_bytes(content.replace(b"ov=20", b"ov=19"))
    with pytest.raises(
        BackendError, match=r"of another OpenVINO or processor.*make it again with assay compile"
    ) as caught:
        OpenVino().open(compiled, {})
    assert "\n" not in str(caught.value)


def test_float32_is_computed_in_float32_where_the_processor_would_rather_not(
    demo_model: OnnxModel, tmp_path: Path
) -> None:
    """bfloat16, the runtime's own choice on many processors, is off by a hundredth of the largest score."""
    parity = made(demo_model, tmp_path / "artifact").parity
    assert parity is not None
    assert parity.largest_difference < 1e-5


def test_int8_is_refused_for_a_model_that_is_not_quantized(demo_model: OnnxModel, tmp_path: Path) -> None:
    options, _ = BuildRequest(backend="openvino", precision="int8").options(1)
    with pytest.raises(ModelError, match="demo is not quantized, so it cannot be compiled to int8"):
        compile_to(demo_model, options, tmp_path / "artifact")


def test_the_throughput_hint_chooses_how_many_are_in_flight(demo_model: OnnxModel, tmp_path: Path) -> None:
    import openvino

    from assay.backends.openvino import OpenVino

    compiled = made(demo_model, tmp_path / "artifact")
    hinted = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    imported = openvino.Core().import_model(compiled.file.path.read_bytes(), "CPU", hinted)
    chosen = imported.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    for streams in (1, chosen + 2):
        with OpenVino().open(compiled, {"hint": "throughput", "streams": streams}) as session:
            assert session.slots == max(streams, chosen)
    with OpenVino().open(compiled, {"hint": "latency"}) as session:
        assert session.slots == 1
    with OpenVino().open(compiled, {"streams": 3}) as session:
        assert session.slots == 3


@pytest.mark.parametrize(
    ("device", "precisions", "hints"),
    [
        ("cpu", ("fp32", "int8"), ["f32", "f32"]),
        ("gpu.1", ("fp16", "fp32", "int8"), ["f16", "f32", "f32"]),
        ("npu", ("fp16", "int8"), ["f16", "f16"]),
    ],
)
def test_a_device_is_told_to_compute_in_a_precision_that_it_has(
    device: str, precisions: tuple[str, ...], hints: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stands for the vendor's compiler: what it is told."""
    from assay.backends import openvino as ours

    told = []

    class Core:
        def read_model(self, path: str) -> Any:
            return SimpleNamespace(get_ops=lambda: [SimpleNamespace(get_type_name=lambda: "FakeQuantize")])

        def compile_model(self, graph: Any, name: str, configuration: dict[str, str]) -> Any:
            assert name == device.upper()
            told.append(configuration["INFERENCE_PRECISION_HINT"])
            return SimpleNamespace(export_model=lambda: b"blob")

    monkeypatch.setattr("openvino.Core", Core)
    assert ours.OpenVino().precisions(device) == precisions
    for precision in precisions:
        assert ours.export_alone([str(demo.ONNX), str(tmp_path / "blob"), device, precision, "fp32"]) == 0
    assert told == hints
