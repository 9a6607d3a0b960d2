"""Preparing images from a `.tar` against the same images as loose files: the files' seconds over the archive's."""

from __future__ import annotations

import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from assay.data.transform import PRESETS
from assay.steps.prepare import PrepareRequest, prepare_with
from benchmarks.harness import Benchmark, Bound, Measured, in_turn, seconds_of
from benchmarks.prepare_vs_guide import photographs


@dataclass(frozen=True)
class Form:
    """How many images, and how often they are prepared."""

    images: int
    rounds: int


def measure(form: Form, folder: Path) -> Measured:
    """Seconds of both in turn."""
    home = folder / "archive_read"
    images = photographs(form.images, folder)
    archive = _archive(images, home / f"{form.images}.tar")
    _prepared(images, home)
    turns = in_turn(lambda: _prepared(images, home), lambda: _from(archive, home), form.rounds)
    shutil.rmtree(home / "out", ignore_errors=True)
    return Measured(turns.ratio, f"the archive, {form.images} JPEGs: {turns.medians('s')}")


def _from(archive: Path, home: Path) -> float:
    # Touched, it is listed anew: a process lists an archive once.
    archive.touch()
    return _prepared(archive, home)


def _prepared(images: Path, home: Path) -> float:
    out = home / "out"
    shutil.rmtree(out, ignore_errors=True)
    return seconds_of(lambda: prepare_with(PrepareRequest(images, out=out), PRESETS["resnet"]))


def _archive(images: Path, path: Path) -> Path:
    """The images as ImageNet's validation set comes: one flat archive."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".partial")
        with tarfile.open(beside, "w") as archive:
            for image in sorted(images.iterdir()):
                archive.add(image, image.name)
        beside.rename(path)
    return path


BENCHMARK = Benchmark(
    measure, full=Form(images=1000, rounds=7), small=Form(images=8, rounds=1), bound=Bound(least=0.95)
)
