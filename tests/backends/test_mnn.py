from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from assay import demo
from assay.data.transform import TransformChoice
from assay.errors import BackendError, ParityError
from assay.records import OnnxModel
from assay.steps.adopt import describe
from assay.steps.artifact import compile_into, compile_to
from assay.steps.build_options import BuildRequest
from tests.messages import assert_says
from tests.onnx_variants import save

pytest.importorskip("MNN")


def difference(model: OnnxModel, out: Path, **settings: str) -> float:
    options, _ = BuildRequest(backend="mnn", set=settings).options(4)
    parity = compile_to(model, options, out).parity
    assert parity is not None
    return parity.largest_difference


def in_half_precision(folder: Path) -> OnnxModel:
    """The demo as it would be, had its checkpoint been stored in half precision."""
    proto = onnx.load(str(demo.ONNX))
    for weight in proto.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32:
            weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16).astype(np.float32), weight.name))
    # A mean and a deviation that half precision rounds.
    return describe(save(proto, folder / "half.onnx"), TransformChoice(preset="resnet", resize=72, crop=64))


def test_half_precision_stores_half_precision_weights_without_loss(tmp_path: Path) -> None:
    model = in_half_precision(tmp_path)
    assert difference(model, tmp_path / "half.mnn", storage="fp16") < 2e-5
    assert difference(model, tmp_path / "single.mnn") < 2e-5
    assert (tmp_path / "half.mnn").stat().st_size < 0.6 * (tmp_path / "single.mnn").stat().st_size


def test_how_scores_are_rounded_is_part_of_the_artifact(demo_model: OnnxModel, tmp_path: Path) -> None:
    large, small = (
        compile_into(demo_model, BuildRequest(backend="mnn", set={"winograd": tiles}).options(4)[0], tmp_path)[0]
        for tiles in ("large", "small")
    )
    assert large.key != small.key
    assert large.file.sha256 != small.file.sha256


def test_a_converter_that_crashes_is_one_line(
    demo_model: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_this_process: None
) -> None:
    from assay.backends import mnn

    monkeypatch.setattr(mnn, "_ALONE", "import os; os.abort()")
    options, _ = BuildRequest(backend="mnn").options(1)
    with pytest.raises(BackendError, match=r"mnn could not compile demo: its process ended with status -6; choose"):
        compile_to(demo_model, options, tmp_path / "artifact.mnn")


def test_a_batch_beyond_what_the_converter_can_count_is_one_line(demo_model: OnnxModel, tmp_path: Path) -> None:
    options, _ = BuildRequest(backend="mnn").options(4_000_000)
    with pytest.raises(BackendError, match=r"mnn.* a smaller batch than 4000000") as caught:
        compile_to(demo_model, options, tmp_path / "artifact.mnn")
    assert "\n" not in str(caught.value)


def test_a_storage_that_loses_too_much_says_what_else_to_ask_for(demo_model: OnnxModel, tmp_path: Path) -> None:
    options, _ = BuildRequest(backend="mnn", set={"storage": "fp16"}).options(2)
    with pytest.raises(ParityError) as caught:
        compile_to(demo_model, options, tmp_path / "artifact.mnn")
    assert_says(caught, "changed the scores", "; try set=winograd=small, set=storage=fp32 or another backend")
