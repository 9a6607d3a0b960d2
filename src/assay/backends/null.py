"""A backend that scores at random, at once: for tests, and for measuring the pipeline around a backend."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from assay.backends.base import Batch, Scores, Settings, Start
from assay.records import BuildOptions, CompiledModel, OnnxModel, Precision, Setting


class Null:
    """Random scores, drawn once when an artifact is opened."""

    name = "null"
    suffix = ".json"
    faithful = False
    starts_from: Start = "onnx"

    def version(self) -> str:
        """The version of this file's behaviour."""
        return "1"

    def devices(self) -> Sequence[str]:
        """One device that costs nothing."""
        return ("none",)

    def target(self, device: str) -> str:
        """The same everywhere."""
        return device

    def precisions(self, device: str) -> Sequence[Precision]:
        """Any, since nothing is computed."""
        return ("fp32", "fp16", "int8")

    def build_settings(self, device: str) -> Settings:
        """The seed of the scores."""
        return {"seed": (0,)}

    def run_settings(self, device: str) -> Settings:
        """How many batches may be in flight."""
        return {"slots": (1, 2)}

    def compile(self, model: OnnxModel, options: BuildOptions, out: Path) -> None:
        """Writes the seed and the shape of the scores."""
        out.write_text(json.dumps({"seed": options.settings.get("seed", 0)}), encoding="utf-8")

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> NullSession:
        """Draws the scores that every batch gets."""
        return NullSession(compiled, int(run_settings.get("slots", 1)))


class NullSession:
    """Gives every batch the same random scores, in an array of its own."""

    def __init__(self, compiled: CompiledModel, slots: int) -> None:
        self.device = "none"
        self.input = compiled.input
        self.output = compiled.output
        self.slots = slots
        seed = json.loads(compiled.file.path.read_text(encoding="utf-8"))["seed"]
        shape = (compiled.options.batch, compiled.model.classes)
        self._scores = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)

    def infer(self, batch: Batch) -> Scores:
        """The scores, without a look at the batch."""
        return self._scores.copy()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""
