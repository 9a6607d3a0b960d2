"""A file of weights as tables of tensors, without running anything that the file holds.

Read are torch's archives and its older bare pickles, and safetensors. A training checkpoint may hold several tables;
`weights_set.py` chooses among them.
"""

from __future__ import annotations

import argparse
import io
import pickletools
import re
import warnings
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from assay import units
from assay.errors import CheckpointError, MissingExtraError
from assay.storage.stand_in import STAND_IN_BYTES, stand_in

_RENAMED = (
    # Names with a dot inside became attributes: `norm.1` is `norm1` now, as torchvision's own loader has it.
    (re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)"), r"\1\2"),
    (re.compile(r"(encoder_layer_\d+\.mlp)\.linear_1\."), r"\1.0."),
    (re.compile(r"(encoder_layer_\d+\.mlp)\.linear_2\."), r"\1.3."),
)

_HARMLESS = re.compile(
    r"torch\.\w+|torch\._utils\.\w+|torch\.storage\.\w+|torch\._tensor\.\w+|torch\.nn\.parameter\.\w+|"
    r"torch\.serialization\._get_layout|collections\.OrderedDict|_codecs\.encode|argparse\.Namespace"
)
"""What a table of tensors is made with; a file that was refused was refused for something else."""
_DEEPEST = 8
"""Keys that lead to a table, at most."""
_SCANNED = 64 * 2**20
_INSTRUCTIONS = 1_000_000
"""More than a table of ten thousand tensors has; so many are read in about two seconds."""
_PACKED_BYTES = 64 * 2**20
"""That may be gained by unpacking: the programs of TorchScript are packed, and said to be programs."""
_PICKLES = 5
"""An older file of torch begins with as many: a mark, a version, the machine, the table, the order of its storages."""


@dataclass(frozen=True)
class Table:
    """Tensors by name, as they stand together in a file."""

    name: str
    """The keys that lead to it, joined by dots; empty where the file is the table."""
    tensors: Mapping[str, torch.Tensor]
    loose: tuple[str, ...]
    """The names among them whose values are no tensors and no tables."""
    is_list: bool = False
    """Whether its tensors have no names, only places."""


def tables(path: Path) -> list[Table]:
    """Every table and list of tensors in a file, wherever it stands; no code of the file is run.

    Raises `CheckpointError` if no tensor of the file has a name.
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}; give a .pth or .safetensors file of weights")
    with path.open("rb") as file:
        instead = stand_in(file.read(STAND_IN_BYTES))
    if instead is not None:
        raise CheckpointError(f"{path} is {instead}")
    loaded = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    found = list(_tables_in(loaded, (), set()))
    if all(table.is_list for table in found):
        keys = units.names(tuple(str(key) for key in loaded), 10) if isinstance(loaded, Mapping) and loaded else ""
        holds = f"{path} holds no table of tensors{f', only {keys}' if keys else ''}"
        raise CheckpointError(f"{holds}; save the network's state_dict() and give that")
    return found


def load(path: Path) -> dict[str, torch.Tensor]:
    """The weights of a file that holds one table of tensors; raises `CheckpointError` if it holds several."""
    found = [table for table in tables(path) if not table.is_list]
    if len(found) > 1:
        raise CheckpointError(f"{path} holds several tables of tensors; give a file that holds one state_dict()")
    return plain(found[0].tensors, path)


def _tables_in(value: object, keys: tuple[str, ...], seen: set[int]) -> Iterator[Table]:
    """The tables and lists in a value, the outermost first; each once, though a pickle may hold it in two places."""
    if id(value) in seen or len(keys) > _DEEPEST or not isinstance(value, (Mapping, list, tuple)):
        return
    seen.add(id(value))
    items = [(str(key), item) for key, item in (value.items() if isinstance(value, Mapping) else enumerate(value))]
    tensors = {_renamed(key): item for key, item in items if isinstance(item, torch.Tensor)}
    if tensors:
        nested = (torch.Tensor, Mapping, list, tuple)
        loose = tuple(key for key, item in items if not isinstance(item, nested))
        yield Table(".".join(keys), tensors, loose, is_list=not isinstance(value, Mapping))
    for key, item in items:
        yield from _tables_in(item, (*keys, key), seen)


def plain(tensors: Mapping[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file, half precision widened to float32; raises `CheckpointError` if one holds no weights."""
    return {name: _widened(name, value, path) for name, value in tensors.items()}


def _is_safetensors(path: Path) -> bool:
    """By its suffix, or by how it begins: the length of a JSON object, and that object's brace."""
    with path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> object:
    try:
        import safetensors.torch
    except ImportError as error:
        raise MissingExtraError("reading .safetensors", "torch") from error
    try:
        return safetensors.torch.load_file(path)
    except Exception as error:  # the reader raises its own error, and whatever torch says of shapes and types
        raise CheckpointError(
            f"{path} cannot be read as safetensors: {_first_line(error)}; it is damaged or cut off: fetch it again"
        ) from error


