"""images → tensors → a list of them: the guide's chapter 4."""

from __future__ import annotations

import os
import stat
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from assay import environment, units
from assay.data import transform as image_transform
from assay.data.sources import folder as folder_source
from assay.data.sources import info_file
from assay.data.sources.folder import ImageFolder
from assay.errors import DatasetError, RecordError, UnknownNameError, UsageError
from assay.guide import formats
from assay.progress import Progress, Silent, Stopwatch
from assay.records import ImageTransform, ImageWarning
from assay.steps.check_images import demo_transform
from assay.steps.dataset import damaged
from assay.storage import store

MODEL_TYPES: Mapping[str, ImageTransform] = {**image_transform.PRESETS, "demo": demo_transform()}
"""The guide's four, and the demo's own model, which takes small images."""

_IMAGE_SUFFIXES = ("jpg", "jpeg", "JPG", "JPEG")
_ORIENTATION = 0x0112
"""The tag of EXIF that says how the camera was held."""
_TURNED = range(5, 9)
"""Its values that exchange the sides."""
_BATCH = 4
"""Images a worker takes at once."""


def preprocess(model_type: str, images: Path, out: Path, progress: Progress = Silent()) -> int:
    """Writes one file of normalised float32 3×H×W an image, and returns how many.

    Raises `DatasetError` with every image that cannot be decoded, and with those whose tensors would have one name;
    then nothing is written.
    """
    if model_type not in MODEL_TYPES:
        raise UnknownNameError("model type", model_type, MODEL_TYPES)
    watch = Stopwatch()
    source = folder_source.find(images)
    targets = _targets(source)
    progress.start("prepare", len(targets))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        # Moved to their place only when all are there: the next step takes whatever lies in the folder.
        with tempfile.TemporaryDirectory(prefix=".tensors-", dir=out if out.is_dir() else out.parent) as scratch:
            warnings = _write(source, MODEL_TYPES[model_type], targets, Path(scratch), progress)
            out.mkdir(exist_ok=True)
            for target in targets.values():
                (Path(scratch) / target).replace(out / target)
    except OSError as error:
        raise RecordError(
            f"cannot write to {out}: {error.strerror or error}; free the space or choose another folder"
        ) from error
    side = MODEL_TYPES[model_type].crop
    progress.finish("prepare", f"{len(targets)} images → 3×{side}×{side}", f"model type {model_type}", watch.seconds)
    if warnings:
        progress.warn(damaged(warnings))
    if source.skipped:
        progress.note(f"skipped {len(source.skipped)} files, no images by their names: {units.names(source.skipped)}")
    others = sorted({path.name for path in out.glob(f"*{formats.TENSOR_SUFFIX}")} - set(targets.values()))
    if others:
        progress.note(f"{out} holds {len(others)} tensors of other images too: {units.names(tuple(others))}")
    return len(targets)


def _targets(source: ImageFolder) -> dict[str, str]:
    """Every image and the name of its tensor; raises where two images have one."""
    targets = {name: formats.tensor_name(PurePosixPath(name).name) for name in source.names}
    _require_listable(list(targets), source.path)
    images_of = defaultdict(list)
    for name, target in targets.items():
        images_of[target].append(name)
    shared = [f"{target}: {', '.join(names)}" for target, names in images_of.items() if len(names) > 1]
    if shared:
        raise DatasetError(
            f"{len(shared)} tensors in {source.path} would be of several images, since a tensor is named by what "
            "stands before the first dot; rename the images",
            shared,
        )
    return targets


def _write(
    source: ImageFolder, transform: ImageTransform, targets: Mapping[str, str], out: Path, progress: Progress
) -> list[ImageWarning]:
    """Writes every tensor; returns what the decoder warned of, and raises with the images that cannot be used."""

    def convert(names: tuple[str, ...]) -> list[tuple[str | None, str | None]]:
        told = [_convert(source, transform, name, out / targets[name]) for name in names]
        progress.advance(len(names))
        return told

    names = source.names
    parts = [names[start : start + _BATCH] for start in range(0, len(names), _BATCH)]
    with ThreadPoolExecutor(environment.cores()) as workers:
        told = [one for part in workers.map(convert, parts) for one in part]
    problems = [f"{name}: {problem}" for name, (problem, _) in zip(names, told, strict=True) if problem is not None]
    if problems:
        raise DatasetError(
            f"{len(problems)} of {len(names)} images in {source.path} cannot be used; mend or remove them", problems
        )
    return [ImageWarning(name=name, reason=why) for name, (_, why) in zip(names, told, strict=True) if why is not None]


