"""An ONNX file of any origin taken as a model, and the record that stands beside every model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path

import msgspec

from assay import units
from assay.data.transform import TransformChoice, choose, tell_transform
from assay.errors import RecordError
from assay.models import external_data, onnx_file
from assay.progress import Progress, Silent
from assay.records import ImageTransform, OnnxModel
from assay.steps.keywords import StrPath, takes
from assay.steps.step import Step
from assay.storage import store
from assay.storage.layout import Folder, Place

_RECIPE = 2
"""Raised when the same inputs give another file than before."""


def record_of(model: Path) -> Path:
    """Where the record of an ONNX file stands: beside it, `model.json`."""
    return model.with_suffix(".json")


def program_of(model: Path) -> Path:
    """Where the exported program stands that was written with an ONNX file: beside it, `model.pt2`."""
    return model.with_suffix(".pt2")


LAYOUT = Folder((Place("model.json", OnnxModel), Place("model.onnx"), Place("model.pt2"), Place("model.onnx.data")))
"""A model in the folder of a run."""


@dataclass(frozen=True)
class AdoptRequest(TransformChoice):
    """An ONNX file of any origin, to be taken as a model."""

    model: StrPath
    _: KW_ONLY
    out: StrPath
    output: str | None = None
    """The name of the output that holds the classes' scores, if there are several."""
    progress: Progress = Silent()


@takes(AdoptRequest)
def adopt(request: AdoptRequest) -> OnnxModel:
    """Takes an ONNX file of any origin as a model: a copy with its weights inside, and its record beside it.

    The transform is that of the record beside the file, if `assay export` wrote one; otherwise the one given, or the
    preset for the input's size, which the record says.
    """
    source, out, progress = Path(request.model), Path(request.out), request.progress
    hashes = [store.content(file) if file.is_file() else str(file) for file in (source, record_of(source))]
    inputs = [source.name, *hashes, request.output, request.transform]
    step = step_of("model", f"{source.name} → {out.name}", out, store.hash_of("adopt", _RECIPE, *inputs))
    # Only a file that keeps weights beside it is read to learn whether they were touched, and such a file is small.
    if step.kept() is None and (data := external_data.files(onnx_file.load(source, with_weights=False), source)):
        data_hashes = [store.content(file) for file in data]
        step = replace(step, made_from=store.hash_of("adopt", _RECIPE, *inputs, data_hashes))
    return model_at(step, lambda: _taken(request.transform, request.output, source, out), progress)


def _taken(transform: TransformChoice, output: str | None, source: Path, out: Path) -> OnnxModel:
    """The model, copied to its place."""
    model = describe(source, transform, output)
    if model.data:
        with store.replacing(out) as beside:
            beside.write_bytes(onnx_file.load(source).SerializeToString(deterministic=True))
    elif source.resolve() != out.resolve():
        with store.replacing(out) as beside:
            shutil.copyfile(source, beside)
    program = model.exported_program
    if program is not None and program.path != program_of(out).resolve():
        with store.replacing(program_of(out)) as beside:
            shutil.copyfile(program.path, beside)
        program = store.reference(program_of(out))
    return msgspec.structs.replace(model, file=store.reference(out), data=(), exported_program=program)


def describe(source: Path, choice: TransformChoice = TransformChoice(), output: str | None = None) -> OnnxModel:
    """What is known of an ONNX file where it lies."""
    proto = onnx_file.load(source, with_weights=False)
    data = external_data.files(proto, source)
    exported = _record_beside(source)
    if output is None and exported is not None:
        output = exported.output.name
    taken, given, opset = onnx_file.examine(proto, source, output)
    precision = onnx_file.precision_of(proto)
    del proto  # which may hold all the weights
    transform, transform_source = _transform(source, choice, exported, onnx_file.side(taken))
    program = exported.exported_program if exported else None
    return OnnxModel(
        name=exported.name if exported else source.stem,
        file=store.reference(source),
        data=tuple(store.reference(file) for file in data),
        input=taken,
        output=given,
        opset=opset,
        transform=transform,
        transform_source=transform_source,
        class_names=exported.class_names if exported else None,
        parity=exported.parity if exported else None,
        checkpoint=exported.checkpoint if exported else None,
        exported_program=program if program is not None and store.is_intact(program) else None,
        quantization=exported.quantization if exported else None,
        precision=precision,
        assumptions=exported.assumptions if exported else (),
    )


def transform_of(source: Path, choice: TransformChoice = TransformChoice()) -> tuple[ImageTransform, str]:
    """The transform of an ONNX file, and where it comes from; what the file gives for an image does not matter."""
    taken = onnx_file.image_input(onnx_file.load(source, with_weights=False), source)
    return _transform(source, choice, _record_beside(source), onnx_file.side(taken))


def _transform(
    source: Path, choice: TransformChoice, exported: OnnxModel | None, side: int | None
) -> tuple[ImageTransform, str]:
    transform, transform_source = choose(
        choice, (exported.transform, exported.transform_source) if exported else None, side
    )
    if exported is None and record_of(source).is_file():
        transform_source += f" ({record_of(source).name} beside the model is no record of it)"
    return transform, transform_source


def step_of(name: str, subject: str, out: Path, made_from: str) -> Step[OnnxModel]:
    """The step that makes a model at `out`, with its record beside it."""
    return Step(
        name=name,
        kind=OnnxModel,
        record=record_of(out),
        made_from=made_from,
        subject=subject,
        detail=summary,
        is_its=lambda model: model.file.path == out.resolve(),
    )


def model_at(step: Step[OnnxModel], work: Callable[[], OnnxModel], progress: Progress) -> OnnxModel:
    """The model of a step; one that was just made tells its transform, and any warns of what was assumed."""
    model = step.done(work, progress, lambda model: tell_transform(model.transform_source, progress))
    _warn(model, progress)
    return model


def tell(model: OnnxModel, progress: Progress) -> None:
    """Tells a model's transform, and warns of what was assumed."""
    tell_transform(model.transform_source, progress)
    _warn(model, progress)


def _warn(model: OnnxModel, progress: Progress) -> None:
    for warning in model.warnings:
        progress.warn(warning)


def _record_beside(source: Path) -> OnnxModel | None:
    """The record of an exported file, if there is one beside it and it is of these very bytes, whatever its name."""
    path = record_of(source)
    try:
        record = store.read(path, OnnxModel) if path.is_file() else None
    except RecordError:
        return None
    return record if record is not None and record.file.sha256 == store.hash_file(source) else None


def summary(model: OnnxModel) -> str:
    """Opset and parity, for the step's line."""
    detail = f"opset {model.opset}"
    return detail if model.parity is None else f"{detail} · parity {units.difference(model.parity.largest_difference)}"


def float_model_of(model: OnnxModel) -> OnnxModel:
    """The float32 model that a quantized one was made from, and any other itself.

    Raises `RecordError` where its file is gone or changed.
    """
    if model.quantization is None:
        return model
    path = store.verified(model.quantization.float_model)
    original = describe(path, output=model.output.name)
    return msgspec.structs.replace(original, transform=model.transform, transform_source=model.transform_source)
