"""Tables for a terminal: aligned columns, the verdict last."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from assay import units
from assay.environment import BUSY_SHARE
from assay.records import Accuracy, BatchResult, Diagnosis, Outcome, PredictionList, StageTime, Verdict

_WIDTH = 10_000
"""A cell is never cut: a terminal wraps what it has no room for."""


def results(found: Sequence[BatchResult]) -> str:
    """Speed, bottleneck and accuracy by batch size."""
    ranks = _ranks([result.accuracy for result in found if result.accuracy])
    rows = [
        [
            str(result.batch),
            units.rate(result.performance.end_to_end_throughput),
            units.rate(result.performance.interface_throughput),
            units.milliseconds(result.performance.latency.median),
            units.milliseconds(result.performance.latency.p99),
            _bottleneck(result),
            *(units.percent(result.accuracy.top(k)) if result.accuracy else "" for k in ranks),
        ]
        for result in found
    ]
    headers = ["batch", "end-to-end", "interface", "p50", "p99", "bottleneck", *(f"top-{k}" for k in ranks)]
    return _aligned(headers, rows, left={"bottleneck"})


def measurements(found: Sequence[BatchResult]) -> str:
    """Every figure of a bench: throughputs, latencies, and what each stage did."""
    parts = []
    for result in found:
        performance, options = result.performance, result.compiled.options
        latency = performance.latency
        parts.append(
            f"batch {result.batch} · {options.backend} · {performance.device} · {options.precision} · "
            f"{performance.images} images ({performance.source}) · "
            f"end-to-end {units.rate(performance.end_to_end_throughput)} · "
            f"interface {units.rate(performance.interface_throughput)}"
        )
        parts.append(
            _aligned(
                ["latency", "min", "mean", "p50", "p90", "p95", "p99", "max"],
                [
                    [
                        "",
                        *(
                            units.milliseconds(value)
                            for value in (
                                latency.min,
                                latency.mean,
                                latency.median,
                                latency.p90,
                                latency.p95,
                                latency.p99,
                                latency.max,
                            )
                        ),
                    ]
                ],
                left={"latency"},
            )
        )
        parts.append(_stages(performance.stages, performance.bottleneck))
    return "\n\n".join(parts)


def verdict(found: Verdict, place: str) -> str:
    """A line a gate, what is noted beside it, and the verdict."""
    lines = []
    for check in found.checks:
        lines.append(f"{check.verdict:<6} {check.reason}")
        lines += [
            f"       {detail}" for detail in (check.detail, *(f"noted: {d}" for d in check.differences)) if detail
        ]
    hashes = ", ".join(units.short_hash(sha256) for sha256 in found.artifact_sha256)
    if found.word is None:
        lines.append(f"done, nothing to judge · {place}")
    else:
        lines.append(
            f"verdict {found.word} · model {units.short_hash(found.model_sha256)} · artifacts {hashes} · {place}"
        )
    return "\n".join(lines)


def run(outcome: Outcome, place: str) -> str:
    """What `assay run` ends with."""
    warnings = [f"warning  {warning}" for warning in outcome.run.warnings]
    return "\n".join(["", results(outcome.run.results), "", *warnings, verdict(outcome.verdict, place)])


def accuracies(found: Sequence[tuple[str, Accuracy]]) -> str:
    """Top-k accuracy with its counts."""
    ranks = range(1, max(len(accuracy.correct_at) for _, accuracy in found) + 1)
    rows = [[name, str(accuracy.count), *(_counted(accuracy, k) for k in ranks)] for name, accuracy in found]
    return _aligned(["predictions", "images", *(f"top-{k}" for k in ranks)], rows, left={"predictions"})


def predictions(found: PredictionList) -> str:
    """The best classes of each image."""
    parts = []
    for image in found.images:
        rows = [
            [
                str(number),
                image.names[rank] if image.names else f"class {number}",
                f"{image.scores[rank]:.4f}",
            ]
            for rank, number in enumerate(image.classes)
        ]
        parts.append(f"{image.image.name}\n{_aligned(['class', 'name', 'score'], rows, left={'name'})}")
    return "\n\n".join(parts)


def diagnosis(found: Diagnosis) -> str:
    """The machine, then a line a backend."""
    environment = found.environment
    state = "idle" if found.busy_share <= BUSY_SHARE else "busy"
    packages = " · ".join(f"{name} {version}" for name, version in environment.packages.items())
    rows = [
        [backend.name, backend.version or "", ", ".join(backend.devices), backend.problem or "ready"]
        for backend in found.backends
    ]
    return "\n".join(
        [
            f"assay {environment.assay} · Python {environment.python} · {environment.system} · {environment.machine}",
            f"{environment.processor} · {environment.cores} cores · {units.memory(environment.memory_bytes)} · "
            f"{units.share(found.busy_share)} in use: {state}",
            packages,
            "",
            _aligned(
                ["backend", "version", "devices", "state"],
                rows,
                left={"backend", "version", "devices", "state"},
            ),
        ]
    )


def _counted(accuracy: Accuracy, k: int) -> str:
    """Top-k with its count; empty for a model of fewer classes."""
    return f"{units.percent(accuracy.top(k))} ({accuracy.correct_at[k - 1]})" if k <= len(accuracy.correct_at) else ""


def _stages(stages: Sequence[StageTime], bottleneck: StageTime) -> str:
    rows = [
        [
            stage.name,
            str(stage.workers),
            units.rate(stage.rate),
            units.share(stage.busy_share),
            units.share(stage.waiting_in_share),
            units.share(stage.waiting_out_share),
            "bottleneck" if stage is bottleneck else "",
        ]
        for stage in stages
    ]
    headers = ["stage", "workers", "rate", "busy", "waits for work", "waits for room", ""]
    return _aligned(headers, rows, left={"stage", ""})


def _bottleneck(result: BatchResult) -> str:
    stage = result.performance.bottleneck
    return f"{stage.name} {units.share(stage.busy_share)}"


def _ranks(found: Sequence[Accuracy]) -> tuple[int, ...]:
    """Top-1 and the last of top-1 to top-5 that the model has classes for."""
    if not found:
        return ()
    last = min(len(accuracy.correct_at) for accuracy in found)
    return (1, last) if last > 1 else (1,)


def _aligned(headers: Sequence[str], rows: Sequence[Sequence[str]], left: set[str]) -> str:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False, header_style="")
    for header in headers:
        table.add_column(header, justify="left" if header in left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    text = io.StringIO()
    Console(file=text, width=_WIDTH, markup=False, highlight=False, emoji=False).print(table)
    return "\n".join(f"  {line.rstrip()}" for line in text.getvalue().splitlines())
