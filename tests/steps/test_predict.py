from __future__ import annotations

from pathlib import Path

import pytest

from assay import demo
from assay.data.transform import TransformChoice
from assay.errors import DatasetError, UsageError
from assay.steps.predict import predict


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
