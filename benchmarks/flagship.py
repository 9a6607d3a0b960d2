"""The guide's model at full size, and sessions of it: its weights are random, since speed does not hang on them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from assay.backends import registry
from assay.backends.base import Batch, Session
from assay.models import preprocess_fusion
from assay.records import CompiledModel, OnnxModel
from assay.steps.build_options import build_options
from assay.steps.export import export
from assay.storage import store
from benchmarks.harness import WORK, alternating

ARCHITECTURE = "wide_resnet101_2"
BATCH = 16
FOLDER = WORK / "flagship"


def flagship() -> OnnxModel:
    """The model, exported once."""
    return export(ARCHITECTURE, FOLDER / "model.onnx")


def graph(model: OnnxModel, batch: int = BATCH) -> OnnxModel:
    """The model with its batch size fixed, as it is handed to a backend."""
    path = FOLDER / f"float32-{batch}.onnx"
    taken, given = preprocess_fusion.fuse(model, batch, "float32", path)
    return OnnxModel(
        name=model.name,
        file=store.reference(path),
        input=taken,
        output=given,
        opset=model.opset,
        transform=model.transform,
        transform_source=model.transform_source,
        class_names=None,
        parity=None,
        checkpoint=None,
    )


def compiled(handed: OnnxModel, backend: str, batch: int = BATCH) -> CompiledModel:
    """An artifact with the backend's defaults, without the check of its scores.

    A hundred layers of random weights magnify rounding that trained ones do not, beyond the bound of a compile.
    """
    options, _ = build_options(backend, batch=batch, input_kind="float32")
    runtime = registry.get(backend)
    path = FOLDER / f"{backend}-{batch}{runtime.suffix}"
    begin = time.perf_counter()
    runtime.compile(handed, options, path)
    return CompiledModel(
        file=store.reference(path),
        key="flagship",
        model=handed,
        input=handed.input,
        output=handed.output,
        options=options,
        backend_version=runtime.version(),
        target=runtime.target(options.device),
        compile_seconds=time.perf_counter() - begin,
        parity=None,
    )


@contextmanager
def opened(artifact: CompiledModel) -> Iterator[tuple[Session, Batch]]:
    """A session with default settings that has run once, and a batch for it."""
    shape = [int(axis) for axis in artifact.input.shape]
    batch = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    with registry.get(artifact.options.backend).open(artifact, {}) as session:
        session.infer(batch)
        yield session, batch


def rate(session: Session, batch: Batch) -> float:
    """Images a second of one call."""
    begin = time.perf_counter()
    session.infer(batch)
    return len(batch) / (time.perf_counter() - begin)


def ratio_to_onnxruntime(backend: str, rounds: int) -> tuple[float, str]:
    """The median ratio of throughputs over calls that take turns, and both sides' median in words."""
    handed = graph(flagship())
    ours, theirs = compiled(handed, backend), compiled(handed, "onnxruntime")
    rates: dict[str, list[float]] = {"ours": [], "theirs": []}
    with opened(ours) as (one, batch), opened(theirs) as (other, _):

        def measured(name: str, session: Session) -> float:
            rates[name].append(rate(session, batch))
            return rates[name][-1]

        found, _ = alternating(lambda: measured("ours", one), lambda: measured("theirs", other), rounds)
    medians = {name: float(np.median(values)) for name, values in rates.items()}
    figures = f"{medians['ours']:.2f} to {medians['theirs']:.2f} images/s"
    said = f"onnxruntime, {ARCHITECTURE}, float32, batch {BATCH}: {figures}"
    return found, said
