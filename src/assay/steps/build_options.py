"""What is asked of an artifact and of its runs, checked: options, settings, batch sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assay.backends import registry
from assay.backends.base import Backend, RunsCommand
from assay.errors import Option, Remedy, UnknownNameError, UsageError
from assay.models import preprocess_fusion
from assay.progress import Progress, Silent
from assay.records import BuildOptions, CompiledModel, InputKind, OnnxModel, Precision, Setting


def build_options(
    backend: str,
    *,
    batch: int,
    device: str | None = None,
    precision: Precision = "fp32",
    input_kind: InputKind = "uint8",
    settings: Mapping[str, str] | None = None,
    for_command: bool = False,
) -> tuple[BuildOptions, dict[str, Setting]]:
    """Checked options of an artifact, and the settings of its runs; raises where a name is unknown.

    For a command that runs elsewhere, the device need not be on this machine; raises `UsageError` where the backend
    runs no command.
    """
    if batch < 1:
        raise UsageError(f"batch size {batch}: give 1 or more")
    registry.import_first(backend)
    runtime = registry.get(backend)
    elsewhere = require_command(runtime).usual_device if for_command else None
    chosen = registry.device(runtime, device) if elsewhere is None else device or elsewhere
    if precision not in runtime.precisions(chosen):
        known = runtime.precisions(chosen)
        raise UnknownNameError(
            f"precision of {backend} on {chosen}",
            precision,
            known,
            Remedy("give {}", Option("precision", usual_precision(known))),
        )
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


def usual_precision(known: Sequence[Precision]) -> Precision:
    """Single precision, or the best of a device that does not compute in it."""
    return "fp32" if "fp32" in known else known[0]


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


def run_settings_of(compiled: CompiledModel, settings: Mapping[str, str]) -> dict[str, Setting]:
    """The settings of an artifact's runs: those given, else those that a search found best, else the defaults.

    Raises where one is unknown, or belongs to the compile that is past.
    """
    backend = registry.get(compiled.options.backend)
    fixed = [key for key in settings if key in compiled.options.settings]
    if fixed:
        raise UsageError(f"{', '.join(fixed)}: alters the artifact; compile it again with assay compile --set")
    found = registry.split_settings(backend, compiled.options.device, settings)[1]
    return {key: value if key in settings else compiled.run_settings.get(key, value) for key, value in found.items()}


def require_command(backend: Backend) -> RunsCommand:
    """The backend as one that runs a command; raises `UsageError` where it runs none."""
    if not isinstance(backend, RunsCommand):
        raise UsageError(f"--dry-run: backend {backend.name} runs no command; leave it away")
    return backend
