"""model ─compile→ artifact."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from assay.data.transform import TransformChoice
from assay.errors import Option, Remedy, UsageError
from assay.progress import Progress, Silent
from assay.records import BuildOptions, CompiledModel, OnnxModel
from assay.steps import artifact
from assay.steps.adopt import describe, tell
from assay.steps.build_options import BuildRequest, batch_sizes
from assay.steps.choose_backend import Wanted, resolve
from assay.steps.keywords import StrPath, takes
from assay.steps.pixel_sources import Images

USUAL_BATCH = 16


@dataclass(frozen=True)
class CompileRequest(BuildRequest, TransformChoice):
    """A model to be compiled ahead of time for one backend, device and batch size."""

    model: StrPath
    _: KW_ONLY
    out: StrPath
    batch: int | None = None
    """By default 16, or the model's own."""
    images: StrPath | None = None
    """The artifact is checked on these; by default on those that come with assay."""
    output: str | None = None
    """The name of the output that holds the classes' scores, if there are several."""
    progress: Progress = Silent()

    def described(self) -> tuple[OnnxModel, int]:
        """The model and its batch size; raises if an option names something unknown."""
        if "," in (self.device or ""):
            raise UsageError(
                f"an artifact is for one device, not for {self.device}",
                remedy=Remedy("give one {}; several are for run and bench", Option("device")),
            )
        model = describe(Path(self.model), self.transform, self.output)
        tell(model, self.progress)
        asked = None if self.batch is None else [self.batch]
        (batch,) = batch_sizes(model, asked, [USUAL_BATCH], self.progress)
        return model, batch


@takes(CompileRequest)
def compile(request: CompileRequest) -> CompiledModel:  # noqa: A001 - the command's name
    """Compiles a model ahead of time to one file, with its record beside it, and checks that it scores as the model."""
    out = Path(request.out)
    if not request.is_auto:
        _refuse_run_settings(request, request.options(request.batch or USUAL_BATCH))
    data = None if request.images is None else Images.of(request.images, None)
    model, batch = request.described()
    wanted = Wanted(request.build, model, batch, data)
    options = resolve(wanted, artifact.choice_of(out), progress=request.progress)
    _refuse_run_settings(request, options)
    return artifact.compile_to(model, options[0], out, request.progress, data)


def command(request: CompileRequest) -> tuple[str, ...]:
    """The command by which a backend such as ascend compiles the model; the graph that it reads is written beside."""
    options, run_settings = request.options(request.batch or USUAL_BATCH, for_command=True)
    _refuse_run_settings(request, (options, run_settings))
    model, batch = request.described()
    return artifact.command(model, request.options(batch, model, for_command=True)[0], Path(request.out))


def _refuse_run_settings(request: CompileRequest, options: tuple[BuildOptions, object]) -> None:
    """Raises if a setting alters no artifact, only how it runs."""
    misplaced = [key for key in request.set if key not in options[0].settings]
    if misplaced:
        raise UsageError(f"{', '.join(misplaced)}: alters no artifact, only how it runs; give it to assay bench")
