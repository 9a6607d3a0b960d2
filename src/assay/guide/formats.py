"""The guide's files, byte for byte: what its scripts and its benchmark tool write."""

from __future__ import annotations

import json

import numpy as np

from assay.records import Accuracy, Performance

TENSOR_SUFFIX = ".bin"

_STAGES = {"read": "data read", "preprocess": "preprocess", "infer": "infer", "post": "post"}
"""Our stages and the guide's names for them."""


def tensor_name(image: str) -> str:
    """The file that an image's tensor is written to: the image's name up to its first dot, and `.bin`."""
    return key(image) + TENSOR_SUFFIX


def key(image: str) -> str:
    """What the guide's label files and dumps call an image: its name up to the first dot."""
    return image.split(".")[0]


def performance_name(batch: int, device: int) -> str:
    """The file that the benchmark tool's figures over a data set are written to."""
    return f"perf_vision_batchsize_{batch}_device_{device}.txt"


def pure_inference_name(artifact: str, device: int) -> str:
    """The file that the figures of an artifact without a data set are written to."""
    return f"PureInfer_perf_of_{artifact}_in_device_{device}.txt"


def performance(measured: Performance) -> str:
    """The five lines of a run over a data set, six digits a figure, as C++ prints them.

    A stage's rate is its images over the time from the start of the run to its last output, but post counts batches.
    A stage's moduleLatency is 1000 / rate, but that of infer is the time in which it was at work, in ms an image. What
    several calls in flight have in common counts once there, as it does for the interface.
    """
    in_flight = float(measured.call_seconds.sum()) / measured.interface_seconds
    lines = [f"[e2e] throughputRate: {measured.end_to_end_throughput:.6g}, latency: {1000 * measured.wall_seconds:.6g}"]
    stages = {stage.name: stage for stage in measured.stages}
    for name, title in _STAGES.items():
        stage = stages[name]
        rate, latency, interface = stage.rate, 1000 / stage.rate, ""
        if name == "post":
            rate = len(measured.call_seconds) / stage.span_seconds
            latency = 1000 / rate
        if name == "infer":
            # A stage is not at work for longer than it is there.
            latency = 1000 * min(stage.busy_seconds / in_flight, stage.span_seconds) / stage.items
            interface = f"Interface throughputRate: {measured.interface_throughput:.6g}, "
        lines.append(f"[{title}] throughputRate: {rate:.6g}, {interface}moduleLatency: {latency:.6g}")
    return "\n".join(lines) + "\n"


def pure_inference(measured: Performance) -> str:
    """The line of a run without a data set: images a second in the inference call alone, and ms an image."""
    rate = measured.interface_throughput
    return f"ave_throughputRate: {rate:.6g} samples/s, ave_latency: {1000 / rate:.6g} ms\n"


def result_json(accuracy: Accuracy) -> str:
    """The guide's `result.json`: the figures are strings, percentages rounded to two decimals as Python prints them.

    The form is that of `imagenet_acc_eval.py`: `47.0%`, not `47.00%`. So is the arithmetic, on numpy's floats, whose
    rounding is another than Python's: 23 of 160 are 14.37 %, where 2300 / 160 would round to 14.38.
    """
    shares = np.array(accuracy.correct_at, np.float64) / accuracy.count
    values = [
        {"key": "Number of images", "value": str(accuracy.count)},
        {"key": "Number of classes", "value": str(accuracy.classes)},
        *({"key": f"Top{k} accuracy", "value": f"{round(share * 100, 2)}%"} for k, share in enumerate(shares, start=1)),
    ]
    return json.dumps({"title": "Overall statistical evaluation", "value": values})
