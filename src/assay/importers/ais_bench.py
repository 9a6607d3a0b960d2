"""ais_bench's `*_summary.json`, the inference tool that followed Ascend's benchmark.

The format is that of `ais_bench/infer/summary.py`; no Ascend device was at hand to write one. Times are milliseconds
of an inference call of a whole batch, on one device of the card. Its throughput is 1000 × batch / mean NPU compute:
copies do not count.
"""

from __future__ import annotations

import re

from assay.importers.report_file import ReportFile, shown
from assay.records.reported import ReportedLatency, ReportedResult, ReportedRun, ReportedStage

TOOL = "ais_bench"

_COPIES = {"H2D_latency": "copy to device", "D2H_latency": "copy from device"}
_FIGURES = {"min": "min", "max": "max", "mean": "mean", "median": "median"}
_PERCENTILE = re.compile(r"percentile\((90|95|99)%\)", re.ASCII)
_EXACT = 1e-6


def recognises(text: str) -> bool:
    """Whether this is a summary of ais_bench."""
    return '"NPU_compute_time"' in text or '"npu_compute_time_list"' in text


def read(report: ReportFile) -> ReportedRun:
    """One summary; the batch size follows from the throughput's formula where it comes out whole."""
    summary = report.table(report.json(), "the summary")
    compute = _times(report, summary, "NPU_compute_time")
    throughput = report.number(_single(summary.get("throughput")), "throughput")
    if "mean" not in compute:
        raise report.fault("`mean` of NPU_compute_time")
    derived = throughput * compute["mean"]
    whole = round(derived) if derived < 1e6 else 0
    exact = whole >= 1 and abs(derived - whole) <= _EXACT * whole
    notes = []
    if exact:
        notes.append(f"batch {whole} by its own formula, throughput × mean NPU compute")
    else:
        notes.append(f"its batches held {derived:.6g} images on average")
    # With several threads the mean is that of merged spans, and nothing else is written.
    overlapping = "median" not in compute
    if overlapping:
        notes.append("several threads: no latencies of single calls")
    stages = []
    for key, name in _COPIES.items():
        mean = _times(report, summary, key).get("mean", 0.0) if key in summary else 0.0
        if mean:
            stages.append(ReportedStage(name=name, counts="batches", rate=1 / mean, latency=mean))
    arguments = summary.get("args")
    without_input = isinstance(arguments, list) and not any(str(word).startswith("--input") for word in arguments)
    return ReportedRun(
        name=report.name,
        tool=TOOL,
        sources=(report.name,),
        pixels="synthetic" if without_input else None,
        transfers=False,
        notes=tuple(notes),
        results=(
            ReportedResult(
                batch=whole if exact else report.batch,
                throughput={"interface": throughput},
                latency=None if overlapping else ReportedLatency(**compute),
                stages=tuple(stages),
            ),
        ),
    )


def _times(report: ReportFile, summary: dict[str, object], name: str) -> dict[str, float]:
    """The figures of one time, in seconds; what is 0 was not measured."""
    times = {}
    for key, value in report.table(summary.get(name), name).items():
        percentile = _PERCENTILE.fullmatch(key)
        figure = f"p{percentile[1]}" if percentile else _FIGURES.get(key)
        if figure:
            milliseconds = report.number(_single(value), f"{key} of {name}", zero=True)
            if milliseconds:
                times[figure] = milliseconds / 1000
    return times


def _single(value: object) -> object:
    """A figure that stands alone in a list is that figure; more are shown as what they are."""
    if isinstance(value, list):
        return value[0] if len(value) == 1 else shown(value)
    return value
