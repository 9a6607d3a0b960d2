"""Records and arrays on disk: whole or not at all, versioned, and hashed.

A file is written beside its place, flushed to the disk and renamed, so what has its name is whole. A record's
file is an envelope around the record (see `envelope.py`), with `made_from`, a hash of the inputs of the step that made
it. A step is not done again while `made_from` and its outputs are what they were; where they are damaged, that is said.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from assay.errors import RecordError
from assay.records import ArrayFile, FileReference, Record
from assay.storage import envelope
from assay.storage.files import replacing, scratch, scratch_folder
from assay.storage.locks import LOCK

__all__ = [
    "array_file",
    "content",
    "files_of",
    "hash_file",
    "hash_of",
    "identity",
    "is_intact",
    "is_there",
    "kept",
    "kind_of",
    "read",
    "read_part",
    "reference",
    "replacing",
    "save_array",
    "scratch",
    "scratch_folder",
    "stamp",
    "to_json",
    "verified",
    "write",
    "write_bytes",
]

_SETTLED_NS = 2_000_000_000

R = TypeVar("R", bound=Record)
T = TypeVar("T")


def hash_file(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_of(*parts: object) -> str:
    """A sha256 over records, paths and plain values; the same parts give the same hash on every machine."""
    try:
        encoded = msgspec.json.encode(parts, enc_hook=partial(_encode_path, None, None), order="deterministic")
    except UnicodeEncodeError as error:
        raise _no_text(error) from error
    return hashlib.sha256(encoded).hexdigest()


def stamp(path: Path) -> tuple[str | int, ...]:
    """What tells cheaply that a file was touched, as git's index has it: its name, and what `identity` says."""
    return path.name, *identity(path.stat())


def identity(status: os.stat_result) -> tuple[int, int, int, int]:
    """Size in bytes, the times of the last change of bytes and of anything in ns, and the inode.

    Size and the first time are what tools that make builds repeatable set at will; the second time they cannot set.
    """
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def content(path: Path) -> str:
    """The hash of a file that the user gave, for which no stamp is enough; read once in a process."""
    status = path.stat()
    if time.time_ns() - max(status.st_ctime_ns, status.st_mtime_ns) < _SETTLED_NS:
        # A file that is written now may change again within the clock's tick.
        return hash_file(path)
    return _content(path.resolve(), identity(status))


@lru_cache(maxsize=64)
def _content(path: Path, identity: tuple[int, int, int, int]) -> str:
    return hash_file(path)


def reference(path: Path) -> FileReference:
    """A reference to a file as it is now."""
    status = path.stat()
    return FileReference(path=path.resolve(), sha256=content(path), size=status.st_size, modified_ns=status.st_mtime_ns)


def is_intact(file: FileReference) -> bool:
    """Whether a file is there and, by its size and time, or else by its hash, still what it was."""
    try:
        status = file.path.stat()
    except OSError:
        return False
    if status.st_size != file.size:
        return False
    return status.st_mtime_ns == file.modified_ns or hash_file(file.path) == file.sha256


def verified(file: FileReference) -> Path:
    """The path of a file whose bytes have just been checked against its hash."""
    if not file.path.is_file():
        raise RecordError(f"{file.path} is missing; run the step that makes it again")
    if hash_file(file.path) != file.sha256:
        raise RecordError.damaged(file.path)
    return file.path


def is_there(file: FileReference) -> bool:
    """Whether a file is there, its size and time (or else its hash) what they were; raises `RecordError` otherwise."""
    if not file.path.exists():
        return False
    if not is_intact(file):
        raise RecordError.damaged(file.path)
    return True


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    with replacing(path) as beside:
        beside.write_bytes(content)


def save_array(path: Path, array: npt.NDArray[Any]) -> ArrayFile:
    """Writes an array as `.npy` and returns the reference that a record keeps."""
    if array.dtype.hasobject:
        raise ValueError("an array of Python objects cannot be kept; only plain numbers can")
    array = np.ascontiguousarray(array)
    with replacing(path) as beside, beside.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        # numpy's own writing of the data says of a full disk only how many items were written.
        file.write(array.reshape(-1).data)
    return array_file(path, array.shape, array.dtype)


