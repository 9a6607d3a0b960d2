from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `torch`")

import torch

from assay.errors import CheckpointError
from assay.models import checkpoint
from tests.messages import assert_says

pytestmark = pytest.mark.torch


class _Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 1, bias=False)
        self.bn = torch.nn.BatchNorm2d(4, momentum=0.3)

    def forward(self, image: Any) -> Any:
        return self.bn(self.conv(image))


def _saved(folder: Path, content: object) -> Path:
    path = folder / "weights.pth"
    torch.save(content, path)
    return path


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_and_whole_numbers_are_kept(tmp_path: Path, half: Any) -> None:
    weights = {"w": torch.tensor([0.5, -2.0], dtype=half), "count": torch.tensor(3)}
    found = checkpoint.load(_saved(tmp_path, weights))
    assert found["w"].dtype == torch.float32
    assert found["w"].tolist() == [0.5, -2.0]
    assert found["count"].dtype == torch.int64


class _Code:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


def test_no_code_of_the_file_is_run(tmp_path: Path) -> None:
    path = _saved(tmp_path, {"w": torch.ones(1), "code": _Code(tmp_path / "it-ran")})
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path)
    assert_says(caught, str(path), "holds more than weights", "was not loaded")
    assert not (tmp_path / "it-ran").exists()


def test_nobody_is_told_to_run_the_code(tmp_path: Path) -> None:
    path = _saved(tmp_path, {"code": _Code(tmp_path / "it-ran")})
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path)
    assert "`False` will likely succeed" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [[torch.ones(1)], {"state_dict": {"w": torch.ones(1)}, "epoch": 3}, torch.ones(1), None, {"w": 1.0}]
)
def test_a_file_that_holds_no_table_of_tensors_says_what_to_save(tmp_path: Path, content: object) -> None:
    path = _saved(tmp_path, content)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path)
    assert_says(caught, str(path), "no table of tensors", "state_dict()")


def test_a_checkpoint_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(tmp_path / "none.pth")
    assert_says(caught, f"no checkpoint at {tmp_path / 'none.pth'}")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"hello world\n", id="text"),
        pytest.param(pickle.dumps({"w": 1}), id="a bare pickle"),
        pytest.param(b"PK\x03\x04" + b"\0" * 100, id="half an archive"),
        pytest.param(b"\x89PNG\r\n\x1a\n", id="an image"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path)
    assert_says(caught, str(path))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_checkpoint_is_named(tmp_path: Path, share: float) -> None:
    path = _saved(tmp_path, _Network().state_dict())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path)
    assert_says(caught, str(path), "cannot be read as a checkpoint")


def test_weights_are_put_into_the_network() -> None:
    trained, empty = _Network(), _Network()
    checkpoint.fill(empty, trained.state_dict(), "the weights")
    for name, value in trained.state_dict().items():
        assert torch.equal(empty.state_dict()[name], value)


def test_weights_that_do_not_fit_say_which_keys_and_what_to_give() -> None:
    weights = _Network().state_dict()
    del weights["conv.weight"]
    weights["fc.weight"] = torch.ones(1)
    weights["bn.bias"] = torch.ones(7)
    network = _Network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        checkpoint.fill(network, weights, "the weights of w.pth and net")
    assert_says(
        caught,
        "the weights of w.pth and net do not fit",
        "1 keys missing (conv.weight)",
        "1 keys too many (fc.weight)",
        "1 of another shape (bn.bias (7,) instead of (4,))",
        "give the right --arch",
    )
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_many_keys_that_do_not_fit_are_counted() -> None:
    with pytest.raises(CheckpointError) as caught:
        checkpoint.fill(_Network(), {}, "the weights")
    assert_says(caught, "5 keys missing (conv.weight, bn.weight, bn.bias, bn.running_mean, …)")


def test_weights_from_before_torch_counted_batches_fit() -> None:
    trained = {name: value for name, value in _Network().state_dict().items() if name != "bn.num_batches_tracked"}
    _Network().load_state_dict(trained)
    checkpoint.fill(_Network(), trained, "the weights")


def test_random_weights_are_given_statistics_on_the_way_to_those_of_the_batches() -> None:
    network = _Network()
    with torch.no_grad():
        network.conv.weight.copy_(torch.ones(4, 3, 1, 1))
    # The convolution adds the three channels: one batch is 3 everywhere, the other 9. At a momentum of 0.3 the mean
    # goes from 0 to 0.9 and to 0.63 + 2.7, the variance from 1 to 0.7 and to 0.49.
    batches = [np.full((2, 3, 2, 2), value, dtype=np.float32) for value in (1.0, 3.0)]
    checkpoint.settle_statistics(network, batches)
    assert network.state_dict()["bn.running_mean"].tolist() == pytest.approx([3.33] * 4)
    assert network.state_dict()["bn.running_var"].tolist() == pytest.approx([0.49] * 4)
    assert not network.training
