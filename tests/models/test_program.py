from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `torch`")

import torch

from assay.errors import ModelError
from assay.models import export, program
from tests.messages import assert_says

pytestmark = pytest.mark.torch


def _network() -> Any:
    torch.manual_seed(1)
    layers = (torch.nn.Conv2d(3, 6, 3), torch.nn.BatchNorm2d(6), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1))
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(6, 5)).eval()


def test_scores_are_the_networks_at_any_batch_size(tmp_path: Path) -> None:
    network = _network()
    program.write(network, 8, tmp_path / "model.pt2")
    loaded = export.score_function(program.load(tmp_path / "model.pt2"))
    for batch in (1, 2, 5):
        images = np.random.default_rng(5).standard_normal((batch, 3, 8, 8)).astype(np.float32)
        np.testing.assert_array_equal(loaded(images), export.score_function(network)(images))


class _Unfollowable(torch.nn.Module):
    def forward(self, image: Any) -> Any:
        return image.mean((2, 3)) if float(image.sum()) > 0 else image.amax((2, 3))


def test_a_network_that_cannot_be_followed_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        program.write(_Unfollowable(), 4, tmp_path / "model.pt2")
    assert_says(caught, "torch.export cannot follow the network", "leave out pt2")
