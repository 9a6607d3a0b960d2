"""The whole way on what ships inside the package."""

from __future__ import annotations

from pathlib import Path

from assay import demo, environment
from assay.data.transform import TransformChoice
from assay.progress import Progress, Silent
from assay.records import Reference, RunRecord, Verdict
from assay.workflow.complete_run import RunRequest, run
from assay.workflow.model import demo_transform


def run_demo(out: Path, progress: Progress = Silent()) -> tuple[RunRecord, Verdict]:
    """`run` on the demo's network and images, held against the accuracy measured when they were made.

    Starts from the checkpoint where torch is installed, and otherwise from the ONNX file of the same weights.
    """
    transform = demo_transform()
    reference = Reference(name="given", described="measured when the demo was made", top1=demo.TOP1, top5=demo.TOP5)
    with_torch = environment.version("torch") is not None
    if not with_torch:
        progress.note("torch is not installed, so the demo starts from demo.onnx instead of demo.pth")
    request = RunRequest(
        model=demo.NAME if with_torch else str(demo.ONNX),
        weights=demo.CHECKPOINT if with_torch else None,
        images=demo.IMAGES,
        labels=demo.LABELS,
        references=[reference],
        transform=TransformChoice(
            resize=transform.resize, crop=transform.crop, mean=transform.mean, std=transform.std
        ),
    )
    return run(request, out, progress)
