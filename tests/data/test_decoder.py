from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from assay import demo
from assay.data import decoder
from assay.errors import DatasetError
from tests import factories

simplejpeg = pytest.importorskip("simplejpeg", reason="without it Pillow decodes everything")


def _pillow(content: bytes) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def test_the_two_libraries_agree_here() -> None:
    assert decoder._agree()


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (8, 8), (16, 17), (61, 47), (300, 5)])
@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": "4:4:4", "quality": 100},
        {"subsampling": "4:2:2"},
        {"subsampling": "4:2:0", "quality": 40},
        {"progressive": True},
        {"restart_marker_blocks": 2},
        {"keep_rgb": True, "subsampling": "4:4:4"},
        {"dpi": (72, 72), "comment": b"words"},
    ],
    ids=str,
)
def test_a_jpeg_has_the_pixels_that_pillow_gives(size: tuple[int, int], options: dict[str, Any]) -> None:
    content = factories.jpeg(size, **options)
    image, warning = decoder.decode(content)
    assert warning is None
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(image), _pillow(content))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colours_of_a_jpeg_have_the_pixels_that_pillow_gives(mode: str) -> None:
    content = factories.jpeg(mode=mode)
    image, warning = decoder.decode(content)
    assert warning is None
    assert np.array_equal(np.asarray(image), _pillow(content))


@pytest.mark.parametrize("subsampling", ["411", "440"])
def test_rare_ways_to_store_colours_have_the_pixels_that_pillow_gives(subsampling: str) -> None:
    content = simplejpeg.encode_jpeg(np.asarray(factories.noise((61, 47))), colorsubsampling=subsampling)
    assert np.array_equal(np.asarray(decoder.decode(content)[0]), _pillow(content))


def test_every_image_of_the_demo_has_the_pixels_that_pillow_gives() -> None:
    for path in demo.IMAGES.iterdir():
        content = path.read_bytes()
        image, warning = decoder.decode(content)
        assert warning is None
        assert np.array_equal(np.asarray(image), _pillow(content)), path.name


def test_a_damaged_jpeg_that_still_decodes_has_pillows_pixels_and_the_decoders_warning() -> None:
    content = factories.damaged(factories.jpeg((200, 150)))
    image, warning = decoder.decode(content)
    assert warning is not None
    assert warning.startswith("Corrupt JPEG data")
    assert np.array_equal(np.asarray(image), _pillow(content))


def test_whatever_is_damaged_the_pixels_are_pillows_and_so_is_the_refusal() -> None:
    chance = random.Random(1)
    whole = [
        factories.jpeg((97, 83), quality=90),
        factories.jpeg((97, 83), progressive=True),
        factories.jpeg((50, 50), "L"),
    ]
    warned = 0
    for _ in range(300):
        content = bytearray(chance.choice(whole))
        for _ in range(chance.choice([1, 2, 4])):
            content[chance.randrange(3, len(content))] ^= 1 << chance.randrange(8)
        try:
            expected = _pillow(bytes(content))
        except Exception:  # Pillow raises whatever damaged bytes make it trip over
            with pytest.raises(DatasetError):
                decoder.decode(bytes(content))
            continue
        image, warning = decoder.decode(bytes(content))
        warned += warning is not None
        assert np.array_equal(np.asarray(image), expected)
    assert warned > 10


def test_a_truncated_jpeg_is_refused_and_not_warned_of() -> None:
    content = factories.jpeg((200, 150))
    with pytest.raises(DatasetError, match="cannot be decoded: "):
        decoder.decode(content[: len(content) // 2])


def test_where_the_libraries_differ_every_pixel_is_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(content: bytes) -> Image.Image:
        return Image.eval(decoder._by_pillow(content), lambda value: value ^ 1)

    monkeypatch.setattr(decoder, "_by_simplejpeg", other)
    decoder._agree.cache_clear()
    try:
        assert not decoder._agree()
        content = factories.damaged(factories.jpeg((200, 150)))
        image, warning = decoder.decode(content)
    finally:
        decoder._agree.cache_clear()
    assert warning is None
    assert np.array_equal(np.asarray(image), _pillow(content))


def test_without_the_second_library_pillow_decodes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "simplejpeg", None)
    decoder._agree.cache_clear()
    try:
        content = factories.jpeg()
        assert np.array_equal(np.asarray(decoder.decode(content)[0]), _pillow(content))
    finally:
        decoder._agree.cache_clear()


@pytest.mark.material
def test_every_jpeg_of_the_material_has_the_pixels_that_pillow_gives(material: Path) -> None:
    for path in (material / "edge").iterdir():
        if path.suffix.lower() in (".jpg", ".jpeg"):
            image, warning = decoder.decode(path.read_bytes())
            assert warning is None, path.name
            assert np.array_equal(np.asarray(image), _pillow(path.read_bytes())), path.name


@pytest.mark.material
def test_the_bit_flipped_photograph_of_the_material_is_used_and_warned_of(material: Path) -> None:
    content = (material / "broken/bit_flips.jpg").read_bytes()
    image, warning = decoder.decode(content)
    assert warning == "Corrupt JPEG data: premature end of data segment"
    assert np.array_equal(np.asarray(image), _pillow(content))
