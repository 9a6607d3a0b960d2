"""model and data ─search→ the fastest artifact that is still right."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from assay import environment, units
from assay.backends import registry
from assay.data import prepared
from assay.errors import Option, RecordError, Remedy, UsageError
from assay.processes import child
from assay.progress import Progress, Silent, Stopwatch
from assay.quantization import calibration as calibration_step
from assay.quantization.calibration import Scheme
from assay.records import OnnxModel, Performance, Predictions, PreparedDataset, RunRecord
from assay.score import accuracy
from assay.steps import artifact, interleave, pair, prepare
from assay.steps.adopt import describe, tell
from assay.steps.bench import record_of
from assay.steps.fit_labels import fit_labels
from assay.steps.keywords import takes
from assay.steps.measurement import MEASUREMENTS
from assay.steps.results import RUN_RECORD, held
from assay.storage import locks, store
from assay.storage.layout import Folder, Place
from assay.tuning import eight_bit_models, finish, image_split, trial_process
from assay.tuning.eight_bit_models import Quantizer
from assay.tuning.finish import end, seconds_of
from assay.tuning.optuna_search import INTERRUPTED, Study, require_study
from assay.tuning.progress_of_search import Search
from assay.tuning.records import RECORD, Tuning
from assay.tuning.request import TUNED_BATCHES, Goal, TuneRequest, space_of
from assay.tuning.space import Space
from assay.tuning.yardstick import Yardstick, frontier

STUDY = "study.sqlite"
LAYOUT = Folder(
    (Place(RECORD, Tuning), Place(RUN_RECORD, RunRecord), Place(STUDY), Place(f"{STUDY}-journal")),
    {
        "calibration": prepared.LAYOUT,
        "data": Folder(folders=dict.fromkeys(("calibration", "evaluation"), prepared.LAYOUT)),
        "reference": pair.LAYOUT,
        "compiled": artifact.LAYOUT,
        "models": eight_bit_models.LAYOUT,
        "bench": MEASUREMENTS,
        "end": MEASUREMENTS | interleave.LAYOUT,
    },
)
"""The folder of a search."""


@dataclass(frozen=True)
class SearchFolder:
    """Where a search is kept."""

    out: Path
    reference: Path | None = None
    """The folder of what the model itself makes of the images, which another step may have there already."""
    reuse: bool = False
    """Whether a finished search for the very same is taken as it is."""
    command: str | None = None
    """The command line that asks for it."""


@takes(TuneRequest)
def tune(request: TuneRequest) -> Tuning:
    """Searches backends, settings, batch sizes and precisions for the fastest artifact that is still right.

    What it found is kept, and a second call goes on. Raises `UsageError` if the budget does not suffice for the
    reference and one trial.
    """
    out, progress = Path(request.out), request.progress
    model = describe(Path(request.model), request.transform, request.output)
    tell(model, progress)
    calibration = None
    if request.calibration is not None:
        # A search that is at work there is not to find other images in the place of its own.
        with locks.lock(out):
            calibration = prepare.prepared(Path(request.calibration), model.transform, out / "calibration", progress)
    data, place = prepare.load_prepared(Path(request.data)), SearchFolder(out, command=request.command)
    return find_fastest(model, data, place, request.goal(calibration), progress)


def find_fastest(
    model: OnnxModel, data: PreparedDataset, place: SearchFolder, goal: Goal = Goal(), progress: Progress = Silent()
) -> Tuning:
    """Searches for the fastest artifact, as `tune` does, with the model and the images loaded already."""
    watch = Stopwatch()
    with held(place.out, "run"):
        space = space_of(model, goal)
        given = _calibration(model, data, space, goal)
        interest = _interest(model, data, given, space, goal)
        made_from = store.hash_of(interest, goal.budget_seconds, goal.seed, goal.beside)
        if place.reuse and (kept := _kept(place.out, made_from)) is not None:
            progress.finish("tune", units.counted(len(kept.trials), "trial"), _found(kept), None)
            return kept
        # What is refused leaves an earlier search as it is.
        require_study(place.out / STUDY, interest)
        data = fit_labels(model, data, progress)
        if goal.objective == "latency" and len(set(goal.batches)) > 1 and goal.batches != TUNED_BATCHES:
            given_sizes = ", ".join(map(str, sorted(set(goal.batches))))
            progress.note(f"a search for latency is at the smallest batch size, {space.batches[0]} of {given_sizes}")
        calibration, evaluation = _sets(data, given, place.out, space, progress)
        scoring = Stopwatch()
        reference, seconds_an_image = _reference(
            model, evaluation, place.reference or place.out / "reference", progress
        )
        ready = _Ready(working=scoring.seconds, spent=watch.seconds)
        yardstick = Yardstick(
            model=model,
            data=evaluation,
            reference=reference,
            objective=goal.objective,
            max_drop=goal.max_drop,
            max_memory=goal.max_memory,
            folder=place.out,
            quantizer=Quantizer(model, calibration, place.out / "models", seconds_an_image),
            input_kind=goal.input_kind,
        )
        left = _seconds_left(goal, ready)
        # Until this search has a result, what an earlier one left stays whole.
        search = Search(yardstick, space, goal, progress, holds=_earlier_artifact(place.out))
        child.ahead(trial_process.__name__)
        study = Study(place.out / STUDY, interest, goal.seed)
        trials, stopped = study.run(space, search, left)
        if not trials:
            child.close()
            if stopped == INTERRUPTED:
                raise KeyboardInterrupt
            raise UsageError(
                f"a budget of {units.seconds(goal.budget_seconds)} is too short for one trial",
                remedy=Remedy("give a {} of at least {}", Option("budget"), units.seconds(2 * goal.budget_seconds)),
            )
        ending = end(search, trials, seconds_of(goal.budget_seconds), early=stopped == INTERRUPTED)
        child.close()
        working = ready.working + search.working + ending.working
        tuning = Tuning(
            model=model,
            objective=goal.objective,
            max_drop=goal.max_drop,
            budget_seconds=goal.budget_seconds,
            seconds=watch.seconds,
            overhead_share=max(0.0, 1 - working / watch.seconds),
            seed=goal.seed,
            evaluation_images=len(evaluation.dataset.names),
            reference_accuracy=accuracy.evaluate(reference, yardstick.labels) if yardstick.labels is not None else None,
            trials=ending.trials,
            best=ending.best.number if ending.best is not None else None,
            best_default=ending.best_default.number if ending.best_default is not None else None,
            frontier=frontier(ending.trials),
            worth=ending.worth,
            commands=ending.commands,
            compiled=ending.compiled,
            tuned=ending.tuned,
            default=ending.default,
            environment=environment.describe(),
            stopped=stopped,
            backends=tuple(one.backend for one in space.backends),
            batches=tuple(space.batches),
            max_memory=goal.max_memory,
            int8=goal.int8,
            eight_bits=finish.eight_bits(ending.trials, yardstick.top1),
        )
        _write_run(tuning, evaluation, place)
        is_whole = stopped != INTERRUPTED and not ending.interrupted
        # Last, as the sign that all is whole; one that was interrupted goes on the next time.
        store.write(place.out / RECORD, tuning, made_from if is_whole else "")
        search.holds = None
        search.clean_up({tuning.compiled.key} if tuning.compiled is not None else set())
        if ending.interrupted:
            raise KeyboardInterrupt
        progress.finish("tune", units.counted(len(trials), "trial"), _found(tuning), watch.seconds)
    return tuning


class _Ready(NamedTuple):
    """What getting ready for a search took, in seconds."""

    working: float
    """Of which scoring the reference."""
    spent: float


def _seconds_left(goal: Goal, ready: _Ready) -> float:
    """What is left of the budget for trials; raises `UsageError` if that is nothing."""
    budget, ending = goal.budget_seconds, seconds_of(goal.budget_seconds)
    left = budget - ending - ready.spent
    if left <= 0:
        raise UsageError(
            f"a budget of {units.seconds(budget)} is too short: getting ready took {units.seconds(ready.spent)}, of "
            f"which scoring the reference {units.seconds(ready.working)}, and the end takes {units.seconds(ending)}",
            remedy=Remedy("give a {} of at least {}", Option("budget"), units.seconds(4 * ready.spent + 30)),
        )
    return left


def _write_run(tuning: Tuning, evaluation: PreparedDataset, place: SearchFolder) -> None:
    """Writes what was measured of the result as a run, if it was."""
    if results := tuple(one for one in (tuning.tuned, tuning.default) if one is not None):
        store.write(place.out / RUN_RECORD, record_of(tuning.model, evaluation.dataset, results, place.command))
    else:
        (place.out / RUN_RECORD).unlink(missing_ok=True)


def _found(tuning: Tuning) -> str:
    if tuning.compiled is None:
        return "none is right"
    options = tuning.compiled.options
    return f"{options.backend} · batch {options.batch} · {options.precision}"


def load_tuning(path: Path) -> Tuning:
    """The record of a search, given its folder or the record itself."""
    return store.read(path / RECORD if path.is_dir() else path, Tuning)


def _calibration(model: OnnxModel, data: PreparedDataset, space: Space, goal: Goal) -> PreparedDataset | None:
    """The images that were given to calibrate on; raises where they, or the model, cannot be used for it."""
    if not space.quantizes:
        return None
    images = goal.calibration or data
    calibration_step.check(model, images, Scheme(images=len(images.dataset.names)))
    if goal.calibration is not None:
        image_split.without(goal.calibration, data)
    return goal.calibration


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
    predictions = pair.predictions(model, data, out, progress)
    performance = store.read(predictions.scores.file.path.with_name("performance.json"), Performance)
    return predictions, performance.wall_seconds / performance.images


def _earlier_artifact(out: Path) -> str | None:
    """The key of the artifact that an earlier search found; a record that cannot be read is about to be replaced."""
    with suppress(RecordError):
        if (out / RECORD).is_file() and (earlier := load_tuning(out)).compiled is not None:
            return earlier.compiled.key
    return None


def _kept(out: Path, made_from: str) -> Tuning | None:
    """A finished search for the very same, whose artifact is there; raises `RecordError` where that is damaged."""
    tuning = store.kept(out / RECORD, Tuning, made_from)
    if tuning is None or tuning.compiled is None or store.is_there(tuning.compiled.file):
        return tuning
    return None


def _interest(
    model: OnnxModel,
    data: PreparedDataset,
    calibration: PreparedDataset | None,
    space: Space,
    goal: Goal,
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
        goal.objective,
        goal.max_drop,
        goal.max_memory,
        goal.input_kind,
        environment.processor_fingerprint(),
    )
