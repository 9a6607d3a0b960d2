"""model ─compile→ artifact: the one file that is measured, scored and shipped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from assay import units
from assay.backends import registry
from assay.backends.base import Backend, CastsFirst
from assay.errors import ModelError, Option, RecordError, Remedy, UsageError
from assay.models import half_precision, preprocess_fusion
from assay.processes import child
from assay.progress import Progress, Silent, Stopwatch
from assay.records import (
    BuildOptions,
    CompiledModel,
    FileReference,
    OnnxModel,
    Parity,
    Precision,
    Setting,
)
from assay.steps import build_options
from assay.steps import parity as parity_step
from assay.steps.check_images import CheckImages, check_images
from assay.steps.dataset import damaged
from assay.steps.pixel_sources import Data
from assay.storage import store
from assay.storage.layout import Folder, Place

COMPILE_SECONDS = 3600.0
"""A compile and its first inference that take longer hang; the slowest tuners need a good part of it."""

_RECIPE = 3
"""Raised when the same inputs give another artifact than before."""
_CHECK = 1
"""Raised when a model or an artifact is refused that was let pass before."""

RECORD = "compiled.json"
LAYOUT = Folder(folders={"*": Folder((Place(RECORD, CompiledModel), Place("artifact*")))})
"""A folder of artifacts, each in a folder by its key."""


@dataclass(frozen=True)
class Target:
    """Where an artifact is written, and what its record says that it was made from."""

    folder: Path
    of_key: Callable[[str], tuple[Path, Path]]
    """From the artifact's key to its file and its record."""
    made_from: str


def record_of(artifact: Path) -> Path:
    """Where the record of an artifact stands that was compiled to a file of the user's choice."""
    return artifact.with_name(f"{artifact.name}.json")


def choice_of(artifact: Path) -> Path:
    """Where the record stands of what was tried to choose the backend of such an artifact."""
    return artifact.with_name(f"{artifact.name}.choice.json")


def command(model: OnnxModel, options: BuildOptions, out: Path) -> tuple[str, ...]:
    """The command that compiles a model to `out`, without running it; the graph that it reads is written beside."""
    backend = registry.get(options.backend)
    words = build_options.require_command(backend)
    for file in (model.file, *model.data):
        store.verified(file)
    graph = out.with_name(f"{out.name}.onnx")
    with store.replacing(graph) as beside:
        handed = _handed(model, options, backend, beside)
    handed = msgspec.structs.replace(handed, file=msgspec.structs.replace(handed.file, path=graph))
    return tuple(words.command(handed, options, out))


def require_start(model: OnnxModel, backend: Backend) -> None:
    """Raises `ModelError` where a model lacks what the backend compiles."""
    if backend.starts_from == "exported program" and model.exported_program is None:
        raise ModelError(
            f"backend {backend.name} compiles an exported program, and {model.file.path} has none beside it",
            remedy=Remedy("write both with assay export {}, or choose another backend", Option("pt2")),
        )


@dataclass(frozen=True)
class Kept:
    """What the record of an artifact keeps for those who read or run it."""

    notes: tuple[str, ...] = ()
    run_settings: Mapping[str, Setting] = field(default_factory=dict)


def compile_to(
    model: OnnxModel,
    options: BuildOptions,
    out: Path,
    progress: Progress = Silent(),
    data: Data = None,
    kept: Kept = Kept(),
) -> CompiledModel:
    """Compiles a model to one file, with its record beside it.

    It is checked on the first images of `data`, or on the demo's.
    """
    if out.resolve() in (file.path for file in (model.file, *model.data)):
        raise UsageError(f"{out} is the model itself; give another name for the artifact")
    watch = Stopwatch()
    # Whoever names images wants the check on them, whatever an earlier one was made on.
    images = check_images(model, data)
    if images.warnings:
        progress.warn(damaged(images.warnings))
    checked_on = [] if data is None else [hashlib.sha256(images.pixels.tobytes()).hexdigest()]
    made_from = store.hash_of(_made_from(model, options), kept.notes, dict(kept.run_settings), *checked_on)
    compiled = store.kept(record_of(out), CompiledModel, made_from)
    is_new = compiled is None or compiled.file.path != out.resolve()
    if compiled is None or is_new:
        out.parent.mkdir(parents=True, exist_ok=True)
        place = Target(out.parent, lambda _: (out, record_of(out)), made_from)
        compiled = _compile(model, options, place, images, kept)
    progress.finish("compile", _described(compiled), _detail(compiled), watch.seconds if is_new else None)
    return compiled


def compile_into(
    model: OnnxModel, options: BuildOptions, folder: Path, data: Data = None
) -> tuple[CompiledModel, bool]:
    """Compiles a model into a folder named by the artifact's key; says whether it was there already.

    It is checked on the first images of `data`, or on the demo's; one that is there was checked as it was made.
    """
    made_from = _made_from(model, options)
    for record in sorted(folder.glob(f"*/{RECORD}")):
        compiled = store.kept(record, CompiledModel, made_from)
        if compiled is not None:
            return compiled, True
    folder.mkdir(parents=True, exist_ok=True)
    suffix = registry.get(options.backend).suffix

    def place(key: str) -> tuple[Path, Path]:
        return folder / key[:16] / f"artifact{suffix}", folder / key[:16] / RECORD

    return _compile(model, options, Target(folder, place, made_from), check_images(model, data)), False


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
    if compiled is None and not path.exists():
        raise RecordError(f"no artifact at {path}; make it with assay compile, or with atc where the guide's lines run")
    beside = record_of(path)
    if compiled is None and beside.is_file():
        named = store.read(beside, CompiledModel).file.path.name
        raise RecordError(
            f"{beside} is the record of {named}, not of {path.name} beside it; give both the names back that they "
            "were made with, or compile the model to this name"
        )
    if compiled is None:
        raise RecordError(
            f"{path} has no record of an artifact beside it, {path.name}.json; make it with assay compile, "
            "and move the two together"
        )
    return compiled


