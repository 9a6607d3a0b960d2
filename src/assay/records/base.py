"""What all records are made of: frozen structures, references to files, and the plain types of their fields."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

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
Natural = Annotated[int, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
SomeSeconds = Annotated[float, msgspec.Meta(ge=1e-9)]
"""No clock tells less."""

TOP_K = 5


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """What all records share: frozen, strict on reading; each is built by keyword.

    What other fields rule out is refused at birth, by `require`: a file that somebody made may hold any figures.
    """


def require(holds: bool, expected: str) -> None:
    """Raises `ValueError` where a record's fields do not fit together; reading a file adds where in it that is."""
    if not holds:
        raise ValueError(f"expected {expected}")


PERCENTILES: Mapping[str, float] = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}
"""Of the times of inference calls, by the names that gates, tables and pages have for them."""
LATENCIES = ("min", "mean", *PERCENTILES, "max")
"""Every figure of those times, in the order in which they are shown."""


class FileReference(Record, frozen=True, kw_only=True):
    """A file and what it held when it was recorded; size and time tell cheaply whether it was touched."""

    path: Path
    sha256: str
    size: int
    modified_ns: int


class ArrayFile(Record, frozen=True, kw_only=True):
    """An array in a `.npy` file."""

    file: FileReference
    shape: tuple[Natural, ...]
    dtype: str

    def load(self, check: bool = True) -> npt.NDArray[Any]:
        """The array, memory-mapped and read-only; raises `RecordError` where its file is gone or damaged.

        Without `check` its bytes are not held to their hash: whoever calls has done so.
        """
        path = self.file.path
        try:
            if check:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            # Other than numpy's general reader this takes no archives and no pickles.
            array: npt.NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
        except Exception as error:  # numpy reads the header as Python, and raises whatever that makes it trip over
            if isinstance(error, OSError):
                raise RecordError(f"cannot read {path}: {error}", remedy=RecordError.AGAIN) from error
            raise RecordError.damaged(path, f"{type(error).__name__}: {error}") from error
        if check and digest != self.file.sha256:
            raise RecordError.damaged(path)
        if array.shape != self.shape or array.dtype.name != self.dtype:
            raise RecordError.damaged(path, f"it holds {array.dtype} {array.shape}, not what its record says")
        return array
