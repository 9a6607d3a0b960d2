"""What a user waits for who runs a finished `assay run` again, over a Python that imports the largest libraries."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from assay import demo
from benchmarks.harness import MATERIAL, Benchmark, Bound, Measured, in_turn, python_seconds

YARDSTICK = "import numpy, onnx, msgspec"
SQUEEZENET = MATERIAL / "models" / "squeezenet1_0.pth"


@dataclass(frozen=True)
class Form:
    """How many rounds, whether the run is of the material's model if it is there, and what shortens it."""

    rounds: int
    material: bool
    options: tuple[str, ...] = ()


def measure(form: Form, folder: Path) -> Measured:
    """Whole commands in turn, after one that does the work."""
    out = folder / "resume_noop"
    shutil.rmtree(out, ignore_errors=True)
    run = _of_squeezenet() if form.material and SQUEEZENET.is_file() else _of_the_demo()
    command = ["-m", "assay", *run, *form.options, "-o", str(out)]
    python_seconds(*command)
    turns = in_turn(lambda: python_seconds(*command), lambda: python_seconds("-c", YARDSTICK), form.rounds)
    model = Path(run[1]).name
    return Measured(turns.ratio, f"python -c '{YARDSTICK}': {turns.medians('ms', 1000)}; run of {model}")


def _of_squeezenet() -> list[str]:
    images, labels = MATERIAL / "images", MATERIAL / "labels" / "val_label.txt"
    weights = ["--weights", str(SQUEEZENET)]
    return ["run", "squeezenet1_0", *weights, "--images", str(images), "--labels", str(labels)]


def _of_the_demo() -> list[str]:
    transform = ["--resize", "72", "--crop", "64", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]
    return ["run", str(demo.ONNX), "--images", str(demo.IMAGES), "--labels", str(demo.LABELS), *transform]


BENCHMARK = Benchmark(
    measure,
    full=Form(rounds=15, material=True),
    small=Form(rounds=1, material=False, options=("--batch", "16", "--no-images")),
    bound=Bound(most=4.5),
)
