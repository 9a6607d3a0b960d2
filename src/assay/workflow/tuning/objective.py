"""What a search makes as large as it can: how fast an artifact is, and how many times faster than another."""

from __future__ import annotations

from assay.records import Estimate, Objective, Performance
from assay.score import figures, statistics

_PERCENT = 99


def speed_of(performance: Performance, objective: Objective) -> float:
    """Images a second, or for latency calls a second at the p99; the more the better."""
    if objective == "latency":
        return 1 / performance.latency(_PERCENT)
    return performance.interface_throughput if objective == "throughput" else performance.end_to_end_throughput


def ratio(mine: Performance, other: Performance, objective: Objective) -> Estimate:
    """How many times faster one is than another that was measured in turn with it."""
    if objective == "latency":
        # A short latency is fast.
        return statistics.ratio(*(figures.latency(one, f"p{_PERCENT}") for one in (other, mine)))
    return figures.ratio(mine, other, "interface" if objective == "throughput" else "end-to-end")
