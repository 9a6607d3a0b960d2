"""Which images an artifact is checked on as it is compiled."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from assay import demo
from assay.cli.main import main
from assay.data.transform import pixels
from assay.errors import DatasetError, UsageError
from assay.records import OnnxModel, PreparedDataset
from assay.steps import artifact
from assay.steps.artifact import load_compiled
from assay.steps.check_images import CheckImages, check_images
from assay.steps.pixel_sources import Data, Images
from assay.whole_run.request import RunRequest
from assay.whole_run.run import run
from tests.messages import assert_says


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of the user's own: the demo's last images, of which the name of the first comes first."""
    folder = tmp_path / "own"
    folder.mkdir()
    for path in sorted(demo.IMAGES.iterdir())[-3:]:
        shutil.copy(path, folder)
    return folder


def test_they_are_the_users_own_first_ones(own: Path, demo_model: OnnxModel) -> None:
    found = check_images(demo_model, Images.of(own, None)).pixels
    expected = [pixels(path.read_bytes(), demo_model.transform) for path in sorted(own.iterdir())]
    np.testing.assert_array_equal(found, np.stack(expected))


def test_of_a_prepared_set_they_are_its_first_ones(demo_model: OnnxModel, demo_data: PreparedDataset) -> None:
    np.testing.assert_array_equal(check_images(demo_model, demo_data).pixels, demo_data.shards[0].load()[:4])


def test_they_are_the_demos_where_there_are_none(demo_model: OnnxModel, demo_data: PreparedDataset) -> None:
    np.testing.assert_array_equal(check_images(demo_model).pixels, demo_data.shards[0].load()[:4])


def test_a_prepared_set_for_another_transform_is_refused(demo_model: OnnxModel, demo_data: PreparedDataset) -> None:
    other = msgspec.structs.replace(
        demo_model, transform=msgspec.structs.replace(demo_model.transform, resize=demo.RESIZE + 1)
    )
    with pytest.raises(UsageError, match="prepare it again with like=the model"):
        check_images(other, demo_data)


def test_an_image_that_cannot_be_used_is_named(own: Path, demo_model: OnnxModel) -> None:
    broken = sorted(own.iterdir())[0]
    broken.write_bytes(b"no image")
    with pytest.raises(DatasetError) as caught:
        check_images(demo_model, Images.of(own, None))
    assert_says(caught, str(broken), "cannot be used", "mend or remove it")


def test_a_compile_on_other_images_is_checked_again(own: Path, demo_model: OnnxModel, tmp_path: Path) -> None:
    compile_demo = ["compile", str(demo_model.file.path), "--batch", "2", "-o", str(tmp_path / "artifact")]
    images = []
    for more in ([], ["--images", str(own)], []):
        assert main([*compile_demo, *more]) == 0
        parity = load_compiled(tmp_path / "artifact").parity
        assert parity is not None
        images.append(parity.images)
    assert images == [4, 3, 4]


def test_a_run_is_checked_on_its_own_images(
    own: Path, demo_model: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Data] = []

    def spy(model: OnnxModel, data: Data = None) -> CheckImages:
        seen.append(data)
        return check_images(model, data)

    monkeypatch.setattr(artifact, "check_images", spy)
    request = RunRequest(str(demo_model.file.path), images=own, batch=[2], out="RUN")
    record = run(replace(request, out=tmp_path / "RUN")).run
    assert [isinstance(data, PreparedDataset) for data in seen] == [True]
    assert record.results[0].compiled.parity is not None
    assert record.results[0].compiled.parity.images == 3


def test_deep_pixels_of_the_images_of_a_compile_and_of_a_calibration_are_warned_of(
    demo_model: OnnxModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "deep"
    images.mkdir()
    for path in sorted(demo.IMAGES.iterdir())[:4]:
        with Image.open(path) as image:
            Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(images / f"{path.stem}.png")
    model, out = str(demo_model.file.path), str(tmp_path / "artifact")
    commands = (
        ["compile", model, "--images", str(images), "-o", out],
        ["quantize", model, "--calibration", str(images), "-o", str(tmp_path / "int8.onnx")],
    )
    for command in commands:
        assert main(command) == 0
        said = capsys.readouterr().err
        assert [line for line in said.splitlines() if line.startswith("warning") and "16 bits a pixel" in line]
