"""A package of torch's ahead-of-time compiler, opened: on the processor, or on a CUDA device.

The session on CUDA is written to torch's documented interface and was not run on a device yet.
"""

from __future__ import annotations

import ctypes
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import psutil
import torch

from assay import environment
from assay.backends.base import Batch, Scores
from assay.backends.slots import SlotPool
from assay.errors import BackendError, Remedy
from assay.records import CompiledModel, TensorSpec

_NAME = "artifact.pt2"
_UNPACKED = "/aotinductor_"
"""What torch's folder of an opened package's files begins with."""
_DONT_NEED = 4
_AGAIN = Remedy("make the artifact again with assay compile")


class TorchSession:
    """A loaded package on the processor, with as many runners as batches may be in flight."""

    def __init__(self, compiled: CompiledModel, slots: int, threads: int) -> None:
        self.device = compiled.options.device
        self.input = compiled.input
        self.output = compiled.output
        self.slots = slots
        self._threads = threads or environment.cores()
        self._calling = threading.local()
        self._package = _loaded(compiled, runners=slots)

    def infer(self, batch: Batch) -> Scores:
        """Scores one batch."""
        given = torch.from_numpy(_checked(batch, self.input.shape, self.input.dtype))
        # The number of threads belongs to the thread that calls, and a new one begins with torch's own.
        if not hasattr(self._calling, "ready"):
            torch.set_num_threads(self._threads)
            self._calling.ready = True
        with translated("run a batch"), torch.inference_mode():
            scores: Scores = self._package(given).numpy()
        return scores

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Frees the package."""
        del self._package
        _drop_weights()


class TorchCudaSession:
    """A loaded package on a CUDA device; not yet run on one."""

    def __init__(self, compiled: CompiledModel, slots: int) -> None:
        self.device = compiled.options.device
        self.input = compiled.input
        self.output = compiled.output
        self.slots = slots
        number = torch.device(self.device).index or 0
        # A package that may be captured must not synchronise between its threads; a graph's replay takes no part of it.
        self._package = _loaded(compiled, single_threaded=True, device_index=number)
        with translated(f"prepare {slots} batches in flight"), torch.inference_mode(), without_tf32():
            self._graphs = SlotPool(slots, lambda: _CudaSlot(self._package, compiled))

    def infer(self, batch: Batch) -> Scores:
        """Scores one batch with a graph that is idle."""
        given = torch.from_numpy(_checked(batch, self.input.shape, self.input.dtype))
        with self._graphs.lend() as graph, translated("run a batch"), torch.inference_mode():
            return graph.infer(given)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Frees the graphs, the buffers and the package, and gives the memory back to the device."""
        self._graphs.close()
        del self._package
        torch.cuda.empty_cache()


class _CudaSlot:
    """What one batch in flight needs: a stream, pinned buffers on the host, buffers and a graph on the device."""

    def __init__(self, package: Any, compiled: CompiledModel) -> None:
        device = torch.device(compiled.options.device)
        cuda: Any = torch.cuda
        self._stream = cuda.Stream(device)
        # The thread sleeps until the scores are there, and leaves the processor to the decoding of other batches.
        self._done = cuda.Event(blocking=True)
        self._host_input = empty(compiled.input, pin_memory=True)
        self._host_output = empty(compiled.output, pin_memory=True)
        self._input = empty(compiled.input, device=device).zero_()
        self._graph = torch.cuda.CUDAGraph()
        self._stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(self._stream):
            for _ in range(2):
                # Libraries choose their ways and make their workspaces, which a capture may not.
                package(self._input)
            self._stream.synchronize()
            with torch.cuda.graph(self._graph, stream=self._stream):
                self._output = package(self._input)

    def infer(self, batch: torch.Tensor) -> Scores:
        """Copies, computes and copies back, all in this slot's stream."""
        self._host_input.copy_(batch)
        with torch.cuda.stream(self._stream):
            self._input.copy_(self._host_input, non_blocking=True)
            self._graph.replay()
            self._host_output.copy_(self._output, non_blocking=True)
            self._done.record(self._stream)
        self._done.synchronize()
        scores: Scores = self._host_output.numpy().copy()
        return scores


@contextmanager
def without_tf32() -> Iterator[None]:
    """float32 in float32 on CUDA: left alone, torch lets convolutions round their products to TF32's 11 bits.

    Kernels are chosen while a package is compiled and while its graph is captured; a replay takes what was chosen.
    """
    places: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [place.allow_tf32 for place in places]
    try:
        for place in places:
            place.allow_tf32 = False
        yield
    finally:
        for place, value in zip(places, before, strict=True):
            place.allow_tf32 = value


def empty(spec: TensorSpec, **options: Any) -> torch.Tensor:
    """A tensor of a fixed shape, with whatever its memory holds."""
    return torch.empty([int(side) for side in spec.shape], dtype=getattr(torch, spec.dtype), **options)


def _loaded(compiled: CompiledModel, runners: int = 1, single_threaded: bool = False, device_index: int = -1) -> Any:
    """The package as a function of a tensor."""
    import torch._inductor.package as packages

    path = compiled.file.path
    with translated(f"open {path}"), tempfile.TemporaryDirectory(prefix="assay-") as folder:
        # Only a name that ends so is taken for a package, and an artifact may be named otherwise.
        named = Path(folder) / _NAME
        named.symlink_to(path)
        return packages.load_package(  # type: ignore[attr-defined]  # torch leaves it untyped
            str(named),
            run_single_threaded=single_threaded,
            num_runners=runners,
            device_index=device_index,
        )


def _drop_weights() -> None:
    """Gives back the memory of closed packages' weights, which torch keeps mapped to the end of the process.

    What is as it stands in a file, and cannot be written to, is read again where it is still wanted.
    """
    with suppress(OSError, AttributeError, psutil.Error):
        libc = ctypes.CDLL(None)
        libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        for part in psutil.Process().memory_maps(grouped=False):
            # Where the loader has written addresses, the memory is no longer the file's.
            if _UNPACKED in part.path and part.perms == "r--p" and part.anonymous == 0:
                start, end = (int(place, 16) for place in part.addr.split("-"))
                libc.madvise(start, end - start, _DONT_NEED)


def _checked(batch: Batch, shape: tuple[int | str, ...], dtype: str) -> Batch:
    """The batch itself where the package can take it; the generated code reads whatever it is given."""
    if batch.shape != shape or batch.dtype.name != dtype:
        raise BackendError(
            f"torch could not run a batch: the artifact takes {dtype} {shape}, not {batch.dtype} {batch.shape}; "
            "compile it for that batch size"
        )
    return np.require(batch, requirements=("C", "W"))


@contextmanager
def translated(doing: str, remedy: Remedy = _AGAIN) -> Iterator[None]:
    """The vendor's exceptions as one line of ours."""
    try:
        yield
    except BackendError:
        raise
    # The compiler and the loader raise any of these, for faults of a model, a file or the machine alike.
    except (RuntimeError, ValueError, TypeError, AssertionError, NotImplementedError, OSError) as error:
        said = " ".join(str(error).split())[:400]
        raise BackendError(f"torch could not {doing}: {said or type(error).__name__}", remedy=remedy) from error
