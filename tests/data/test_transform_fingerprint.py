from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image

from assay.data import decoder, transform_fingerprint
from assay.data import transform as image_transform

FILES = sorted(transform_fingerprint.REFERENCE_IMAGES.iterdir())


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test asks anew: the answer is kept for a process."""
    monkeypatch.setattr(transform_fingerprint, "of_this_machine", transform_fingerprint.of_this_machine.__wrapped__)


def test_the_reference_images_are_small_and_of_every_kind() -> None:
    assert sum(path.stat().st_size for path in FILES) < 60_000
    found = []
    for path in FILES:
        with Image.open(path) as image:
            found.append((image.format, image.mode, bool(image.info.get("progressive"))))
    assert found == [("JPEG", "RGB", False), ("JPEG", "L", True), ("PNG", "P", False)]


def test_the_fingerprint_is_the_same_each_time_and_soon_there() -> None:
    first = transform_fingerprint.of_this_machine()
    begin = time.process_time()
    assert transform_fingerprint.of_this_machine() == first
    # 10 ms where nothing else is at work; a bound that only a mistake would miss.
    assert time.process_time() - begin < 0.5
    assert len(first) == 64


def test_another_resizer_or_decoder_gives_another(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = transform_fingerprint.of_this_machine()
    resize, decode = image_transform.resize, decoder.decode

    def one_pixel_off(content: bytes, deep_is_white: bool) -> tuple[Image.Image, str | None]:
        image, warning = decode(content, deep_is_white)
        pixels = np.array(image)
        pixels[80, 80, 0] ^= 1
        return Image.fromarray(pixels), warning

    with monkeypatch.context() as changed:
        changed.setattr(decoder, "decode", one_pixel_off)
        assert transform_fingerprint.of_this_machine() != ours
    with monkeypatch.context() as changed:
        filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.LANCZOS}
        changed.setattr(image_transform, "_FILTERS", filters)
        assert transform_fingerprint.of_this_machine() != ours
    assert resize is image_transform.resize
    assert transform_fingerprint.of_this_machine() == ours
