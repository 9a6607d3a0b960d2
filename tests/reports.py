"""What other tools wrote of their runs, as texts short enough to stand in a test."""

from __future__ import annotations

from pathlib import Path

SAMPLES = Path(__file__).parent / "importers" / "samples"
"""Whole files; those of benchmark_app and LoadGen are real."""

BATCH_16 = """[e2e] throughputRate: 119.367, latency: 418876
[data read] throughputRate: 126.399, moduleLatency: 7.91145
[preprocess] throughputRate: 126.137, moduleLatency: 7.92786
[infer] throughputRate: 119.647, Interface throughputRate: 170.965, moduleLatency: 7.27049
[post] throughputRate: 7.47771, moduleLatency: 133.731
"""
"""Of the guide's chapter 7.1."""
MISLABELLED = """[e2e] throughputRate: 166.691, latency: 299956
[data read] throughputRate: 167.683, moduleLatency: 5.96365
[preprocess] throughputRate: 167.347, moduleLatency: 5.97561
[infer] throughputRate: 167.444, Interface throughputRate: 322.615, moduleLatency: 4.05673
[post] throughputRate: 20.93, moduleLatency: 47.7783
"""
"""Of chapter 7.2: batches of 8, in a file whose name says 16."""
PURE = "ave_throughputRate: 157.2 samples/s, ave_latency: 6.36 ms\n"
RESULT = (
    '{"title": "Overall statistical evaluation", "value": [{"key": "Number of images", "value": "50000"}, '
    '{"key": "Top1 accuracy", "value": "78.85%"}, {"key": "Top5 accuracy", "value": "94.29%"}]}'
)
TRTEXEC = "[I] Throughput: 250.5 qps\n[I] Latency: min = 3.8 ms, max = 4.2 ms, mean = 3.9 ms, median = 3.9 ms"
"""What somebody keeps of a log."""