def _read_torch(path: Path) -> object:
    _require_unpacked(path)
    try:
        # What torch says of a file that it then refuses, or reads, is said below or of no use here. The options of a
        # training script are a Namespace, which holds values and does nothing.
        with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader of pickles raises whatever a damaged file makes it trip over
        called = _would_call(path)
        if any(name.startswith("__torch__.") for name in called):
            raise CheckpointError(
                f"{path} is a TorchScript archive, which holds a program; save the network's state_dict() and give that"
            ) from error
        if called:
            raise CheckpointError(
                f"{path} holds more than weights: loading it would call {units.names(called)}; it was not loaded and "
                "nothing in it ran. Give a file that holds a state_dict() alone"
            ) from error
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint: {_first_line(error)}; give a .pth or .safetensors file of weights"
        ) from error


def _require_unpacked(path: Path) -> None:
    """Raises where an archive would unpack to much more than it is: torch packs no weights, so that fills memory."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except Exception:  # damaged in one of many ways, which torch says in its words
        return
    size = path.stat().st_size
    if unpacked > size + _PACKED_BYTES:
        raise CheckpointError(
            f"{path} has {units.memory(size)} and would unpack to {units.memory(unpacked)}, and torch packs nothing; "
            "it was not loaded. Save the network's state_dict() with torch.save and give that"
        )


def _would_call(path: Path) -> tuple[str, ...]:
    """The functions and classes by name that a pickle brings along, but for those of a table of tensors."""
    calls: list[str] = []
    # Only a name is looked for, in a file that may be damaged in any way, so nothing that goes wrong here matters.
    try:
        with _pickles(path) as stream:
            for _ in range(_PICKLES):
                calls.extend(_globals(stream))
    except Exception:  # noqa: S110 - as said above
        pass
    return tuple(name for name in dict.fromkeys(calls) if not _HARMLESS.fullmatch(name))


def _pickles(path: Path) -> io.BytesIO:
    """The part of a file that can hold pickles, in memory and bounded: lengths inside may lie."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            member = next(name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl")
            with archive.open(member) as file:
                return io.BytesIO(file.read(_SCANNED))
    with path.open("rb") as file:
        return io.BytesIO(file.read(_SCANNED))


def _globals(stream: io.BytesIO) -> Iterator[str]:
    """What one pickle refers to by name, read off its instructions without carrying them out."""
    memo: dict[Any, object] = {}
    texts: list[str] = []
    latest: object = None
    for instruction, argument, _ in islice(pickletools.genops(stream), _INSTRUCTIONS):
        name = instruction.name
        if name in ("GLOBAL", "INST"):
            yield _modern(*str(argument).split(" ", 1))
            latest = None
        elif name == "STACK_GLOBAL":
            if len(texts) >= 2:
                yield _modern(texts[-2], texts[-1])
            latest = None
        elif name == "MEMOIZE":
            memo[len(memo)] = latest
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[argument] = latest
        else:
            latest = memo.get(argument) if name in ("GET", "BINGET", "LONG_BINGET") else argument
            if isinstance(latest, str):
                texts.append(latest)


def _modern(module: str, name: str) -> str:
    """A name as Python 3 has it; older pickles hold those of Python 2."""
    if (module, name) in NAME_MAPPING:
        module, name = NAME_MAPPING[module, name]
    return f"{IMPORT_MAPPING.get(module, module)}.{name}"


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = pattern.sub(replacement, name)
    return name


def _widened(name: str, tensor: torch.Tensor, path: Path) -> torch.Tensor:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        kind = "quantized" if tensor.is_quantized else "without values" if tensor.is_meta else "sparse"
        raise CheckpointError(f"{path}: {name} is {kind}; give a file of plain weights")
    if tensor.numel() * tensor.element_size() > path.stat().st_size:
        raise CheckpointError(
            f"{path}: {name} has the shape {tuple(tensor.shape)}, more values than the file holds: they stand for each "
            "other; give a file of plain weights"
        )
    if not tensor.is_floating_point():
        return tensor
    widened = tensor.float()
    if not bool(torch.isfinite(widened).all()):
        raise CheckpointError(
            f"{path}: {name} holds values that are not finite numbers; the training diverged or the file is damaged: "
            "give another checkpoint"
        )
    return widened


def _first_line(error: BaseException) -> str:
    # torch begins with paragraphs of advice, among it to run the file's code; the reason stands behind them.
    text = str(error).split("WeightsUnpickler error:")[-1].split("Check the documentation")[0]
    return (text.strip().splitlines() or [type(error).__name__])[0][:200].rstrip(" .")
