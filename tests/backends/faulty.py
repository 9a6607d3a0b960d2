"""Backends that fail as vendors' do: ONNX Runtime, but for one fault each."""

from __future__ import annotations

import ctypes
import itertools
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from assay.backends.base import Batch, Scores
from assay.backends.onnxruntime import OnnxRuntime, OnnxRuntimeSession
from assay.errors import BackendError, MissingExtraError
from assay.records import BuildOptions, CompiledModel, OnnxModel, Setting

_NAMES = ("crashing", "aborting", "hanging", "greedy", "wrong", "late", "slow", "halting", "absent")
TABLE = {name: f"{__name__}:{name.title()}" for name in _NAMES}
"""name → module:class, as in the registry."""

HALT_SECONDS = 0.1
_calls = itertools.count()


class Crashing(OnnxRuntime):
    """Reads from nowhere while compiling."""

    name = "crashing"

    def compile(self, model: OnnxModel, options: BuildOptions, out: Path) -> None:
        ctypes.string_at(0)


class Aborting(OnnxRuntime):
    """Gives up at its first inference."""

    name = "aborting"

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> OnnxRuntimeSession:
        os.abort()


class Hanging(OnnxRuntime):
    """Never ends."""

    name = "hanging"

    def compile(self, model: OnnxModel, options: BuildOptions, out: Path) -> None:
        time.sleep(600)


class Greedy(OnnxRuntime):
    """Is refused memory."""

    name = "greedy"

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> OnnxRuntimeSession:
        raise BackendError("greedy could not open: std::bad_alloc")


class Wrong(OnnxRuntime):
    """Gives other scores, at once."""

    name = "wrong"

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> OnnxRuntimeSession:
        return _Wrong.of(super().open(compiled, run_settings))


class Late(OnnxRuntime):
    """Is right in the first four rows of a batch alone."""

    name = "late"

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> OnnxRuntimeSession:
        return _Late.of(super().open(compiled, run_settings))


class Slow(OnnxRuntime):
    """Is right, and takes its time."""

    name = "slow"

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> OnnxRuntimeSession:
        return _Slow.of(super().open(compiled, run_settings))


class Halting(OnnxRuntime):
    """Is right, and takes its time in one call of ten."""

    name = "halting"

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> OnnxRuntimeSession:
        return _Halting.of(super().open(compiled, run_settings))


class Absent(OnnxRuntime):
    """Lacks the package that it needs."""

    name = "absent"

    def __init__(self) -> None:
        raise MissingExtraError("backend absent", "absent")


class _Altered(OnnxRuntimeSession):
    @classmethod
    def of(cls, session: OnnxRuntimeSession) -> OnnxRuntimeSession:
        session.__class__ = cls
        return session


class _Wrong(_Altered):
    def infer(self, batch: Batch) -> Scores:
        return super().infer(batch) * 2


class _Late(_Altered):
    def infer(self, batch: Batch) -> Scores:
        scores = super().infer(batch)
        return np.concatenate([scores[:4], scores[4:][::-1]])


class _Slow(_Altered):
    def infer(self, batch: Batch) -> Scores:
        time.sleep(0.05)
        return super().infer(batch)


class _Halting(_Altered):
    def infer(self, batch: Batch) -> Scores:
        if next(_calls) % 10 == 0:
            time.sleep(HALT_SECONDS)
        return super().infer(batch)
