"""model ─compile→ artifact: the one file that is measured, scored and shipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from assay import store, units
from assay.backends import registry
from assay.backends.base import Backend
from assay.data.transform import normalise
from assay.errors import RecordError, UnknownNameError, UsageError
from assay.models import preprocess_fusion
from assay.progress import Progress, Silent, Stopwatch
from assay.records import BuildOptions, CompiledModel, InputKind, OnnxModel, Parity, Precision, Setting
from assay.score import parity as score_parity
from assay.workflow.demo_pixels import demo_pixels
from assay.workflow.reference import in_batches, open_reference

COMPILE_BOUND = {"fp32": 1e-4}
"""How far an artifact may differ from the ONNX model, over the largest score, by precision."""
PARITY_IMAGES = 4

_RECIPE = 1
"""Raised when the same inputs give another artifact than before."""

RECORD = "compiled.json"

Place = Callable[[str], tuple[Path, Path]]
"""From an artifact's key to its file and its record."""


def record_of(artifact: Path) -> Path:
    """Where the record of an artifact stands that was compiled to a file of the user's choice."""
    return artifact.with_name(f"{artifact.name}.json")


def build_options(
    backend: str,
    *,
    batch: int,
    device: str | None = None,
    precision: Precision = "fp32",
    input_kind: InputKind = "uint8",
    settings: Mapping[str, str] | None = None,
) -> tuple[BuildOptions, dict[str, Setting]]:
    """Checked options of an artifact, and the settings of its runs; raises where a name is unknown."""
    if batch < 1:
        raise UsageError(f"batch size {batch}: give 1 or more")
    runtime = registry.get(backend)
    chosen = registry.device(runtime, device)
    if precision not in runtime.precisions(chosen):
        raise UnknownNameError(f"precision of {backend} on {chosen}", precision, runtime.precisions(chosen))
    build, run = registry.split_settings(runtime, chosen, settings or {})
    options = BuildOptions(
        backend=backend,
        device=chosen,
        batch=batch,
        precision=precision,
        input_kind=input_kind,
        settings=build,
    )
    return options, run


def batch_sizes(
    model: OnnxModel, asked: Sequence[int] | None, usual: Sequence[int], progress: Progress = Silent()
) -> list[int]:
    """The batch sizes to compile a model for: those asked for, or else its own where it is fixed, or else the usual.

    Raises `ModelError` where another is asked for than the model's own.
    """
    if asked is not None:
        for batch in asked:
            preprocess_fusion.require_batch(model, batch)
        return list(dict.fromkeys(asked))
    if model.fixed_batch is None:
        return list(usual)
    progress.note(f"batch size {model.fixed_batch}: the only one that the model takes")
    return [model.fixed_batch]


def compile_to(model: OnnxModel, options: BuildOptions, out: Path, progress: Progress = Silent()) -> CompiledModel:
    """Compiles a model to one file, with its record beside it."""
    watch = Stopwatch()
    made_from = _made_from(model, options)
    found = store.kept(record_of(out), CompiledModel, made_from)
    if found is None or found.file.path != out.resolve():
        out.parent.mkdir(parents=True, exist_ok=True)
        found = _compile(model, options, out.parent, lambda _: (out, record_of(out)), made_from)
        progress.finish("compile", _described(found), _detail(found), watch.seconds)
    else:
        progress.finish("compile", _described(found), _detail(found), None)
    return found


def compile_into(model: OnnxModel, options: BuildOptions, folder: Path) -> tuple[CompiledModel, bool]:
    """Compiles a model into a folder named by the artifact's key; says whether it was there already."""
    made_from = _made_from(model, options)
    for record in sorted(folder.glob(f"*/{RECORD}")):
        found = store.kept(record, CompiledModel, made_from)
        if found is not None:
            return found, True
    folder.mkdir(parents=True, exist_ok=True)
    suffix = registry.get(options.backend).suffix

    def place(key: str) -> tuple[Path, Path]:
        return folder / key[:16] / f"artifact{suffix}", folder / key[:16] / RECORD

    return _compile(model, options, folder, place, made_from), False


