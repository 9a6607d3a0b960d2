"""The same artifact as A and as B, measured in turn on this machine: a gate that asks for no more may hardly fail."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from assay import demo
from assay.data.transform import TransformChoice
from assay.records import Runnable
from assay.score.gates import parse
from assay.steps.adopt import adopt
from assay.steps.artifact import compile_into
from assay.steps.build_options import BuildRequest
from assay.steps.compare import compare_in_turn
from assay.steps.interleave import bench_interleaved
from assay.steps.measurement import Length, Measuring
from proof.claims import Claim

REPEATS = 20
MOST_FAILURES = 2
"""One in forty is to be expected: below its interval of 95 % on one of two sides."""
SECONDS = 3.0
GATE = "throughput/B>=1.0"


def prove() -> list[Claim]:
    """Measures the demo's network against itself, again and again, and counts what the gate says."""
    choice = TransformChoice(resize=demo.RESIZE, crop=demo.CROP, mean=demo.MEAN, std=demo.STD)
    with tempfile.TemporaryDirectory() as folder:
        model = adopt(demo.ONNX, out=Path(folder) / "model.onnx", **vars(choice))
        options, run_settings = BuildRequest(backend="onnxruntime").options(16)
        compiled, _ = compile_into(model, options, Path(folder) / "compiled")
        found: Counter[str] = Counter()
        for number in range(REPEATS):
            records = bench_interleaved(
                [Runnable(compiled, run_settings)] * 2,
                None,
                Path(folder) / f"bench-{number}",
                Measuring(length=Length(seconds=SECONDS)),
            )
            found[compare_in_turn(records, [parse(GATE)]).verdicts[0].checks[0].verdict] += 1
    told = ", ".join(f"{count} {word}" for word, count in sorted(found.items()))
    name = f"{GATE} of one artifact against itself, {REPEATS} times"
    return [
        Claim(name=name, measured=told, bound=f"at most {MOST_FAILURES} FAIL", holds=found["FAIL"] <= MOST_FAILURES)
    ]
