"""LoadGen's `mlperf_log_summary.txt`, of MLPerf Inference; the samples are by mlcommons-loadgen 6.0.17.

A throughput is as the scenario counts it, waiting included, and so are the latencies of Offline and Server: only a
scenario with one query under way at a time has latencies that are the system's own.
"""

from __future__ import annotations

import re

from assay import units
from assay.importers.report_file import ReportFile
from assay.records.reported import ReportedLatency, ReportedResult, ReportedRun

TOOL = "LoadGen"

_HEADING = "MLPerf Results Summary"
_THROUGHPUT = {
    "Offline": ("Samples per second",),
    "Server": ("Completed samples per second", "Scheduled samples per second"),
    "SingleStream": ("QPS w/ loadgen overhead",),
    "MultiStream": (),
}
"""What each scenario's images a second stand behind, the newer name first; a query of SingleStream is one image."""
_LATENCIES = {
    "Min latency (ns)": "min",
    "Mean latency (ns)": "mean",
    "50.00 percentile latency (ns)": "median",
    "90.00 percentile latency (ns)": "p90",
    "95.00 percentile latency (ns)": "p95",
    "99.00 percentile latency (ns)": "p99",
    "Max latency (ns)": "max",
}
_HEADLINE = re.compile(r"(\d\d)(?:\.\d{1,2})?th percentile latency \(ns\)", re.ASCII)


def recognises(text: str) -> bool:
    """Whether this is a summary of LoadGen."""
    return _HEADING in text


def read(report: ReportFile) -> ReportedRun:
    """One summary; whether LoadGen calls the run valid stands in the notes."""
    fields = _lines(report)
    scenario = fields.get("Scenario", ("", 0))[0].replace(" ", "")
    if scenario not in _THROUGHPUT:
        raise report.fault(f"`Scenario : …`, one of {', '.join(_THROUGHPUT)}", fields.get("Scenario", ("", None))[1])
    mode = fields.get("Mode", ("", 0))[0]
    if mode == "AccuracyOnly":
        raise report.fault("a run of LoadGen's performance mode, found AccuracyOnly; it measures no speed")
    valid = fields.get("Result is", ("", 0))[0]
    if valid not in ("VALID", "INVALID"):
        raise report.fault("`Result is : VALID` or `INVALID`", fields.get("Result is", ("", None))[1])
    key = next((name for name in _THROUGHPUT[scenario] if name in fields), None)
    if key is None and _THROUGHPUT[scenario]:
        raise report.fault(f"`{_THROUGHPUT[scenario][0]} : …`")
    rate = report.number(fields[key][0], key, fields[key][1]) if key else None
    latency = _latency(report, fields)
    failed = [name.removesuffix(" satisfied") for name, (value, _) in fields.items() if value == "NO"]
    notes = [f"LoadGen calls the run {valid}" + (f": not satisfied {', '.join(failed).lower()}" if failed else "")]
    waiting = scenario in ("Offline", "Server")
    if waiting and latency.p99:
        notes.append(f"p99 from when a sample was scheduled, waiting included: {units.milliseconds(latency.p99)}")
    if scenario == "MultiStream":
        held = fields.get("samples_per_query", ("several", 0))[0]
        notes.append(f"latencies are of a query of {held} samples")
    return ReportedRun(
        name=report.name,
        tool=TOOL,
        sources=(report.name,),
        scenario=scenario,
        notes=tuple(notes),
        results=(
            ReportedResult(
                # One query of one image at a time leaves nothing to batch.
                batch=1 if scenario == "SingleStream" else report.batch,
                throughput={"scenario": rate} if rate is not None else {},
                latency=None if waiting else latency,
            ),
        ),
    )


def _lines(report: ReportFile) -> dict[str, tuple[str, int]]:
    """Every `key : value` with its line."""
    fields: dict[str, tuple[str, int]] = {}
    for line, text in enumerate(report.lines, start=1):
        if _HEADING in text and _HEADING in fields:
            raise report.fault("one summary, found a second", line)
        if _HEADING in text:
            fields[_HEADING] = ("", line)
        key, colon, value = text.partition(":")
        if colon:
            fields.setdefault(key.strip(), (value.strip(), line))
    return fields


def _latency(report: ReportFile, fields: dict[str, tuple[str, int]]) -> ReportedLatency:
    """The latencies in seconds; the scenario's own percentile stands apart from the others."""
    figures: dict[str, float] = {}
    for key, (value, line) in fields.items():
        headline = _HEADLINE.fullmatch(key)
        name = f"p{headline[1]}" if headline else _LATENCIES.get(key)
        if name is not None and name in _LATENCIES.values():
            figures[name] = report.number(value, key, line) / 1e9
    if "p90" not in figures and "p99" not in figures:
        raise report.fault("`90.00 percentile latency (ns) : …`")
    return ReportedLatency(**figures)
