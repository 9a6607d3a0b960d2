"""A search made readable: the result, what it is worth, the frontier, and how to make it again."""

from __future__ import annotations

from collections.abc import Mapping

from assay import units
from assay.records import BatchResult, Estimate, Setting
from assay.render.columns import aligned
from assay.render.paired import sentence
from assay.score import figures, statistics
from assay.tuning.records import ChoiceWorth, Objective, Tuning, TuningTrial


def tuning(searched: Tuning, place: str) -> str:
    """The frontier, the choices, before and after end to end, the commands, and the result last."""
    by_number = {one.number: one for one in searched.trials}
    parts = [counts(searched), _frontier(searched, [by_number[number] for number in searched.frontier])]
    if searched.faster_but_wrong:
        lines = [
            f"  {described(one)}: {speed(searched.objective, one.standing)}, {one.reason}"
            for one in searched.faster_but_wrong[:5]
        ]
        parts.append("\n".join(["faster but wrong", *lines]))
    if (said := eight_bits(searched)) is not None:
        parts.append(said)
    if searched.worth:
        parts.append("\n".join(["what each choice was worth", *(_worth(one) for one in searched.worth)]))
    if searched.tuned is not None and searched.default is not None:
        parts.append(before_and_after(searched.default, searched.tuned, searched.finalists))
    if searched.commands:
        parts.append("\n".join(["the same again, without a search", *(f"  {line}" for line in searched.commands)]))
    parts.append(_result(searched, by_number, place))
    return "\n\n".join(part for part in parts if part)


def described(trial: TuningTrial) -> str:
    """A candidate in a line."""
    candidate = trial.candidate
    settings: Mapping[str, Setting] = {**candidate.build, **candidate.run}
    parts = [candidate.backend, f"batch {candidate.batch}", candidate.precision]
    if candidate.calibrator is not None:
        scales = "" if candidate.per_channel else ", one scale a layer"
        parts.append(f"{candidate.calibrator}{scales}, {units.counted(candidate.float_layers, 'layer')} in float")
    return " · ".join([*parts, *(f"{key}={value}" for key, value in settings.items())])


def before_and_after(default: BatchResult, tuned: BatchResult, finalists: int) -> str:
    """Both throughputs of the best default and of the result, measured in turn, and whether the bottleneck moved.

    The ratios' intervals allow for the result having been chosen as the fastest of so many.
    """
    rows = []
    for name, one in (("default", default), ("tuned", tuned)):
        performance = one.performance
        rows.append(
            [
                name,
                str(one.batch),
                units.rate(performance.interface_throughput),
                units.rate(performance.end_to_end_throughput),
                units.milliseconds(performance.latency(99)),
                f"{performance.bottleneck.name} {units.share(performance.bottleneck.busy_share)}",
            ]
        )
    before, after = default.performance, tuned.performance
    confidence = statistics.confidence_for_best_of(finalists)
    ratios = [figures.ratio(after, before, kind, confidence) for kind in ("interface", "end-to-end")]
    rows.append(["ratio", "", *(units.ratio(ratio.value) for ratio in ratios), "", ""])
    rows.append(["95 %", "", *map(_interval, ratios), "", ""])
    headers = ["", "batch", "interface", "end-to-end", "p99", "bottleneck"]
    lines = ["before and after, from the prepared images", aligned(headers, rows, left={"", "bottleneck"})]
    if finalists > 1:
        lines.append(f"  the interval allows for the choice of the fastest of {finalists}")
    if before.bottleneck.name != after.bottleneck.name:
        lines.append(
            f"  tuning moved the bottleneck from {before.bottleneck.name} to {after.bottleneck.name}: what follows in "
            f"speed is to be had in {after.bottleneck.name}, not in the artifact"
        )
    return "\n".join(lines)


def _interval(ratio: Estimate) -> str:
    return "–" if ratio.interval is None else " to ".join(units.ratio(end) for end in ratio.interval)


