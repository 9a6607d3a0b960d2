"""Weights into a network: every name and shape must fit, and random ones must be worth comparing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from assay.errors import CheckpointError, Option, Remedy

_SHOWN = 4
_NEGLIGIBLE = 1e-3
_SPREAD = 0.02
"""The standard deviation that vision transformers are initialised with."""
_SCALE = 0.1


def fill(
    network: torch.nn.Module,
    weights: Mapping[str, torch.Tensor],
    described: str,
    look_alikes: Callable[[], Sequence[str]] = tuple,
) -> None:
    """Puts the weights into the network; every key must fit. `look_alikes` is asked only where they do not."""
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
        f"{len(keys)} {kind} ({', '.join(keys[:_SHOWN])}{', …' if len(keys) > _SHOWN else ''})"
        for kind, keys in (("keys missing", missing), ("keys too many", extra), ("of another shape", wrong))
        if keys
    ]
    if faults:
        fitting = look_alikes()
        if fitting:
            remedy = Remedy("give {}", Option("arch", fitting[0]))
            faults.append(f"it looks like {' or '.join(fitting)}")
        else:
            remedy = Remedy("give the right {}", Option("arch"))
        raise CheckpointError(f"{described} do not fit: {'; '.join(faults)}", remedy=remedy)
    table = OrderedDict((key, value.to(expected[key].dtype)) for key, value in weights.items())
    # Some layers rename their weights by the version of the layer that saved them, and refuse a table without one.
    # The names fit this network, so the versions are its own.
    table._metadata = getattr(expected, "_metadata", None)  # type: ignore[attr-defined]
    # Assigned, not copied: the network may have been built without memory of its own.
    network.load_state_dict(table, strict=False, assign=True)


def wake(network: torch.nn.Module) -> None:
    """Gives random values to weights that begin at nothing, so that a comparison of scores can fail.

    A vision transformer's classifier begins at zero: every score is zero, and any two ways to compute them agree.
    ConvNeXt multiplies what each block does by 1e-6, so no fault in a block would show.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in network.parameters():
            size = float(parameter.detach().abs().max())
            if size == 0.0 and parameter.ndim >= 2:
                torch.nn.init.normal_(parameter, std=_SPREAD)
            elif 0.0 < size < _NEGLIGIBLE:
                torch.nn.init.constant_(parameter, _SCALE)


def settle_statistics(network: torch.nn.Module, batches: Sequence[npt.NDArray[np.float32]]) -> None:
    """Runs batches, float32 N×3×H×W and normalised, through the network so that normalisation statistics are sane.

    Without this, the scores of random weights reach 1e5 and a relative difference of scores says nothing. The
    running averages move only part of the way to the batches' own statistics, which is wanted: with exactly those,
    a deep random network amplifies the rounding of its first layer a hundredfold. Only the normalisations are in
    training mode: dropout would make every run's statistics others.
    """
    normalisations = [part for part in network.modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)]
    if not normalisations:
        return
    for part in normalisations:
        part.train()
    with torch.no_grad():
        for batch in batches:
            network(torch.from_numpy(batch))
    network.eval()
