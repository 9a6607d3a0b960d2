"""Tables for a terminal: aligned columns, the verdict last."""

from __future__ import annotations

from collections.abc import Sequence

from assay import units
from assay.environment import BUSY_SHARE
from assay.records import (
    Accuracy,
    BackendState,
    BatchResult,
    Diagnosis,
    Estimate,
    Figures,
    Performance,
    PredictionList,
    Profile,
    StageTime,
    Verdict,
)
from assay.render.columns import aligned
from assay.units import visible


def results(measured: Sequence[BatchResult], figures: Sequence[Figures]) -> str:
    """Speed and bottleneck by batch size, and accuracy by what was counted, each with its interval."""
    speed = [
        [
            str(result.batch),
            units.rate(derived.end_to_end_throughput.value),
            _spread(derived.end_to_end_throughput),
            units.rate(derived.interface_throughput.value),
            _spread(derived.interface_throughput),
            *(_latency(derived, name) for name in ("p50", "p99")),
            _bottleneck(result),
        ]
        for result, derived in zip(measured, figures, strict=True)
    ]
    headers = ["batch", "end-to-end", "±", "interface", "±", "p50", "p99", "bottleneck"]
    parts = [aligned(headers, speed, left={"bottleneck"}), _processes(measured), *map(_shares, measured)]
    parts.append(_accuracy(measured, figures))
    return "\n\n".join(part for part in parts if part)


def _processes(measured: Sequence[BatchResult]) -> str:
    """How many processes each figure is the mean of; empty if it is one."""
    most = max(len(result.performance.processes) for result in measured)
    return f"each figure is the mean of {most} processes, ± holds what differs between them" if most > 1 else ""


def _accuracy(measured: Sequence[BatchResult], figures: Sequence[Figures]) -> str:
    """Top-1 and the last of top-1 to top-5; batch sizes with the same counts share a line."""
    lines: dict[Accuracy, tuple[list[str], Figures]] = {}
    for result, derived in zip(measured, figures, strict=True):
        if result.accuracy is not None:
            lines.setdefault(result.accuracy, ([], derived))[0].append(str(result.batch))
    ranks = _ranks(list(lines))
    rows = [
        [", ".join(batches), f"{counted.count:,}", *(_share(derived.top[k - 1]) for k in ranks)]
        for counted, (batches, derived) in lines.items()
    ]
    return aligned(["batch", "images", *(f"top-{k}" for k in ranks)], rows, left={"batch"}) if rows else ""


def _shares(result: BatchResult) -> str:
    """What each worker did, where several shared the run."""
    rows = [
        [
            share.worker.name,
            f"{share.images:,}",
            str(share.shards),
            units.rate(share.interface_throughput),
            "died" if share.lost else "",
        ]
        for share in result.performance.shares
    ]
    return aligned(["worker", "images", "shards", "interface", ""], rows, left={"worker", ""}) if rows else ""


def _share(top: Estimate) -> str:
    """An accuracy with its interval."""
    low, high = top.interval or (top.value, top.value)
    return f"{units.percent(top.value)} ({units.percent(low)} to {units.percent(high)})"


def _spread(estimate: Estimate) -> str:
    """The half width of an interval as a share of its figure; none where it has none."""
    return "–" if estimate.spread is None else units.spread(estimate.spread)


def measurements(measured: Sequence[BatchResult], figures: Sequence[Figures]) -> str:
    """Every figure of a bench: throughputs, latencies, and what each stage did."""
    parts = []
    for result, derived in zip(measured, figures, strict=True):
        performance, options = result.performance, result.compiled.options
        parts.append(
            f"batch {result.batch} · {options.backend} · {performance.device} · {options.precision} · "
            f"{performance.images} images ({performance.source}) · "
            f"end-to-end {units.rate(performance.end_to_end_throughput)} · "
            f"interface {units.rate(performance.interface_throughput)}"
        )
        parts.append(
            aligned(
                ["latency", *derived.latency],
                [["", *(units.milliseconds(figure.value) for figure in derived.latency.values())]],
                left={"latency"},
            )
        )
        parts.append(_stages(performance.stages, performance.bottleneck))
        parts.append(_busy(performance))
    return "\n\n".join(parts)


def warnings(told: Sequence[str]) -> str:
    """A line a warning; empty if there are none."""
    return "\n".join(f"warning  {visible(warning)}" for warning in told)


def _busy(performance: Performance) -> str:
    """How much of the session's slots was used."""
    return (
        f"infer busy {units.share(performance.infer_busy_share)} of {units.counted(performance.slots, 'slot')} · "
        f"{performance.calls_in_flight:.2f} calls in flight on average"
    )


