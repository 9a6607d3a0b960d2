"""What a search leaves: what each choice was worth, what came of 8 bits, and the commands that make the result."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from assay.backends import opening
from assay.records import Candidate, ChoiceWorth, CompiledModel, EightBits, Setting, TrialState, TuningTrial

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

    found = []
    for name, value in ours.items():
        other = another(name, value) if name in _QUANTIZING and name not in theirs else theirs.get(name)
        if other is None or other == value:
            continue
        with_it, without = fastest(name, value), fastest(name, other)
        if with_it is not None and without is not None:
            found.append(ChoiceWorth(choice=f"{name} {value}", instead_of=str(other), ratio=with_it / without))
    return tuple(sorted(found, key=lambda one: -one.ratio))


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
    words = ["assay", "bench", str(compiled.file.path), "--data", str(data)]
    for key, value in candidate.run.items():
        words += ["--set", f"{key}={_written(value)}"]
    made = [opening.command(compiled), shlex.join([*words, "-o", "BENCH"])]
    return tuple([quantize, *made] if quantize is not None else made)


def _written(value: Setting) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
