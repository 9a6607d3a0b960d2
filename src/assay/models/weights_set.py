"""Which of the sets of weights in a file is meant: the one that fits the architecture, or the one that is named.

A training script saves a network's weights under a word of its own, beside an optimizer's state, and often twice: as
they are, and averaged. So sets are known by what they hold: the names and shapes of the architecture. Where two fit,
the user chooses.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from assay import units
from assay.errors import CheckpointError, Option, Remedy, UnknownNameError
from assay.models import weights_file
from assay.models.weights_file import Table

TOP = "."
"""The name of the set that stands in no table of its own, beside one that does."""
_USUAL = ("", "state_dict", "model_state_dict", "model")
"""Where the one set of a file usually stands, which needs no word."""
_USUAL_PREFIX = re.compile(r"((module|_orig_mod|model)\.)*")
"""What DataParallel, torch.compile and Lightning put before every name."""
_SLOT = re.compile(
    r"(^|\.)((max_)?(exp_avg|exp_inf|square_avg)|grad_avg|acc_delta|neg_pre_grad|momentum_buffer)[a-z_]*(\.|$)"
)
"""What optimizers call the tensors that they keep for each weight, of its shape."""
_INDEXED = re.compile(r"(^|\.)state\.\d+(\.|$)")
"""Where an optimizer keeps them: under the number of the weight."""
_SEVERAL = 2
_OFFERED = 3
_NOTABLE = 0.5
"""The share of an architecture's names that makes a table a set of its weights, if not a whole one."""

Shapes = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Architecture:
    """What weights are to fit."""

    name: str
    shapes_for: Callable[[Shapes], Shapes]
    """The shapes of its network for weights of some shapes: those settle its number of classes."""


@dataclass(frozen=True)
class WeightsSet:
    """The weights that were chosen, and how."""

    name: str
    tensors: dict[str, torch.Tensor]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """What the file left open, and how that was read."""

    @property
    def recorded(self) -> str | None:
        """Its name for a record; None where the file is the set."""
        return None if self.name == TOP else self.name


@dataclass(frozen=True)
class _Candidate:
    """The tensors of a table whose names begin with a prefix, which is taken away."""

    table: Table
    prefix: str
    tensors: Mapping[str, torch.Tensor]
    expected: Shapes
    """The architecture's, for tensors of these shapes."""
    outside: Mapping[str, torch.Tensor]
    """The tensors of the table that belong to no set."""
    is_alone: bool
    """Whether its table holds no other set."""

    @property
    def full_name(self) -> str:
        return ".".join(part for part in (self.table.name, self.prefix.rstrip(".")) if part) or TOP

    @property
    def name(self) -> str:
        return (self.table.name or TOP) if self.is_alone else self.full_name

    @property
    def needed(self) -> set[str]:
        return _needed(self.expected)

    @property
    def fitting(self) -> int:
        """How many of the architecture's names it has, in their shapes."""
        tensors, expected = self.tensors, self.expected
        return sum(name in tensors and tuple(tensors[name].shape) == tuple(expected[name]) for name in self.needed)

    @property
    def is_whole(self) -> bool:
        return self.fitting == len(self.needed)

    @property
    def is_optimizers(self) -> bool:
        return _SLOT.search(self.full_name) is not None

    @property
    def described(self) -> str:
        """Its name and size, for a list of sets to choose among."""
        size = units.memory(sum(value.numel() * value.element_size() for value in self.tensors.values()))
        part = "" if self.is_whole else f", {self.fitting} of {len(self.needed)} weights"
        return f"{self.name} ({len(self.tensors)} tensors, {size}{part})"


