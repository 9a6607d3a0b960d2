from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from assay.data import transform
from assay.data.transform import TransformChoice
from assay.errors import DatasetError, UnknownNameError, UsageError
from assay.records import ImageTransform
from tests import factories
from tests.messages import assert_says

RESNET = transform.preset("resnet")


def _file(image: Image.Image, suffix: str = "png", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, suffix, **options)
    return file.getvalue()


def _normalised(content: bytes, chosen: ImageTransform) -> npt.NDArray[np.float32]:
    batch = transform.pixels(content, chosen)[np.newaxis]
    out = np.empty((1, 3, chosen.crop, chosen.crop), dtype=np.float32)
    transform.normalise(batch, chosen, out)
    return out.reshape(3, chosen.crop, chosen.crop)


def _in_the_guides_order(content: bytes, chosen: ImageTransform) -> npt.NDArray[np.float32]:
    """The guide's preprocessing, written from its page and not from this package."""
    size, side = chosen.resize, chosen.crop
    image = Image.open(io.BytesIO(content)).convert("RGB")
    width, height = image.size
    if width < height and width != size:
        image = image.resize((size, int(size * height / width)), Image.Resampling.BILINEAR)
    elif width >= height and height != size:
        image = image.resize((int(size * width / height), size), Image.Resampling.BILINEAR)
    width, height = image.size
    left, top = int(round((width - side) / 2.0)), int(round((height - side) / 2.0))  # noqa: RUF046 - as it stands there
    image = image.crop((left, top, left + side, top + side))
    values = np.array(image, dtype=np.float32).transpose(2, 0, 1)
    values = values / np.float32(255.0)
    values = values - np.array(chosen.mean, dtype=np.float32)[:, None, None]
    return np.asarray(values / np.array(chosen.std, dtype=np.float32)[:, None, None])


# Pixels.


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "P", "RGBA", "1"])
@pytest.mark.parametrize("size", [(301, 263), (64, 97), (97, 64)])
def test_pixels_of_every_mode_are_those_of_the_guides_order(mode: str, size: tuple[int, int]) -> None:
    content = _file(factories.noise(size, mode))
    assert Image.open(io.BytesIO(content)).mode == mode
    assert np.array_equal(_normalised(content, RESNET), _in_the_guides_order(content, RESNET))


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [("jpeg", "RGB"), ("jpeg", "L"), ("jpeg", "CMYK"), ("tiff", "CMYK"), ("gif", "P"), ("bmp", "RGB")],
)
def test_pixels_of_every_container_are_those_of_the_guides_order(suffix: str, mode: str) -> None:
    content = _file(factories.noise((290, 301), mode), suffix)
    assert np.array_equal(_normalised(content, RESNET), _in_the_guides_order(content, RESNET))


@pytest.mark.parametrize(
    "size",
    [
        pytest.param((1, 1), id="one pixel"),
        pytest.param((256, 256), id="square of the size"),
        pytest.param((256, 301), id="short side wide"),
        pytest.param((301, 256), id="short side high"),
        pytest.param((255, 257), id="around the size"),
        pytest.param((1000, 30), id="very wide"),
        pytest.param((31, 700), id="very high"),
        pytest.param((299, 299), id="square"),
    ],
)
@pytest.mark.parametrize("preset", ["resnet", "inceptionv4"])
def test_pixels_of_every_shape_are_those_of_the_guides_order(size: tuple[int, int], preset: str) -> None:
    content, chosen = _file(factories.noise(size)), transform.preset(preset)
    assert np.array_equal(_normalised(content, chosen), _in_the_guides_order(content, chosen))


@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((1000, 300), (853, 256)),
        ((301, 997), (256, 847)),
        ((100, 80), (320, 256)),
        ((1, 1), (256, 256)),
        ((256, 4), (16384, 256)),
    ],
)
def test_the_short_side_takes_the_size_and_the_long_one_is_rounded_down(
    size: tuple[int, int], resized: tuple[int, int]
) -> None:
    assert transform.resize(Image.new("L", size), RESNET).size == resized


def test_an_image_whose_short_side_has_the_size_is_not_resampled() -> None:
    image = factories.noise((300, 256))
    assert transform.resize(image, RESNET) is image


