"""What the pipeline costs: end-to-end throughput from a prepared set over the interface alone.

The same artifact at batch 16, from the prepared set and on synthetic pixels with nothing else running, in turn.
"""

from __future__ import annotations

from pathlib import Path

from assay import demo
from assay.records import OnnxModel, PreparedDataset
from assay.steps.artifact import compile_into
from assay.steps.build_options import build_options
from assay.steps.measurement import Length, bench
from assay.steps.prepare import prepare
from benchmarks.harness import MATERIAL, WORK, Row, alternating, row
from benchmarks.models import small_classifier

LEAST = 0.95
BATCH = 16
ROUNDS = 9
SECONDS = 3.0


def measure() -> Row:
    """The median ratio over alternating runs."""
    folder = WORK / "end_to_end_share"
    model = small_classifier()
    ratio = share("onnxruntime", model, folder, ROUNDS, SECONDS)
    return row("end_to_end_share", ratio, "ratio", least=LEAST, against=f"interface alone, {model.name}, batch {BATCH}")


def share(backend: str, model: OnnxModel, folder: Path, rounds: int, seconds: float) -> float:
    """The median ratio of one backend's runs of so many seconds, which take turns."""
    data = _prepared(model, folder)
    options, run_settings = build_options(backend, batch=BATCH)
    compiled, _ = compile_into(model, options, folder / "compiled")
    length = Length(seconds=seconds)

    def end_to_end() -> float:
        measured = bench(compiled, data, folder / "bench", run_settings=run_settings, length=length)
        return measured.performance.end_to_end_throughput

    def alone() -> float:
        measured = bench(compiled, None, folder / "bench", run_settings=run_settings, length=length)
        return measured.performance.interface_throughput

    return alternating(end_to_end, alone, rounds)[0]


def _prepared(model: OnnxModel, folder: Path) -> PreparedDataset:
    images = MATERIAL / "images"
    source = images if images.is_dir() else demo.IMAGES
    return prepare(source, model.transform, folder / f"prepared-{model.name}")