def load(path: Path, architecture: Architecture, wanted: str | None = None) -> WeightsSet:
    """The weights of a file that fit an architecture, or those of the name `wanted`.

    Raises `CheckpointError` if several sets fit and none is named, and `UnknownNameError` if there is none of the name.
    Where none fits, the one that comes nearest is given: filling the network says what does not fit.
    """
    everything = weights_file.tables(path)
    tables = [table for table in everything if not table.is_list]
    candidates = [one for table in tables for one in _candidates(table, architecture)]
    if wanted is not None:
        return _named(path, tables, candidates, wanted)
    if not candidates:
        return _unlike(max(tables, key=_size), path)
    if all(one.is_optimizers for one in candidates):
        raise _several(path, architecture, candidates, "an optimizer's state of the shapes of")
    sets = [one for one in candidates if one.is_whole or not one.is_optimizers]
    whole = [one for one in sets if one.is_whole]
    if not whole:
        return _taken(max(sets, key=lambda one: one.fitting), path)
    if not all(_are_same(whole[0], other) for other in whole[1:]):
        raise _several(path, architecture, whole, f"{len(whole)} sets of weights of")
    taken = whole[0]
    if taken.outside and (strange := _of_many_values(taken.outside)):
        raise CheckpointError(
            f"{path} holds more than the weights of {architecture.name}: beside {taken.prefix}* stand "
            f"{units.names(strange)}, which may be part of the network",
            remedy=Remedy("give {} to leave them aside", Option("weights_set", taken.full_name)),
        )
    parts = [one.described for one in sets if not one.is_whole]
    alike = _alike(taken, [table for table in everything if all(table is not one.table for one in candidates)])
    left_open = [f"beside it stands {', '.join(parts)}"] if parts else []
    left_open += [f"left aside: {', '.join(alike)}"] if alike else []
    return _taken(
        taken, path, tuple(f"weights: the set {taken.name} of {path.name} was taken; {left}" for left in left_open)
    )


def _several(path: Path, architecture: Architecture, sets: Sequence[_Candidate], what: str) -> CheckpointError:
    return CheckpointError(
        f"{path} holds {what} {architecture.name}: {', '.join(one.described for one in sets)}",
        remedy=Remedy(
            f"choose with {' or '.join('{}' for _ in sets[:_OFFERED])}",
            *(Option("weights_set", one.name) for one in sets[:_OFFERED]),
        ),
    )


def _candidates(table: Table, architecture: Architecture) -> list[_Candidate]:
    """The sets of an architecture's weights in a table, whole or in good part, each behind a prefix of its own."""
    needed = _needed(architecture.shapes_for({}))
    counts: Counter[str] = Counter()
    for name in table.tensors:
        parts = name.split(".")
        counts.update(
            ".".join((*parts[:start], "")) if start else ""
            for start in range(len(parts))
            if ".".join(parts[start:]) in needed
        )
    prefixes = [prefix for prefix, count in counts.items() if count >= _NOTABLE * len(needed)]
    owned: dict[str, dict[str, torch.Tensor]] = {prefix: {} for prefix in prefixes}
    outside = {}
    for name, value in table.tensors.items():
        owner = max((prefix for prefix in prefixes if name.startswith(prefix)), key=len, default=None)
        if owner is None:
            outside[name] = value
        else:
            owned[owner][name.removeprefix(owner)] = value
    return [
        _Candidate(
            table=table,
            prefix=prefix,
            tensors=tensors,
            expected=architecture.shapes_for({name: tuple(value.shape) for name, value in tensors.items()}),
            outside=outside,
            is_alone=len(prefixes) == 1,
        )
        for prefix, tensors in owned.items()
    ]


def _needed(shapes: Shapes) -> set[str]:
    """The names that weights must have; a count of batches alters no score, and torch loads tables without it."""
    return {name for name in shapes if not name.endswith("num_batches_tracked")}


def _named(path: Path, tables: Sequence[Table], candidates: Sequence[_Candidate], wanted: str) -> WeightsSet:
    """The set of a name, whether it fits or not."""
    for one in candidates:
        if wanted in (one.name, one.full_name):
            strange = _of_many_values(one.outside)
            left = f"weights: {units.names(strange)} of {path.name} left aside, for the set {wanted} was asked for"
            return _taken(one, path, (left,) if strange else ())
    for table in tables:
        if wanted == (table.name or TOP):
            return _unlike(table, path)
    known = [one.name for one in candidates] or [table.name or TOP for table in tables]
    raise UnknownNameError(f"set of weights in {path}", wanted, known)


