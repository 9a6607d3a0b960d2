"""What the guide's own tools write of a run: Ascend's benchmark, and the script that counts the accuracy.

The formats are those of the guide's chapters 5 to 7. The benchmark itself cannot be had here; the guide prints eleven
of its performance files whole, and guides beside it print the others.
"""

from __future__ import annotations

import math
import re

from assay.errors import Option, RecordError, Remedy
from assay.importers.report_file import ReportFile, shown
from assay.records.reported import ReportedResult, ReportedRun, ReportedStage, ThroughputKind

BENCHMARK = "Ascend benchmark"
EVALUATION = "imagenet_acc_eval.py"

_LINES = {
    "e2e": "[e2e] throughputRate: …, latency: …",
    "data read": "[data read] throughputRate: …, moduleLatency: …",
    "preprocess": "[preprocess] throughputRate: …, moduleLatency: …",
    "infer": "[infer] throughputRate: …, Interface throughputRate: …, moduleLatency: …",
    "post": "[post] throughputRate: …, moduleLatency: …",
}
_SPELLED = {"inference": "infer", "postprocess": "post"}
"""Other versions of the tool write these two stages out."""
_BATCH_IN_NAME = re.compile(r"batchsize_(\d{1,6})_")
_PURE = re.compile(
    r"ave_throughputRate ?[:=] ?(\S{0,40}?) ?samples/s, ?ave_latency ?[:=] ?(\S{0,40}?) ?ms",
    re.ASCII,
)
_OM_BATCH = re.compile(r"bs(\d{1,6})(?!\d)")
_SLACK = 0.02
"""How far two times may be off one another that are quotients of printed figures."""


def is_performance(text: str) -> bool:
    """Whether this is `perf_vision_batchsize_{b}_device_{d}.txt`, or was one before it was damaged."""
    return "throughputRate:" in text and "ave_throughputRate" not in text


def read_performance(report: ReportFile) -> ReportedRun:
    """The five lines of a run over the data set: times in milliseconds, an image or, of the last stage, a batch."""
    by_stage = _performance_lines(report)
    rates = {stage: fields["throughputRate"] for stage, fields in by_stage.items()}
    seconds = by_stage["e2e"]["latency"] / 1000
    batch, notes = _batch(report, rates, seconds)
    stages = tuple(
        ReportedStage(
            name=stage,
            counts="batches" if stage == "post" else "images",
            rate=rates[stage],
            latency=by_stage[stage]["moduleLatency"] / 1000,
        )
        for stage in _LINES
        if stage != "e2e"
    )
    throughput: dict[ThroughputKind, float] = {
        "interface": by_stage["infer"]["Interface throughputRate"],
        "end-to-end": rates["e2e"],
    }
    return ReportedRun(
        name=report.name,
        tool=BENCHMARK,
        sources=(report.name,),
        pixels="dataset",
        # The interface's throughput is of the call alone; the copies are in the stage's time.
        transfers=False,
        notes=notes,
        results=(ReportedResult(batch=batch, throughput=throughput, stages=stages),),
    )


def _performance_lines(report: ReportFile) -> dict[str, dict[str, float]]:
    """The figures of each of the five lines, by the words before them."""
    stages: dict[str, dict[str, float]] = {}
    for line, text in enumerate(report.lines, start=1):
        tag, bracket, rest = text.strip().removeprefix("[").partition("]")
        stage = _SPELLED.get(tag, tag)
        if not bracket or stage not in _LINES:
            continue
        if stage in stages:
            raise report.fault(f"one line [{tag}], found a second; a file holds one run", line)
        fields = dict(part.strip().partition(":")[::2] for part in rest.split(","))
        wanted = [part.partition(":")[0] for part in _LINES[stage].partition("] ")[2].split(", ")]
        if any(key not in fields for key in wanted):
            raise report.fault(f"`{_LINES[stage]}`, found {shown(text.strip())}", line)
        stages[stage] = {key: report.number(fields[key], f"[{tag}] {key}", line) for key in wanted}
    missing = [stage for stage in _LINES if stage not in stages]
    if missing:
        raise report.fault(f"five lines, of which `{_LINES[missing[0]]}` is missing")
    return stages


