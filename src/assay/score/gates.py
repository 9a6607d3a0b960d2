"""Gates, `METRIC[@BATCH][/REFERENCE] OP NUMBER[UNIT]`: reading them, and what they may ask.

Metrics: `top1` … `top5` (with `%`), `top1-drop` and `top5-drop` (points), `throughput` (also `interface`), `end-to-end`
and `scenario` (images/s), `infer-busy` (with `%`: the share of the session's slots with a call in flight),
`latency.min|mean|median|p50|p90|p95|p99|max` (with `ms` or `s`). A metric that can be read in two units must name its
own: 0.5 of `top1` may be half or half a percent. `/REFERENCE` divides by the same figure of a reference, or by another
throughput of the run itself: `end-to-end/interface>=0.95`.

Without `@BATCH` an accuracy or a latency must hold at every batch size; a throughput is that of the best one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from assay import records
from assay.errors import Option, Remedy, UnknownNameError, UsageError
from assay.records import Gate, ThroughputKind

THROUGHPUTS: Mapping[str, ThroughputKind] = {
    "throughput": "interface",
    "interface": "interface",
    "end-to-end": "end-to-end",
    "scenario": "scenario",
}
LATENCIES = {f"latency.{name}": "median" if name == "p50" else name for name in ("median", *records.LATENCIES)}
ACCURACIES = {f"top{k}": k for k in range(1, 6)}
DROPS = {"top1-drop": 1, "top5-drop": 5}
INFER_BUSY = "infer-busy"
METRICS = (*THROUGHPUTS, INFER_BUSY, *LATENCIES, *ACCURACIES, *DROPS)

_PERCENT = frozenset({*ACCURACIES, INFER_BUSY})
"""Metrics whose bound is a percentage."""

_PATTERN = re.compile(
    r"(?P<metric>[a-z0-9.-]+?)(@(?P<batch>\d+))?(/(?P<reference>[^<>=]+?))?\s*(?P<operator><=|>=|<|>)\s*"
    r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>ms|s|%)?"
)


def parse(text: str, asked: bool = True) -> Gate:
    """Reads a gate; raises where it is not one."""
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"gate {text!r} is not METRIC[@BATCH][/REFERENCE] OP NUMBER[UNIT], as in top1-drop<=1.0")
    metric = match["metric"]
    if metric not in METRICS:
        raise UnknownNameError("metric", metric, METRICS, where=f"gate {text!r}")
    _check_unit(text, match)
    return Gate(
        text=text.strip(),
        metric=metric,
        batch=int(match["batch"]) if match["batch"] else None,
        # A folder may be written with a slash at its end; a reference is named without.
        reference=match["reference"].rstrip("/") if match["reference"] else None,
        operator=match["operator"],  # type: ignore[arg-type]  # the pattern admits no other
        bound=float(match["number"]) / (1000.0 if match["unit"] == "ms" else 1.0),
        asked=asked,
    )


def _check_unit(text: str, match: re.Match[str]) -> None:
    """Raises `UsageError` if a bound lacks its metric's unit, has another, or is no percentage that can be meant."""
    metric, unit, number = match["metric"], match["unit"], match["number"]
    divided = match["reference"] is not None
    units: tuple[str | None, ...] = (None,)
    wanted = f"{metric} takes none"
    if metric in LATENCIES and not divided:
        wanted, units = "a latency needs ms or s, as in latency.p99@1<=250ms", ("ms", "s")
    elif metric in _PERCENT and not divided:
        wanted, units = f"{metric} needs %, as in {metric}{match['operator']}75%", ("%",)
    if unit not in units:
        raise UsageError(f"gate {text!r}: the unit is {'missing' if unit is None else 'wrong'}; {wanted}")
    if unit == "%" and float(number) > 100:
        raise UsageError(f"gate {text!r}: {metric} is 100% at most")
    if unit == "%" and metric in ACCURACIES and 0 < float(number) < 1:
        meant = f"{match.string[: match.start('number')]}{100 * float(number):g}%"
        raise UsageError(
            f"gate {text!r}: less than 1 %", remedy=Remedy("write {} if a share of {} is meant", meant, number)
        )


def check(gate: Gate, references: Iterable[str]) -> None:
    """Raises where a gate divides by what it cannot, so that nobody waits for a run to learn it."""
    if gate.reference is None:
        return
    if gate.metric in ACCURACIES:
        raise UsageError(f"gate {gate.text!r}: an accuracy is compared with top1-drop or top5-drop, not as a ratio")
    if gate.metric == INFER_BUSY:
        raise UsageError(f"gate {gate.text!r}: {INFER_BUSY} is a share by itself, and is compared with no other")
    if gate.metric not in THROUGHPUTS and gate.reference in THROUGHPUTS:
        raise UsageError(f"gate {gate.text!r}: {gate.metric} is compared with another run's, not with {gate.reference}")
    known = [*references, *(THROUGHPUTS if gate.metric in THROUGHPUTS else ())]
    if gate.reference not in known:
        remedy = Remedy(
            "a record has the name that it is given with in {}, or its letter in {}",
            Option("against"),
            Option("interleave"),
        )
        raise UnknownNameError("reference", gate.reference, known, remedy, where=f"gate {gate.text!r}")