def _taken(one: _Candidate, path: Path, warnings: tuple[str, ...] = ()) -> WeightsSet:
    """The weights of a candidate; what else it holds of one value is left aside, and said to be."""
    beside = {name: value for name, value in one.tensors.items() if name not in one.expected} | dict(one.outside)
    aside = [name for name, value in beside.items() if value.numel() <= 1] if one.is_whole else []
    kind = next(value.dtype for name, value in one.tensors.items() if name in one.expected)
    # A number of the weights' own type may be a weight: a temperature, a slope.
    doubtful = [name for name in aside if kind == beside[name].dtype and kind.is_floating_point]
    harmless = tuple(name for name in (*aside, *one.table.loose) if name not in doubtful)
    notes = []
    if one.table.name not in _USUAL or not one.is_alone:
        notes.append(f"the weights of {path.name} are its set {one.name}")
    if one.is_alone and not _USUAL_PREFIX.fullmatch(one.prefix):
        notes.append(f"names of {path.name} are taken without {one.prefix} before them")
    if harmless:
        notes.append(f"left aside in {path.name}, as no weights: {units.names(harmless)}")
    if doubtful:
        left = f"weights: {units.names(tuple(doubtful))} of {path.name} left aside, for the architecture has none such"
        warnings = (*warnings, left)
    weights = {name: value for name, value in one.tensors.items() if name not in aside}
    return WeightsSet(one.name, weights_file.plain(weights, path), tuple(notes), warnings)


def _unlike(table: Table, path: Path) -> WeightsSet:
    """The tensors of a table that fits nothing, without what stands before all names."""
    tensors = dict(table.tensors)
    while len({name.partition(".")[0] for name in tensors}) == 1 and all("." in name for name in tensors):
        tensors = {name.partition(".")[2]: value for name, value in tensors.items()}
    return WeightsSet(table.name or TOP, weights_file.plain(tensors, path))


def _are_same(one: _Candidate, other: _Candidate) -> bool:
    return all(name in other.tensors and torch.equal(one.tensors[name], other.tensors[name]) for name in one.needed)


def _alike(taken: _Candidate, others: Sequence[Table]) -> list[str]:
    """The names of what else holds several tensors of the taken weights' shapes, under whatever names or none.

    Tables are counted together with all that stands under the same key, for each weight may have a table of its own.
    An optimizer's state is passed over.
    """
    wanted = Counter(tuple(taken.expected[name]) for name in taken.needed)
    origin = _keys(taken.table)
    shapes: dict[tuple[str, ...], Counter[tuple[int, ...]]] = {}
    places: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for table in others:
        if _INDEXED.search(table.name) or _SLOT.search(table.name):
            continue
        kept = [
            tuple(value.shape)
            for name, value in table.tensors.items()
            if value.is_floating_point() and tuple(value.shape) in wanted and not _SLOT.search(name)
        ]
        if kept:
            keys = _keys(table)
            group = keys[: len(_shared([keys, origin])) + 1]
            shapes.setdefault(group, Counter()).update(kept)
            places.setdefault(group, []).append(keys)
    counts = {group: (found & wanted).total() for group, found in shapes.items()}
    return [
        f"{'.'.join(_shared(places[group])) or TOP} ({count} tensors of the same shapes)"
        for group, count in counts.items()
        if count >= _SEVERAL
    ]


def _shared(places: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The keys with which all begin."""
    columns = zip(*places, strict=False)
    return tuple(keys[0] for keys in itertools.takewhile(lambda keys: len(set(keys)) == 1, columns))


def _keys(table: Table) -> tuple[str, ...]:
    return tuple(table.name.split(".")) if table.name else ()


def _of_many_values(tensors: Mapping[str, torch.Tensor]) -> tuple[str, ...]:
    return tuple(name for name, value in tensors.items() if value.numel() > 1)


def _size(table: Table) -> int:
    return sum(value.numel() for value in table.tensors.values())
