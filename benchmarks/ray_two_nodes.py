"""What a second machine brings: two nodes of one core against one node of one core."""

from __future__ import annotations

import os
import statistics

from benchmarks import spread
from benchmarks.harness import Row, row

LEAST = 1.6
ROUNDS = 3


def measure() -> Row:
    """The ratio of end-to-end throughputs; nodes come and go between the runs."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    runnable, images = spread.artifact({"threads": "1"}), spread.data()
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    ratios = []
    try:
        ray.init(address=nodes.address, log_to_driver=False)
        for _ in range(ROUNDS):
            one = spread.rate(runnable, images, nodes.address)
            second = nodes.add_node(num_cpus=1)
            nodes.wait_for_nodes()
            two = spread.rate(runnable, images, nodes.address)
            nodes.remove_node(second)
            ratios.append(two / one)
    finally:
        ray.shutdown()
        nodes.shutdown()
    against = f"one node of one core; {runnable[0].model.name}, {spread.IMAGES:,} prepared images, batch {spread.BATCH}"
    return row("ray_two_nodes", statistics.median(ratios), "ratio", least=LEAST, against=against)
