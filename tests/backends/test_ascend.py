"""The Ascend backend without a device: command lines, and a compiler and a runtime that stand in for CANN's."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

from assay.backends import opening, registry
from assay.backends.ascend import Ascend
from assay.cli.main import main
from assay.errors import BackendError, UnknownNameError, UsageError
from assay.records import BuildOptions, OnnxModel
from assay.steps.artifact import command, compile_to, load_compiled
from assay.steps.build_options import BuildRequest
from assay.steps.choose_backend import Wanted, choose
from assay.steps.doctor import doctor
from tests.messages import assert_says
from tests.test_examples import EXAMPLES

Install = Callable[[str], None]


@pytest.fixture
def atc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_this_process: None) -> Install:
    """Puts a compiler with this script on the PATH, in a toolkit of version 8.0.RC2."""
    home = tmp_path / "cann"
    (home / "bin").mkdir(parents=True)
    (home / "version.cfg").write_text("runtime_running_version=[8.0.RC2:8.0.RC2]\n")

    def install(script: str) -> None:
        program = home / "bin" / "atc"
        program.write_text(f"#!{sys.executable}\nimport sys, pathlib\n{script}\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return install


COPIES = """
given = dict(word[2:].split("=", 1) for word in sys.argv[1:])
pathlib.Path("fusion_result.json").write_text("{}")
pathlib.Path(given["output"] + ".om").write_bytes(pathlib.Path(given["model"]).read_bytes())
"""
"""An artifact that is the graph itself, and a file that the original leaves where it is run."""


@pytest.fixture
def npu(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A device whose runtime computes the graph with ONNX Runtime; the list takes what is asked of it."""
    asked: list[Any] = []

    class InferSession:
        def __init__(self, device_id: int, model_path: str) -> None:
            import onnxruntime

            asked.append(("open", device_id))
            content = Path(model_path).read_bytes()
            self._session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

        def infer(self, feeds: list[Any], mode: str) -> list[Any]:
            assert mode == "static"
            return list(self._session.run(None, {self._session.get_inputs()[0].name: feeds[0]}))

        def free_resource(self) -> None:
            asked.append("free")

    acl = ModuleType("acl")
    acl.rt = SimpleNamespace(get_device_count=lambda: (2, 0))  # type: ignore[attr-defined]
    interface = ModuleType("ais_bench.infer.interface")
    interface.InferSession = InferSession  # type: ignore[attr-defined]
    for name, module in (
        ("acl", acl),
        ("ais_bench", ModuleType("ais_bench")),
        ("ais_bench.infer", ModuleType("ais_bench.infer")),
        ("ais_bench.infer.interface", interface),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    return asked


def _options(kind: Any = "uint8") -> BuildOptions:
    return BuildRequest(backend="ascend", precision="fp16", input=kind).options(16, for_command=True)[0]


def test_the_command_is_the_guides(demo_model: OnnxModel, tmp_path: Path) -> None:
    words = command(demo_model, _options("float32"), tmp_path / "wrn_bs16.om")
    assert " ".join(words) == (
        f"atc --framework=5 --model={tmp_path}/wrn_bs16.om.onnx --output={tmp_path}/wrn_bs16 --input_format=NCHW "
        "--input_shape=image:16,3,64,64 --log=error --soc_version=Ascend310"
    )
    graph = onnx.load(str(tmp_path / "wrn_bs16.om.onnx")).graph
    assert [side.dim_value for side in graph.input[0].type.tensor_type.shape.dim] == [16, 3, 64, 64]


def test_bytes_are_given_as_they_lie_in_the_prepared_data(demo_model: OnnxModel, tmp_path: Path) -> None:
    words = command(demo_model, _options(), tmp_path / "wrn.om")
    assert "--input_format=ND" in words
    assert "--input_shape=assay/pixels:16,64,64,3" in words


def test_a_dry_run_prints_the_command_anywhere(
    demo_model: OnnxModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bs1.om"
    line = ["compile", str(demo_model.file.path), "--backend", "ascend", "--precision", "fp16", "--input", "float32"]
    assert main([*line, "--batch", "1", "--set", "soc_version=Ascend710", "--dry-run", "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("atc --framework=5 ")
    assert said.endswith("--soc_version=Ascend710\n")
    assert not out.exists()


def test_a_dry_run_of_a_backend_that_runs_no_command_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="backend onnxruntime runs no command"):
        BuildRequest(backend="onnxruntime").options(1, for_command=True)


def test_without_cann_the_message_says_what_to_install(
    demo_model: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_this_process: None
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendError) as caught:
        Ascend().compile(demo_model, _options(), tmp_path / "artifact.om")
    assert_says(caught, "atc is not on the PATH", "CANN", "set_env.sh", "dry_run")
    with pytest.raises(BackendError, match="ascend finds no device on this machine"):
        BuildRequest(backend="ascend", precision="fp16").options(1)


def test_an_artifact_is_compiled_held_to_the_model_and_freed(
    demo_model: OnnxModel, tmp_path: Path, atc: Install, npu: list[Any]
) -> None:
    atc(COPIES)
    options, run_settings = BuildRequest(backend="ascend", device="npu:1", precision="fp16").options(4)
    compiled = compile_to(demo_model, options, tmp_path / "out" / "bs4.om")
    assert compiled.parity is not None
    assert compiled.parity.holds
    assert compiled.backend_version == "8.0.RC2"
    assert npu == [("open", 1), "free"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["bs4.om", "bs4.om.json"]
    batch = np.zeros((4, 64, 64, 3), np.uint8)
    with Ascend().open(compiled, {**run_settings, "slots": 2}) as session:
        assert (session.slots, session.device) == (2, "npu:1")
        assert session.infer(batch).shape == (4, 10)
    assert npu.count("free") == 3


def test_the_guides_line_compiles_for_the_processor_that_it_names(
    demo_model: OnnxModel, tmp_path: Path, atc: Install, npu: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    atc(COPIES)
    line = f"--framework=5 --model={demo_model.file.path} --output={tmp_path}/bs4 --soc_version=Ascend710"
    assert main(["guide", "--backend", "ascend", "atc", *line.split(), "--input_shape=image:4,3,64,64"]) == 0
    compiled = load_compiled(tmp_path / "bs4.om")
    assert compiled.options.settings == {"soc_version": "Ascend710"}
    assert compiled.options.precision == "fp16"
    assert compiled.notes == ()
    assert "not for the" not in capsys.readouterr().err


def test_the_guides_line_names_its_artifact_relative_to_where_it_runs(
    demo_model: OnnxModel, tmp_path: Path, atc: Install, npu: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    atc(COPIES)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo.onnx").write_bytes(demo_model.file.path.read_bytes())
    line = "--framework=5 --model=demo.onnx --output=bs4 --soc_version=Ascend310 --input_shape=image:4,3,64,64"
    assert main(["guide", "--backend", "ascend", "atc", *line.split()]) == 0
    assert load_compiled(Path("bs4.om")).file.path == tmp_path / "bs4.om"


def test_the_guides_own_script_is_not_taken_for_the_compiler(
    demo_model: OnnxModel, tmp_path: Path, atc: Install, npu: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    atc(COPIES)
    scripts = EXAMPLES / "guide"
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")
    options, _ = BuildRequest(backend="ascend", precision="fp16").options(4)
    assert compile_to(demo_model, options, tmp_path / "bs4.om").backend_version == "8.0.RC2"
    monkeypatch.setenv("PATH", str(scripts))
    with pytest.raises(BackendError, match="atc is not on the PATH"):
        Ascend().version()
    with pytest.raises(BackendError, match="atc is not on the PATH"):
        Ascend().compile(demo_model, options, tmp_path / "other.om")


def test_a_compiler_that_fails_is_one_line_with_its_reason(
    demo_model: OnnxModel, tmp_path: Path, atc: Install, npu: list[Any]
) -> None:
    atc('print("ATC start working now"); print("E10016: Opname [x] is not found"); sys.exit(255)')
    options, _ = BuildRequest(backend="ascend", precision="fp16").options(4)
    with pytest.raises(BackendError) as caught:
        compile_to(demo_model, options, tmp_path / "bs4.om")
    assert_says(caught, "atc could not compile", "status 255", "E10016: Opname [x] is not found", "dry_run")
    assert not (tmp_path / "bs4.om").exists()


def test_a_compiler_that_writes_nothing_has_failed(
    demo_model: OnnxModel, tmp_path: Path, atc: Install, npu: list[Any]
) -> None:
    atc("pass")
    options, _ = BuildRequest(backend="ascend", precision="fp16").options(4)
    with pytest.raises(BackendError, match="it said nothing"):
        compile_to(demo_model, options, tmp_path / "bs4.om")


def test_a_runtime_that_is_missing_is_one_line(
    demo_model: OnnxModel, tmp_path: Path, atc: Install, npu: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    atc(COPIES)
    monkeypatch.setitem(sys.modules, "ais_bench.infer.interface", None)
    options, _ = BuildRequest(backend="ascend", precision="fp16").options(4)
    with pytest.raises(BackendError, match=r"with the package ais_bench .* install the wheels"):
        compile_to(demo_model, options, tmp_path / "bs4.om")


def test_the_doctor_proves_a_device_in_a_precision_that_it_has(
    atc: Install, npu: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    atc(COPIES)
    monkeypatch.setattr(registry, "BACKENDS", {"ascend": registry.BACKENDS["ascend"]})
    (state,) = doctor().backends
    assert state.problem is None
    assert state.devices == ("npu:0", "npu:1")
    assert state.parity is not None
    assert state.parity.holds


def test_trials_say_which_precision_to_ask_for(
    demo_model: OnnxModel, tmp_path: Path, atc: Install, npu: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    atc(COPIES)
    monkeypatch.setattr(registry, "BACKENDS", {"ascend": registry.BACKENDS["ascend"]})
    with pytest.raises(BackendError, match=r"ascend: unknown precision .* 'fp32'; known: fp16; give precision=fp16"):
        choose(Wanted(BuildRequest(backend="auto"), demo_model, 2), tmp_path)


@pytest.mark.parametrize("name", ["Ascend910B4", "Ascend310P1", "Ascend910_9391"])
def test_any_processor_that_there_is_may_be_named(name: str) -> None:
    asked = BuildRequest(backend="ascend", precision="fp16", set={"soc_version": name}).options(1, for_command=True)
    assert asked[0].settings == {"soc_version": name}


def test_a_name_that_is_no_processors_says_where_to_find_one() -> None:
    with pytest.raises(UnknownNameError) as caught:
        BuildRequest(backend="ascend", precision="fp16", set={"soc_version": "B4"}).options(1, for_command=True)
    assert_says(caught, "value of setting soc_version 'B4'", "Ascend310", "npu-smi info shows, with Ascend before it")


def test_an_artifact_for_another_processor_names_the_command_that_makes_it_again(
    demo_model: OnnxModel, tmp_path: Path, atc: Install, npu: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    atc(COPIES)
    monkeypatch.setattr(sys.modules["acl"], "get_soc_name", lambda: "Ascend910B4", raising=False)
    options, _ = BuildRequest(backend="ascend", precision="fp16").options(4)
    assert options.settings == {"soc_version": "Ascend910B4"}
    compiled = compile_to(demo_model, options, tmp_path / "bs4.om")
    monkeypatch.setattr(sys.modules["acl"], "get_soc_name", lambda: "Ascend310P3")
    with pytest.raises(BackendError) as caught, opening.open_compiled(compiled, {}):
        pass
    assert_says(caught, "(ascend Ascend910B4; here is ascend Ascend310P3)", "make it again: assay compile ")
