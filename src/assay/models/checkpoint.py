"""Weights from a file into a network, without running anything that the file holds."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from assay.errors import CheckpointError

_SHOWN = 4


def load(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a `.pth` file by name, half precision widened to float32; no code of the file is run."""
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}; give a .pth file of weights")
    try:
        with warnings.catch_warnings():
            # What torch says of a file that it then refuses, or reads, is said below or of no use here.
            warnings.simplefilter("ignore")
            loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than weights{_named(error)}, or is no checkpoint; it was not loaded and nothing in it "
            "ran. Give a file that holds a state_dict() alone"
        ) from error
    except Exception as error:  # torch's reader of pickles raises whatever a damaged file makes it trip over
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {_first_line(error)}") from error
    if not isinstance(loaded, Mapping) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise CheckpointError(f"{path} holds no table of tensors; save the network's state_dict() and give that")
    return {str(key): _widened(value) for key, value in loaded.items()}


def fill(network: torch.nn.Module, weights: Mapping[str, torch.Tensor], described: str) -> None:
    """Puts the weights into the network; every key must fit."""
    expected = network.state_dict()
    # The count of batches alters no score, and torch itself loads tables without it.
    missing = [key for key in expected if key not in weights and not key.endswith("num_batches_tracked")]
    extra = [key for key in weights if key not in expected]
    wrong = [
        f"{key} {tuple(weights[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if key in weights and weights[key].shape != expected[key].shape
    ]
    faults = [
        f"{len(found)} {kind} ({', '.join(found[:_SHOWN])}{', …' if len(found) > _SHOWN else ''})"
        for kind, found in (("keys missing", missing), ("keys too many", extra), ("of another shape", wrong))
        if found
    ]
    if faults:
        raise CheckpointError(f"{described} do not fit: {'; '.join(faults)}; give the right --arch")
    network.load_state_dict(dict(weights), strict=False)


def settle_statistics(network: torch.nn.Module, batches: Sequence[npt.NDArray[np.float32]]) -> None:
    """Runs batches, float32 N×3×H×W and normalised, in training mode, so that normalisation statistics are sane.

    Without this, the scores of random weights reach 1e5 and a relative difference of scores says nothing. The
    running averages move only part of the way to the batches' own statistics, which is wanted: with exactly those,
    a deep random network amplifies the rounding of its first layer a hundredfold.
    """
    network.train()
    with torch.no_grad():
        for batch in batches:
            network(torch.from_numpy(batch))
    network.eval()


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _named(error: pickle.UnpicklingError) -> str:
    """What the file would have called, where torch names it."""
    found = re.search(r"(?:GLOBAL|global|class|function) ([\w.]+\.[\w.]+)", str(error))
    return f" (it calls {found[1]})" if found else ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
