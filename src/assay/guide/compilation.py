"""checkpoint → model → artifact: the guide's chapter 3."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay import demo
from assay.backends import registry
from assay.data.transform import PRESETS, TransformChoice
from assay.errors import CheckpointError, UsageError
from assay.progress import Progress, Silent
from assay.published.guide import FLAGSHIP
from assay.records import BuildOptions, CompiledModel, OnnxModel
from assay.steps import artifact, build_options
from assay.steps.adopt import describe, record_of
from assay.steps.build_options import BuildRequest
from assay.steps.export import ExportRequest, export
from assay.storage import store

_OPSET = 11
_PROCESSOR = "soc_version"
"""The setting of a backend that compiles for a processor by its name, which is that of the guide's flag."""


def export_checkpoint(checkpoint: Path, out: Path, progress: Progress = Silent()) -> OnnxModel:
    """Exports the guide's model with the weights of a file; the demo's own file is known by its bytes."""
    if not checkpoint.is_file():
        raise CheckpointError(f"no checkpoint at {checkpoint}; give the file of the weights, as it was downloaded")
    architecture = FLAGSHIP[0]
    if store.hash_file(checkpoint) == store.hash_file(demo.CHECKPOINT):
        architecture = demo.NAME
        progress.note(f"{checkpoint.name} holds the demo's weights, so the model is {demo.NAME}")
    return export(ExportRequest(checkpoint, arch=architecture, out=out, opset=_OPSET, progress=progress))


@dataclass(frozen=True)
class Tensors:
    """The input that a model is compiled for: its name, and N×3×H×W."""

    name: str
    shape: tuple[int, int, int, int]


def compile_offline(
    model: Path,
    out: Path,
    tensors: Tensors,
    backend: str,
    wanted_target: str | None = None,
    progress: Progress = Silent(),
) -> CompiledModel:
    """Compiles a model for normalised float32 N×3×H×W of one shape to one file, with its record beside it.

    `wanted_target` is the processor that the user named, for a backend that compiles for one; what another backend
    compiles is for this machine, and says so.
    """
    described, batch = taken(model, tensors, progress)
    options = _options(backend, batch, wanted_target)
    notes = []
    if wanted_target is not None and _PROCESSOR not in options.settings:
        notes.append(f"compiled for {options.device} of this machine, not for the {wanted_target} that was named")
        progress.note(f"--soc_version={wanted_target}: {notes[0]}")
    return artifact.compile_to(described, options, out, progress, kept=artifact.Kept(notes=tuple(notes)))


def taken(model: Path, tensors: Tensors, progress: Progress) -> tuple[OnnxModel, int]:
    """The model that takes such an input, and the batch size; raises where it takes another."""
    input_name, shape = tensors.name, tensors.shape
    batch, channels, height, width = shape
    if channels != 3 or height != width:
        raise UsageError(f"--input_shape {'×'.join(map(str, shape))}: images are N×3×H×W with H equal to W")
    described = describe(model, _choice(model, height))
    if input_name != described.input.name:
        raise UsageError(f"--input_shape names {input_name!r}, and the input of {model} is {described.input.name!r}")
    if height != described.transform.crop:
        side = described.transform.crop
        raise UsageError(f"--input_shape says {height}×{width} pixels, and {model} takes {side}×{side}")
    (batch,) = build_options.batch_sizes(described, [batch], [batch], progress)
    return described, batch


def _options(backend: str, batch: int, processor: str | None) -> BuildOptions:
    """Single precision as the model is written, or the backend's own where it has no other."""
    runtime = registry.get(backend)
    device = registry.device(runtime, None)
    precisions = runtime.precisions(device)
    request = BuildRequest(
        backend=backend,
        device=device,
        precision=build_options.usual_precision(precisions),
        input="float32",
        set={_PROCESSOR: processor} if processor and _PROCESSOR in runtime.build_settings(device) else {},
    )
    return request.options(batch)[0]


def _choice(model: Path, side: int) -> TransformChoice:
    """Sides that no preset has need a transform for the parity check alone, which any will do for."""
    if record_of(model).is_file() or any(preset.crop == side for preset in PRESETS.values()):
        return TransformChoice()
    return TransformChoice(resize=side, crop=side)