def array_file(path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> ArrayFile:
    """A reference to a `.npy` file that is whole."""
    return ArrayFile(file=reference(path), shape=tuple(shape), dtype=np.dtype(dtype).name)


def to_json(record: Record, made_from: str = "", folder: Path | None = None) -> bytes:
    """A record's file for `folder`: paths within its tree are relative, so that the tree can be moved as a whole.

    The tree is that of the nearest folder above that is held by a lock, as a run's is, or `folder` itself. Every
    other path is absolute; without a folder, all are.
    """
    try:
        body = msgspec.json.encode(record, enc_hook=partial(_encode_path, folder, _tree(folder)))
    except UnicodeEncodeError as error:
        raise _no_text(error) from error
    return envelope.seal(type(record).__name__, made_from, body)


def write(path: Path, record: Record, made_from: str = "") -> None:
    """Writes a record's file."""
    write_bytes(path, to_json(record, made_from, path.resolve().parent))


def read(path: Path, kind: type[R]) -> R:
    """Reads a record's file; anything that is not a whole record of this type is an error that says why."""
    record = envelope.read(path)
    if record.record != kind.__name__:
        raise RecordError(f"{path} holds a record of type {record.record}, not {kind.__name__}; give one of those")
    try:
        return _decoded(path, kind, record)
    except msgspec.DecodeError as error:
        raise RecordError.damaged(path, str(error)) from error


def read_part(path: Path, part: type[T]) -> T:
    """Reads those fields of a record that `part` names, whatever the record's type; raises as `read` does."""
    try:
        return _decoded(path, part, envelope.read(path))
    except msgspec.DecodeError as error:
        raise RecordError.damaged(path, str(error)) from error


def kind_of(path: Path) -> str:
    """The name of the type of record that a file holds."""
    return envelope.read(path).record


def kept(path: Path, kind: type[R], made_from: str) -> R | None:
    """The record at `path`, if a step with these very inputs made it and its files are there.

    Raises `RecordError` where it or one of them is damaged, or of a newer assay: a step that is done again without a
    word would hide it.
    """
    if not path.is_file():
        return None
    earlier = envelope.read(path)
    if earlier.record != kind.__name__ or earlier.made_from != made_from:
        return None
    try:
        record = _decoded(path, kind, earlier)
    except msgspec.DecodeError as error:
        raise RecordError.damaged(path, str(error)) from error
    if all(is_there(file) for file in files_of(record)):
        return record
    # The step is about to make other files: a record that is left, were it killed, would call them damaged.
    path.unlink(missing_ok=True)
    return None


def files_of(record: Record) -> Iterator[FileReference]:
    """Every file among a record's own fields: what its step wrote, not what the records inside it refer to."""
    for value in msgspec.structs.asdict(record).values():
        if isinstance(value, FileReference):
            yield value
        elif isinstance(value, ArrayFile):
            yield value.file
        elif isinstance(value, tuple):
            yield from (item for item in value if isinstance(item, FileReference))
            yield from (item.file for item in value if isinstance(item, ArrayFile))


def _decoded(path: Path, kind: type[T], record: envelope.Envelope) -> T:
    try:
        return msgspec.json.decode(bytes(record.body), type=kind, dec_hook=partial(_decode_path, path.resolve().parent))
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error


def _no_text(error: UnicodeEncodeError) -> RecordError:
    """Of a name with bytes that are no UTF-8, which Python reads as halves of characters."""
    return RecordError(f"{error.object} holds bytes that are no UTF-8 text, which no record can hold; rename it")


def _tree(folder: Path | None) -> Path | None:
    if folder is None:
        return None
    return next((above for above in (folder, *folder.parents) if (above / LOCK).exists()), folder)


def _encode_path(folder: Path | None, tree: Path | None, value: object) -> str:
    if not isinstance(value, Path):
        raise NotImplementedError(f"records hold no {type(value).__name__}")
    if folder is None or tree is None or not value.is_relative_to(tree):
        return str(value)
    return Path(os.path.relpath(value, folder)).as_posix()


def _decode_path(folder: Path, kind: type, value: object) -> Path:
    if kind is not Path or not isinstance(value, str):
        # msgspec adds where in the record this is.
        raise ValueError(f"expected a path, found {value!r}")
    return Path(os.path.normpath(folder / value))
