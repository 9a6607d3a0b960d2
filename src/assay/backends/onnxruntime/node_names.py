"""Names in an optimised ONNX graph that hang on nothing but the graph."""

from __future__ import annotations

from pathlib import Path

import onnx


def settle(optimised: Path, source: Path) -> None:
    """Names the nodes that an optimiser added after what they compute.

    ONNX Runtime numbers them in the order in which it meets them, and that differs from process to process.
    """
    known = {node.name for node in onnx.load(str(source), load_external_data=False).graph.node}
    model = onnx.load(str(optimised))
    added = [node for node in model.graph.node if node.name not in known]
    for node in added:
        node.name = f"{node.op_type} of {node.output[0]}"
    if added:
        optimised.write_bytes(model.SerializeToString(deterministic=True))
