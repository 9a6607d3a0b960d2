"""`python -m tests.endurance.stuck WORDS`: an assay command in which one thing hangs, as a call of a vendor's may.

What hangs is chosen by the backend's name, or is every image whose name is told by the environment. It cannot be
interrupted: the thread waits in C for a lock that nobody frees.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from assay.backends import registry
from assay.backends.base import Batch, Scores
from assay.backends.null import Null, NullSession
from assay.backends.onnxruntime import OnnxRuntime
from assay.cli.main import main
from assay.records import BuildOptions, CompiledModel, OnnxModel, Setting
from tests.endurance.hurried import hurry

REACHED = "ASSAY_TEST_REACHED"
"""The variable that names the file which is made once the thing hangs."""
IMAGE = "ASSAY_TEST_IMAGE"
"""The variable that names the file whose content no decoder ever gets through."""

FILE = "ASSAY_TEST_FILE"
"""The variable that names the image whose file no disk ever gives."""

TABLE = {name: f"tests.endurance.stuck:{name.title()}" for name in ("compiling", "opening", "warming", "inferring")}


def hang() -> None:
    """Never returns, and lets no signal through."""
    Path(os.environ[REACHED]).touch()
    mutex = ctypes.create_string_buffer(64)
    library = ctypes.CDLL(None)
    while True:
        library.pthread_mutex_lock(mutex)


class Compiling(OnnxRuntime):
    name = "compiling"

    def compile(self, model: OnnxModel, options: BuildOptions, out: Path) -> None:
        hang()


class Opening(Null):
    name = "opening"

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> NullSession:
        hang()
        raise AssertionError


class _Warming(NullSession):
    def infer(self, batch: Batch) -> Scores:
        hang()
        raise AssertionError


class Warming(Null):
    name = "warming"

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> NullSession:
        return _Warming(compiled, 1)


class _Inferring(NullSession):
    """Hangs at the third batch that has anything on it, which those of a warm-up have not."""

    seen = 0

    def infer(self, batch: Batch) -> Scores:
        self.seen += bool(batch.any())
        if self.seen == 3:
            hang()
        return super().infer(batch)


class Inferring(Null):
    name = "inferring"

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> NullSession:
        return _Inferring(compiled, 1)


def _spoil_decoding(file: Path) -> None:
    from assay.data import decoder

    spoiled, decode = file.read_bytes(), decoder.decode

    def stuck_decode(content: bytes, deep_is_white: bool = False) -> tuple[Image.Image, str | None]:
        if content == spoiled:
            hang()
        return decode(content, deep_is_white)

    decoder.decode = stuck_decode


def _spoil_reading(image: str) -> None:
    from assay.data.sources.folder import ImageFolder

    read = ImageFolder.read

    def stuck_read(self: ImageFolder, name: str) -> bytes:
        if name == image:
            hang()
        return read(self, name)

    ImageFolder.read = stuck_read  # type: ignore[method-assign]


if __name__ == "__main__":
    hurry()
    registry.take_over({**registry.BACKENDS, **TABLE})
    if IMAGE in os.environ:
        _spoil_decoding(Path(os.environ[IMAGE]))
    if FILE in os.environ:
        _spoil_reading(os.environ[FILE])
    sys.exit(main())
