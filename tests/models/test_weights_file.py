from __future__ import annotations

import argparse
import json
import os
import pickle
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `torch`")

import torch

from assay.errors import CheckpointError
from assay.models import weights_file
from tests.messages import assert_says

pytestmark = pytest.mark.torch

FORMATS = ["zip", "legacy", "safetensors"]


def _table() -> dict[str, Any]:
    return {"conv.weight": torch.arange(12.0).reshape(4, 3, 1, 1), "bn.num_batches_tracked": torch.tensor(3)}


def _saved(folder: Path, content: Any, kind: str = "zip") -> Path:
    path = folder / ("weights.safetensors" if kind == "safetensors" else "weights.pth")
    if kind == "safetensors":
        from safetensors.torch import save_file

        save_file(content, path)
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    return path


def _assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_table(kind: str, tmp_path: Path) -> None:
    found = weights_file.load(_saved(tmp_path, _table(), kind))
    _assert_same(dict(sorted(found.items())), dict(sorted(_table().items())))


def test_safetensors_are_known_by_what_they_hold(tmp_path: Path) -> None:
    path = _saved(tmp_path, _table(), "safetensors").rename(tmp_path / "weights.pth")
    assert set(weights_file.load(path)) == set(_table())


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_and_whole_numbers_are_kept(tmp_path: Path, half: Any, kind: str) -> None:
    weights = {"w": torch.tensor([0.5, -2.0], dtype=half), "count": torch.tensor(3)}
    found = weights_file.load(_saved(tmp_path, weights, kind))
    assert found["w"].dtype == torch.float32
    assert found["w"].tolist() == [0.5, -2.0]
    assert found["count"].dtype == torch.int64


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("features.denseblock1.denselayer2.norm.1.weight", "features.denseblock1.denselayer2.norm1.weight"),
        ("features.denseblock4.denselayer16.conv.2.weight", "features.denseblock4.denselayer16.conv2.weight"),
        ("encoder.layers.encoder_layer_0.mlp.linear_1.bias", "encoder.layers.encoder_layer_0.mlp.0.bias"),
        ("encoder.layers.encoder_layer_11.mlp.linear_2.weight", "encoder.layers.encoder_layer_11.mlp.3.weight"),
        ("features.norm0.weight", "features.norm0.weight"),
    ],
)
def test_names_of_older_versions_of_torchvision_are_those_of_now(old: str, new: str, tmp_path: Path) -> None:
    assert list(weights_file.load(_saved(tmp_path, {old: torch.ones(1)}))) == [new]


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_weights_saved_on_a_cuda_device_are_read_without_one(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        path = _saved(tmp_path, _table(), kind)
    with pytest.raises(RuntimeError, match="CUDA"):
        torch.load(path, weights_only=True)
    _assert_same(weights_file.load(path), _table())


class Call:
    """What calls a function with arguments when it is unpickled."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def _attacks(marker: Path) -> dict[str, Call]:
    return {
        "posix.system": Call(os.system, f"touch {marker}"),
        "posix.mkdir": Call(os.mkdir, str(marker)),
        "builtins.eval": Call(eval, f"open({str(marker)!r}, 'w')"),
        "builtins.exec": Call(exec, f"open({str(marker)!r}, 'w')"),
        "subprocess.Popen": Call(subprocess.Popen, ["touch", str(marker)]),
    }


def _written(path: Path, content: object, kind: str) -> None:
    if kind.startswith("pickle"):
        path.write_bytes(pickle.dumps(content, protocol=int(kind[-1])))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle0", "pickle2", "pickle4", "pickle5"])
@pytest.mark.parametrize("called", list(_attacks(Path())))
@pytest.mark.parametrize("nested", [True, False])
def test_a_pickle_that_would_run_code_is_refused_by_its_name(
    called: str, kind: str, nested: bool, tmp_path: Path
) -> None:
    path, marker = tmp_path / "weights.pth", tmp_path / "it-ran"
    attack = _attacks(marker)[called]
    _written(path, {"state_dict": {"w": torch.ones(1), "x": attack}, "epoch": 1} if nested else attack, kind)
    with pytest.raises(CheckpointError) as caught:
        weights_file.load(path)
    assert_says(caught, str(path), f"would call {called}", "was not loaded", "Give a file that holds a state_dict()")
    assert not marker.exists()


def test_the_attacks_are_real(tmp_path: Path) -> None:
    marker = tmp_path / "it-ran"
    path = tmp_path / "weights.pth"
    _written(path, _attacks(marker)["posix.mkdir"], "zip")
    torch.load(path, weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_a_whole_network_is_refused_by_its_class(kind: str, tmp_path: Path) -> None:
    path = _saved(tmp_path, torch.nn.Sequential(torch.nn.Linear(2, 2)), kind)
    with pytest.raises(CheckpointError) as caught:
        weights_file.load(path)
    assert_says(caught, "torch.nn.modules.container.Sequential", "Give a file that holds a state_dict() alone")


def test_a_torchscript_archive_says_so(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = tmp_path / "weights.pth"
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), path)  # type: ignore[no-untyped-call]
    with pytest.raises(CheckpointError) as caught:
        weights_file.load(path)
    assert_says(caught, str(path), "TorchScript archive", "state_dict()")


def test_nobody_is_told_to_run_the_code(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    for content in (_attacks(tmp_path / "it-ran")["builtins.eval"], np.float64(1), {"w": {1, 2}}):
        for kind in ("zip", "pickle4"):
            _written(path, content, kind)
            with pytest.raises(CheckpointError) as caught:
                weights_file.load(path)
            assert "weights_only" not in str(caught.value)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [[torch.ones(1)], {}, {"state_dict": {}}, torch.ones(1), None, {"w": 1.0}, {1: {2: [torch.ones(1)]}}],
)
def test_a_file_that_holds_no_table_of_tensors_says_what_to_save(tmp_path: Path, content: object) -> None:
    path = _saved(tmp_path, content)
    with pytest.raises(CheckpointError) as caught:
        weights_file.load(path)
    assert_says(caught, str(path), "no table of tensors", "state_dict()")


def test_a_file_without_tensors_lists_its_keys(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        weights_file.tables(_saved(tmp_path, {"epoch": 3, "args": argparse.Namespace(lr=0.1)}))
    assert_says(caught, "no table of tensors, only epoch, args")


def test_a_table_that_holds_itself_ends(tmp_path: Path) -> None:
    circle: dict[str, Any] = {"w": torch.ones(1)}
    circle["again"] = [circle]
    assert [table.name for table in weights_file.tables(_saved(tmp_path, circle))] == [""]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "a Git LFS pointer"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "an HTML or XML page"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an HTML or XML page"),
    ],
)
@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_what_a_failed_download_leaves_is_named(content: bytes, said: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        weights_file.tables(path)
    assert_says(caught, f"{path} is {said}")


def test_a_checkpoint_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        weights_file.load(tmp_path / "none.pth")
    assert_says(caught, f"no checkpoint at {tmp_path / 'none.pth'}")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"hello world\n", id="text"),
        pytest.param(pickle.dumps({"w": 1}), id="a bare pickle"),
        pytest.param(b"PK\x03\x04" + b"\0" * 100, id="half an archive"),
        pytest.param(b"\x89PNG\r\n\x1a\n", id="an image"),
        pytest.param(b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x", id="a string of a length that lies"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        weights_file.load(path)
    assert_says(caught, str(path))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_checkpoint_is_named(tmp_path: Path, share: float, kind: str) -> None:
    path = _saved(tmp_path, {"w": torch.ones(500)}, kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError) as caught:
        weights_file.load(path)
    assert_says(caught, str(path), "cannot be read as")


def _safetensors(header: object, data: bytes = b"\0" * 8, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


_FLOATS = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(_safetensors({"w": _FLOATS}, length=2**63), id="a header longer than memory"),
        pytest.param(_safetensors({"w": _FLOATS}, length=4000), id="a header longer than the file"),
        pytest.param(_safetensors(b"{nonsense"), id="a header that is no JSON"),
        pytest.param(_safetensors({"w": {**_FLOATS, "shape": [2**40]}}), id="a shape larger than its data"),
        pytest.param(_safetensors({"w": {**_FLOATS, "data_offsets": [0, 800]}}), id="data beyond the end"),
        pytest.param(_safetensors({"w": {**_FLOATS, "data_offsets": [4, 12]}}), id="a hole before the data"),
        pytest.param(_safetensors({"w": {**_FLOATS, "dtype": "F31"}}), id="an unknown type"),
        pytest.param(_safetensors({"w": _FLOATS}, data=b""), id="no data"),
    ],
)
def test_safetensors_that_lie_are_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        weights_file.load(path)
    assert_says(caught, str(path), "cannot be read as safetensors")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.ones(2, 2).to_sparse(), "w is sparse"),
        (torch.ones(2, device="meta"), "w is without values"),
        (torch.tensor([1.0, float("nan")]), "w holds values that are not finite numbers"),
        (torch.tensor([1.0, float("inf")]), "w holds values that are not finite numbers"),
    ],
)
def test_tensors_that_are_no_weights_are_named(value: Any, said: str, tmp_path: Path) -> None:
    path = _saved(tmp_path, {"w": value})
    with pytest.raises(CheckpointError) as caught:
        weights_file.load(path)
    assert_says(caught, str(path), said)


@pytest.mark.material
def test_the_same_weights_in_two_formats_are_the_same_table(material: Path) -> None:
    torch_file = weights_file.load(material / "models" / "squeezenet1_0.pth")
    other = weights_file.load(material / "models" / "squeezenet1_0_dc_torchvision_keys.safetensors")
    assert torch_file.keys() == other.keys()
    assert all(torch.equal(torch_file[name], other[name]) for name in torch_file)
