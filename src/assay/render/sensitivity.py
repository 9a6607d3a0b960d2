"""The layers that cost most in 8 bits, as a person reads them."""

from __future__ import annotations

from assay import units
from assay.records import Sensitivity

SHOWN = 10


def table(costs: Sensitivity) -> str:
    """A line for each of the dearest layers: what it costs alone, and what is left where it alone stays float."""
    rows = [(cost.layer, cost.operator, _cost(cost.alone), _cost(cost.kept_float)) for cost in costs.layers[:SHOWN]]
    width = max(len("layer"), *(len(row[0]) for row in rows))
    lines = [f" {'layer':<{width}}  {'operator':<13} {'alone':>8} {'all others':>11}"]
    lines += [f" {name:<{width}}  {operator:<13} {alone:>8} {others:>11}" for name, operator, alone, others in rows]
    whole = f"all {len(costs.layers)} layers in 8 bits move the scores by {_cost(costs.whole)} of their spread"
    return "\n".join([*lines, "", f"{whole}, on {units.counted(costs.images, 'calibration image')}"])


def _cost(value: float | None) -> str:
    return "" if value is None else units.percent(100 * value)
