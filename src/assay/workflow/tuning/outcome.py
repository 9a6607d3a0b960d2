"""What a search leaves: what each choice was worth, and the commands that make the result again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from assay.backends import opening
from assay.records import Candidate, ChoiceWorth, CompiledModel, Setting, TuningTrial


def worth(trials: Sequence[TuningTrial], best: TuningTrial, default: TuningTrial) -> tuple[ChoiceWorth, ...]:
    """What each choice in which the best differs from the default brought, as the trials show it.

    The fastest trial with the choice over the fastest with the default's instead, whatever else they chose, of those
    that are not wrong.
    """
    ours, theirs = choices(best.candidate), choices(default.candidate)
    usable = [
        (choices(one.candidate), one.standing)
        for one in trials
        if one.state in ("right", "slower") and one.standing is not None
    ]

    def fastest(name: str, value: Setting) -> float | None:
        return max((speed for chosen, speed in usable if chosen.get(name) == value), default=None)

    found = []
    for name, value in ours.items():
        other = theirs.get(name)
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
    quantized: Mapping[str, Setting] = (
        {"calibrator": candidate.calibrator, "layers in float": candidate.float_layers} if candidate.calibrator else {}
    )
    return {**plain, **quantized, **candidate.build, **candidate.run}


def commands(compiled: CompiledModel, candidate: Candidate, quantize: str | None, data: Path) -> tuple[str, ...]:
    """Command lines that make an artifact again without a search, and measure it with its settings."""
    words = ["assay", "bench", str(compiled.file.path), "--data", str(data)]
    for key, value in candidate.run.items():
        words += ["--set", f"{key}={_written(value)}"]
    made = [opening.command(compiled), shlex.join([*words, "-o", "BENCH"])]
    return tuple([quantize, *made] if quantize is not None else made)


def _written(value: Setting) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
