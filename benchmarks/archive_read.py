"""Preparing images from a `.tar` against the same images as loose files: the files' seconds over the archive's."""

from __future__ import annotations

import shutil
import tarfile
import time
from pathlib import Path

from assay.data.transform import PRESETS
from assay.steps.prepare import prepare
from benchmarks.harness import WORK, Row, alternating, row
from benchmarks.prepare_vs_guide import IMAGES, photographs

LEAST = 0.95
ROUNDS = 7
HOME = WORK / "archive_read"


def measure() -> Row:
    """The median ratio over alternating runs."""
    images = photographs()
    archive = _archive(images)
    _prepared(images)
    ratio, _ = alternating(lambda: _prepared(images), lambda: _from(archive), ROUNDS)
    shutil.rmtree(HOME / "out", ignore_errors=True)
    return row("archive_read", ratio, "ratio", least=LEAST, against=f"loose files, {IMAGES} JPEGs")


def _from(archive: Path) -> float:
    # Touched, it is listed anew: a process lists an archive once.
    archive.touch()
    return _prepared(archive)


def _prepared(images: Path) -> float:
    out = HOME / "out"
    shutil.rmtree(out, ignore_errors=True)
    began = time.perf_counter()
    prepare(images, PRESETS["resnet"], out)
    return time.perf_counter() - began


def _archive(images: Path) -> Path:
    """The images as ImageNet's validation set comes: one flat archive."""
    path = HOME / "val.tar"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".partial")
        with tarfile.open(beside, "w") as archive:
            for image in sorted(images.iterdir()):
                archive.add(image, image.name)
        beside.rename(path)
    return path