@pytest.mark.parametrize(("width", "left"), [(853, 314), (847, 312), (224, 0), (225, 0), (227, 2), (256, 16)])
def test_the_crop_is_in_the_middle_and_halves_round_to_the_even_neighbour(width: int, left: int) -> None:
    # Every column tells where it stood: 629 / 2 = 314.5 becomes 314, and 623 / 2 = 311.5 becomes 312.
    columns = np.arange(width, dtype=np.int32)[np.newaxis].repeat(224, axis=0)
    cropped = np.asarray(transform.crop(Image.fromarray(columns), 224))
    assert cropped.shape == (224, 224)
    assert cropped[0, 0] == left


def test_bicubic_is_not_bilinear() -> None:
    content = _file(factories.noise((20, 20)))
    bicubic = factories.transform(interpolation="bicubic")
    wanted = Image.open(io.BytesIO(content)).resize((10, 10), Image.Resampling.BICUBIC).crop((1, 1, 9, 9))
    assert np.array_equal(transform.pixels(content, bicubic), np.asarray(wanted))
    assert not np.array_equal(transform.pixels(content, bicubic), transform.pixels(content, factories.transform()))


def test_the_orientation_in_the_metadata_is_not_applied() -> None:
    image = factories.noise((20, 12))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned, plain = _file(image, "jpeg", exif=exif), _file(image, "jpeg")
    assert np.array_equal(
        transform.pixels(turned, factories.transform()), transform.pixels(plain, factories.transform())
    )


def test_a_palette_with_transparency_is_decoded_without_a_warning() -> None:
    content = _file(factories.noise((30, 20), "P"), transparency=bytes(range(256)))
    assert transform.pixels(content, factories.transform()).shape == (8, 8, 3)


def test_normalising_divides_subtracts_and_divides() -> None:
    chosen = factories.transform(mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.25))
    batch = np.array([[[[255, 255, 255], [0, 51, 0]]]], dtype=np.uint8)
    out = transform.normalise(batch, chosen, np.empty((1, 3, 1, 2), dtype=np.float32))
    assert out.dtype == np.float32
    assert out.ravel().tolist() == pytest.approx([1.0, 0.0, 1.0, -0.6, 0.0, -4.0])


# The original script's outputs.


def _golden(material: Path, table: str, mode: str, count: int) -> list[dict[str, str]]:
    with (material / "golden" / table).open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["mode"] == mode][:count]


@pytest.mark.material
@pytest.mark.parametrize(
    ("table", "folder", "mode"),
    [
        ("preprocess_images.csv", "images", "resnet"),
        ("preprocess_images.csv", "images", "inceptionv3"),
        ("preprocess_images.csv", "images", "inceptionv4"),
        ("preprocess_images.csv", "images", "efficientnetb3"),
        ("preprocess_edge.csv", "edge", "resnet"),
        ("preprocess_edge.csv", "edge", "inceptionv3"),
    ],
)
def test_pixels_are_those_that_the_guides_script_writes(material: Path, table: str, folder: str, mode: str) -> None:
    rows = _golden(material, table, mode, 20)
    assert len(rows) == 20
    # The script makes it white, as Pillow does: here its 16 bits are scaled to 8.
    rows = [row for row in rows if row["file"] != "sixteen_bit.png"]
    chosen = transform.preset(mode)
    written = {
        row["file"]: _normalised((material / folder / row["file"]).read_bytes(), chosen).astype("<f4").tobytes()
        for row in rows
    }
    assert {name: len(content) for name, content in written.items()} == {row["file"]: int(row["bytes"]) for row in rows}
    assert {name: hashlib.sha256(content).hexdigest() for name, content in written.items()} == {
        row["file"]: row["sha256"] for row in rows
    }


# Files that are no images.


def test_a_file_that_is_no_image_says_why() -> None:
    with pytest.raises(DatasetError, match=r"^no image format that is read: BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP$"):
        transform.pixels(b"hello", RESNET)


def test_an_empty_file_says_so() -> None:
    with pytest.raises(DatasetError, match=r"^empty file$"):
        transform.pixels(b"", RESNET)


