"""Models with images for a search's gate: the flagship, whose weights are random, and small trained ones."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from assay import demo
from assay.records import OnnxModel, PreparedDataset
from assay.steps.export import export
from assay.steps.prepare import PrepareRequest, prepare_with
from benchmarks import models
from benchmarks.flagship import ARCHITECTURE
from benchmarks.harness import MATERIAL


@dataclass(frozen=True)
class Subject:
    """A model, images for its gate, and where its files lie."""

    model: OnnxModel
    data: PreparedDataset
    folder: Path


def flagship(images: int, folder: Path) -> Subject:
    """The guide's model at full size, and so many photographs without labels: of random weights they show nothing."""
    home = folder / "flagship"
    model = export(arch=ARCHITECTURE, out=home / "model.onnx", random_weights=True, pt2=True)
    some = home / f"images-{images}"
    some.mkdir(parents=True, exist_ok=True)
    for path in sorted(models.photographs(material=True).iterdir())[:images]:
        if not (some / path.name).is_file():
            shutil.copy2(path, some)
    return Subject(model, prepare_with(PrepareRequest(some, out=home / f"prepared-{images}"), model.transform), home)


def small_classifier(folder: Path, *, material: bool) -> Subject:
    """MobileNet 0.25 if it is wanted and the material is there; the demo's model otherwise."""
    return _trained(models.small_classifier(material=material), folder)


def exported_demo(folder: Path) -> Subject:
    """The demo's model with its exported program, for torch."""
    return _trained(models.exported_demo(folder), folder)


def small(folder: Path) -> list[Subject]:
    """The demo's model, and SqueezeNet and MobileNet if the material is there; torch runs the first two."""
    subjects = [exported_demo(folder)]
    if MATERIAL.is_dir():
        weights, place = MATERIAL / "models" / "squeezenet1_0.pth", folder / "squeezenet1_0.onnx"
        subjects.append(_trained(export(weights, arch="squeezenet1_0", out=place, pt2=True), folder))
        subjects.append(small_classifier(folder, material=True))
    return subjects


def _trained(model: OnnxModel, folder: Path) -> Subject:
    """A trained model with the photographs that it knows and their labels; the demo's with its own."""
    own = model.classes == len(demo.CLASSES)
    images = demo.IMAGES if own else MATERIAL / "images"
    labels = demo.LABELS if own else MATERIAL / "labels" / "val_label.txt"
    home = folder / model.name
    return Subject(
        model, prepare_with(PrepareRequest(images, out=home / "prepared", labels=labels), model.transform), home
    )
