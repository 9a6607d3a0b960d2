"""Records as plain rows, one a batch size, that a data frame takes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from assay.records import BatchResult, Estimate, Figures, RunRecord
from assay.records.reported import ReportedResult, ReportedRun
from assay.steps import compare, results

Row = dict[str, str | int | float | None]


Given = RunRecord | ReportedRun | str | Path


def to_rows(records: Given | Iterable[Given]) -> list[Row]:
    """A row a batch size with the same keys in each; a figure that there is none of is None.

    Throughputs are in images a second, latencies in seconds, accuracies in percent; `_low` and `_high` are the ends of
    a 95 % interval.
    """
    given = [records] if isinstance(records, (RunRecord, ReportedRun, str, Path)) else records
    loaded = [results.load_record(Path(one)) if isinstance(one, (str, Path)) else one for one in given]
    rows = [row for record in loaded for row in _rows(record)]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return [{key: row.get(key) for key in keys} for row in rows]


def _rows(record: RunRecord | ReportedRun) -> list[Row]:
    if isinstance(record, ReportedRun):
        return [_reported(record, result) for result in record.results]
    pairs = zip(record.results, compare.figures(record), strict=True)
    return [_measured(record, result, derived) for result, derived in pairs]


def _measured(run: RunRecord, result: BatchResult, derived: Figures) -> Row:
    options, performance = result.compiled.options, result.performance
    return {
        "model": run.model.full_name,
        "backend": options.backend,
        "device": performance.device,
        "precision": options.precision,
        "input": options.input_kind,
        "batch": result.batch,
        "images": performance.images,
        **_estimate("end_to_end", derived.end_to_end_throughput),
        **_estimate("interface", derived.interface_throughput),
        **{key: value for name, one in derived.latency.items() for key, value in _estimate(name, one).items()},
        "bottleneck": derived.bottleneck,
        **{key: value for k, one in enumerate(derived.top, 1) for key, value in _estimate(f"top{k}", one).items()},
        "artifact": result.compiled.file.sha256,
        "machine": run.environment.processor,
    }


def _reported(run: ReportedRun, result: ReportedResult) -> Row:
    return {
        "model": run.model,
        "backend": run.tool,
        "device": run.device,
        "precision": run.precision,
        "batch": result.batch,
        "end_to_end": result.throughput.get("end-to-end"),
        "interface": result.throughput.get("interface"),
        **({"mean": result.latency.mean, "p99": result.latency.p99} if result.latency is not None else {}),
        **{f"top{k}": value for k, value in result.top.items()},
    }


def _estimate(name: str, estimate: Estimate) -> Row:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
