"""Artifacts that are not to be opened here, and batches that memory has no room for."""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec
import pytest

from assay.backends import opening
from assay.cli.main import main
from assay.data.transform import TransformChoice
from assay.errors import AssayError, BackendError, RecordError
from assay.records import CompiledModel, OnnxModel, Runnable
from assay.steps.adopt import describe
from assay.steps.artifact import compile_to, load_compiled
from assay.steps.build_options import BuildRequest
from assay.steps.measurement import Length, Measuring, measure
from tests import onnx_variants
from tests.messages import assert_says


@pytest.fixture
def artifact(demo_model: OnnxModel, tmp_path: Path) -> CompiledModel:
    options, _ = BuildRequest(backend="onnxruntime", set={"optimization": "basic"}).options(2)
    return compile_to(demo_model, options, tmp_path / "an artifact.onnx")


def test_what_was_made_here_opens(artifact: CompiledModel) -> None:
    with opening.open_compiled(artifact, {}) as session:
        assert session.device == "cpu"


@pytest.mark.parametrize("field", ["backend_version", "target"])
def test_an_artifact_of_another_version_or_processor_names_the_command_that_makes_it_again(
    artifact: CompiledModel, field: str
) -> None:
    other = msgspec.structs.replace(artifact, **{field: "another"})
    with pytest.raises(BackendError) as caught, opening.open_compiled(other, {}):
        pass
    assert_says(caught, str(artifact.file.path), "another", "make it again: assay compile ")
    words = shlex.split(str(caught.value).partition("make it again: ")[2])
    artifact.file.path.unlink()
    assert main(words[1:]) == 0
    again = load_compiled(artifact.file.path)
    assert (again.key, again.file.sha256) == (artifact.key, artifact.file.sha256)


def test_the_command_for_a_bare_model_holds_its_transform(demo_choice: TransformChoice, tmp_path: Path) -> None:
    file = onnx_variants.save(onnx_variants.original(), tmp_path / "bare.onnx")
    options, _ = BuildRequest(backend="onnxruntime").options(2)
    made = compile_to(describe(file, demo_choice), options, tmp_path / "artifact.onnx")
    made.file.path.unlink()
    assert main(shlex.split(opening.command(made))[1:]) == 0
    assert load_compiled(made.file.path).key == made.key


def test_an_artifact_with_changed_bytes_is_refused(artifact: CompiledModel) -> None:
    content = bytearray(artifact.file.path.read_bytes())
    content[-1] ^= 1
    artifact.file.path.write_bytes(bytes(content))
    with pytest.raises(RecordError, match="is not what its record says"), opening.open_compiled(artifact, {}):
        pass


def test_a_measurement_opens_no_artifact_of_another_version(artifact: CompiledModel, tmp_path: Path) -> None:
    other = msgspec.structs.replace(artifact, backend_version="0.1")
    with pytest.raises(BackendError, match=r"was made by onnxruntime 0\.1, and here is "):
        measure(Runnable(other, {}), None, tmp_path, Measuring(length=Length(batches=1)))


@pytest.mark.parametrize(
    "error", [MemoryError(), BackendError("x could not run: std::bad_alloc"), BackendError("CUDA out of memory")]
)
def test_a_batch_that_memory_has_no_room_for_is_one_line(error: Exception) -> None:
    with pytest.raises(BackendError) as caught, opening.memory_suffices("x", 64):
        raise error
    assert_says(caught, "x: memory does not suffice for batch 64", "give a smaller batch than 64")


def test_another_fault_is_left_as_it_is() -> None:
    with pytest.raises(AssayError) as caught, opening.memory_suffices("x", 64):
        raise BackendError("no such operator")
    assert str(caught.value) == "no such operator"


def test_an_artifact_without_its_record_is_not_taken_for_a_model(
    artifact: CompiledModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = artifact.file.path.rename(tmp_path / "moved.mnn")
    assert main(["bench", str(alone), "--synthetic", "-o", str(tmp_path / "BENCH")]) == 1
    assert "moved.mnn has no record of an artifact beside it" in capsys.readouterr().err
