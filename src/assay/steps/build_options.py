"""What is asked of an artifact and of its runs, checked: options, settings, batch sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

from assay.backends import registry
from assay.backends.base import Backend, RunsCommand
from assay.errors import ModelError, Option, Remedy, UnknownNameError, UsageError
from assay.models import preprocess_fusion
from assay.progress import Progress, Silent
from assay.records import BuildOptions, CompiledModel, InputKind, OnnxModel, Precision, Setting

AUTO = "auto"
"""In place of a backend's name: the fastest of those installed, by trying each."""
USUAL_BACKEND = "onnxruntime"


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """What an artifact is to be compiled for, as it was asked, but for its batch size; None stands for a default."""

    backend: str | None = None
    """By default `onnxruntime`; `auto` tries those that are installed and takes the fastest."""
    device: str | None = None
    """By default the backend's first; of several, as `0,1`, that share a data set, artifacts are for the first."""
    precision: Precision | None = None
    """By default the model's own: `fp32`, or `int8` or `fp16` where its operators are so."""
    input: InputKind | None = None
    """By default `uint8`, with normalisation fused into the artifact."""
    set: Mapping[str, Setting] = field(default_factory=dict)
    """Settings of the backend, for the artifact or for its runs."""

    @property
    def build(self) -> BuildRequest:
        """This part of a larger request."""
        return BuildRequest(**{one.name: getattr(self, one.name) for one in fields(BuildRequest)})

    @property
    def is_auto(self) -> bool:
        """Whether the backend is to be chosen by trying."""
        return self.backend == AUTO

    def on(self, backend: str) -> BuildRequest:
        """The same for another backend."""
        return replace(self, backend=backend)

    def options(
        self, batch: int, model: OnnxModel | None = None, for_command: bool = False
    ) -> tuple[BuildOptions, dict[str, Setting]]:
        """Checked options of an artifact, and the settings of its runs; raises if a name is unknown.

        The precision of a model in 8 bits, or in half precision, is its own; of any other the one that is asked for.

        For a command that runs elsewhere, the device need not be on this machine; raises `UsageError` if the backend
        runs no command.
        """
        if batch < 1:
            raise UsageError(f"batch size {batch}: give 1 or more")
        name = self.backend or USUAL_BACKEND
        registry.import_first(name)
        backend = registry.get(name)
        elsewhere = require_command(backend).usual_device if for_command else None
        wanted = self.device.partition(",")[0] if self.device is not None else None
        device = registry.device(backend, wanted) if elsewhere is None else wanted or elsewhere
        own = model.precision if model is not None else "fp32"
        precision, known = self.precision or own, backend.precisions(device)
        if own != "fp32" and precision != own and model is not None:
            raise ModelError(
                f"{model.name} is {own} by its operators, so it cannot be compiled to {precision}",
                remedy=Remedy("leave {} away, or give the float32 model", Option("precision")),
            )
        # A graph that is in 8 bits already is so wherever single precision is computed.
        if precision not in known and not (precision == own and "fp32" in known):
            remedy = Remedy("give {}", Option("precision", usual_precision(known)))
            raise UnknownNameError(f"precision of {name} on {device}", precision, known, remedy)
        build, run = registry.split_settings(backend, device, {key: written(value) for key, value in self.set.items()})
        options = BuildOptions(
            backend=name,
            device=device,
            batch=batch,
            precision=precision,
            input_kind=self.input or "uint8",
            settings=build,
        )
        return options, run

    def check_build(self, batch: int) -> None:
        """Raises if an option names something unknown; with `auto`, trying each backend tells."""
        if not self.is_auto:
            self.options(batch)


def written(value: Setting) -> str:
    """A setting as it is written on a command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)


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


def run_settings_of(compiled: CompiledModel, settings: Mapping[str, Setting]) -> dict[str, Setting]:
    """The settings of an artifact's runs: those given, else those that a search found best, else the defaults.

    Raises where one is unknown, or belongs to the compile that is past.
    """
    backend = registry.get(compiled.options.backend)
    fixed = [key for key in settings if key in compiled.options.settings]
    if fixed:
        raise UsageError(
            f"{', '.join(fixed)}: alters the artifact", remedy=Remedy("compile it again with {}", Option("set"))
        )
    settings_of_run = registry.split_settings(
        backend, compiled.options.device, {key: written(value) for key, value in settings.items()}
    )[1]
    return {
        key: value if key in settings else compiled.run_settings.get(key, value)
        for key, value in settings_of_run.items()
    }


def require_command(backend: Backend) -> RunsCommand:
    """The backend as one that runs a command; raises `UsageError` where it runs none."""
    if not isinstance(backend, RunsCommand):
        raise UsageError(f"backend {backend.name} runs no command", remedy=Remedy("leave {} away", Option("dry_run")))
    return backend
