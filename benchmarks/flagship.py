"""The guide's model at full size, and sessions of it: its weights are random, since speed does not hang on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from assay import demo
from assay.backends import registry
from assay.backends.base import Batch, Session
from assay.models import preprocess_fusion
from assay.records import CompiledModel, OnnxModel
from assay.steps.build_options import BuildRequest
from assay.steps.export import export
from assay.storage import store
from benchmarks.harness import Measured, in_turn, seconds_of

ARCHITECTURE = "wide_resnet101_2"


@dataclass(frozen=True)
class Form:
    """Which network, how many images a call, and how many rounds."""

    architecture: str
    batch: int
    rounds: int


FULL = Form(architecture=ARCHITECTURE, batch=16, rounds=7)
SMALL = Form(architecture=demo.NAME, batch=2, rounds=1)


@dataclass(frozen=True)
class Handed:
    """The network with its batch size fixed, as it is handed to backends, and where artifacts of it lie."""

    model: OnnxModel
    batch: int
    folder: Path

    def compile_seconds(self, backend: str) -> float:
        """Compiles with the backend's defaults, without the check of the scores.

        A hundred layers of random weights magnify rounding that trained ones do not, beyond the bound of a compile.
        """
        options, _ = BuildRequest(backend=backend, input="float32").options(self.batch)
        return seconds_of(lambda: registry.get(backend).compile(self.model, options, self._place(backend)))

    def artifact(self, backend: str) -> CompiledModel:
        """The artifact, compiled anew."""
        options, _ = BuildRequest(backend=backend, input="float32").options(self.batch)
        runtime = registry.get(backend)
        seconds = self.compile_seconds(backend)
        return CompiledModel(
            file=store.reference(self._place(backend)),
            key="flagship",
            model=self.model,
            input=self.model.input,
            output=self.model.output,
            options=options,
            backend_version=runtime.version(),
            target=runtime.target(options.device),
            compile_seconds=seconds,
            parity=None,
        )

    def _place(self, backend: str) -> Path:
        return self.folder / f"{backend}-{self.batch}{registry.get(backend).suffix}"


def handed(form: Form, folder: Path) -> Handed:
    """The network of a form, exported once."""
    home = folder / "flagship"
    weights = demo.CHECKPOINT if form.architecture == demo.NAME else None
    model = export(weights, arch=form.architecture, out=home / f"{form.architecture}.onnx")
    path = home / f"{form.architecture}-{form.batch}.onnx"
    taken, given = preprocess_fusion.fuse(model, form.batch, "float32", path)
    fixed = msgspec.structs.replace(
        model, file=store.reference(path), input=taken, output=given, parity=None, checkpoint=None
    )
    return Handed(fixed, form.batch, home)


@contextmanager
def opened(artifact: CompiledModel) -> Iterator[tuple[Session, Batch]]:
    """A session with default settings that has run once, and a batch for it."""
    shape = [int(axis) for axis in artifact.input.shape]
    batch = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    with registry.get(artifact.options.backend).open(artifact, {}) as session:
        session.infer(batch)
        yield session, batch


def over_onnxruntime(backend: str, form: Form, folder: Path) -> Measured:
    """A backend's throughput over ONNX Runtime's, by single calls that take turns."""
    network = handed(form, folder)
    ours, theirs = network.artifact(backend), network.artifact("onnxruntime")
    with opened(ours) as (one, batch), opened(theirs) as (other, _):

        def rate(session: Session) -> float:
            return form.batch / seconds_of(lambda: session.infer(batch))

        turns = in_turn(lambda: rate(one), lambda: rate(other), form.rounds)
    said = f"onnxruntime, {form.architecture}, float32, batch {form.batch}: {turns.medians('images/s')}"
    return Measured(turns.ratio, said)