def counts(searched: Tuning) -> str:
    """What was searched: how many trials of which state, how long, and why it ended."""
    told = ", ".join(f"{number} {state}" for state, number in searched.states.items())
    return (
        f"{units.counted(len(searched.trials), 'trial')} ({told}), "
        f"the last search of {units.seconds(searched.seconds)}; "
        f"it ended because {searched.stopped} · {units.spread(searched.overhead_share)} of its time was overhead"
    )


def eight_bits(searched: Tuning) -> str | None:
    """What came of 8 bits in a line; None where none were tried."""
    bits = searched.eight_bits
    if bits is None:
        return None
    if not bits.scored:
        return f"8 bits: none of {units.counted(bits.tried, 'trial')} came to be scored, so nothing is known of them"
    by_number = {one.number: one for one in searched.trials}
    parts = [f"8 bits: {bits.right or 'none'} of {units.counted(bits.scored, 'scored trial')} within the gate"]
    if bits.best is not None:
        best = by_number[bits.best]
        parts.append(
            f"the fastest is trial {best.number + 1}, {described(best)}: {speed(searched.objective, best.standing)}"
        )
    elif bits.nearest is not None and bits.nearest_drop is not None:
        nearest = by_number[bits.nearest]
        lost = units.points(bits.nearest_drop)
        parts.append(f"the nearest is trial {nearest.number + 1}, {described(nearest)}: it loses {lost}")
    if bits.coarse_scored:
        parts.append(f"with one scale a layer {bits.coarse_right or 'none'} of {bits.coarse_scored}")
    return "; ".join(parts)


def none_passed(searched: Tuning) -> str:
    """The limits that kept every candidate out."""
    memory = "the memory limit" + (
        f" of {units.memory(searched.max_memory)}" if searched.max_memory is not None else ""
    )
    limits = {"wrong": f"the gate of {units.points(searched.max_drop)}", "too large": memory}
    kept_out = [limit for state, limit in limits.items() if any(one.state == state for one in searched.trials)]
    return f"passed {' and '.join(kept_out)}" if kept_out else "came to be scored"


def _of_eight_bits(searched: Tuning) -> list[int | None]:
    """The trials that the line of 8 bits names."""
    return [searched.eight_bits.best, searched.eight_bits.nearest] if searched.eight_bits is not None else []


def _frontier(searched: Tuning, trials: list[TuningTrial]) -> str:
    rows = [
        [
            str(one.number + 1),
            speed(searched.objective, one.standing),
            units.percent(one.accuracy.top(1)) if one.accuracy is not None else "",
            one.state,
            described(one),
        ]
        for one in trials
    ]
    headers = ["trial", "speed", "top-1", "", "candidate"]
    told = {searched.best, *_of_eight_bits(searched)}
    others = [one for one in searched.trials if one.number in told and one not in trials]
    kept = [
        f"  trial {one.number + 1} keeps in float: {', '.join(one.kept_float)}"
        for one in (*trials, *others)
        if one.kept_float
    ]
    table = ["frontier of speed and accuracy", aligned(headers, rows, left={"", "candidate"}), *kept]
    return "\n".join(table if rows else kept)


def speed(objective: Objective, value: float | None) -> str:
    """A trial's speed as the objective counts it."""
    if value is None:
        return ""
    return f"p99 {units.milliseconds(1 / value)}" if objective == "latency" else units.rate(value)


def _worth(one: ChoiceWorth) -> str:
    return f"  {one.choice} instead of {one.instead_of}: × {units.ratio(one.ratio)}"


def _result(searched: Tuning, by_number: Mapping[int, TuningTrial], place: str) -> str:
    if searched.best is None:
        failed = [one for one in searched.trials if one.state == "failed"]
        why = f"; {units.counted(len(failed), 'trial')} failed, the last: {failed[-1].reason}" if failed else ""
        return f"no candidate {none_passed(searched)}: the reference stands{why}\n{place}"
    best = by_number[searched.best]
    lines = [f"best: trial {best.number + 1}, {described(best)}: {speed(searched.objective, best.standing)}"]
    if best.paired is not None:
        lines.append(f"  {sentence(best.paired)}")
    if searched.compiled is not None:
        lines.append(f"  {searched.compiled.file.path}")
    return "\n".join([*lines, place])
