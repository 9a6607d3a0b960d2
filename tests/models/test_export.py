from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

pytest.importorskip("torch", reason="needs the extra `torch`")

import torch

from assay.errors import ModelError, UsageError
from assay.models import export, onnx_file
from assay.records import TensorSpec
from tests.messages import assert_says

pytestmark = pytest.mark.torch


def _network() -> Any:
    torch.manual_seed(1)
    layers = (
        torch.nn.Conv2d(3, 6, 3, bias=False),
        torch.nn.BatchNorm2d(6),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(6, 5),
    )
    return torch.nn.Sequential(*layers).eval()


def test_the_file_is_named_and_versioned_as_the_guides(tmp_path: Path) -> None:
    export.export(_network(), 8, export.OPSET, tmp_path / "model.onnx", tmp_path / "model.onnx.data")
    assert onnx_file.inspect(tmp_path / "model.onnx") == (
        TensorSpec(name="image", shape=("batch", 3, 8, 8), dtype="float32"),
        TensorSpec(name="class", shape=("batch", 5), dtype="float32"),
        11,
    )
    onnx.checker.check_model(onnx.load(tmp_path / "model.onnx"), full_check=True)


@pytest.mark.parametrize("batch", [1, 3])
def test_scores_are_torchs_at_any_batch_size(tmp_path: Path, batch: int) -> None:
    network = _network()
    export.export(network, 8, 11, tmp_path / "model.onnx", tmp_path / "model.onnx.data")
    images = np.random.default_rng(5).standard_normal((batch, 3, 8, 8)).astype(np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    found = session.run(["class"], {"image": images})[0]
    expected = export.score_function(network)(images)
    assert expected.shape == (batch, 5)
    assert expected.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_another_opset_is_written_when_asked(tmp_path: Path) -> None:
    export.export(_network(), 8, 13, tmp_path / "model.onnx", tmp_path / "model.onnx.data")
    assert onnx_file.inspect(tmp_path / "model.onnx")[2] == 13


class _NeedsOpset12(torch.nn.Module):
    def forward(self, image: Any) -> Any:
        return torch.einsum("nchw,c->n", image, torch.ones(3))


def test_an_opset_that_lacks_an_operator_says_which_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        export.export(_NeedsOpset12(), 4, 11, tmp_path / "model.onnx", tmp_path / "model.onnx.data")
    assert_says(caught, "cannot export to ONNX opset 11", "einsum", "leave out opset")


def test_without_an_opset_it_is_the_lowest_that_the_operators_allow(tmp_path: Path) -> None:
    assert export.export(_network(), 8, None, tmp_path / "model.onnx", tmp_path / "model.onnx.data") is None
    assert onnx_file.inspect(tmp_path / "model.onnx")[2] == 11
    assert (
        export.export(_NeedsOpset12(), 4, None, tmp_path / "model.onnx", tmp_path / "model.onnx.data")
        == "opset 11 lacks einsum"
    )
    assert onnx.load(tmp_path / "model.onnx").opset_import[0].version == 12


class _NeedsOpset14(torch.nn.Module):
    def forward(self, image: Any) -> Any:
        parts = image.unflatten(1, (1, 3))
        return torch.nn.functional.scaled_dot_product_attention(parts, parts, parts).sum((1, 2, 3))


def test_a_network_is_traced_for_those_opsets_alone_that_bring_what_lacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    trace = export._trace

    def counted(network: Any, side: int, opset: int, out: Path) -> None:
        tried.append(opset)
        trace(network, side, opset, out)

    monkeypatch.setattr(export, "_trace", counted)
    said = export.export(_NeedsOpset14(), 4, None, tmp_path / "model.onnx", tmp_path / "model.onnx.data")
    assert tried == [11, 13, 14]
    assert said == "opset 11 lacks unflatten, scaled_dot_product_attention"


class _NeverExported(torch.nn.Module):
    def forward(self, image: Any) -> Any:
        return torch.linalg.svdvals(image[:, 0])


def test_an_operator_that_no_opset_has_ends_the_search(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        export.export(_NeverExported(), 4, None, tmp_path / "model.onnx", tmp_path / "model.onnx.data")
    assert_says(caught, "any ONNX opset from 11 to 18", "svd", "give the .onnx file")


@pytest.mark.parametrize("opset", [-1, 1, 6, 21, 99])
def test_an_opset_that_torch_does_not_write_is_refused(opset: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        export.export(_network(), 8, opset, tmp_path / "model.onnx", tmp_path / "model.onnx.data")
    assert_says(caught, f"opset {opset}", "7 to 20")


def test_images_that_the_network_cannot_take_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        export.export(_network(), 2, None, tmp_path / "model.onnx", tmp_path / "model.onnx.data")
    assert_says(caught, "cannot be traced for images of 2×2", "give the crop")


def test_a_failed_export_prints_nothing_on_standard_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError):
        export.export(_NeedsOpset12(), 4, 11, tmp_path / "model.onnx", tmp_path / "model.onnx.data")
    assert capfd.readouterr().out == ""
