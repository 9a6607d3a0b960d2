"""How a search ends: the fastest few against the defaults, what the result is worth, and how to make it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from assay import command_line
from assay.backends import opening, registry
from assay.errors import AssayError
from assay.processes import child, interrupts
from assay.progress import Stopwatch
from assay.records import BatchResult, CompiledModel, Setting
from assay.steps.interleave import Turns
from assay.steps.measurement import Length, Measuring
from assay.tuning import image_split, trial_process
from assay.tuning.progress_of_search import Search
from assay.tuning.records import Candidate, ChoiceWorth, EightBits, TrialState, TuningTrial
from assay.tuning.yardstick import speed_of

SHARE = 0.1
"""Of the budget, that is kept for it."""

_USUAL_SECONDS, _USUAL_SHARE = 15.0, 0.3
"""What it takes of a small model, and how much of a short budget that may be."""

MOST_SECONDS, LEAST_SECONDS = 4.0, 1.0

_WARM_UP_SECONDS = 1.0

_OPENING_SECONDS = 0.5

_MOST_SHARES, _GRACE_SECONDS = 3.0, 30.0
"""It may take so many times what was kept for it, and a little; where calls are long it does."""

_BLOCKS = 8
"""Few and long ones: what it takes to fill the pipeline is part of each."""


def seconds_of(budget_seconds: float) -> float:
    """How long the end of a search may take."""
    return max(SHARE * budget_seconds, min(_USUAL_SECONDS, _USUAL_SHARE * budget_seconds))


@dataclass(frozen=True)
class Ending:
    """What a search leaves beside its trials."""

    trials: tuple[TuningTrial, ...]
    """With the speeds that the end showed."""
    best: TuningTrial | None = None
    best_default: TuningTrial | None = None
    compiled: CompiledModel | None = None
    worth: tuple[ChoiceWorth, ...] = ()
    commands: tuple[str, ...] = ()
    tuned: BatchResult | None = None
    """The result over the data, end to end."""
    default: BatchResult | None = None
    """The defaults likewise, in turn with it; None where the result is the defaults'."""
    working: float = 0.0
    """Seconds spent on measuring."""
    interrupted: bool = False
    """Whether that was ended by an interrupt: the result is then what its trial says."""


def end(search: Search, trials: Sequence[TuningTrial], seconds: float, early: bool) -> Ending:
    """The fastest few in turn with the defaults, end to end, in about so many seconds: the result is the fastest.

    `early` tells whoever interrupted the search what goes on.
    """
    default, finalists = search.default(trials), search.finalists(trials)
    if not finalists:
        return Ending(tuple(trials), best_default=default)
    yardstick = search.yardstick
    watch, interrupted = Stopwatch(), False
    try:
        with interrupts.first_is_kept():
            if early:
                search.progress.note("interrupted: what was found is measured now; a second Ctrl-C ends that too")
            results, working = _measured(search, finalists, seconds)
    except KeyboardInterrupt:
        search.progress.note("not measured end to end: it was interrupted")
        results, working, interrupted = {}, watch.seconds, True
    speeds = {number: speed_of(result.performance, yardstick.objective) for number, result in results.items()}
    # Where that failed, as they were in their trials, the fastest first.
    best = max(finalists, key=lambda one: speeds[one.number]) if speeds else finalists[0]
    compiled = search.runnable(best).compiled
    trials = settled(trials, speeds)
    return Ending(
        trials=trials,
        best=best,
        best_default=default,
        compiled=compiled,
        worth=worth(trials, best, default) if default is not None else (),
        commands=commands(
            compiled, best.candidate, yardstick.quantizer.command(best.candidate), image_split.folder_of(yardstick.data)
        ),
        tuned=results.get(best.number),
        default=results.get(default.number) if default not in (None, best) else None,
        working=working,
        interrupted=interrupted,
    )


def settled(trials: Sequence[TuningTrial], speeds: Mapping[int, float]) -> tuple[TuningTrial, ...]:
    """Trials with what the end made of the finalists among them, on the scale of the trials.

    So the fastest of the finalists has the most that any of them had in its trial, and the result is on the frontier
    even where the trials ranked them otherwise.
    """
    if not speeds:
        return tuple(trials)
    scale = max(one.speed or 0.0 for one in trials if one.number in speeds) / max(speeds.values())
    return tuple(
        msgspec.structs.replace(one, end_speed=scale * speeds[one.number]) if one.number in speeds else one
        for one in trials
    )


