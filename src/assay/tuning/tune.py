"""model and data ─search→ the fastest artifact that is still right."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from assay import environment, units
from assay.backends import registry
from assay.errors import RecordError, UsageError
from assay.processes import child
from assay.progress import Progress, Silent, Stopwatch
from assay.quantization import calibration as calibration_step
from assay.records import OnnxModel, Performance, Predictions, PreparedDataset
from assay.score import accuracy
from assay.steps import pair
from assay.steps import results as results_step
from assay.steps.bench import check_labels, record_of
from assay.storage import store
from assay.tuning import finish, image_split, trial_process, yardstick
from assay.tuning.eight_bit_models import Quantizer
from assay.tuning.finish import end, seconds_of
from assay.tuning.optuna_search import INTERRUPTED, require_study, search
from assay.tuning.progress_of_search import Hunt
from assay.tuning.records import Tuning
from assay.tuning.request import TUNED_BATCHES, TuneRequest, space_of
from assay.tuning.space import Space
from assay.tuning.yardstick import Bench

RECORD = "tuning.json"
_STUDY = "study.sqlite"


def tune(
    model: OnnxModel,
    data: PreparedDataset,
    out: Path,
    request: TuneRequest = TuneRequest(),
    progress: Progress = Silent(),
    *,
    reuse: bool = False,
    reference_folder: Path | None = None,
    command: str | None = None,
) -> Tuning:
    """Searches backends, settings, batch sizes and precisions; what it found is kept, and a second call goes on.

    `reuse` takes a finished search for the very same as it is. What the model itself makes of the images is kept in the
    `reference_folder`, where another step may have it already. `command` is the command line that asks for it.
    Raises `UsageError` where the budget does not suffice for the reference and one trial.
    """
    watch = Stopwatch()
    with results_step.held(out, "run"):
        space = space_of(model, request)
        given = _calibration(model, data, space, request)
        interest = _interest(model, data, given, space, request)
        made_from = store.hash_of(interest, request.budget_seconds, request.seed, request.beside)
        if reuse and (found := _kept(out, made_from)) is not None:
            progress.finish("tune", units.counted(len(found.trials), "trial"), _found(found), None)
            return found
        # What is refused leaves an earlier search as it is.
        require_study(out / _STUDY, interest)
        check_labels(model, data, progress)
        if request.objective == "latency" and len(set(request.batches)) > 1 and request.batches != TUNED_BATCHES:
            given_sizes = ", ".join(map(str, sorted(set(request.batches))))
            progress.note(f"a search for latency is at the smallest batch size, {space.batches[0]} of {given_sizes}")
        calibration, evaluation = _sets(data, given, out, space, progress)
        scoring = Stopwatch()
        reference, seconds_an_image = _reference(model, evaluation, reference_folder or out / "reference", progress)
        worked, spent = scoring.seconds, watch.seconds
        bench = Bench(
            model=model,
            data=evaluation,
            reference=reference,
            objective=request.objective,
            max_drop=request.max_drop,
            max_memory=request.max_memory,
            folder=out,
            quantizer=Quantizer(model, calibration, out / "models", seconds_an_image),
            input_kind=request.input_kind,
        )
        ending_seconds = seconds_of(request.budget_seconds)
        left = request.budget_seconds - ending_seconds - spent
        if left <= 0:
            raise UsageError(
                f"--budget {units.seconds(request.budget_seconds)}: getting ready took {units.seconds(spent)}, of "
                f"which scoring the reference {units.seconds(worked)}, and the end takes "
                f"{units.seconds(ending_seconds)}; give at least {units.seconds(4 * spent + 30)}"
            )
        # Until this search has a result, what an earlier one left stays whole.
        hunt = Hunt(bench, space, request, progress, holds=_earlier_artifact(out))
        child.ahead(trial_process.__name__)
        trials, stopped = search(
            space,
            hunt.attempt,
            out / _STUDY,
            interest=interest,
            seed=request.seed,
            seconds=left,
            most_seconds=hunt.most_seconds,
            tell=hunt.tell,
        )
        if not trials:
            child.close()
            if stopped == INTERRUPTED:
                raise KeyboardInterrupt
            raise UsageError(
                f"--budget {units.seconds(request.budget_seconds)} is too short for one trial; give at least "
                f"{units.seconds(2 * request.budget_seconds)}"
            )
        ending = end(hunt, trials, ending_seconds, early=stopped == INTERRUPTED)
        child.close()
        worked += hunt.working + ending.working
        tuning = Tuning(
            model=model,
            objective=request.objective,
            max_drop=request.max_drop,
            budget_seconds=request.budget_seconds,
            seconds=watch.seconds,
            overhead_share=max(0.0, 1 - worked / watch.seconds),
            seed=request.seed,
            evaluation_images=len(evaluation.dataset.names),
            reference_accuracy=accuracy.evaluate(reference, bench.labels) if bench.labels is not None else None,
            trials=ending.trials,
            best=ending.best.number if ending.best is not None else None,
            best_default=ending.best_default.number if ending.best_default is not None else None,
            frontier=yardstick.of(ending.trials),
            worth=ending.worth,
            commands=ending.commands,
            compiled=ending.compiled,
            tuned=ending.tuned,
            default=ending.default,
            environment=environment.describe(),
            stopped=stopped,
            backends=tuple(one.backend for one in space.backends),
            batches=tuple(space.batches),
            max_memory=request.max_memory,
            int8=request.int8,
            eight_bits=finish.eight_bits(ending.trials, bench.top1),
        )
        if results := tuple(one for one in (tuning.tuned, tuning.default) if one is not None):
            store.write(out / results_step.RUN_RECORD, record_of(model, evaluation.dataset, results, command))
        else:
            (out / results_step.RUN_RECORD).unlink(missing_ok=True)
        is_whole = stopped != INTERRUPTED and not ending.interrupted
        # Last, as the sign that all is whole; one that was interrupted goes on the next time.
        store.write(out / RECORD, tuning, made_from if is_whole else "")
        hunt.holds = None
        hunt.clean_up({tuning.compiled.key} if tuning.compiled is not None else set())
        if ending.interrupted:
            raise KeyboardInterrupt
        progress.finish("tune", units.counted(len(trials), "trial"), _found(tuning), watch.seconds)
    return tuning


def _found(tuning: Tuning) -> str:
    if tuning.compiled is None:
        return "none is right"
    options = tuning.compiled.options
    return f"{options.backend} · batch {options.batch} · {options.precision}"


def load_tuning(path: Path) -> Tuning:
    """The record of a search, given its folder or the record itself."""
    return store.read(path / RECORD if path.is_dir() else path, Tuning)


def _calibration(model: OnnxModel, data: PreparedDataset, space: Space, request: TuneRequest) -> PreparedDataset | None:
    """The images that were given to calibrate on; raises where they, or the model, cannot be used for it."""
    if not space.quantizes:
        return None
    found = request.calibration or data
    calibration_step.check(model, found, calibration_step.USUAL, len(found.dataset.names))
    if request.calibration is not None:
        image_split.without(request.calibration, data)
    return request.calibration


def _sets(
    data: PreparedDataset, given: PreparedDataset | None, out: Path, space: Space, progress: Progress
) -> tuple[PreparedDataset | None, PreparedDataset]:
    """The images to calibrate on, None where nothing is quantized, and those to evaluate on."""
    if given is not None or not space.quantizes:
        return given, data
    calibration, evaluation = image_split.divided(data, out / "data")
    progress.note(
        f"{units.counted(len(calibration.dataset.names), 'image')} to calibrate on and "
        f"{len(evaluation.dataset.names):,} to evaluate on, by the hashes of their files"
    )
    return calibration, evaluation


def _reference(model: OnnxModel, data: PreparedDataset, out: Path, progress: Progress) -> tuple[Predictions, float]:
    """What the model itself makes of the images, and how long it took for one."""
    found = pair.predictions(model, data, out, progress)
    performance = store.read(found.scores.file.path.with_name("performance.json"), Performance)
    return found, performance.wall_seconds / performance.images


def _earlier_artifact(out: Path) -> str | None:
    """The key of the artifact that an earlier search found; a record that cannot be read is about to be replaced."""
    with suppress(RecordError):
        if (out / RECORD).is_file() and (found := load_tuning(out)).compiled is not None:
            return found.compiled.key
    return None


def _kept(out: Path, made_from: str) -> Tuning | None:
    """A finished search for the very same, whose artifact is there; raises `RecordError` where that is damaged."""
    found = store.kept(out / RECORD, Tuning, made_from)
    if found is None or found.compiled is None or store.is_there(found.compiled.file):
        return found
    return None


def _interest(
    model: OnnxModel,
    data: PreparedDataset,
    calibration: PreparedDataset | None,
    space: Space,
    request: TuneRequest,
) -> str:
    """Tells one search from another: its trials say nothing of another model, data, gate, version or machine."""
    return store.hash_of(
        model.sha256,
        model.output.name,
        model.transform,
        data.dataset.fingerprint,
        data.dataset.labels,
        space.quantizes,
        calibration.dataset.fingerprint if calibration is not None else None,
        [[asdict(one), registry.get(one.backend).version()] for one in space.backends],
        list(space.batches),
        request.objective,
        request.max_drop,
        request.max_memory,
        request.input_kind,
        environment.processor_fingerprint(),
    )
