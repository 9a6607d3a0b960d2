"""A vendor's crash, hang or refusal while compiling is an error line with its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.backends import registry
from assay.errors import BackendError, ParityError
from assay.processes import child
from assay.records import OnnxModel
from assay.steps import artifact
from assay.steps.artifact import compile_into, compile_to
from assay.steps.build_options import BuildRequest
from tests.backends import faulty
from tests.messages import assert_says


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BACKENDS", {**registry.BACKENDS, **faulty.TABLE})
    monkeypatch.setattr(artifact, "COMPILE_SECONDS", 3.0)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("crashing", "crashed (SIGSEGV) while compiling"),
        ("aborting", "crashed (SIGABRT) while compiling"),
        ("hanging", "did not end within 3 s while compiling"),
        ("greedy", "memory does not suffice for batch 2"),
    ],
)
def test_a_fault_of_the_vendor_leaves_nothing_behind(
    name: str, said: str, demo_model: OnnxModel, tmp_path: Path
) -> None:
    options, _ = BuildRequest(backend=name).options(2)
    with pytest.raises(BackendError) as caught:
        compile_into(demo_model, options, tmp_path / "compiled")
    assert_says(caught, name, said)
    assert ("; give a smaller batch than 2" in str(caught.value)) == (name == "greedy")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_scores_beyond_the_bound_say_by_how_much(demo_model: OnnxModel, tmp_path: Path) -> None:
    options, _ = BuildRequest(backend="wrong").options(2)
    with pytest.raises(ParityError) as caught:
        compile_to(demo_model, options, tmp_path / "artifact.onnx")
    assert_says(caught, "with wrong changed the scores", "largest difference 1", "allowed 1.0e-04")
    assert str(caught.value).endswith("; try set=optimization=extended|basic|none or another backend")


@pytest.mark.parametrize("batch", [6, 16])
def test_every_row_of_a_batch_is_held_to_the_model(batch: int, demo_model: OnnxModel, tmp_path: Path) -> None:
    options, _ = BuildRequest(backend="late").options(batch)
    with pytest.raises(ParityError) as caught:
        compile_to(demo_model, options, tmp_path / "artifact.onnx")
    assert_says(caught, "with late changed the scores", "of 4 images")


def test_several_batch_sizes_are_compiled_in_one_child(demo_model: OnnxModel, tmp_path: Path) -> None:
    child.close()
    children = set()
    for batch in (1, 2):
        options, _ = BuildRequest(backend="onnxruntime").options(batch)
        compile_into(demo_model, options, tmp_path / "compiled")
        assert child._spare is not None
        children.add(id(child._spare))
    assert len(children) == 1