def _batch(report: ReportFile, rates: dict[str, float], seconds: float) -> tuple[int | None, tuple[str, ...]]:
    """The batch size that the user or the file's name says, held against the rates: the last stage counts batches.

    So many batches at that rate took the last stage some time, which cannot end before the inference or after the run.
    """
    counted = rates["infer"] / rates["post"]
    named = _BATCH_IN_NAME.search(report.name)
    said = report.batch or (int(named[1]) if named else None) or None
    if said is None:
        return None, (f"its rates say batches of about {counted:.4g} images, and its name says nothing",)
    images = rates["e2e"] * seconds
    # The last batch is padded; a thousandth more than a whole number of batches is the rounding of the figures.
    ended = max(1, math.ceil(images / said - 1e-3)) / rates["post"]
    if not (1 - _SLACK) * images / rates["infer"] <= ended <= (1 + _SLACK) * seconds:
        source = "the setting says" if report.batch else "its name says"
        raise RecordError(
            f"{report.place}: {source} batch {said}, but its rates say {counted:.4g} (infer {rates['infer']:g} /s over "
            f"post {rates['post']:g} /s)",
            remedy=Remedy("look which is right and give it with {}", Option("set", "batch=…")),
        )
    if named and int(named[1]) != said:
        return said, (f"its name says batch {named[1]}; its rates and the user say {said}",)
    return said, ()


def is_pure_inference(text: str) -> bool:
    """Whether this is `PureInfer_perf_of_{om}_in_device_{d}.txt`."""
    return "ave_throughputRate" in text


def read_pure_inference(report: ReportFile) -> ReportedRun:
    """Figures over invented pixels: samples a second, and milliseconds a sample."""
    lines = [(line, text) for line, text in enumerate(report.lines, start=1) if "ave_throughputRate" in text]
    if len(lines) > 1:
        raise report.fault("one line `ave_throughputRate: …`, found a second; a file holds one run", lines[1][0])
    line, text = lines[0]
    match = _PURE.search(text)
    if match is None:
        raise report.fault("`ave_throughputRate: … samples/s, ave_latency: … ms`", line)
    rate = report.number(match[1], "ave_throughputRate", line)
    report.number(match[2], "ave_latency", line)
    hint = _OM_BATCH.search(report.name)
    notes = (f"its name holds bs{hint[1]}, which the tool did not write of the run",) if hint else ()
    return ReportedRun(
        name=report.name,
        tool=BENCHMARK,
        sources=(report.name,),
        pixels="synthetic",
        notes=notes if report.batch is None else (),
        results=(ReportedResult(batch=report.batch, throughput={"interface": rate}),),
    )


def is_evaluation(text: str) -> bool:
    """Whether this is the `result.json` of `imagenet_acc_eval.py`."""
    return "Overall statistical evaluation" in text or '"Number of images"' in text


def read_evaluation(report: ReportFile) -> ReportedRun:
    """Top-1 to Top-5 as text, `47.0%`, and the number of images."""
    values = report.table(report.json(), "the evaluation").get("value")
    if not isinstance(values, list):
        raise report.fault(f"a list of keys and values at `value`, found {shown(values)}")
    images: int | None = None
    top: dict[int, float] = {}
    for entry in values:
        entry = report.table(entry, "each entry of `value`")
        key, value = entry.get("key"), entry.get("value")
        match = re.fullmatch(r"Top([1-9]) accuracy", key, re.ASCII) if isinstance(key, str) else None
        if key == "Number of images":
            images = report.count(value, key)
        elif match:
            if not isinstance(value, str) or not value.endswith("%"):
                raise report.fault(f"{key} as a percentage such as 47.0%, found {shown(value)}")
            top[int(match[1])] = report.number(value.removesuffix("%"), str(key), zero=True)
    ordered = [top[k] for k in sorted(top)]
    if not top or images is None:
        raise report.fault("`Number of images` and `Top1 accuracy`")
    if ordered != sorted(ordered) or ordered[-1] > 100:
        raise report.fault(f"accuracies that rise from Top1 on and end below 100%, found {shown(ordered)}")
    return ReportedRun(
        name=report.name,
        tool=EVALUATION,
        sources=(report.name,),
        images=images,
        results=(ReportedResult(batch=report.batch, top=dict(sorted(top.items()))),),
    )
