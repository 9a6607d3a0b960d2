"""The whole way on what ships inside the package."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from assay import demo, environment
from assay.progress import Progress, Silent
from assay.records import Reference
from assay.steps.check_images import demo_transform
from assay.steps.keywords import StrPath, takes
from assay.whole_run.outcome import Outcome
from assay.whole_run.request import RunRequest
from assay.whole_run.run import run


@dataclass(frozen=True)
class DemoRequest:
    """The whole way on the demo's network and images."""

    out: StrPath = "RUN-demo"
    command: str | None = None
    """The command line that asks for it, kept in the record."""
    progress: Progress = Silent()


@takes(DemoRequest)
def run_demo(request: DemoRequest) -> Outcome:
    """`run` on the demo's network and images, held against the accuracy measured when they were made.

    Starts from the checkpoint if torch is installed, and otherwise from the ONNX file of the same weights.
    """
    reference = Reference(name="given", described="measured when the demo was made", top1=demo.TOP1, top5=demo.TOP5)
    wanted = RunRequest(
        demo.NAME,
        images=demo.IMAGES,
        out=request.out,
        labels=demo.LABELS,
        weights=demo.CHECKPOINT,
        reference=reference,
        command=request.command,
        progress=request.progress,
    )
    if environment.version("torch") is None:
        request.progress.note("torch is not installed, so the demo starts from demo.onnx instead of demo.pth")
        wanted = replace(wanted, model=demo.ONNX, weights=None, **msgspec.structs.asdict(demo_transform()))
    return run(wanted)
