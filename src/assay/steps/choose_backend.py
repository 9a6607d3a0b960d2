"""model ─choose→ backend: which of those installed runs this very model fastest, and right."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from assay import environment, units
from assay.backends import registry
from assay.errors import AssayError, BackendError, MissingExtraError, Option, Remedy
from assay.processes import child
from assay.progress import Progress, Silent
from assay.records import BackendAttempt, BackendChoice, BuildOptions, OnnxModel, Runnable, Setting
from assay.steps import artifact
from assay.steps.build_options import BuildRequest
from assay.steps.measurement import Length, Measuring, measure
from assay.steps.pixel_sources import Data
from assay.storage import store

TRY_SECONDS = 1.5
_RECIPE = 1


@dataclass(frozen=True)
class Wanted:
    """An artifact that is wanted of a model: for what, and at which batch size."""

    request: BuildRequest
    model: OnnxModel
    batch: int
    data: Data = None
    """It is checked on the first images of these, or on the demo's."""


def resolve(
    wanted: Wanted, record: Path, compiled: Path | None = None, progress: Progress = Silent()
) -> tuple[BuildOptions, dict[str, Setting]]:
    """Options and the settings of runs, of the backend asked for or, with `auto`, of the fastest.

    What was tried is kept in `record` and the artifacts in the folder `compiled`, if one is given.
    """
    request, model, batch = wanted.request, wanted.model, wanted.batch
    if not request.is_auto:
        return request.options(batch, model)
    made_from = store.hash_of(
        "choose", _RECIPE, model.sha256, model.transform, asdict(request), batch, environment.describe()
    )
    choice = store.kept(record, BackendChoice, made_from)
    kept = choice is not None
    if choice is None:
        with tempfile.TemporaryDirectory(prefix="assay-") as folder:
            choice = choose(wanted, compiled or Path(folder), progress)
        store.write(record, choice, made_from)
    progress.note(f"auto: batch {batch}: {choice.chosen}{' (kept)' if kept else ''}; what was tried is in {record}")
    return request.on(choice.chosen).options(batch, model)


def choose(wanted: Wanted, folder: Path, progress: Progress = Silent()) -> BackendChoice:
    """Tries each installed backend on a model; one that crashes, hangs or changes the scores costs only itself."""
    model, batch = wanted.model, wanted.batch
    artifact.require_sound(model, batch, wanted.data)
    attempts = []
    for name in registry.BACKENDS:
        attempt = _tried(name, wanted, folder)
        if attempt is not None:
            attempts.append(attempt)
            progress.note(f"auto: batch {batch}: {_told(attempt)}")
    attempts.sort(key=lambda attempt: -(attempt.throughput or 0.0))
    if not attempts or attempts[0].problem is not None:
        reasons = "; ".join(f"{attempt.backend}: {attempt.problem}" for attempt in attempts) or "none is installed"
        raise BackendError(
            f"no installed backend can run {model.name} at batch {batch} ({reasons})",
            remedy=Remedy(
                "ask for less of {}, {} and {}, or give a smaller {}",
                Option("device"),
                Option("precision"),
                Option("set"),
                Option("batch"),
            ),
        )
    return BackendChoice(model_sha256=model.sha256, batch=batch, chosen=attempts[0].backend, attempts=tuple(attempts))


def try_backend(
    name: str, table: Mapping[str, str], wanted: Wanted, folder: Path, scratch: Path, seconds: float
) -> BackendAttempt | None:
    """One backend, tried in a process of its own; None if it is not installed or its scores are made up."""
    registry.take_over(table)
    try:
        backend = registry.get(name)
    except MissingExtraError:
        return None
    if not backend.faithful:
        return None
    options, run_settings = wanted.request.on(name).options(wanted.batch, wanted.model)
    compiled, _ = artifact.compile_into(wanted.model, options, folder, wanted.data)
    measuring = Measuring(length=Length(seconds=seconds))
    performance = measure(Runnable(compiled, run_settings), None, scratch, measuring).performance
    return BackendAttempt(
        backend=name,
        device=performance.device,
        throughput=performance.interface_throughput,
        compile_seconds=compiled.compile_seconds,
        parity=compiled.parity,
    )


def _tried(name: str, wanted: Wanted, folder: Path) -> BackendAttempt | None:
    with tempfile.TemporaryDirectory(prefix="assay-") as scratch:
        try:
            return child.run(
                try_backend,
                name,
                dict(registry.BACKENDS),
                wanted,
                folder.resolve(),
                Path(scratch),
                TRY_SECONDS,
                call=child.Call(
                    name=f"backend {name}",
                    doing=f"trying {wanted.model.name} at batch {wanted.batch}",
                    timeout=artifact.COMPILE_SECONDS,
                    remedy=Remedy("the others are tried without it"),
                ),
            )
        except AssayError as error:
            return BackendAttempt(backend=name, problem=error.line())


def _told(attempt: BackendAttempt) -> str:
    if attempt.throughput is None or attempt.compile_seconds is None:
        return f"{attempt.backend} is out: {attempt.problem}"
    held = f", parity {units.difference(attempt.parity.largest_difference)}" if attempt.parity else ""
    compiled = f"compiled in {units.seconds(attempt.compile_seconds)}"
    return f"{attempt.backend} {units.rate(attempt.throughput)}, {compiled}{held}"