def find_compiled(path: Path) -> CompiledModel | None:
    """The record of an artifact, given its file or the folder it lies in; None where it has none, as a model has."""
    for record in (path / RECORD, record_of(path), path.with_name(RECORD)):
        if record.is_file():
            compiled = store.read(record, CompiledModel)
            if path.is_dir() or compiled.file.path == path.resolve():
                return compiled
    return None


def load_compiled(path: Path) -> CompiledModel:
    """The record of an artifact, given its file or the folder it lies in."""
    compiled = find_compiled(path)
    if compiled is None:
        raise RecordError(f"{path} has no record of an artifact beside it; make it with assay compile")
    return compiled


def run_settings_of(compiled: CompiledModel, settings: Mapping[str, str]) -> dict[str, Setting]:
    """The settings of an artifact's runs; raises where one is unknown, or belongs to the compile that is past."""
    backend = registry.get(compiled.options.backend)
    fixed = [key for key in settings if key in compiled.options.settings]
    if fixed:
        raise UsageError(f"{', '.join(fixed)}: alters the artifact; compile it again with assay compile --set")
    return registry.split_settings(backend, compiled.options.device, settings)[1]


def _made_from(model: OnnxModel, options: BuildOptions) -> str:
    backend = registry.get(options.backend)
    return store.hash_of(
        "compile",
        _RECIPE,
        model.sha256,
        model.output.name,
        model.transform,
        options,
        backend.version(),
        backend.target(options.device),
    )


def _compile(model: OnnxModel, options: BuildOptions, folder: Path, place: Place, made_from: str) -> CompiledModel:
    backend = registry.get(options.backend)
    for file in (model.file, *model.data):
        store.verified(file)
    with store.scratch(folder / "fused.onnx") as fused:
        taken, given = preprocess_fusion.fuse(model, options.batch, options.input_kind, fused)
        target = backend.target(options.device)
        graph = store.reference(fused)
        key = store.hash_of(graph.sha256, options, backend.version(), target, _RECIPE)
        artifact, record = place(key)
        handed = OnnxModel(
            name=model.name,
            file=graph,
            input=taken,
            output=given,
            opset=model.opset,
            transform=model.transform,
            transform_source=model.transform_source,
            class_names=None,
            parity=None,
            checkpoint=None,
        )
        watch = Stopwatch()
        with store.replacing(artifact) as beside:
            backend.compile(handed, options, beside)
            seconds = watch.seconds
            compiled = CompiledModel(
                file=store.reference(beside),
                key=key,
                model=model,
                input=taken,
                output=given,
                options=options,
                backend_version=backend.version(),
                target=target,
                compile_seconds=seconds,
                parity=None,
            )
            parity = _parity(backend, compiled) if backend.faithful else None
    compiled = msgspec.structs.replace(compiled, file=store.reference(artifact), parity=parity)
    store.write(record, compiled, made_from)
    return compiled


def _parity(backend: Backend, compiled: CompiledModel) -> Parity:
    """The artifact against the ONNX model on real pixels; raises `ParityError` beyond the precision's bound."""
    batch, transform = compiled.options.batch, compiled.model.transform
    images = demo_pixels(transform, PARITY_IMAGES)
    floats = normalise(images, transform, np.empty((len(images), 3, transform.crop, transform.crop), np.float32))
    given = images if compiled.options.input_kind == "uint8" else floats
    with backend.open(compiled, {}) as session, open_reference(compiled.model) as reference:
        parity = score_parity.compare(
            reference,
            in_batches(session.infer, batch),
            [(floats, given)],
            name="ONNX Runtime float32",
            bound=COMPILE_BOUND[compiled.options.precision],
        )
    return score_parity.require(parity, f"compiling {compiled.model.name} with {backend.name}")


def _described(compiled: CompiledModel) -> str:
    options = compiled.options
    return f"{options.backend} · {options.device} · {options.precision}"


def _detail(compiled: CompiledModel) -> str:
    parity = compiled.parity
    held = f" · parity {units.difference(parity.largest_difference)}" if parity else ""
    return f"batch {compiled.options.batch}{held}"
