"""trtexec's console log, from TensorRT 7 on, and its `--exportTimes`.

The formats are those of `samples/common/sampleReporting.cpp`, of TensorRT 7's `trtexec/tracer.py`, and of logs in
NVIDIA/TensorRT's issues 1243, 2054, 3083 and 4177; no GPU was at hand to make a log with. Its throughput counts
queries, inference calls of a whole batch. How many dies a card has, neither file says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath

import numpy as np

from assay.importers import shapes
from assay.importers.report_file import ReportFile, shown
from assay.records import Precision
from assay.records.reported import ReportedLatency, ReportedResult, ReportedRun, ReportedStage

TOOL = "trtexec"

_TRANSFERS_OFF_SINCE = 11
_STAGES = {"H2D Latency": "copy to device", "GPU Compute": "GPU compute", "D2H Latency": "copy from device"}
_HEADINGS = {
    "Latency": "Latency",
    "Host Latency": "Latency",
    "H2D Latency": "H2D Latency",
    "GPU Compute Time": "GPU Compute",
    "GPU Compute": "GPU Compute",
    "D2H Latency": "D2H Latency",
}
"""The lines with figures that are taken, and one name for what older versions call otherwise."""
_FIGURE = re.compile(r"(min|max|mean|median|percentile\((\d{1,3})%\)) ?=? ?(\S{1,40}) ms", re.ASCII)
_OLD_FIGURE = re.compile(r"(min|max|mean|median|percentile): (\S{1,40}) ms(?: at (\d{1,3})%)?", re.ASCII)
_VERSION = re.compile(r"TensorRT (?:version: |v)(\d{1,6})(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?", re.ASCII)
_BINDING = re.compile(r"nput binding for (\S{1,200}) with dimensions (\d{1,9}(?:x\d{1,9}){1,7})(?![\dx])", re.ASCII)
_PRECISIONS: Mapping[str, Precision] = {"FP32": "fp32", "FP32+FP16": "fp16", "FP32+INT8": "int8"}
_LOWER = ("--fp16", "--int8", "--bf16", "--fp8", "--int4", "--best", "--stronglyTyped")
_STREAMS = ("--streams", "--infStreams")
_SHARES = {"min": 0, "median": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}
_TIMES = {"h2dMs": "copy to device", "computeMs": "GPU compute", "d2hMs": "copy from device"}
_TIMES_OF_7 = {"startInMs": "startH2dMs", "endOutMs": "endD2hMs", "inMs": "h2dMs", "outMs": "d2hMs"}
"""What TensorRT 7 calls the copies, and the later names for them."""
_WITH_WARM_UP = "endToEndMs"
"""The versions that leave the warm-up's queries out do not write this time either."""


def is_log(text: str) -> bool:
    """Whether this is a console log of trtexec."""
    return (
        "TensorRT.trtexec" in text
        or "=== Performance summary ===" in text
        or "[I] GPU Compute" in text
        or ("Latency: min" in text and ("percentile(" in text or " qps" in text))
    )


def read_log(report: ReportFile) -> ReportedRun:
    """A log: throughput and latency from the summary, the rest from the command line and the options it repeats."""
    qps, times = _summary(report)
    latency = times.get("Latency") or times.get("GPU Compute")
    flags, said = _flags(report), _said(report)
    by_latency = _by_latency(qps, latency, flags)
    version = _version(report.text)
    major = int(version.partition(".")[0]) if version else None
    inputs = _inputs(report, flags)
    # Before TensorRT 10 a network could be built without a batch axis; then the throughput counts images.
    images_counted = report.count(flags["--batch"], "--batch") if flags.get("--batch") else None
    transfers, notes = _transfers(flags, said, major)
    if "Latency" not in times:
        transfers, notes = False, ["the latency is of the GPU's computing alone"]
    if version:
        notes.append(f"TensorRT {version}")
    model = flags.get("--onnx") or flags.get("--loadEngine")
    if model:
        notes.append(f"model file {PurePosixPath(PureWindowsPath(model).as_posix()).name}")
    notes += [f"ran with {flag}={value}" for flag, value in flags.items() if flag in _STREAMS]
    if by_latency:
        notes.append("its 0 qps are of no use; calls a second are 1000 / mean latency in ms, as the guide has it")
    return ReportedRun(
        name=report.name,
        tool=TOOL,
        sources=(report.name,),
        input_side=shapes.side_of(inputs.values()),
        device=said.get("Selected Device"),
        precision=_precision(flags, said, major),
        pixels="synthetic" if "Using random values for input" in report.text else None,
        transfers=transfers,
        notes=tuple(notes),
        results=(
            ReportedResult(
                batch=images_counted or shapes.batch_of(inputs.values()) or report.batch,
                throughput={"interface": qps} if images_counted and qps else {},
                queries=by_latency or (qps if qps and not images_counted else None),
                latency=latency,
                stages=tuple(_stage(_STAGES[key], times[key].mean) for key in _STAGES if _mean(times.get(key))),
            ),
        ),
    )


