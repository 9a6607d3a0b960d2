"""Preparing images, against the guide's way: the guide's seconds over ours, on the same files and disk.

Where prepare's time goes, in milliseconds of one core an image, the best of many rounds on an AMD EPYC: decode with
its colours 0.99, into Pillow's layout 0.12, resize 1.57, crop and copy 0.09, read and hash the file 0.08, hash the
pixels 0.10, write them 0.20: 3.2 in all. The guide's way takes 6.8: decode and colours 1.19, resize 1.55, floats
0.85, and 2.84 to write four times as many bytes.

What is left to win with pixels bit-identical: the columns that the crop takes away need no second pass of the
resize, 0.2. Only a resize of our own could leave them out of the first pass too: Pillow's takes its box in single
precision, which moves a few of its weights and with them a few pixels. The same decode, hashes and writes with a
resize that costs nothing would take 1.6.
"""

from __future__ import annotations

import multiprocessing
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path

import numpy as np
from PIL import Image

from assay import demo, environment
from assay.data.transform import PRESETS
from assay.steps.prepare import PrepareRequest, prepare_with
from benchmarks.harness import Benchmark, Bound, Measured, in_turn, seconds_of

WIDTH, HEIGHT, WANDER = 500, 375, 12
"""As in ImageNet: a file has 60 to 110 KB; every fourth image stands upright."""


@dataclass(frozen=True)
class Form:
    """How many images, and how often they are prepared."""

    images: int
    rounds: int


def measure(form: Form, folder: Path) -> Measured:
    """Seconds of both in turn."""
    images = photographs(form.images, folder)
    out = folder / "prepare_vs_guide" / "out"
    # What Python and its imports cost to start is left out on both sides.
    with multiprocessing.get_context("spawn").Pool(environment.cores()) as pool:
        pool.map(_guides_way, [[]] * environment.cores(), chunksize=1)
        _ours(images, out)
        turns = in_turn(lambda: _guide(images, out, pool), lambda: _ours(images, out), form.rounds)
    shutil.rmtree(out, ignore_errors=True)
    return Measured(turns.ratio, f"ours, {form.images} JPEGs: {turns.medians('s')}")


def _ours(images: Path, out: Path) -> float:
    _empty(out)
    return seconds_of(lambda: prepare_with(PrepareRequest(images, out=out), PRESETS["resnet"]))


def _guide(images: Path, out: Path, pool: Pool) -> float:
    """One process a core, each with its share of the files."""
    _empty(out)
    cores = environment.cores()
    pairs = [(path, out / f"{path.stem}.bin") for path in sorted(images.iterdir())]
    return seconds_of(lambda: pool.map(_guides_way, [pairs[core::cores] for core in range(cores)], chunksize=1))


def _guides_way(pairs: Sequence[tuple[Path, Path]]) -> None:
    """The guide's preprocessing: its operations in its order, one file after the other."""
    size, side = 256, 224
    mean = np.array([0.485, 0.456, 0.406], dtype=np.float32)[:, np.newaxis, np.newaxis]
    std = np.array([0.229, 0.224, 0.225], dtype=np.float32)[:, np.newaxis, np.newaxis]
    for path, out in pairs:
        image = Image.open(path).convert("RGB")
        width, height = image.size
        if width < height and width != size:
            image = image.resize((size, int(size * height / width)), Image.Resampling.BILINEAR)
        elif width >= height and height != size:
            image = image.resize((int(size * width / height), size), Image.Resampling.BILINEAR)
        width, height = image.size
        left, top = round((width - side) / 2.0), round((height - side) / 2.0)
        image = image.crop((left, top, left + side, top + side))
        values = np.array(image, dtype=np.float32)
        values = values.transpose(2, 0, 1)
        values = values / np.float32(255.0)
        values -= mean
        values /= std
        values.tofile(out)


def _empty(out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)


def photographs(images: int, folder: Path) -> Path:
    """Photographs of ImageNet's size and weight: the demo's images, enlarged and laid side by side."""
    home = folder / "photographs" / str(images)
    if home.is_dir():
        return home
    beside = home.with_name(f"{images}.partial")
    beside.mkdir(parents=True, exist_ok=True)
    chance = random.Random(0)  # noqa: S311 - made-up pictures
    tiles = [Image.open(path).convert("RGB") for path in sorted(demo.IMAGES.iterdir())]
    for number in range(images):
        size = WIDTH + chance.randint(-WANDER, WANDER), HEIGHT + chance.randint(-WANDER, WANDER)
        image = Image.new("RGB", size if number % 4 else size[::-1])
        tile = chance.randint(100, 140)
        for top in range(0, image.height, tile):
            for left in range(0, image.width, tile):
                image.paste(chance.choice(tiles).resize((tile, tile), Image.Resampling.BICUBIC), (left, top))
        image.save(beside / f"{number:04}.jpg", quality=chance.randint(87, 96))
    beside.rename(home)
    return home


BENCHMARK = Benchmark(measure, full=Form(images=1000, rounds=7), small=Form(images=8, rounds=1), bound=Bound(least=1.8))
