"""Labels that leave open which classes are meant, from the images to the verdict."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import assay
from assay import demo
from assay.cli.main import main
from assay.data.transform import TransformChoice
from assay.errors import DatasetError
from assay.whole_run.outcome import Outcome

PER_CLASS = 6
LABELS = {name: int(number) for name, number in (line.split() for line in demo.LABELS.read_text().splitlines())}


def _folders(root: Path, name_of: Callable[[int], str], classes: range) -> Path:
    for number in classes:
        home = root / name_of(number)
        home.mkdir(parents=True)
        for image in [name for name, label in LABELS.items() if label == number][:PER_CLASS]:
            shutil.copyfile(demo.IMAGES / image, home / image)
    return root


def _run(images: Path, choice: TransformChoice, **options: object) -> Outcome:
    given: dict[str, Any] = {"out": images.parent / "out", "batch": 16, "no_images": True, **vars(choice), **options}
    return assay.run(demo.ONNX, images=images, **given)


@pytest.mark.parametrize(("first", "count"), [(1, 10), (0, 3)])
def test_numbered_folders_are_their_numbers_and_the_mapping_is_told(
    first: int, count: int, tmp_path: Path, demo_choice: TransformChoice
) -> None:
    outcome = _run(_folders(tmp_path / "val", lambda k: str(k + first), range(count)), demo_choice)
    accuracy = outcome.run.results[0].accuracy
    assert accuracy is not None
    assert accuracy.top(1) > 80
    warning = f"class folders by number, from {first}: {first} is class 0, {first + 1} is class 1"
    for told in (outcome.run.warnings, outcome.verdict.warnings, outcome.run.dataset.assumptions):  # type: ignore[union-attr]
        assert [one for one in told if one.startswith(warning)]
    assert warning in (tmp_path / "out/report.html").read_text()


def test_fewer_folders_than_classes_need_a_class_list(
    tmp_path: Path, demo_choice: TransformChoice, capsys: pytest.CaptureFixture[str]
) -> None:
    images = _folders(tmp_path / "val", lambda k: demo.CLASSES[k], range(3, 8))
    with pytest.raises(DatasetError, match="has 5 class folders and the model 10 classes"):
        _run(images, demo_choice)
    words = ["run", str(demo.ONNX), "--images", str(images), "--resize=72", "--crop=64", "--mean=.5,.5,.5"]
    listed = tmp_path / "classes.txt"
    listed.write_text("\n".join(demo.CLASSES))
    options = ["--std=.25,.25,.25", "--batch=16", "--class-list", str(listed), "-o", str(tmp_path / "listed")]
    assert main([*words, *options]) == 0
    assert "warning  class folders" not in capsys.readouterr().out
    listed.write_text("\n".join([*demo.CLASSES, "eleventh"]))
    assert main([*words, *options]) == 1
    assert "has 11 classes and demo 10" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shift", "told"),
    [
        (3, "is no better than guessing (10.00 %)"),
        (1, "seem to be off by one: top-1 is 0.83 % as they are, and 83.75 %"),
    ],
)
def test_labels_of_another_order_are_told(
    shift: int, told: str, tmp_path: Path, demo_choice: TransformChoice, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"{name} {(label + shift) % 10}\n" for name, label in LABELS.items()))
    outcome = _run(demo.IMAGES, demo_choice, out=tmp_path / "run", labels=labels)
    assert [warning for warning in outcome.verdict.warnings if told in warning]
    assert main(["evaluate", str(tmp_path / "run"), "--labels", str(labels)]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if told in line]
    assert line.startswith("warning  ")