def verdict(judged: Verdict, place: str) -> str:
    """A line a gate, what is noted beside it, and the verdict."""
    lines = []
    for check in judged.checks:
        lines.append(f"{check.verdict:<6} {visible(check.reason)}")
        lines += [
            f"       {visible(detail)}"
            for detail in (check.detail, *(f"noted: {d}" for d in check.differences))
            if detail
        ]
    if judged.word is None:
        return "\n".join([*lines, f"done, nothing to judge · {visible(place)}"])
    parts = [f"verdict {judged.word}"]
    if judged.model_sha256 is not None:
        parts.append(f"model {units.short_hash(judged.model_sha256)}")
    if judged.artifact_sha256:
        parts.append(f"artifacts {', '.join(units.short_hash(sha256) for sha256 in judged.artifact_sha256)}")
    return "\n".join([*lines, " · ".join([*parts, visible(place)])])


def accuracies(named: Sequence[tuple[str, Accuracy]]) -> str:
    """Top-k accuracy with its counts."""
    ranks = range(1, max(len(accuracy.correct_at) for _, accuracy in named) + 1)
    rows = [[name, str(accuracy.count), *(_counted(accuracy, k) for k in ranks)] for name, accuracy in named]
    return aligned(["predictions", "images", *(f"top-{k}" for k in ranks)], rows, left={"predictions"})


def predictions(listed: PredictionList) -> str:
    """The best classes of each image."""
    parts = []
    for image in listed.images:
        rows = [
            [
                str(number),
                image.names[rank] if image.names else f"class {number}",
                f"{image.scores[rank]:.4f}",
            ]
            for rank, number in enumerate(image.classes)
        ]
        parts.append(f"{visible(image.image.name)}\n{aligned(['class', 'name', 'score'], rows, left={'name'})}")
    return "\n\n".join(parts)


def diagnosis(diagnosed: Diagnosis) -> str:
    """The machine, a line a backend, and below them what keeps some from running."""
    environment = diagnosed.environment
    state = "idle" if diagnosed.busy_share <= BUSY_SHARE else "busy"
    packages = " · ".join(f"{name} {version}" for name, version in environment.packages.items())
    rows = [
        [backend.name, backend.version or "", ", ".join(backend.devices), _state(backend)]
        for backend in diagnosed.backends
    ]
    problems = [f"{one.name}: {one.problem}" for one in diagnosed.backends if one.problem is not None]
    return "\n".join(
        [
            f"assay {environment.assay} · Python {environment.python} · {environment.system} · {environment.machine}",
            f"{environment.processor} · {environment.cores} cores · {units.memory(environment.memory_bytes)} · "
            f"{units.share(diagnosed.busy_share)} in use: {state}",
            packages,
            "",
            aligned(
                ["backend", "version", "devices", "state"],
                rows,
                left={"backend", "version", "devices", "state"},
            ),
            *(["", *problems] if problems else []),
        ]
    )


def _state(backend: BackendState) -> str:
    """Whether a backend can be used, with its proof."""
    if not backend.installed:
        return "not installed"
    if backend.problem is not None:
        return "does not run"
    if backend.parity is None:
        return "ready"
    return f"ready, parity {units.difference(backend.parity.largest_difference)}"


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
    return aligned(headers, rows, left={"stage", ""})


def _latency(figures: Figures, name: str) -> str:
    """A latency; none where the sample is too small for it."""
    return units.milliseconds(figures.latency[name].value) if name in figures.latency else "–"


def _bottleneck(result: BatchResult) -> str:
    stage = result.performance.bottleneck
    return f"{stage.name} {units.share(stage.busy_share)}"


def _ranks(measured: Sequence[Accuracy]) -> tuple[int, ...]:
    """Top-1 and the last of top-1 to top-5 that the model has classes for."""
    if not measured:
        return ()
    last = min(len(accuracy.correct_at) for accuracy in measured)
    return (1, last) if last > 1 else (1,)


def profile(profiled: Profile) -> str:
    """The costliest nodes: the share of all nodes' time, the time in one call, and the arithmetic where it is known."""
    rows = [
        [
            units.share(node.share),
            units.short_time(node.seconds),
            "–" if node.gflops is None else units.gflops(node.gflops),
            node.operator,
            _end_of(node.name),
        ]
        for node in profiled.nodes
    ]
    return aligned(["share", "a call", "GFLOP/s", "operator", "node"], rows, left={"operator", "node"})


def _end_of(name: str, most: int = 36) -> str:
    """A node's name, of a long one what tells it apart."""
    return name if len(name) <= most else f"…{name[1 - most :]}"
