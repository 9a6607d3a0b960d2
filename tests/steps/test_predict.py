from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assay import demo
from assay.data.transform import TransformChoice
from assay.errors import DatasetError, UsageError
from assay.progress import Silent
from assay.steps.predict import predict
from assay.steps.prepare import prepare


def test_the_best_class_of_an_image_is_the_one_that_the_whole_run_finds(demo_choice: TransformChoice) -> None:
    lines = [line.split() for line in demo.LABELS.read_text().splitlines()[:20]]
    found = predict(demo.ONNX, [demo.IMAGES / name for name, _ in lines], **vars(demo_choice))
    right = sum(image.classes[0] == int(label) for image, (_, label) in zip(found.images, lines, strict=True))
    assert right >= 16
    assert all(list(image.scores) == sorted(image.scores, reverse=True) for image in found.images)


def test_class_names_come_from_a_file(demo_choice: TransformChoice, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\n".join(demo.CLASSES) + "\n")
    image = demo.IMAGES / "demo_val_00000001.JPEG"
    found = predict(demo.ONNX, [image], classes=names, **vars(demo_choice))
    assert found.images[0].names is not None
    assert found.images[0].names[0] == demo.CLASSES[found.images[0].classes[0]]
    names.write_text("one\ntwo\n")
    with pytest.raises(UsageError, match=r"names.txt names 2 classes, a line each; the model has 10"):
        predict(demo.ONNX, [image], classes=names, **vars(demo_choice))


def test_an_image_that_is_not_there_is_named(demo_choice: TransformChoice) -> None:
    with pytest.raises(DatasetError, match=r"cannot read image absent.jpg: No such file"):
        predict(demo.ONNX, [Path("absent.jpg")], **vars(demo_choice))


def test_a_file_that_is_no_image_is_named(demo_choice: TransformChoice, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("notes")
    with pytest.raises(DatasetError, match=r"notes.jpg cannot be used: no image format"):
        predict(demo.ONNX, [tmp_path / "notes.jpg"], **vars(demo_choice))


class Warned(Silent):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def test_deep_pixels_are_scored_as_the_same_picture_in_8_bits_with_a_warning(
    demo_choice: TransformChoice, tmp_path: Path
) -> None:
    with Image.open(demo.IMAGES / "demo_val_00000001.JPEG") as image:
        grey = np.asarray(image.convert("L"))
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    told = Warned()
    found = predict(demo.ONNX, [tmp_path / "8.png", tmp_path / "16.png"], progress=told, **vars(demo_choice))
    assert found.images[0].scores == found.images[1].scores
    assert told.warnings == [f"image {tmp_path / '16.png'}: 16 bits a pixel, scaled to 8"]
    prepared = prepare(tmp_path, out=tmp_path / "prepared", progress=told, **vars(demo_choice))
    assert [(one.name, one.reason) for one in prepared.dataset.warnings] == [("16.png", "16 bits a pixel, scaled to 8")]
    assert "16.png (16 bits a pixel, scaled to 8)" in told.warnings[-1]
