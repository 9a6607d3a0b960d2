from __future__ import annotations

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
        "give the right arch",
    )
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_weights_of_another_architecture_say_which_one_it_looks_like() -> None:
    with pytest.raises(CheckpointError) as caught:
        checkpoint.fill(_Network(), {}, "the weights", lambda: ["resnet50", "resnet101"])
    assert_says(caught, "it looks like resnet50 or resnet101; give arch=resnet50")


def test_nobody_looks_for_another_architecture_where_the_weights_fit() -> None:
    def never() -> list[str]:
        raise AssertionError

    checkpoint.fill(_Network(), _Network().state_dict(), "the weights", never)


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


class _Dropping(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.drop = torch.nn.Dropout(0.5)
        self.bn = torch.nn.BatchNorm2d(3)

    def forward(self, image: Any) -> Any:
        return self.bn(self.drop(image))


def test_statistics_are_the_same_every_time() -> None:
    batches = [np.random.default_rng(3).standard_normal((2, 3, 8, 8)).astype(np.float32)]
    networks = _Dropping().eval(), _Dropping().eval()
    for network in networks:
        checkpoint.settle_statistics(network, batches)
    first, second = (network.state_dict()["bn.running_mean"] for network in networks)
    assert torch.equal(first, second)


def test_a_network_without_normalisation_is_not_run_for_its_statistics() -> None:
    checkpoint.settle_statistics(torch.nn.Linear(2, 2), [np.zeros((1, 3, 8, 8), np.float32)])


def _asleep() -> Any:
    network = torch.nn.Linear(4, 3)
    network.register_parameter("layer_scale", torch.nn.Parameter(torch.full((3, 1, 1), 1e-6)))
    torch.nn.init.zeros_(network.weight)
    torch.nn.init.zeros_(network.bias)
    return network


def test_weights_that_begin_at_nothing_are_woken_the_same_every_time() -> None:
    first, second = _asleep(), _asleep()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    checkpoint.wake(first)
    checkpoint.wake(second)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first.weight, second.weight)
    assert 0.005 < float(first.weight.detach().std()) < 0.05
    assert first.layer_scale.flatten().tolist() == pytest.approx([0.1] * 3)
    assert first.bias.tolist() == [0.0] * 3


def test_weights_that_are_awake_are_left_alone() -> None:
    network = torch.nn.Linear(4, 3)
    before = network.weight.detach().clone()
    checkpoint.wake(network)
    assert torch.equal(network.weight, before)
