"""What a cluster costs: one worker on Ray against the local run, over the same prepared set."""

from __future__ import annotations

import os

from benchmarks import spread
from benchmarks.harness import Row, alternating, row

LEAST = 0.93
ROUNDS = 5


def measure() -> Row:
    """The ratio of the two end-to-end throughputs, in alternating runs."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    runnable, images = spread.artifact({}), spread.data()
    ray.init(address="local", log_to_driver=False, include_dashboard=False)
    try:
        ratio, _ = alternating(
            lambda: 1 / spread.rate(runnable, images, None), lambda: 1 / spread.rate(runnable, images, "local"), ROUNDS
        )
    finally:
        ray.shutdown()
    against = (
        f"local run; {runnable[0].model.name}, {spread.IMAGES:,} prepared images, batch {spread.BATCH}, one worker"
    )
    return row("ray_overhead", ratio, "ratio", least=LEAST, against=against)
