"""What a person sees of a scenario: LoadGen's figures, its result with its reasons, and whether it is official."""

from __future__ import annotations

from assay import units
from assay.loadgen.records import ScenarioOutcome, ScenarioRecord
from assay.render import table
from assay.render.columns import aligned

_LATENCIES = ("p50", "p90", "p95", "p99", "max")


def scenario(outcome: ScenarioOutcome, place: str) -> str:
    """The table, the accuracy, LoadGen's result, warnings, and the verdict where there was something to judge."""
    record = outcome.scenario
    parts = [_table(record), "\n".join([*_accuracy(record), *_result(record)])]
    if record.warnings:
        parts.append(table.warnings(record.warnings))
    parts.append(table.verdict(outcome.verdict, place))
    return "\n\n".join(parts)


def _table(record: ScenarioRecord) -> str:
    test, options = record.performance, record.compiled.options
    known = [name for name in _LATENCIES if name in test.latency]
    rate = units.rate(record.throughput) if record.throughput is not None else "–"
    row = [str(options.batch), f"{test.queries_issued:,}", rate]
    row += [_time(test.latency[name]) for name in known]
    headers = ["batch", "queries", "images", *known]
    bound = f" · bound {units.milliseconds(record.latency_bound)} at p99" if record.latency_bound is not None else ""
    sent = f" · sent {units.rate(record.target_qps)}" if record.scenario == "server" else ""
    title = (
        f"{record.scenario} · LoadGen {test.version.split()[0]} · {record.compiled.model.full_name} · "
        f"{options.backend} · {record.device} · {options.precision}{sent}{bound}"
    )
    return f"{title}\n{aligned(headers, [row], left=set())}"


def _time(seconds: float) -> str:
    """A latency; of an offline query that is the whole test, seconds."""
    return units.milliseconds(seconds) if seconds < 1 else units.seconds(seconds)


def _accuracy(record: ScenarioRecord) -> list[str]:
    counted = record.accuracy
    if counted is None:
        return []
    tops = [f"top-{k} {units.percent(counted.top(k))}" for k in (1, 5) if k <= len(counted.correct_at)]
    return [f"accuracy mode  {counted.count:,} images · {' · '.join(tops)}"]


def _result(record: ScenarioRecord) -> list[str]:
    """LoadGen's result in its own words."""
    test = record.performance
    lines = [f"LoadGen  {test.result}"]
    lines += [f"         {reason}" for reason in test.reasons]
    if record.official:
        return [*lines, "official settings of MLPerf's image classification"]
    return [*lines, *(f"not official: {departure}" for departure in record.departures)]
