"""Files inside of tar archives: listed once, and then read at random by any number of threads, without unpacking."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from assay import units
from assay.data.sources import tar_headers
from assay.data.sources.folder import MOST_BYTES
from assay.errors import DatasetError, ImageError
from assay.storage import store

_COMPRESSED = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ\0": ("xz", "unxz"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
}
_LISTINGS_KEPT = 2
"""A run lists its images as it is checked and again as they are prepared."""


class TarFile(NamedTuple):
    """One archive as it was when it was listed."""

    path: Path
    identity: tuple[int, int, int, int]
    """As `store.identity` has it."""


class Place(NamedTuple):
    """Where a file's bytes lie."""

    archive: int
    """Its number among the archives."""
    offset: int
    size: int


@dataclass(frozen=True)
class Archive:
    """The files of one archive or of several, by their names; hidden ones are left out, as in a folder."""

    path: Path
    """What stands for all of them: the archive, their folder, or their pattern."""
    archives: tuple[TarFile, ...]
    places: dict[str, Place]
    folders: frozenset[str]
    """The folders that are members themselves; they may be empty."""

    def read(self, name: str) -> bytes:
        """The bytes of one file; opened for each, so that thousands of archives need no open file each."""
        place = self.places[name]
        with _opened(self.archives[place.archive]) as descriptor:
            return _read(descriptor, place, self.archives[place.archive].path, name)

    def contents(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Many files in the order in which they lie, each archive opened once."""
        by_archive: dict[int, list[str]] = {}
        for name in names:
            by_archive.setdefault(self.places[name].archive, []).append(name)
        for number, inside in sorted(by_archive.items()):
            with _opened(self.archives[number]) as descriptor:
                for name in sorted(inside, key=lambda one: self.places[one].offset):
                    yield name, _read(descriptor, self.places[name], self.archives[number].path, name)

    def stamp(self, name: str) -> tuple[object, ...]:
        """What tells that a file may be another: its archive's name and identity, and its place there."""
        place = self.places[name]
        archive = self.archives[place.archive]
        return archive.path.name, *archive.identity, place.offset, place.size


def is_archive(path: Path) -> bool:
    """Whether a file is a tar archive by how it begins or by its name, compressed or not."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            begin = file.read(tar_headers.BLOCK)
    except OSError:
        return False
    return begin[257:262] == b"ustar" or path.suffix == ".tar" or compression(begin) is not None


def compression(begin: bytes) -> tuple[str, str] | None:
    """How a file that begins so is compressed, and the command that unpacks it; None where it is not."""
    return next((how for magic, how in _COMPRESSED.items() if begin.startswith(magic)), None)


def listed(path: Path, paths: Sequence[Path]) -> Archive:
    """Lists archives, which `path` stands for; raises `DatasetError` with every member that cannot be trusted."""
    missing = [str(one) for one in paths if not one.is_file()]
    if missing:
        raise DatasetError(f"{len(missing)} of {len(paths)} archives of {path} are missing; fetch them", missing)
    return _listed(path, tuple(_as_it_is(one) for one in paths))


def _as_it_is(path: Path) -> TarFile:
    try:
        status = path.stat()
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror or error}; check its permissions") from error
    return TarFile(path, store.identity(status))


@lru_cache(_LISTINGS_KEPT)
def _listed(path: Path, archives: tuple[TarFile, ...]) -> Archive:
    places: dict[str, Place] = {}
    folders: set[str] = set()
    refused: list[str] = []
    for number, archive in enumerate(archives):
        for member in _members(archive):
            name = "/".join(part for part in member.name.split("/") if part not in ("", "."))
            reason = _refusal(member, name)
            if reason is None and member.kind != tar_headers.FOLDER and name in places:
                first = archives[places[name].archive].path.name
                reason = "stands there twice" if first == archive.path.name else f"stands in {first} too"
            if reason is not None:
                where = f" in {archive.path.name}" if len(archives) > 1 else ""
                refused.append(f"{member.name!r}{where}: {reason}")
            elif "/." in f"/{name}":
                continue
            elif member.kind == tar_headers.FOLDER:
                folders.add(name)
            else:
                places[name] = Place(number, member.offset, member.size)
    if refused:
        raise DatasetError(
            f"{len(refused)} members of {path} cannot be trusted; make the archive again of plain files, "
            "each once and by a relative name",
            refused,
        )
    return Archive(path, archives, places, frozenset(folders - {""}))


def _members(archive: TarFile) -> Iterator[tar_headers.Member]:
    with _opened(archive) as descriptor:
        read_at = partial(_pread, descriptor, archive.path)
        begin = read_at(0, tar_headers.BLOCK)
        how = compression(begin)
        if how is not None:
            raise DatasetError(
                f"{archive.path} is compressed ({how[0]}), and images inside cannot be read at random; unpack that "
                f"once: {how[1]} {archive.path}"
            )
        yield from tar_headers.members(read_at, archive.identity[0], str(archive.path))


def _pread(descriptor: int, path: Path, offset: int, size: int) -> bytes:
    try:
        return os.pread(descriptor, size, offset)
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror or error}; check the disk") from error


def _refusal(member: tar_headers.Member, name: str) -> str | None:
    """Why a member is not used; None where it may be."""
    if member.kind not in (tar_headers.REGULAR, tar_headers.FOLDER):
        return f"a {member.kind}"
    if member.name.startswith("/"):
        return "an absolute path"
    if ".." in member.name.split("/"):
        return "leads out of its folder"
    if "\0" in member.name or not _is_unicode(member.name):
        return "its name is not UTF-8"
    if not name and member.kind == tar_headers.REGULAR:
        return "it has no name"
    return None


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _opened(archive: TarFile) -> Iterator[int]:
    """A descriptor of an archive that is still what was listed."""
    try:
        descriptor = os.open(archive.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DatasetError(f"cannot read {archive.path}: {error.strerror or error}; fetch it again") from error
    try:
        if store.identity(os.fstat(descriptor)) != archive.identity:
            raise DatasetError(f"{archive.path} was changed since its members were listed; run the command again")
        yield descriptor
    finally:
        os.close(descriptor)


def _read(descriptor: int, place: Place, path: Path, name: str) -> bytes:
    if place.size > MOST_BYTES:
        raise ImageError(
            f"cannot read {name} in {path}: it has {units.memory(place.size)}, and an image has "
            f"{units.memory(MOST_BYTES)} at most"
        )
    content = _pread(descriptor, path, place.offset, place.size)
    if len(content) < place.size:
        raise DatasetError(f"cannot read {name} in {path}: the file ends within it; fetch the archive again")
    return content
