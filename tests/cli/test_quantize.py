"""`assay quantize` as a user meets it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from assay import demo
from assay.cli.main import main

TRANSFORM = ["--resize", "72", "--crop", "64", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]
QUANTIZE = ["quantize", str(demo.ONNX), "--images", "12", *TRANSFORM]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the demo's images."""
    folder = tmp_path_factory.mktemp("calibration")
    for image in sorted(demo.IMAGES.iterdir())[:40]:
        shutil.copy(image, folder)
    return folder


def test_a_model_is_quantized_and_compiled_for_8_bits(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "model.int8.onnx"
    assert main([*QUANTIZE, "--calibration", str(images), "--keep-float", "first", "--json", "-o", str(out)]) == 0
    record = json.loads(capsys.readouterr().out)["body"]
    assert record["quantization"]["float_layers"] == ["/conv1/Conv"]
    assert main(["compile", str(out), "--precision", "int8", "--batch", "2", "-o", str(tmp_path / "artifact")]) == 0
    assert "onnxruntime · cpu · int8" in capsys.readouterr().err


def test_the_dearest_layers_are_listed(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUANTIZE, "--calibration", str(images), "--sensitivity"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 13
    assert lines[1].split()[1] == "Conv"


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--sensitivity", "--keep-float", "first"], 2, "leave --keep-float away"),
        (["--keep-float", "/conv1/Cnv", "-o", "m.onnx"], 2, "known: /conv1/Conv"),
        (["--images", "0", "-o", "m.onnx"], 2, "give --images of 1 or more"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    options: list[str], status: int, said: str, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUANTIZE, "--calibration", str(images), *options]) == status
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("assay: ")
    assert said in error


def test_a_folder_without_images_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUANTIZE, "--calibration", str(tmp_path), "-o", str(tmp_path / "m.onnx")]) == 1
    assert f"no image in {tmp_path}" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--sensitivity", "-o", "m.onnx"], ["--calibrator", "median", "-o", "m.onnx"]])
def test_a_command_that_cannot_be_understood_ends_with_its_usage(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*QUANTIZE, "--calibration", "images", *options])
    assert ended.value.code == 2
    assert "usage: assay quantize" in capsys.readouterr().err
