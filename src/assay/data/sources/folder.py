"""Images in a folder: flat, or one folder a class."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assay import units
from assay.data.class_list import ClassList
from assay.data.sources import class_folders
from assay.errors import DatasetError, ImageError
from assay.storage import store

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""The endings, in lower case, that make a file an image by its name."""

MOST_BYTES = 1 << 30
"""Of an image's file: more than any has whose pixels are few enough to be decoded."""


@dataclass(frozen=True)
class ImageFolder:
    """The images of a folder, sorted by name."""

    path: Path
    names: tuple[str, ...]
    """The file's name; in class folders `class/file`."""
    folders: tuple[str, ...] | None
    """The class folders in alphabetical order, empty ones too; None in a flat folder."""
    skipped: tuple[str, ...]
    """Files that are no images by their name."""

    def read(self, name: str) -> bytes:
        """The bytes of one image's file; raises `ImageError` where it is none, `DatasetError` where reading fails."""
        path = self.path / name
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                raise ImageError(f"cannot read image {path}: it is no file but a device or a pipe")
            if status.st_size > MOST_BYTES:
                raise ImageError(
                    f"cannot read image {path}: it has {units.memory(status.st_size)}, and an image has "
                    f"{units.memory(MOST_BYTES)} at most"
                )
            return path.read_bytes()
        except OSError as error:
            raise DatasetError(
                f"cannot read image {path}: {error.strerror or error}; mend that or take it away, and run the command "
                "again"
            ) from error

    def stamp(self, name: str) -> tuple[str | int, ...] | None:
        """What tells cheaply that an image's file was touched; None where it is gone, which reading it will say."""
        try:
            return store.stamp(self.path / name)
        except OSError:
            return None

    def classes(self, class_list: ClassList | None) -> tuple[int, ...] | None:
        """Every image's class by its folder."""
        return class_folders.numbered(self.names, self.folders, self.path, class_list)


def is_image(name: str) -> bool:
    """Whether a file is an image by its name."""
    return name[name.rfind(".") :].lower() in SUFFIXES


def find(path: Path) -> ImageFolder:
    """Lists the images in a flat folder, or in the class folders below it where it holds no image itself.

    Raises `DatasetError` where there are none, or some lie deeper.
    """
    if not path.is_dir():
        raise DatasetError(
            f"no folder of images at {path}; give a folder of files or of class folders, or a .tar of them"
        )
    images = look(path)
    if images is None:
        raise DatasetError(
            f"no image in {path} or in folders directly below it; images end in {', '.join(sorted(SUFFIXES))}"
        )
    return images


def look(path: Path) -> ImageFolder | None:
    """The images of a folder that is there; None where neither it nor a folder directly below it holds any."""
    try:
        images = _look(path)
    except OSError as error:
        raise DatasetError(f"cannot list {error.filename or path}: {error.strerror or error}") from error
    strange = [name for name in (*images.names, *images.skipped) if not _is_utf8(name)] if images is not None else []
    if strange:
        raise DatasetError(f"{len(strange)} names of files in {path} are no UTF-8 text; rename them", strange)
    return images


def _is_utf8(name: str) -> bool:
    # Python reads a byte that is none as half of a character, which no record can hold.
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def _look(path: Path) -> ImageFolder | None:
    files, folders = _entries(path)
    images, skipped = _split(files, "")
    if images:
        _require_none_deeper(path, folders)
        return ImageFolder(path, tuple(sorted(images)), None, tuple(sorted(skipped)))
    labelled: list[str] = []
    deeper: list[str] = []
    for folder in sorted(folders):
        files, inside = _entries(path / folder)
        images, not_images = _split(files, f"{folder}/")
        labelled += images
        skipped += not_images
        deeper += [f"{folder}/{name}" for name in inside]
    if not labelled:
        return None
    _require_none_deeper(path, deeper)
    return ImageFolder(path, tuple(sorted(labelled)), tuple(sorted(folders)), tuple(sorted(skipped)))


def _require_none_deeper(path: Path, folders: Sequence[str]) -> None:
    """Raises where folders that are not looked into hold images, at any depth: they would be lost in silence."""
    # A link may lead back up, to images that are counted already or to itself.
    seen = {_identity(path / above) for folder in folders for above in Path(folder).parents}
    deeper: list[str] = []
    left = list(folders)
    while left:
        folder = left.pop()
        if (identity := _identity(path / folder)) in seen:
            continue
        seen.add(identity)
        files, inside = _entries(path / folder)
        deeper += [f"{folder}/{name}" for name in files if is_image(name)]
        left += [f"{folder}/{name}" for name in inside]
    if deeper:
        raise DatasetError(
            f"{len(deeper)} images in {path} lie deeper than others or than class folders; lay them out flat or with "
            "one folder a class",
            sorted(deeper),
        )


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the files and of the folders; a link whose file is gone is a file, so that it is missed by name."""
    files: list[str] = []
    folders: list[str] = []
    for entry in folder.iterdir():
        if not entry.name.startswith("."):
            (folders if entry.is_dir() else files).append(entry.name)
    return files, folders


def _split(names: list[str], prefix: str) -> tuple[list[str], list[str]]:
    images = [prefix + name for name in names if is_image(name)]
    others = [prefix + name for name in names if not is_image(name)]
    return images, others
