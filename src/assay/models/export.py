"""A network to ONNX: input `image`, output `class`, the batch size free."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch

from assay.errors import ModelError, Option, Remedy, UsageError
from assay.storage import store

OPSET = 11
"""The guide's; operators of the newer architectures need more."""
OPSETS = range(7, 21)
"""What the exporter that traces can write."""
_HIGHEST_TRIED = 18
_LARGEST_FILE = 2**31
"""What protobuf, and so an ONNX file in one piece, can hold in bytes."""
INPUT, OUTPUT = "image", "class"

Score = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


def export(network: torch.nn.Module, side: int, opset: int | None, out: Path, data: Path) -> str | None:
    """Writes the ONNX file of a network in evaluation mode, for float32 images N×3×side×side.

    Weights that are too many for one ONNX file go into `data`, which stands beside `out`. Without an opset it is the
    guide's, or the lowest that the network's operators allow; then what that one lacks is returned.
    """
    if size_of(network) < _LARGEST_FILE:
        return _export(network, side, opset, out)
    # torch puts each large tensor into a file of its own.
    with store.scratch_folder(out.parent) as folder:
        traced = folder / "model.onnx"
        lacking = _export(network, side, opset, traced)
        # What stands there would be written into, not replaced.
        data.unlink(missing_ok=True)
        onnx.save_model(onnx.load(str(traced)), str(out), save_as_external_data=True, location=data.name)
        # onnx makes that file readable for its owner alone.
        data.chmod(out.stat().st_mode)
    return lacking


def size_of(network: torch.nn.Module) -> int:
    """The bytes of all weights."""
    return sum(value.numel() * value.element_size() for value in network.state_dict().values())


def _export(network: torch.nn.Module, side: int, opset: int | None, out: Path) -> str | None:
    if opset is not None:
        if opset not in OPSETS:
            raise UsageError(f"opset {opset}: torch writes {OPSETS[0]} to {OPSETS[-1]}; give one of those")
        try:
            _trace(network, side, opset, out)
        except torch.onnx.errors.OnnxExporterError as error:
            raise ModelError(
                f"cannot export to ONNX opset {opset}: {_first_line(error)}",
                remedy=Remedy("leave out {} for the lowest one", Option("opset")),
            ) from error
        return None
    tried, lacking = OPSET, dict[str, None]()
    while True:
        try:
            _trace(network, side, tried, out)
        except torch.onnx.errors.OnnxExporterError as error:
            lacking[_operator(error)] = None
            # The exporter mostly knows which version brought the operator; that saves tracing for those between.
            known = re.search(r"added in version (\d+)", str(error))
            tried = max(tried + 1, int(known[1]) if known else 0)
            if tried > _HIGHEST_TRIED:
                raise ModelError(
                    f"cannot export to any ONNX opset from {OPSET} to {_HIGHEST_TRIED}: {_first_line(error)}; "
                    "export it by other means and give the .onnx file"
                ) from error
        else:
            return f"opset {OPSET} lacks {', '.join(lacking)}" if lacking else None


def _trace(network: torch.nn.Module, side: int, opset: int, out: Path) -> None:
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
        except torch.onnx.errors.OnnxExporterError:
            raise
        # A network that cannot take these images fails in whatever way its layers do.
        except (RuntimeError, ValueError, AssertionError) as error:
            raise ModelError(
                f"the network cannot be traced for images of {side}×{side}: {_first_line(error)}",
                remedy=Remedy("give the {} that it was trained for", Option("crop")),
            ) from error


def _operator(error: Exception) -> str:
    named = re.search(r"operator '?(?:aten::)?(\w+)", str(error))
    return named[1] if named else _first_line(error)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


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
