from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from assay import demo
from assay.data import decoder
from assay.errors import DatasetError, ImageError
from tests import factories
from tests.messages import assert_says

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
        return Image.eval(decoder._by_pillow(content)[0], lambda value: value ^ 1)

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


NOISE = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
GREY = np.repeat(NOISE[..., :1], 3, axis=2)


def _encoded(array: npt.NDArray[Any], kind: str, mode: str | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(file, kind, **options)
    return file.getvalue()


def _deep_png(array: npt.NDArray[Any], colour: int) -> bytes:
    """A PNG of 16 bits a channel, which Pillow does not write."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 16, colour, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _ppm(array: npt.NDArray[Any], kind: bytes, largest: int) -> bytes:
    height, width = array.shape[:2]
    return b"%s\n%d %d\n%d\n" % (kind, width, height, largest) + array.astype(">u2").tobytes()


SIXTEEN = NOISE.astype(np.uint16) * 257
DEEP = {
    "grey PNG": (_deep_png(SIXTEEN[..., 0], 0), GREY),
    "grey TIFF": (_encoded(SIXTEEN[..., 0], "tiff"), GREY),
    "packed grey TIFF": (_encoded(SIXTEEN[..., 0], "tiff", compression="tiff_lzw"), GREY),
    "grey PGM": (_ppm(SIXTEEN[..., 0], b"P5", 65535), GREY),
    "RGB PNG": (_deep_png(SIXTEEN[..., :3], 2), NOISE[..., :3]),
    "RGBA PNG": (_deep_png(SIXTEEN, 6), NOISE[..., :3]),
    "RGB PPM": (_ppm(SIXTEEN[..., :3], b"P6", 65535), NOISE[..., :3]),
}


@pytest.mark.parametrize("kind", DEEP)
def test_deep_pixels_are_scaled_to_8_bits_and_it_is_said(kind: str) -> None:
    content, expected = DEEP[kind]
    image, warning = decoder.decode(content)
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(image), expected)
    assert warning is not None
    assert warning.startswith("16 bits a ")


@pytest.mark.parametrize(
    ("array", "kind", "said"),
    [
        (NOISE[..., 0].astype(np.float32), "tiff", "floating-point numbers, of no known range"),
        (NOISE[..., 0].astype(np.float32), "ppm", "floating-point numbers, of no known range"),
        (NOISE[..., 0].astype(np.int32), "tiff", "integers of an unknown range"),
    ],
)
def test_pixels_of_no_known_range_are_refused(array: npt.NDArray[Any], kind: str, said: str) -> None:
    with pytest.raises(ImageError) as caught:
        decoder.decode(_encoded(array, kind))
    assert_says(caught, said, "save it with 8 bits a channel")


@pytest.mark.parametrize(("alpha", "is_said"), [(255, False), (254, True)])
def test_transparency_is_left_aside_and_said(alpha: int, is_said: bool) -> None:
    pixels = NOISE.copy()
    pixels[..., 3] = 255
    pixels[3, 4, 3] = alpha
    image, warning = decoder.decode(_encoded(pixels, "png"))
    assert np.array_equal(np.asarray(image), pixels[..., :3])
    assert (warning is not None and warning.startswith("transparent pixels")) == is_said


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr"])
def test_ordinary_pixels_are_pillows_without_a_word(mode: str) -> None:
    content = _encoded(NOISE[..., :3], "tiff" if mode in ("CMYK", "YCbCr") else "png", mode)
    image, warning = decoder.decode(content)
    assert warning is None
    assert np.array_equal(np.asarray(image), _pillow(content))


def test_a_git_lfs_pointer_in_place_of_an_image_is_named() -> None:
    with pytest.raises(ImageError, match="a Git LFS pointer"):
        decoder.decode(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP"])
def test_of_several_pictures_the_first_is_used_and_it_is_said(kind: str) -> None:
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    buffer = io.BytesIO()
    first.save(buffer, kind, save_all=True, append_images=[second], lossless=True)
    image, warning = decoder.decode(buffer.getvalue())
    assert warning == "several pictures, of which the first is used"
    assert image.getpixel((4, 4)) == (255, 0, 0) or kind == "WEBP"
