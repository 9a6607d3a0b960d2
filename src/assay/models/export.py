"""A network to ONNX: input `image`, output `class`, the batch size free."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from assay.errors import ModelError

OPSET = 11
"""The guide's; operators of the newer architectures need more."""
INPUT, OUTPUT = "image", "class"

Score = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


def export(network: torch.nn.Module, side: int, opset: int, out: Path) -> None:
    """Writes the ONNX file of a network in evaluation mode, for float32 images N×3×side×side."""
    example = torch.zeros(1, 3, side, side)
    # What fails prints the whole graph on standard output, which belongs to the record.
    with warnings.catch_warnings(), _nothing_on_standard_output():
        # The exporter that traces is announced as deprecated; the newer one breaks torchvision's residual
        # networks in ways that only a parity check shows.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                network,
                (example,),
                str(out),
                opset_version=opset,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
                dynamo=False,
            )
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            first = str(error).strip().splitlines()[0][:300]
            raise ModelError(f"cannot export to ONNX opset {opset}: {first}; try a higher --opset") from error


def score_function(network: torch.nn.Module) -> Score:
    """The network itself as a function of normalised float32 N×3×H×W to float32 N×classes."""

    def score(batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            scores: npt.NDArray[np.float32] = network(torch.from_numpy(batch)).numpy()
        return scores

    return score


@contextmanager
def _nothing_on_standard_output() -> Iterator[None]:
    """Turns the descriptor itself away: torch prints from C++, past Python's own streams."""
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
