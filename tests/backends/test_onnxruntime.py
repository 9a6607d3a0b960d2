from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from assay import workflow
from assay.errors import BackendError, UnknownNameError
from assay.records import OnnxModel


def test_a_precision_that_the_processor_does_not_compute_in_lists_those_it_does() -> None:
    with pytest.raises(UnknownNameError, match="unknown precision of onnxruntime on cpu 'fp16'; known: fp32"):
        workflow.build_options("onnxruntime", batch=1, precision="fp16")


def test_the_artifact_is_optimised_ahead_of_time(demo_model: OnnxModel, tmp_path: Path) -> None:
    options, _ = workflow.build_options("onnxruntime", batch=2)
    compiled = workflow.compile_to(demo_model, options, tmp_path / "artifact.onnx")
    operators = {node.op_type for node in onnx.load(str(compiled.file.path)).graph.node}
    # Convolution and activation are one node after optimisation; the model has them apart.
    assert "Relu" not in operators
    assert "Relu" in {node.op_type for node in onnx.load(str(demo_model.file.path)).graph.node}


def test_a_broken_artifact_is_one_line(demo_model: OnnxModel, tmp_path: Path) -> None:
    from assay.backends.onnxruntime import OnnxRuntime

    options, _ = workflow.build_options("onnxruntime", batch=1)
    compiled = workflow.compile_to(demo_model, options, tmp_path / "artifact.onnx")
    compiled.file.path.write_bytes(b"not an onnx file")
    with pytest.raises(BackendError, match=r"onnxruntime could not open .*artifact.onnx: ") as caught:
        OnnxRuntime().open(compiled, {})
    assert "\n" not in str(caught.value)
