"""The whole way on what ships inside the package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from assay import demo, environment
from assay.data.transform import TransformChoice
from assay.progress import Progress, Silent
from assay.records import Reference
from assay.steps.check_images import demo_transform
from assay.whole_run.outcome import Outcome
from assay.whole_run.run import RunRequest, run


def run_demo(out: Path, progress: Progress = Silent(), *, command: str | None = None) -> Outcome:
    """`run` on the demo's network and images, held against the accuracy measured when they were made.

    Starts from the checkpoint where torch is installed, and otherwise from the ONNX file of the same weights.
    """
    reference = Reference(name="given", described="measured when the demo was made", top1=demo.TOP1, top5=demo.TOP5)
    if environment.version("torch") is not None:
        start = RunRequest(model=demo.NAME, weights=demo.CHECKPOINT, images=demo.IMAGES)
    else:
        progress.note("torch is not installed, so the demo starts from demo.onnx instead of demo.pth")
        parts = msgspec.structs.asdict(demo_transform())
        start = RunRequest(model=str(demo.ONNX), images=demo.IMAGES, transform=TransformChoice(**parts))
    return run(replace(start, labels=demo.LABELS, references=[reference], command=command), out, progress)