def _made_from(model: OnnxModel, options: BuildOptions) -> str:
    backend = registry.get(options.backend)
    return store.hash_of(
        "compile",
        _RECIPE,
        model.sha256,
        model.output.name,
        model.transform,
        options,
        _CHECK,
        backend.version(),
        backend.target(options.device),
        *([model.exported_program] if backend.starts_from == "exported program" else []),
    )


def _compile(
    model: OnnxModel, options: BuildOptions, place: Target, images: CheckImages, kept: Kept = Kept()
) -> CompiledModel:
    backend = registry.get(options.backend)
    require_start(model, backend)
    program = model.exported_program if backend.starts_from == "exported program" else None
    for file in (model.file, *model.data, *([program] if program else [])):
        store.verified(file)
    if backend.faithful:
        _require_precision(model, options.precision)
    with store.scratch(place.folder / "fused.onnx") as fused:
        handed = _handed(model, options, backend, fused)
        target = backend.target(options.device)
        # The graph holds of the transform what normalises, and for floats not even that.
        content = [handed.file.sha256, model.transform, *([program.sha256] if program else [])]
        key = store.hash_of(*content, options, backend.version(), target, _RECIPE)
        artifact, record = place.of_key(key)
        size = max(file.size for file in (handed.file, *model.data))
        with store.replacing(artifact, expected=size) as beside:
            described = CompiledModel(
                # Nothing is there yet: the reference is made anew where the file is.
                file=FileReference(path=beside.resolve(), sha256="", size=0, modified_ns=0),
                key=key,
                model=model,
                input=handed.input,
                output=handed.output,
                options=options,
                backend_version=backend.version(),
                target=target,
                compile_seconds=0.0,
                parity=None,
                notes=kept.notes,
                run_settings=dict(kept.run_settings),
            )
            seconds, parity = _made(backend, handed, described, beside, images)
    compiled = msgspec.structs.replace(
        described, file=store.reference(artifact), compile_seconds=seconds, parity=parity
    )
    store.write(record, compiled, place.made_from)
    return compiled


def require_sound(model: OnnxModel, batch: int, data: Data = None) -> None:
    """Raises `ModelError` where a model is at fault itself, whatever backend it is compiled for."""
    child.run(
        parity_step.own_scores,
        model,
        check_images(model, data),
        batch,
        call=child.Call(name="backend onnxruntime", doing=f"running {model.name}", timeout=COMPILE_SECONDS),
    )


def _require_precision(model: OnnxModel, precision: Precision) -> None:
    if model.precision != "fp32" and precision != model.precision:
        raise ModelError(f"{model.name} is {model.precision} by its operators, so it cannot be compiled to {precision}")
    if precision == "int8" and model.precision != "int8":
        raise ModelError(f"{model.name} is not quantized, so it cannot be compiled to int8; give a QDQ model")


def _made(
    backend: Backend, graph: OnnxModel, described: CompiledModel, file: Path, images: CheckImages
) -> tuple[float, Parity | None]:
    """Compiles to a file and runs it once against the model, in a child process where it is a vendor's code."""
    if not backend.faithful:
        return parity_step.make(backend, graph, described, file, None)
    return child.run(
        parity_step.make,
        backend,
        graph,
        described,
        file,
        images,
        call=child.Call(
            name=f"backend {backend.name}",
            doing=f"compiling {described.model.name} for batch {described.options.batch}",
            timeout=COMPILE_SECONDS,
        ),
    )


def _handed(model: OnnxModel, options: BuildOptions, backend: Backend, fused: Path) -> OnnxModel:
    """The model as a backend takes it, with its graph written to `fused`."""
    half = options.precision == "fp16" and model.precision != "fp16" and backend.starts_from == "typed onnx"
    cast_first = isinstance(backend, CastsFirst) and backend.casts_first(options.device)
    taken, given = preprocess_fusion.fuse(model, options.batch, options.input_kind, fused, cast_first)
    if half:
        half_precision.lower(fused, taken.name, given.name)
    return OnnxModel(
        name=model.name,
        file=store.reference(fused),
        input=taken,
        output=given,
        opset=model.opset,
        transform=model.transform,
        transform_source=model.transform_source,
        class_names=None,
        parity=None,
        checkpoint=None,
        exported_program=model.exported_program,
    )


def _described(compiled: CompiledModel) -> str:
    options = compiled.options
    return f"{options.backend} · {options.device} · {options.precision}"


def _detail(compiled: CompiledModel) -> str:
    parity = compiled.parity
    held = f" · parity {units.difference(parity.largest_difference)}" if parity else ""
    return f"batch {compiled.options.batch}{held}"
