"""Weights from a file into a network, without running anything that the file holds."""

from __future__ import annotations

import pickle
import zipfile
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
        raise CheckpointError(f"no checkpoint at {path}")
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than weights, or is no checkpoint, and was not loaded: {_first_line(error)}"
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {_first_line(error)}") from error
    if not isinstance(loaded, Mapping) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise CheckpointError(f"{path} holds no table of tensors; save the network's state_dict() and give that")
    return {str(key): _widened(value) for key, value in loaded.items()}


def fill(network: torch.nn.Module, weights: Mapping[str, torch.Tensor], described: str) -> None:
    """Puts the weights into the network; every key must fit."""
    expected = network.state_dict()
    missing = [key for key in expected if key not in weights]
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
    network.load_state_dict(dict(weights))


def settle_statistics(network: torch.nn.Module, batches: Sequence[npt.NDArray[np.float32]]) -> None:
    """Gives a network of random weights sane normalisation statistics: the averages over these batches.

    Batches are float32 N×3×H×W, normalised. Without this, activations grow from layer to layer, scores reach
    1e5, and a relative difference of scores says nothing.
    """
    normalisations = [
        module for module in network.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
    ]
    momenta = [module.momentum for module in normalisations]
    for module in normalisations:
        module.reset_running_stats()
        # None: the plain average of all batches seen, rather than one that starts at the initial values.
        module.momentum = None
    network.train()
    with torch.no_grad():
        for batch in batches:
            network(torch.from_numpy(batch))
    network.eval()
    for module, momentum in zip(normalisations, momenta, strict=True):
        module.momentum = momentum


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
