"""From the times of a graph's nodes to a profile, and what a node has to compute."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

from assay.records import NodeTime, Profile

MOST_NODES = 10


@dataclass(frozen=True)
class NodeRun:
    """One run of one node, or of something else that took its time."""

    name: str
    operator: str
    seconds: float
    operations: float | None = None
    """Arithmetic of one run, a multiplication and an addition being two; None where unknown."""


def costliest(calls: Sequence[Iterable[NodeRun]]) -> Profile:
    """The profile of some inference calls: of each node the median over the calls, the costliest ten of all.

    The median, since one interruption of a short node would otherwise outweigh all of its calls.
    """
    runs: dict[tuple[str, str], list[_Cost]] = {}
    for call in calls:
        for node, cost in _together(call).items():
            runs.setdefault(node, []).append(cost)
    # A node that some calls pass over costs nothing in those.
    seconds = {
        node: statistics.median([cost.seconds for cost in costs] + [0.0] * (len(calls) - len(costs)))
        for node, costs in runs.items()
    }
    whole = sum(seconds.values())
    ordered = sorted(runs, key=lambda node: -seconds[node])
    nodes = [
        NodeTime(
            name=node[0],
            operator=node[1],
            seconds=seconds[node],
            share=seconds[node] / whole if whole else 0.0,
            gflops=_gflops(runs[node][0].operations, seconds[node]),
        )
        for node in ordered[:MOST_NODES]
    ]
    return Profile(calls=len(calls), seconds=whole, nodes=tuple(nodes))


@dataclass(frozen=True)
class _Cost:
    seconds: float
    operations: float | None


def _together(call: Iterable[NodeRun]) -> dict[tuple[str, str], _Cost]:
    """What each node cost in one call, in which it may have run several times."""
    costs: dict[tuple[str, str], _Cost] = {}
    for run in call:
        before = costs.get((run.name, run.operator), _Cost(0.0, 0.0))
        known = before.operations is not None and run.operations is not None
        operations = (before.operations or 0.0) + (run.operations or 0.0) if known else None
        costs[run.name, run.operator] = _Cost(before.seconds + run.seconds, operations)
    return costs


def _gflops(operations: float | None, seconds: float) -> float | None:
    return operations / seconds / 1e9 if operations is not None and seconds > 0 else None


def convolution(output: Sequence[int], weights: Sequence[int]) -> float:
    """The arithmetic of a convolution; its weights end with the inputs of one group and the kernel."""
    return 2.0 * prod(output) * prod(weights[-(len(output) - 1) :])


def matrix_product(output: Sequence[int], left: Sequence[int]) -> float:
    """The arithmetic of a product of matrices, whose left one has as many columns as the right one has rows."""
    return 2.0 * prod(output) * left[-1]
