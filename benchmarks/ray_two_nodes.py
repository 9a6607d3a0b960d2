"""What a second machine brings: two nodes of one core against one node of one core."""

from __future__ import annotations

import os
import statistics
from pathlib import Path

from benchmarks.harness import Benchmark, Bound, Measured
from benchmarks.ray_overhead import Form
from benchmarks.spread import shared


def measure(form: Form, folder: Path) -> Measured:
    """The ratio of end-to-end throughputs; nodes come and go between the runs."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    run = shared(folder, images=form.images, material=form.material, settings={"threads": "1"})
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    ratios = []
    try:
        ray.init(address=nodes.address, log_to_driver=False)
        for _ in range(form.rounds):
            one = run.rate(nodes.address)
            second = nodes.add_node(num_cpus=1)
            nodes.wait_for_nodes()
            two = run.rate(nodes.address)
            nodes.remove_node(second)
            ratios.append(two / one)
    finally:
        ray.shutdown()
        nodes.shutdown()
    return Measured(statistics.median(ratios), f"one node of one core; {run}")


BENCHMARK = Benchmark(
    measure,
    full=Form(images=6_400, rounds=3, material=True),
    small=Form(images=16, rounds=1, material=False),
    bound=Bound(least=1.6),
    modules=("ray",),
)