@pytest.mark.parametrize("suffix", ["jpeg", "png", "gif", "tiff", "webp"])
def test_a_truncated_image_is_never_filled_up(suffix: str) -> None:
    content = _file(factories.noise((64, 64)), suffix)
    with pytest.raises(DatasetError):
        transform.pixels(content[: len(content) // 2], RESNET)


@pytest.mark.parametrize("side", [10_000, 50_000])
def test_an_image_too_large_to_decode_safely_is_refused(side: int) -> None:
    header = bytearray(_file(Image.new("1", (1, 1)), "bmp"))
    header[18:26] = side.to_bytes(4, "little") * 2
    with pytest.raises(DatasetError) as caught:
        transform.pixels(bytes(header), RESNET)
    assert_says(caught, "too large to decode safely", f"{side * side} pixels")


@pytest.mark.material
@pytest.mark.parametrize(
    "name", ["empty.jpg", "header_only.png", "not_an_image.jpg", "truncated.jpg", "bomb_50000x50000.png"]
)
def test_a_broken_file_of_the_material_is_refused(material: Path, name: str) -> None:
    with pytest.raises(DatasetError):
        transform.pixels((material / "broken" / name).read_bytes(), RESNET)


# Which transform.


@pytest.mark.parametrize(
    ("name", "resize", "crop", "mean"),
    [
        ("resnet", 256, 224, (0.485, 0.456, 0.406)),
        ("inceptionv3", 342, 299, (0.485, 0.456, 0.406)),
        ("inceptionv4", 342, 299, (0.5, 0.5, 0.5)),
        ("efficientnetb3", 342, 300, (0.485, 0.456, 0.406)),
    ],
)
def test_presets_are_the_guides(name: str, resize: int, crop: int, mean: tuple[float, float, float]) -> None:
    found = transform.preset(name)
    assert (found.resize, found.crop, found.mean, found.interpolation) == (resize, crop, mean, "bilinear")
    assert found.std == ((0.5, 0.5, 0.5) if name == "inceptionv4" else (0.229, 0.224, 0.225))


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError) as caught:
        transform.preset("resnet50")
    assert_says(caught, "unknown preset 'resnet50'", "resnet, ", "inceptionv3", "efficientnetb3")


KNOWN = (factories.transform(), "the model's record")


def test_the_transform_of_a_known_model_is_its_own() -> None:
    assert transform.choose(TransformChoice(), KNOWN, 8) == KNOWN


def test_a_named_preset_stands_over_the_model() -> None:
    assert transform.choose(TransformChoice(preset="resnet"), KNOWN, 224) == (RESNET, "preset resnet")


def test_single_values_stand_over_all_else() -> None:
    choice = TransformChoice(preset="resnet", resize=232, interpolation="bicubic")
    found, source = transform.choose(choice, KNOWN, 224)
    assert (found.resize, found.crop, found.interpolation, found.mean) == (232, 224, "bicubic", RESNET.mean)
    assert source == "resize, interpolation given, the rest from: preset resnet"


def test_values_that_leave_nothing_open_are_simply_given() -> None:
    choice = TransformChoice(resize=32, crop=32, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    found, source = transform.choose(choice, None, 32)
    assert (found.resize, found.crop, source) == (32, 32, "given")


@pytest.mark.parametrize(
    ("side", "preset"), [(224, "resnet"), (299, "inceptionv3"), (300, "efficientnetb3"), (None, "resnet")]
)
def test_a_bare_model_takes_the_preset_of_its_input_and_says_so(side: int | None, preset: str) -> None:
    found, source = transform.choose(TransformChoice(), None, side)
    assert found == transform.preset(preset)
    assert "assumed" in source
    assert preset in source


def test_an_input_size_without_a_preset_asks_for_the_values() -> None:
    with pytest.raises(UsageError) as caught:
        transform.choose(TransformChoice(), None, 32)
    assert_says(caught, "32×32 pixels", "resize, crop=32, mean and std", "resnet")


def test_a_transform_that_does_not_fit_the_model_says_what_to_give() -> None:
    with pytest.raises(UsageError) as caught:
        transform.choose(TransformChoice(preset="resnet"), None, 299)
    assert_says(caught, "299×299", "crops to 224", "crop=299")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"crop": 11}, "crop 11 and resize 10"),
        ({"crop": 0}, "crop 0"),
        ({"resize": 9460}, "resize 9460: images have 9459 pixels a side at most"),
        ({"crop": -1}, "crop -1"),
        ({"std": (0.2, 0.0, 0.2)}, "std (0.2, 0.0, 0.2): every value must be above 0"),
        ({"std": (0.2, -1.0, 0.2)}, "every value must be above 0"),
    ],
)
def test_a_transform_that_cannot_be_carried_out_says_why(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        transform.check(factories.transform(**changes))
    assert_says(caught, said)


def test_a_crop_of_the_whole_image_can_be_carried_out() -> None:
    transform.check(factories.transform(crop=10))
