"""The one contract: what a runtime must be able to do to take part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from assay.errors import Option, Remedy
from assay.records import BuildOptions, CompiledModel, OnnxModel, Precision, Profile, Setting, TensorSpec

Batch = npt.NDArray[Any]
Scores = npt.NDArray[np.float32]
Settings = Mapping[str, Sequence[Setting]]
Start = Literal["onnx", "typed onnx", "exported program"]
"""What a backend compiles: the ONNX graph in float32, the graph with half precision put into it where that is asked
for, or what `torch.export` writes."""


ANOTHER = Remedy("choose another backend for this model ({} tries each)", Option("backend", "auto"))
"""What to do about a model that a runtime does not take."""


class Names(tuple[str, ...]):
    """The known names among the values of a setting that takes others of their form too."""

    form: str
    """A regular expression."""
    where: str
    """Where the name wanted is found, for a message."""

    @classmethod
    def of(cls, *known: str, form: str, where: str) -> Self:
        """Those known, the default first."""
        names = cls(dict.fromkeys(known))
        names.form, names.where = form, where
        return names


class Session(Protocol):
    """An artifact opened on a device; a context manager, safe from `slots` threads at once."""

    device: str
    """What really runs it; there is no silent fallback."""
    input: TensorSpec
    """uint8 N×H×W×3, or float32 N×3×H×W."""
    output: TensorSpec
    """float32 N×classes."""
    slots: int
    """How many batches may be in flight."""

    def infer(self, batch: Batch) -> Scores:
        """Scores one batch; blocks until the result is on the host, in an array that the caller owns."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Backend(Protocol):
    """A runtime."""

    name: str
    suffix: str
    """How an artifact's file name ends."""
    faithful: bool
    """Whether the scores are the model's; a backend whose scores are made up is held to no parity."""
    starts_from: Start

    def version(self) -> str:
        """The version of the vendor's runtime; part of an artifact's key."""

    def devices(self) -> Sequence[str]:
        """The devices on this machine, the default one first."""

    def target(self, device: str) -> str:
        """What an artifact for this device depends on: a fingerprint of the processor or device."""

    def precisions(self, device: str) -> Sequence[Precision]:
        """What a device can compute in, the best one first; single precision is taken where none is asked for."""

    def build_settings(self, device: str) -> Settings:
        """The settings that alter an artifact and their values, the default first."""

    def run_settings(self, device: str) -> Settings:
        """The settings that alter only how an artifact runs and their values, the default first."""

    def compile(self, model: OnnxModel, options: BuildOptions, out: Path) -> None:
        """Compiles a model whose batch size and input kind are already those of the options, to one file."""

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> Session:
        """Opens an artifact; nothing is left to convert."""


@runtime_checkable
class RunsCommand(Protocol):
    """A backend that compiles by running a command; a second, optional protocol."""

    usual_device: str
    """The device that a command is written for where this machine has none."""

    def command(self, model: OnnxModel, options: BuildOptions, out: Path) -> Sequence[str]:
        """The words of the command that compiles a model as `compile` is given it."""


@runtime_checkable
class CastsFirst(Protocol):
    """A backend on some of whose devices bytes must be cast before anything else is done to them; optional too."""

    def casts_first(self, device: str) -> bool:
        """Whether this device takes an input of uint8 only into a cast."""


@runtime_checkable
class Profiles(Protocol):
    """A backend that tells what each node of an artifact costs; optional as well."""

    def profiles_on(self, device: str) -> bool:
        """Whether it tells that for an artifact on this device."""

    def profile(
        self, compiled: CompiledModel, run_settings: Mapping[str, Setting], batch: Batch, calls: int
    ) -> Profile:
        """The costliest nodes over so many inference calls, after one that does not count.

        The artifact is opened anew: what tells the times takes time of its own.
        """
