"""model ─trials→ choice: which of the installed backends runs this very model fastest, and right."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from assay import environment, units
from assay.backends import registry
from assay.errors import AssayError, BackendError, MissingExtraError, Remedy
from assay.processes import child
from assay.progress import Progress, Silent
from assay.records import (
    BackendChoice,
    BackendTrial,
    BuildOptions,
    InputKind,
    OnnxModel,
    Precision,
    Setting,
)
from assay.steps import build_options, measurement
from assay.steps import compile as compile_step
from assay.steps.pixel_sources import Data
from assay.storage import store

AUTO = "auto"
"""The name in place of a backend's that asks for trials."""
TRIAL_SECONDS = 1.5

_RECIPE = 1


@dataclass(frozen=True)
class BuildRequest:
    """What an artifact is to be compiled for, as it was asked, but for its batch size."""

    backend: str = "onnxruntime"
    """Or `auto`."""
    device: str | None = None
    precision: Precision = "fp32"
    input_kind: InputKind = "uint8"
    settings: Mapping[str, str] = field(default_factory=dict)

    def options(
        self, batch: int, backend: str | None = None, for_command: bool = False
    ) -> tuple[BuildOptions, dict[str, Setting]]:
        """Checked options for a batch size, and the settings of runs; for the backend asked for, or another.

        `for_command` says that the device need not be on this machine.
        """
        return build_options.build_options(
            backend or self.backend,
            batch=batch,
            device=self.device,
            precision=self.precision,
            input_kind=self.input_kind,
            settings=self.settings,
            for_command=for_command,
        )

    def check(self, batch: int) -> None:
        """Raises where an option names what there is not; with `auto`, each backend's trial says so of its own."""
        if self.backend != AUTO:
            self.options(batch)


def resolve(
    request: BuildRequest,
    model: OnnxModel,
    batch: int,
    record: Path,
    compiled: Path | None = None,
    progress: Progress = Silent(),
    data: Data = None,
) -> tuple[BuildOptions, dict[str, Setting]]:
    """Options for a batch size and the settings of runs, of the backend asked for or, with `auto`, of the fastest.

    The trials are kept in `record` and their artifacts in the folder `compiled`, where one is given; each is checked
    on the first images of `data`, or on the demo's.
    """
    if request.backend != AUTO:
        return request.options(batch)
    made_from = store.hash_of(
        "choose", _RECIPE, model.sha256, model.transform, asdict(request), batch, environment.describe()
    )
    found = store.kept(record, BackendChoice, made_from)
    kept = found is not None
    if found is None:
        with tempfile.TemporaryDirectory(prefix="assay-") as folder:
            found = choose(request, model, batch, compiled or Path(folder), progress, data)
        store.write(record, found, made_from)
    progress.note(f"auto: batch {batch}: {found.chosen}{' (kept)' if kept else ''}; the trials are in {record}")
    return request.options(batch, found.chosen)


def choose(
    request: BuildRequest,
    model: OnnxModel,
    batch: int,
    folder: Path,
    progress: Progress = Silent(),
    data: Data = None,
) -> BackendChoice:
    """Tries each installed backend on a model; one that crashes, hangs or changes the scores costs only itself."""
    trials = []
    for name in registry.BACKENDS:
        trial = _tried(name, request, model, batch, folder, data)
        if trial is not None:
            trials.append(trial)
            progress.note(f"auto: batch {batch}: {_told(trial)}")
    trials.sort(key=lambda trial: -(trial.throughput or 0.0))
    if not trials or trials[0].problem is not None:
        reasons = "; ".join(f"{trial.backend}: {trial.problem}" for trial in trials) or "none is installed"
        raise BackendError(
            f"no installed backend can run {model.name} at batch {batch} ({reasons}); "
            "ask for less of --device, --precision and --set, or give a smaller --batch"
        )
    return BackendChoice(model_sha256=model.sha256, batch=batch, chosen=trials[0].backend, trials=tuple(trials))


def trial(
    name: str,
    table: Mapping[str, str],
    request: BuildRequest,
    model: OnnxModel,
    batch: int,
    folder: Path,
    scratch: Path,
    seconds: float,
    data: Data,
) -> BackendTrial | None:
    """One backend's trial, in a process of its own; None where it is not installed or its scores are made up."""
    registry.take_over(table)
    try:
        backend = registry.get(name)
    except MissingExtraError:
        return None
    if not backend.faithful:
        return None
    options, run_settings = request.options(batch, name)
    compiled, _ = compile_step.compile_into(model, options, folder, data)
    length = measurement.Length(seconds=seconds)
    performance = measurement.bench(compiled, None, scratch, run_settings=run_settings, length=length).performance
    return BackendTrial(
        backend=name,
        device=performance.device,
        throughput=performance.interface_throughput,
        compile_seconds=compiled.compile_seconds,
        parity=compiled.parity,
    )


def _tried(
    name: str, request: BuildRequest, model: OnnxModel, batch: int, folder: Path, data: Data
) -> BackendTrial | None:
    with tempfile.TemporaryDirectory(prefix="assay-") as scratch:
        try:
            return child.run(
                trial,
                name,
                dict(registry.BACKENDS),
                request,
                model,
                batch,
                folder.resolve(),
                Path(scratch),
                TRIAL_SECONDS,
                data,
                call=child.Call(
                    name=f"backend {name}",
                    doing=f"trying {model.name} at batch {batch}",
                    timeout=compile_step.COMPILE_SECONDS,
                    remedy=Remedy("the others are tried without it"),
                ),
            )
        except AssayError as error:
            return BackendTrial(backend=name, problem=error.line())


def _told(trial: BackendTrial) -> str:
    if trial.throughput is None or trial.compile_seconds is None:
        return f"{trial.backend} is out: {trial.problem}"
    held = f", parity {units.difference(trial.parity.largest_difference)}" if trial.parity else ""
    return f"{trial.backend} {units.rate(trial.throughput)}, compiled in {units.seconds(trial.compile_seconds)}{held}"
