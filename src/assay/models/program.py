"""A network as `torch.export` writes it, for any batch size: what torch's ahead-of-time compiler starts from."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import torch

from assay.errors import ModelError, Option, Remedy

_EXAMPLE_BATCH = 2
"""An axis of one would be taken for one that is always so."""


def write(network: torch.nn.Module, side: int, out: Path) -> None:
    """Writes a network in evaluation mode, for float32 images N×3×side×side."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exported = torch.export.export(
                network,
                (torch.zeros(_EXAMPLE_BATCH, 3, side, side),),
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                strict=True,
            )
        # What the tracer cannot follow fails in whatever way its layers do.
        except (RuntimeError, ValueError, AssertionError, torch._dynamo.exc.TorchDynamoException) as error:
            said = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            raise ModelError(
                f"torch.export cannot follow the network: {said}",
                remedy=Remedy("leave out {}, and use another backend than torch", Option("pt2")),
            ) from error
        # Into memory first: where a disk is full torch's writer raises, and once more as it is taken apart, which ends
        # the process. A path whose suffix is not this format's, as of what is being written, would be warned of.
        content = io.BytesIO()
        torch.export.save(exported, content)
    out.write_bytes(content.getbuffer())


def load(path: Path) -> torch.nn.Module:
    """The network of a file that `write` wrote."""
    with warnings.catch_warnings(), path.open("rb") as file:
        warnings.simplefilter("ignore")
        return torch.export.load(file).module()
