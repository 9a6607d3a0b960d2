"""Text files of labels and classes, read whole but never more than such a file can hold."""

from __future__ import annotations

from pathlib import Path

from assay.errors import DatasetError
from assay.storage import files

LARGEST = 64 << 20
"""Bytes: three times the labels of ImageNet's training set."""


def read_bytes(path: Path, what: str) -> bytes:
    """A file's bytes; raises `DatasetError` where it cannot be read or is larger than what it is said to be."""
    try:
        content = files.read(path, LARGEST)
    except OSError as error:
        raise DatasetError(
            f"cannot read the {what} {path}: {error.strerror or error}; a text file in UTF-8 is expected"
        ) from error
    if len(content) > LARGEST:
        raise DatasetError(f"{path} has more than {LARGEST >> 20} MiB, too much for the {what}; give a smaller file")
    return content


def read(path: Path, what: str) -> str:
    """A file's text, without a byte order mark."""
    try:
        return read_bytes(path, what).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"cannot read the {what} {path}: {error}; a text file in UTF-8 is expected") from error
