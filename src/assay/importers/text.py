"""Imported figures for a person: what was read, and what is still unknown."""

from __future__ import annotations

from collections.abc import Callable

from assay import units
from assay.errors import Option
from assay.records.reported import ReportedResult, ReportedRun

_OF_SPEED = ("dies", "precision", "device", "input_side", "pixels", "transfers")
_OF_ACCURACY = ("dataset", "images")
_SETTING = Option("set")


def imported(run: ReportedRun, written: str, option: Callable[[Option], str] = Option.in_python) -> str:
    """The figures by batch size, the notes, and the settings that would complete the record; `option` words those."""
    scenario = f" {run.scenario}" if run.scenario else ""
    lines = [f"{run.tool}{scenario} · {', '.join(run.sources)} · {written}", ""]
    lines += [_result(result) for result in run.results]
    if run.notes:
        lines += ["", *(f"note: {note}" for note in run.notes)]
    unknown = unknown_of(run)
    if unknown:
        lines += ["", f"unknown: {', '.join(unknown)}; give them with {option(_SETTING)}"]
    return "\n".join(lines)


def unknown_of(run: ReportedRun) -> list[str]:
    """The settings that neither the files nor the user said, and that bear on the figures that there are."""
    speed = any(result.throughput or result.queries or result.latency for result in run.results)
    accuracy = any(result.top for result in run.results)
    wanted = ["model", *(_OF_SPEED if speed else ()), *(_OF_ACCURACY if accuracy else ())]
    batch = ["batch"] if speed and any(result.batch is None for result in run.results) else []
    return [*batch, *(name for name in wanted if getattr(run, name) is None)]


def _result(result: ReportedResult) -> str:
    parts = [f"batch {result.batch}" if result.batch is not None else "batch unknown"]
    parts += [f"{kind} {units.rate(rate)}" for kind, rate in result.throughput.items()]
    if result.queries is not None:
        images = f" × {result.batch} images = {units.rate(result.queries * result.batch)}" if result.batch else ""
        parts.append(f"inference calls {units.rate(result.queries)}{images}")
    if result.latency is not None:
        named = [("mean", result.latency.mean), ("p50", result.latency.median), ("p99", result.latency.p99)]
        parts += [f"{name} {units.milliseconds(value)}" for name, value in named if value is not None]
    parts += [f"top-{k} {units.percent(value)}" for k, value in result.top.items()]
    return " · ".join(parts)