def is_times(text: str) -> bool:
    """Whether this is what `--exportTimes` writes."""
    return '"latencyMs"' in text and '"computeMs"' in text


def read_times(report: ReportFile) -> ReportedRun:
    """A list of objects, one a query, with times in milliseconds; before 2022 those of the warm-up are among them."""
    queries = report.json()
    if not isinstance(queries, list) or not queries:
        raise report.fault("a list of objects with `latencyMs`, one a query")
    columns: dict[str, list[float]] = {key: [] for key in ("latencyMs", *_TIMES)}
    rows = [_times(report.table(query, f"query {number}")) for number, query in enumerate(queries, start=1)]
    for number, fields in enumerate(rows, start=1):
        for key, values in columns.items():
            values.append(report.number(fields.get(key), f"{key} of query {number}", zero=key != "latencyMs"))
    calls = np.asarray(columns["latencyMs"]) / 1000
    figures = {name: float(np.percentile(calls, share)) for name, share in _SHARES.items()}
    means = {name: float(np.mean(columns[key])) / 1000 for key, name in _TIMES.items()}
    span = _span(report, rows)
    warm_up = ", those of the warm-up among them" if any(_WITH_WARM_UP in row for row in rows) else ""
    return ReportedRun(
        name=report.name,
        tool=TOOL,
        sources=(report.name,),
        notes=(f"times of {len(queries)} queries{warm_up}",),
        results=(
            ReportedResult(
                batch=report.batch,
                queries=len(queries) / span if span else None,
                latency=ReportedLatency(mean=float(calls.mean()), **figures),
                stages=tuple(_stage(name, mean) for name, mean in means.items() if mean),
            ),
        ),
    )


def _times(query: Mapping[str, object]) -> dict[str, object]:
    """One query's times by the names that TensorRT 8 and later give them."""
    return {_TIMES_OF_7.get(key, key): value for key, value in query.items()}


def _span(report: ReportFile, rows: Sequence[Mapping[str, object]]) -> float | None:
    """Seconds from the first copy's start to the last one's end, trtexec's own; None where a query lacks either."""
    if not all("startH2dMs" in row and "endD2hMs" in row for row in rows):
        return None
    begin = min(report.number(row["startH2dMs"], "startH2dMs", zero=True) for row in rows)
    end = max(report.number(row["endD2hMs"], "endD2hMs", zero=True) for row in rows)
    if end <= begin:
        raise report.fault(f"the last endD2hMs after the first startH2dMs, found {end:g} and {begin:g}")
    return (end - begin) / 1000


def _mean(latency: ReportedLatency | None) -> float | None:
    return latency.mean if latency is not None else None


def _stage(name: str, mean: float | None) -> ReportedStage:
    """One step of a query; on its own it would go as often a second as its time fits in."""
    seconds = mean or 1.0
    return ReportedStage(name=name, counts="batches", rate=1 / seconds, latency=seconds)


def _summary(report: ReportFile) -> tuple[float | None, dict[str, ReportedLatency]]:
    """The throughput and the latencies, by the newer versions' names for them."""
    qps: list[float] = []
    sections: dict[str, dict[str, float]] = {}
    section: str | None = None
    for line, text in enumerate(report.lines, start=1):
        said = text.rpartition("[I] ")[2].strip()
        heading, colon, rest = said.partition(":")
        if heading in ("Throughput", "throughput") and said.endswith("qps"):
            qps.append(report.number(rest.removesuffix("qps"), "throughput", line, zero=True))
        elif heading in _HEADINGS:
            section = _HEADINGS[heading]
            if section in sections:
                raise report.fault(f"one run, found {heading} a second time; cut the log into a file a run", line)
            figures = {_key(name, share): value for name, share, value in _FIGURE.findall(rest)}
            sections[section] = {key: report.number(value, key, line, zero=True) for key, value in figures.items()}
            if colon and "mean" not in sections[section]:
                raise report.fault(f"`{heading}: min = … ms, max = … ms, mean = … ms, …`", line)
        elif section is not None and (figure := _OLD_FIGURE.match(said)):
            key = _key(figure[1], figure[3] or "")
            sections[section][key] = report.number(figure[2], key, line, zero=True)
        elif not said.startswith(("total compute time", "throughput", "walltime")):
            section = None
    if len(qps) > 1:
        raise report.fault("one run, found `Throughput` a second time; cut the log into a file a run")
    latencies = {name: _latency(figures) for name, figures in sections.items()}
    whole = latencies.get("Latency") or latencies.get("GPU Compute")
    if whole is None or whole.mean is None:
        why = "; trtexec failed, by its last line" if "&&&& FAILED" in report.text else ""
        raise report.fault(f"a summary with `Latency: min = … ms, …, mean = … ms`{why}")
    return qps[0] if qps else None, latencies


