"""CUDA's own interface, as `cuda-python` gives it: devices, streams, and buffers on either side.

Written to the documented interface; not run on a device yet.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import numpy.typing as npt
from cuda.bindings import runtime

from assay.errors import BackendError
from assay.records import TensorSpec


class Cuda:
    """One device."""

    def __init__(self, number: int) -> None:
        self._number = number

    @staticmethod
    def devices() -> int:
        """How many devices there are; none where there is no driver."""
        status, count = runtime.cudaGetDeviceCount()
        return 0 if int(status) else int(count)

    def use(self) -> None:
        """Makes this the device of the calling thread."""
        _result(runtime.cudaSetDevice(self._number), f"use device {self._number}")

    def described(self) -> str:
        """Name and architecture."""
        properties = _result(runtime.cudaGetDeviceProperties(self._number), f"look at device {self._number}")
        name = properties.name.decode().rstrip("\0") if isinstance(properties.name, bytes) else str(properties.name)
        return f"{name} sm_{properties.major}{properties.minor}"

    def stream(self) -> int:
        """A new stream that waits for no other."""
        return int(_result(runtime.cudaStreamCreateWithFlags(runtime.cudaStreamNonBlocking), "make a stream"))

    def wait(self, stream: int) -> None:
        """Blocks until all that was put into a stream is done."""
        _result(runtime.cudaStreamSynchronize(stream), "run a batch")

    def destroy(self, stream: int) -> None:
        """Gives a stream back."""
        _result(runtime.cudaStreamDestroy(stream), "free a stream")


class Buffer:
    """A tensor's memory on the device, and the same pinned on the host."""

    def __init__(self, cuda: Cuda, spec: TensorSpec) -> None:
        cuda.use()
        shape = [int(side) for side in spec.shape]
        kind = np.dtype(spec.dtype)
        self._bytes = math.prod(shape) * kind.itemsize
        self.on_device = int(_result(runtime.cudaMalloc(self._bytes), f"take {self._bytes:,} bytes of the device"))
        self._pinned = int(_result(runtime.cudaMallocHost(self._bytes), f"pin {self._bytes:,} bytes of the host"))
        memory: Any = (ctypes.c_uint8 * self._bytes).from_address(self._pinned)
        self.host: npt.NDArray[Any] = np.frombuffer(memory, dtype=kind).reshape(shape)

    def to_device(self, stream: int) -> None:
        """Puts the copy into a stream."""
        self._copy(self.on_device, self._pinned, runtime.cudaMemcpyKind.cudaMemcpyHostToDevice, stream)

    def to_host(self, stream: int) -> None:
        """Puts the copy into a stream."""
        self._copy(self._pinned, self.on_device, runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost, stream)

    def free(self) -> None:
        """Gives the memory back; the array on the host must not be touched after."""
        _result(runtime.cudaFree(self.on_device), "free memory of the device")
        _result(runtime.cudaFreeHost(self._pinned), "free memory of the host")

    def _copy(self, target: int, source: int, direction: Any, stream: int) -> None:
        _result(runtime.cudaMemcpyAsync(target, source, self._bytes, direction, stream), "copy a batch")


def _result(answer: tuple[Any, ...], doing: str) -> Any:
    """What a call gives beside its status; raises where that is an error."""
    status, *values = answer
    if int(status):
        said = runtime.cudaGetErrorString(status)[1]
        text = said.decode() if isinstance(said, bytes) else str(said)
        raise BackendError(f"CUDA could not {doing}: {text}; use a smaller batch, or see nvidia-smi for who holds it")
    return values[0] if values else None
