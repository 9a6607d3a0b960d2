"""Images in a `.tar`, by the names that they would have in a folder it was unpacked to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from assay.data.class_list import ClassList
from assay.data.sources import class_folders
from assay.data.sources.archive import Archive
from assay.data.sources.folder import SUFFIXES, is_image
from assay.errors import DatasetError


@dataclass(frozen=True)
class TarImages:
    """The images of archives laid out as folders are: flat, or one folder a class."""

    archive: Archive
    top: str
    """The folders that everything lies in, with their last slash; they are no part of a name."""
    names: tuple[str, ...]
    folders: tuple[str, ...] | None
    """The class folders in alphabetical order; None in a flat archive."""
    skipped: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where the images lie."""
        return self.archive.path

    def read(self, name: str) -> bytes:
        """The bytes of one image."""
        return self.archive.read(self.top + name)

    def stamp(self, name: str) -> object:
        """What tells cheaply that an image was touched."""
        return self.archive.stamp(self.top + name)

    def classes(self, class_list: ClassList | None) -> tuple[int, ...] | None:
        """Every image's class by its folder."""
        return class_folders.numbered(self.names, self.folders, self.path, class_list)


def laid_out(archive: Archive) -> TarImages:
    """Finds the images of archives; raises `DatasetError` where there are none, or they lie neither way."""
    top = _top(archive)
    inside = [name.removeprefix(top) for name in archive.places if name.startswith(top)]
    outside = [name for name in archive.places if not name.startswith(top)]
    images = sorted(filter(is_image, inside))
    others = sorted([*outside, *(name for name in inside if not is_image(name))])
    if not images:
        raise _no_image(archive, others)
    depth = min(name.count("/") for name in images)
    deeper = [name for name in images if name.count("/") > depth]
    if depth > 1 or deeper:
        raise DatasetError(
            f"{len(deeper) or len(images)} images in {archive.path} lie deeper than others or than class folders; "
            "make the archive again, flat or with one folder a class",
            deeper or images,
        )
    if depth == 0:
        return TarImages(archive, top, tuple(images), None, tuple(others))
    return TarImages(archive, top, tuple(images), tuple(sorted(_folders(archive, top))), tuple(others))


def _top(archive: Archive) -> str:
    """The folders that all images lie in: each is the only one in its place, and no image lies beside it."""
    top = ""
    while True:
        beside = any(is_image(name) for name in archive.places if _parent(name) == top)
        folders = _folders(archive, top)
        if beside or len(folders) != 1:
            return top
        top += f"{folders.pop()}/"


def _folders(archive: Archive, top: str) -> set[str]:
    """The names of the folders directly in one."""
    firsts = _first_parts((f"{name}/" for name in archive.folders), top)
    return firsts | _first_parts(archive.places, top)


def _first_parts(names: Iterable[str], top: str) -> set[str]:
    parts = (name.removeprefix(top).partition("/") for name in names if name.startswith(top))
    return {first for first, slash, _ in parts if slash and first}


def _parent(name: str) -> str:
    return name[: name.rfind("/") + 1]


def _no_image(archive: Archive, others: list[str]) -> DatasetError:
    inner = [name for name in others if name.endswith(".tar")]
    if inner:
        return DatasetError(
            f"{archive.path} holds archives, not images; unpack it, and each of them into a folder of its name", inner
        )
    return DatasetError(f"no image in {archive.path}; images end in {', '.join(sorted(SUFFIXES))}", others)
