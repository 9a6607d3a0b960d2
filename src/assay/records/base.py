"""What all records are made of: frozen structures, references to files, and the plain types of their fields."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from assay.errors import RecordError

Interpolation = Literal["bilinear", "bicubic"]
InputKind = Literal["uint8", "float32"]
Precision = Literal["fp32", "fp16", "int8"]
Calibrator = Literal["minmax", "entropy", "percentile"]
PixelSource = Literal["prepared", "images", "tensors", "synthetic"]
ThroughputKind = Literal["interface", "end-to-end", "scenario"]
"""Of the inference calls alone, of the whole way, or as a LoadGen scenario counts it."""
VerdictWord = Literal["PASS", "FAIL", "INCONCLUSIVE", "NOT COMPARABLE"]
Setting = bool | int | float | str

TOP_K = 5


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """What all records share: frozen, strict on reading; each is built by keyword."""


class FileReference(Record, frozen=True, kw_only=True):
    """A file and what it held when it was recorded; size and time tell cheaply whether it was touched."""

    path: Path
    sha256: str
    size: int
    modified_ns: int


class ArrayFile(Record, frozen=True, kw_only=True):
    """An array in a `.npy` file."""

    file: FileReference
    shape: tuple[int, ...]
    dtype: str

    def load(self, check: bool = True) -> npt.NDArray[Any]:
        """The array, memory-mapped and read-only; raises `RecordError` where its file is gone or damaged.

        Without `check` its bytes are not held to their hash: whoever calls has done so.
        """
        try:
            if check:
                with self.file.path.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
                if found != self.file.sha256:
                    raise RecordError.damaged(self.file.path)
            array: npt.NDArray[Any] = np.load(self.file.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise RecordError(f"cannot read {self.file.path}: {error}; run the step that makes it again") from error
        if array.shape != self.shape or array.dtype.name != self.dtype:
            raise RecordError(f"{self.file.path} holds {array.dtype} {array.shape}, not what its record says")
        return array