def _convert(source: ImageFolder, transform: ImageTransform, name: str, target: Path) -> tuple[str | None, str | None]:
    """Writes one tensor, as the guide's script does; returns what is wrong with the image, and what was warned of."""
    try:
        pixels, warning = image_transform.pixels_and_warning(source.read(name), transform, deep_is_white=True)
    except DatasetError as error:
        return error.message, None
    tensor = np.empty((1, 3, transform.crop, transform.crop), np.float32)
    image_transform.normalise(pixels[np.newaxis], transform, tensor)
    target.write_bytes(tensor.astype("<f4", copy=False).data)
    return None, warning


def list_tensors(folder: str, out: Path, width: int, height: int) -> int:
    """Writes the list of a folder's tensors, sorted by name, and returns how many; their sizes must be as given.

    Raises `DatasetError` where the list would hold what `info.read` refuses: links, and files that lie neither below
    the list's folder nor below the one where this runs.
    """
    if max(width, height) > info_file.LONGEST_SIDE:
        raise UsageError(f"{width} {height}: no side of an image is longer than {info_file.LONGEST_SIDE} pixels")
    paths = _found(folder, formats.TENSOR_SUFFIX[1:])
    if not paths:
        raise DatasetError(f"no .bin file in {folder}; write them with imagenet_torch_preprocess.py")
    info_file.require_inside(out, out.parent.resolve(), folder)
    expected = info_file.tensor_bytes(width, height)
    sizes = {path: _size(path) for path in paths}
    links = [path for path, size in sizes.items() if size == _LINK]
    if links:
        raise DatasetError(
            f"{len(links)} of {len(paths)} tensors in {folder} are links, which benchmark does not follow; list the "
            "folder that they lead to, or copy the files",
            links,
        )
    wrong = [f"{path}: {size}" for path, size in sizes.items() if size != f"{expected} bytes"]
    if wrong:
        raise DatasetError(
            f"{len(wrong)} of {len(paths)} tensors in {folder} are not 3×{height}×{width} float32, {expected} bytes; "
            "give the width and height that they were prepared for",
            wrong,
        )
    store.write_bytes(
        out, "".join(info_file.line(index, path, width, height) for index, path in enumerate(paths)).encode()
    )
    return len(paths)


def list_images(folder: str, out: Path) -> int:
    """Writes the list of a folder's JPEGs with their sides, one suffix after the other, each counted from 0."""
    lines, wrong = [], []
    for suffix in _IMAGE_SUFFIXES:
        for index, path in enumerate(_found(folder, suffix)):
            try:
                lines.append(info_file.line(index, path, *_sides(path)))
            except Exception as error:  # Pillow raises whatever damaged bytes make it trip over
                wrong.append(f"{path}: {error}")
    if wrong:
        raise DatasetError(f"{len(wrong)} images in {folder} cannot be read; mend or remove them", wrong)
    if not lines:
        raise DatasetError(f"no image in {folder} that ends in {', '.join(_IMAGE_SUFFIXES)}")
    store.write_bytes(out, "".join(lines).encode())
    return len(lines)


def _sides(path: str) -> tuple[int, int]:
    """Width and height as the original's OpenCV reads them: of the image turned as its EXIF says."""
    orientation, exif = None, Image.Exif()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged EXIF, which turns no image
        with Image.open(path) as image:
            width, height = image.size
            with suppress(Exception):  # Pillow raises whatever damaged bytes make it trip over
                exif.load(image.info.get("exif", b""))
                orientation = exif.get(_ORIENTATION)
    return (height, width) if orientation in _TURNED else (width, height)


_LINK = "a link"


def _size(path: str) -> str:
    try:
        status = os.lstat(path)
    except OSError as error:
        return error.strerror or str(error)
    if info_file.is_file(status):
        return f"{status.st_size} bytes"
    return _LINK if stat.S_ISLNK(status.st_mode) else "no file"


def _require_listable(names: Sequence[str], folder: Path | str) -> None:
    """Raises where a name cannot stand in a line of a list, which every later step reads."""
    strange = [ascii(name) for name in names if not name.isprintable()]
    if strange:
        raise DatasetError(
            f"{len(strange)} names in {folder} hold line ends, control characters or bytes that are not UTF-8, which "
            "no list can hold; rename the files",
            strange,
        )


def _found(folder: str, suffix: str) -> list[str]:
    """The files of a folder with a suffix, sorted, each named as the folder was given.

    A folder that is reached through `..` is named by its whole path: the readers of the list refuse others.
    """
    if ".." in folder.split("/"):
        folder = str(Path(folder).resolve())
    if not Path(folder).is_dir():
        raise DatasetError(f"no folder at {folder}; give the folder of the files to list")
    # What a path looks like is the original's: the folder as it was given, a slash, and the name.
    names = [path.name for path in Path(folder).glob(f"*.{suffix}")]
    _require_listable([folder, *names], folder)
    return sorted(os.path.join(folder, name) for name in names)  # noqa: PTH118 - a Path would drop `./`
