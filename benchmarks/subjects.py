"""Models with images for a search's gate: the flagship, whose weights are random, and small trained ones."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from assay import demo
from assay.records import OnnxModel, PreparedDataset
from assay.steps.export import export
from assay.steps.prepare import prepare
from benchmarks import models
from benchmarks.flagship import ARCHITECTURE
from benchmarks.harness import MATERIAL, WORK

FOLDER = WORK / "tuning"


@dataclass(frozen=True)
class Subject:
    """A model, images for its gate, and where its files lie."""

    model: OnnxModel
    data: PreparedDataset
    folder: Path


def flagship(images: int) -> Subject:
    """The guide's model at full size, and so many photographs without labels: of random weights they show nothing."""
    folder = FOLDER / "flagship"
    model = export(ARCHITECTURE, folder / "model.onnx", exported_program=True)
    some = folder / f"images-{images}"
    some.mkdir(parents=True, exist_ok=True)
    source = MATERIAL / "images" if MATERIAL.is_dir() else demo.IMAGES
    for path in sorted(source.iterdir())[:images]:
        if not (some / path.name).is_file():
            shutil.copy2(path, some)
    return Subject(model, prepare(some, model.transform, folder / f"prepared-{images}"), folder)


def small_classifier() -> Subject:
    """MobileNet 0.25 where the material is there, and the demo's model elsewhere."""
    return _trained(models.small_classifier())


def small() -> list[Subject]:
    """The demo's model, and SqueezeNet and MobileNet where the material is there; torch runs the first two."""
    found = [_trained(models.small_for("torch", FOLDER))]
    if MATERIAL.is_dir():
        weights, place = MATERIAL / "models" / "squeezenet1_0.pth", FOLDER / "squeezenet1_0.onnx"
        found.append(_trained(export("squeezenet1_0", place, weights=weights, exported_program=True)))
        found.append(small_classifier())
    return found


def _trained(model: OnnxModel) -> Subject:
    """A trained model with the photographs that it knows and their labels; the demo's with its own."""
    own = model.classes == len(demo.CLASSES)
    images = demo.IMAGES if own else MATERIAL / "images"
    labels = demo.LABELS if own else MATERIAL / "labels" / "val_label.txt"
    folder = FOLDER / model.name
    return Subject(model, prepare(images, model.transform, folder / "prepared", labels=labels), folder)