def _measured(search: Search, finalists: Sequence[TuningTrial], seconds: float) -> tuple[dict[int, BatchResult], float]:
    """Each over the data: speed, stages and bottleneck, by the trial's number; and how long that took."""
    search.progress.start("measuring what was found", None)
    each = seconds / len(finalists) - _WARM_UP_SECONDS - _OPENING_SECONDS
    length = Length(seconds=min(max(each, LEAST_SECONDS), MOST_SECONDS), warm_up=_WARM_UP_SECONDS)
    try:
        measured, working = child.run(
            trial_process.timed,
            dict(registry.BACKENDS),
            trial_process.results,
            [search.runnable(one) for one in finalists],
            search.yardstick.data,
            search.yardstick.folder / "end",
            Measuring(length=length),
            Turns(_BLOCKS),
            call=child.Call(
                name="the result", doing="measuring end to end", timeout=_MOST_SHARES * seconds + _GRACE_SECONDS
            ),
        )
    except AssayError as error:
        search.progress.note(f"not measured end to end: {error.line()}")
        return {}, 0.0
    # They go around and around the data, so what they have right is what each had when it went over it once.
    return {
        trial.number: msgspec.structs.replace(result, accuracy=trial.accuracy, paired=trial.paired)
        for trial, result in zip(finalists, measured, strict=True)
    }, working


_QUANTIZING = ("calibrator", "layers in float", "scales")
"""Choices that a model in float does not have."""

_SCORED: Sequence[TrialState] = ("right", "wrong", "too large")


def worth(trials: Sequence[TuningTrial], best: TuningTrial, default: TuningTrial) -> tuple[ChoiceWorth, ...]:
    """What each choice in which the best differs from the default brought, as the trials show it.

    The fastest trial with the choice over the fastest with the default's instead, whatever else they chose, of those
    that are not wrong. How to quantize is nothing that the default chooses: there it is the fastest with any other.
    """
    ours, theirs = choices(best.candidate), choices(default.candidate)
    usable = [
        (choices(one.candidate), one.standing)
        for one in trials
        if one.state in ("right", "slower") and one.standing is not None
    ]

    def fastest(name: str, value: Setting) -> float | None:
        return max((speed for chosen, speed in usable if chosen.get(name) == value), default=None)

    def another(name: str, value: Setting) -> Setting | None:
        others = [(speed, chosen[name]) for chosen, speed in usable if chosen.get(name, value) != value]
        return max(others, key=lambda one: one[0])[1] if others else None

    worths = []
    for name, value in ours.items():
        other = another(name, value) if name in _QUANTIZING and name not in theirs else theirs.get(name)
        if other is None or other == value:
            continue
        with_it, without = fastest(name, value), fastest(name, other)
        if with_it is not None and without is not None:
            worths.append(ChoiceWorth(choice=f"{name} {value}", instead_of=str(other), ratio=with_it / without))
    return tuple(sorted(worths, key=lambda one: -one.ratio))


def choices(candidate: Candidate) -> dict[str, Setting]:
    """Every choice of a candidate by its name."""
    plain: Mapping[str, Setting] = {
        "backend": candidate.backend,
        "device": candidate.device,
        "batch": candidate.batch,
        "precision": candidate.precision,
    }
    quantized: dict[str, Setting] = {}
    if candidate.calibrator is not None:
        scales = "one a channel" if candidate.per_channel else "one a layer"
        quantized = dict(zip(_QUANTIZING, [str(candidate.calibrator), candidate.float_layers, scales], strict=True))
    return {**plain, **quantized, **candidate.build, **candidate.run}


def eight_bits(trials: Sequence[TuningTrial], reference: float) -> EightBits | None:
    """What came of the trials in 8 bits, beside the reference's top-1 in percent; None where there are none."""
    tried = [one for one in trials if one.candidate.calibrator is not None]
    if not tried:
        return None
    scored = [one for one in tried if one.state in _SCORED]
    right = [one for one in scored if one.state == "right"]
    coarse = [one for one in scored if not one.candidate.per_channel]
    best = max(right, key=lambda one: one.standing or 0.0, default=None)
    points = [(one.top1, one.standing or 0.0, one.number) for one in scored if one.top1 is not None]
    nearest = max(points, default=None)
    return EightBits(
        tried=len(tried),
        scored=len(scored),
        right=len(right),
        best=best.number if best is not None else None,
        nearest=nearest[2] if nearest is not None else None,
        nearest_drop=reference - nearest[0] if nearest is not None else None,
        coarse_scored=len(coarse),
        coarse_right=sum(one.state == "right" for one in coarse),
    )


def commands(compiled: CompiledModel, candidate: Candidate, quantize: str | None, data: Path) -> tuple[str, ...]:
    """Command lines that make an artifact again without a search, and measure it with its settings."""
    bench = command_line.of("bench", compiled.file.path, data=data, set=candidate.run, out="BENCH")
    made = [opening.command(compiled), bench]
    return tuple([quantize, *made] if quantize is not None else made)
