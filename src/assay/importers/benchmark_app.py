"""OpenVINO's benchmark_app: its console log, `benchmark_report.csv` and `benchmark_report.json`.

The samples are by openvino 2026.4.1. Its frames a second are batch × calls / duration. The log has latencies in
microseconds or milliseconds, the reports in milliseconds of two decimals. How many dies a card has, none of them says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assay.importers import shapes
from assay.importers.report_file import ReportFile
from assay.records.reported import ReportedLatency, ReportedResult, ReportedRun

TOOL = "benchmark_app"

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_LOG_LATENCY = re.compile(r"(Median|Average|Min|Max|\d{1,3} percentile): {1,20}(\S{1,40}) (us|ms|s)$", re.ASCII)
_LOG_SHAPE = re.compile(r"^    (\S{1,200}) \(node: .{1,300} / (\[[-\d,?.]{1,100}\])$", re.ASCII)
_REQUESTS = re.compile(r"[,(] ?(\d{1,6}) inference requests", re.ASCII)
_LOG_NAMES = {"Median": "median", "Average": "mean", "Min": "min", "Max": "max"}
_REPORT_NAMES = {"latency (ms)": "median", "avg latency": "mean", "min latency": "min", "max latency": "max"}
_REPORT_PERCENTILE = re.compile(r"latency \((\d{1,3}) percentile\) \(ms\)", re.ASCII)
_PERCENTILES = {"50": "median", "90": "p90", "95": "p95", "99": "p99"}
_SLACK = 0.02
"""How far a batch size that is derived may be off a whole number."""


def is_log(text: str) -> bool:
    """Whether this is a console log of benchmark_app."""
    return "[Step 11/11]" in text or "Benchmarking in" in text or ("FPS" in text and "Throughput:" in text)


def is_report(text: str) -> bool:
    """Whether this is one of its reports, in CSV or JSON."""
    return '"execution_results"' in text or '"configuration_setup"' in text or "Execution results" in text


def read_log(report: ReportFile) -> ReportedRun:
    """A console log; its last lines hold the figures."""
    latency: dict[str, float] = {}
    said: dict[str, tuple[str, int]] = {}
    inputs: dict[str, tuple[int, ...]] = {}
    of_inputs = False
    for line, text in enumerate(report.lines, start=1):
        told = text.removeprefix("[ INFO ] ").rstrip()
        if match := _LOG_LATENCY.fullmatch(told.strip()):
            name = _LOG_NAMES.get(match[1]) or _PERCENTILES.get(match[1].partition(" ")[0])
            if name:
                latency[name] = report.number(match[2], match[1], line) * _SECONDS[match[3]]
        elif match := _LOG_SHAPE.match(told):
            # The model's inputs come before its outputs, as read and then as they were run.
            inputs |= shapes.in_brackets(f"{match[1]}{match[2]}") if of_inputs else {}
        elif told in ("Model inputs:", "Model outputs:"):
            of_inputs = told == "Model inputs:"
        else:
            key, colon, value = told.partition(":")
            if key.strip() == "Throughput" and "Throughput" in said:
                raise report.fault("one run, found `Throughput` a second time; cut the log into a file a run", line)
            if colon:
                said[key.strip()] = (value.strip(), line)
    if "Throughput" not in said:
        raise report.fault("`Throughput: … FPS` at its end")
    value, line = said["Throughput"]
    throughput = report.number(value.removesuffix("FPS"), "Throughput", line)
    count, duration = (said.get(key, ("", 0))[0].split(" ")[0] for key in ("Count", "Duration"))
    requests = _REQUESTS.search(report.text)
    notes = [f"requests at a time: {requests[1]}"] if requests else []
    if "Benchmarking in full mode" in report.text:
        notes.append("filling the inputs counts")
    batch = _whole(said.get("Model batch size", ("", 0))[0]) or _derived(throughput, count, duration)
    device = said.get("Execution Devices", ("", 0))[0].strip("[]'")
    precision = said.get("INFERENCE_PRECISION_HINT", ("", 0))[0]
    if precision:
        notes.append(f"inference precision hint {precision.partition(chr(39))[2].rstrip(chr(39) + '>') or precision}")
    figures = _Figures(
        batch=batch,
        throughput=throughput,
        latency=latency,
        side=shapes.side_of(inputs.values()),
        device=device or None,
        synthetic="with random values" in report.text,
        notes=notes,
    )
    return _run(report, figures)


def read_report(report: ReportFile) -> ReportedRun:
    """A report: the command line, the configuration and the figures."""
    parts = _csv(report) if not report.text.lstrip().startswith("{") else _json(report)
    options, setup, results = parts
    if "throughput" not in results:
        raise report.fault("`throughput` among the execution results")
    throughput = report.number(results["throughput"], "throughput")
    latency: dict[str, float] = {}
    for key, value in results.items():
        percentile = _REPORT_PERCENTILE.fullmatch(key)
        name = _PERCENTILES.get(percentile[1]) if percentile else _REPORT_NAMES.get(key)
        milliseconds = report.number(value, key, zero=True) if name else 0.0
        # Two decimals of a millisecond: what was shorter says nothing.
        if name and milliseconds:
            latency[name] = milliseconds / 1000
    notes = ["latencies are rounded to 0.01 ms"]
    if requests := _whole(setup.get("number of parallel infer requests", "")):
        notes.append(f"requests at a time: {requests}")
    if setup.get("inference_only") in ("False", "false"):
        notes.append("filling the inputs counts")
    if "-infer_precision" in options:
        notes.append(f"inference precision hint {options['-infer_precision']}")
    count, duration = results.get("total number of iterations", ""), results.get("total execution time (ms)", "")
    given = shapes.in_brackets(options.get("-data_shape", "")) or shapes.in_brackets(options.get("-shape", ""))
    figures = _Figures(
        batch=_whole(setup.get("batch size", "")) or _derived(throughput, count, duration),
        throughput=throughput,
        latency=latency,
        side=shapes.side_of(given.values()),
        device=setup.get("target device") or None,
        synthetic=bool(options) and "-i" not in options,
        notes=notes,
    )
    return _run(report, figures)


@dataclass(frozen=True)
class _Figures:
    """What benchmark_app says of a run."""

    batch: int | None
    throughput: float
    latency: Mapping[str, float]
    side: int | None
    device: str | None
    synthetic: bool
    notes: Sequence[str]


def _run(report: ReportFile, figures: _Figures) -> ReportedRun:
    """The record; a hint of a precision is no precision, since a quantised model keeps its own."""
    return ReportedRun(
        name=report.name,
        tool=TOOL,
        sources=(report.name,),
        input_side=figures.side,
        device=figures.device,
        pixels="synthetic" if figures.synthetic else None,
        notes=tuple(figures.notes),
        results=(
            ReportedResult(
                batch=figures.batch or report.batch,
                throughput={"interface": figures.throughput},
                latency=ReportedLatency(**figures.latency) if figures.latency else None,
            ),
        ),
    )


def _whole(text: str) -> int | None:
    """A count as it stands there; None of an open batch size, `?`."""
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 7 and int(text) else None


def _derived(throughput: float, count: str, milliseconds: str) -> int | None:
    """The batch size by the tool's own formula, frames a second = batch × calls / duration; None where it is open."""
    try:
        size = throughput * float(milliseconds) / 1000 / float(count)
    except (ValueError, ZeroDivisionError):
        return None
    return round(size) if 0.5 < size < 1e6 and abs(size - round(size)) <= _SLACK else None


Parts = tuple[dict[str, str], dict[str, str], dict[str, str]]
"""The command line, the configuration and the results."""


def _csv(report: ReportFile) -> Parts:
    """The three tables of `key;value`, each under its heading."""
    headings = ("Command line parameters", "Configuration setup", "Execution results")
    tables: dict[str, dict[str, str]] = {heading: {} for heading in headings}
    current: dict[str, str] | None = None
    for line, text in enumerate(report.lines, start=1):
        if text.strip() in tables:
            current = tables[text.strip()]
        elif text.strip():
            key, semicolon, value = text.strip().partition(";")
            if current is None or not semicolon:
                raise report.fault("`key;value` under a heading", line)
            current[key] = value
    options, setup, results = (tables[heading] for heading in headings)
    return options, setup, results


def _json(report: ReportFile) -> Parts:
    """The three objects."""
    whole = report.table(report.json(), "the report")
    parts = [report.table(whole.get(key, {}), key) for key in ("cmd_options", "configuration_setup")]
    parts.append(report.table(whole.get("execution_results"), "execution_results"))
    options, setup, results = ({key: str(value) for key, value in part.items()} for part in parts)
    return options, setup, results