def _by_latency(qps: float | None, latency: ReportedLatency | None, flags: Mapping[str, str]) -> float | None:
    """Inference calls a second, one after the other, of TensorRT 7: it prints 0 where a network has its batch axis."""
    alone = flags and all(flags.get(flag, "1") == "1" for flag in _STREAMS)
    return 1 / latency.mean if qps == 0 and alone and latency and latency.mean else None


def _key(name: str, share: str) -> str:
    return f"p{share}" if name.startswith("percentile") else name


def _latency(milliseconds: Mapping[str, float]) -> ReportedLatency:
    known = {"min", "mean", "median", "p90", "p95", "p99", "max"}
    return ReportedLatency(**{key: value / 1000 for key, value in milliseconds.items() if key in known and value})


def _flags(report: ReportFile) -> dict[str, str]:
    """The command line's flags with their values; empty where the log does not hold it."""
    for text in report.lines:
        if "&&&& RUNNING TensorRT.trtexec" in text:
            words = text.partition("# ")[2].split()
            return {"trtexec": "", **{flag: value for flag, _, value in (word.partition("=") for word in words)}}
    return {}


def _said(report: ReportFile) -> dict[str, str]:
    """What the log repeats of the options and the device, as `key: value`."""
    wanted = ("Selected Device", "Data transfers", "Precision", "Load engine")
    pairs = (text.rpartition("[I] ")[2].partition(":") for text in report.lines)
    return {key.strip(): value.strip() for key, _, value in pairs if key.strip() in wanted and value.strip()}


def _version(text: str) -> str | None:
    """The version, `8.6.1` of `v8601` and `10.2.0` of `v100200`; None where the log does not say it."""
    match = _VERSION.search(text)
    if match is None:
        return None
    if match[2]:
        return ".".join(part for part in match.groups() if part)
    number, thousand = int(match[1]), 10_000 if len(match[1]) == 6 else 1000
    step = 100
    return f"{number // thousand}.{number % thousand // step}.{number % step}"


def _inputs(report: ReportFile, flags: Mapping[str, str]) -> shapes.Shapes:
    """The shapes that were run; a model of a fixed batch size that was asked for another has figures of neither."""
    asked = shapes.joined_by_x(flags.get("--shapes", ""))
    bound: dict[str, tuple[int, ...]] = {}
    for text in report.lines:
        if match := _BINDING.search(text):
            bound |= shapes.joined_by_x(f"{match[1]}:{match[2]}")
        elif "Input inference shape" in text:
            asked = asked or shapes.joined_by_x(text.rpartition("shape")[2].lstrip(" :"))
    for name in asked.keys() & bound.keys():
        if asked[name] != bound[name]:
            raise report.fault(f"the shape that was asked for, {asked[name]} for {name}, found {shown(bound[name])}")
    return bound or asked


def _transfers(flags: Mapping[str, str], said: Mapping[str, str], major: int | None) -> tuple[bool | None, list[str]]:
    """Whether copies count, where the log says it by an option or by a version whose usual it is, and a note why."""
    if "--noDataTransfers" in flags or said.get("Data transfers") == "Disabled":
        return False, ["without copies to and from the GPU, as the log's options say"]
    if "--includeDataTransfers" in flags or said.get("Data transfers") == "Enabled":
        return True, ["with copies to and from the GPU, as the log's options say"]
    if major is None or not flags:
        return None, []
    if major >= _TRANSFERS_OFF_SINCE:
        return False, [f"without copies to and from the GPU, as is usual since TensorRT {_TRANSFERS_OFF_SINCE}"]
    return True, [f"with copies to and from the GPU, as was usual before TensorRT {_TRANSFERS_OFF_SINCE}"]


def _precision(flags: Mapping[str, str], said: Mapping[str, str], major: int | None) -> Precision | None:
    """The precision that the operators were allowed; None of a built engine and of a model that says its own."""
    if "--loadEngine" in flags or "Load engine" in said or (major or 0) >= _TRANSFERS_OFF_SINCE:
        return None
    if not flags:
        return _PRECISIONS.get(said.get("Precision", ""))
    lower = [flag for flag in _LOWER if flag in flags]
    if lower in (["--fp16"], ["--int8"]):
        return "fp16" if lower == ["--fp16"] else "int8"
    return "fp32" if not lower else None
