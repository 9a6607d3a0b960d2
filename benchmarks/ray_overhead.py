"""What a cluster costs: one worker on Ray against the local run, over the same prepared set."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Benchmark, Bound, Measured, in_turn
from benchmarks.spread import shared


@dataclass(frozen=True)
class Form:
    """How many images, how often they are run, and whether on the material if it is there."""

    images: int
    rounds: int
    material: bool


def measure(form: Form, folder: Path) -> Measured:
    """End-to-end throughput of both in turn."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    run = shared(folder, images=form.images, material=form.material)
    ray.init(address="local", log_to_driver=False, include_dashboard=False)
    try:
        turns = in_turn(lambda: run.rate("local"), lambda: run.rate(), form.rounds)
    finally:
        ray.shutdown()
    return Measured(turns.ratio, f"local run; {run}, one worker: {turns.medians('images/s')}")


BENCHMARK = Benchmark(
    measure,
    full=Form(images=6_400, rounds=5, material=True),
    small=Form(images=16, rounds=1, material=False),
    bound=Bound(least=0.93),
    modules=("ray",),
)
