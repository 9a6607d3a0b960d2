"""Where images lie: one file a form."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from assay.data.class_list import ClassList
from assay.data.sources import archive, folder, tar, webdataset
from assay.data.sources.archive import Archive, is_archive

__all__ = ["Source", "find", "is_archive"]


class Source(Protocol):
    """Images with names, wherever their bytes lie; read by several threads at once."""

    @property
    def path(self) -> Path:
        """Where they lie, as it was given."""

    @property
    def names(self) -> tuple[str, ...]:
        """In their order: the file's name; in class folders `class/file`."""

    @property
    def skipped(self) -> tuple[str, ...]:
        """Files that are no images by their name."""

    @property
    def folders(self) -> tuple[str, ...] | None:
        """The class folders in alphabetical order; None where none say the classes."""

    def read(self, name: str) -> bytes:
        """The bytes of one image; raises `ImageError` where it can be none, and `DatasetError` where reading fails."""

    def stamp(self, name: str) -> object:
        """What tells cheaply that an image was touched."""

    def classes(self, class_list: ClassList | None) -> tuple[int, ...] | None:
        """Every image's class, in the order of the names, as the source itself has it; None where it has none."""


def find(path: Path) -> Source:
    """The images at a path, by what lies there: a folder, a `.tar`, or WebDataset shards."""
    if path.is_dir():
        shards = webdataset.in_folder(path)
        source = folder.look(path) if shards else folder.find(path)
        return source if source is not None else _of(archive.listed(path, shards))
    if path.is_file():
        return _of(archive.listed(path, [path]))
    if webdataset.is_pattern(path):
        return _of(archive.listed(path, webdataset.expanded(path)))
    return folder.find(path)


def _of(listed: Archive) -> Source:
    return webdataset.samples(listed) if webdataset.is_sampled(listed) else tar.laid_out(listed)
