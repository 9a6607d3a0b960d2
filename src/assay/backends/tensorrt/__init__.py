"""TensorRT: an engine built for one device and batch size, in the types that stand in the ONNX graph.

The network is strongly typed, so half precision is put into the graph before. What was timed while building is kept
in the user's cache and shortens the next build. Each batch in flight has a context, a stream and pinned buffers of
its own. This file is written to the documented interfaces of the packages `tensorrt` and `cuda-python`;
nothing of it was run on a device yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import tensorrt

from assay import environment
from assay.backends.base import ANOTHER, Batch, Scores, Settings, Start
from assay.backends.slots import SlotPool
from assay.backends.tensorrt.cuda_runtime import Buffer, Cuda
from assay.errors import BackendError, Option, RecordError, Remedy
from assay.records import BuildOptions, CompiledModel, OnnxModel, Precision, Setting
from assay.storage import store

_CUDA = "cuda"


class TensorRt:
    """Engines of TensorRT, version 10 or newer."""

    name = "tensorrt"
    suffix = ".engine"
    faithful = True
    starts_from: Start = "typed onnx"

    def version(self) -> str:
        """The version of the installed wheel; an engine is of one version alone."""
        return str(tensorrt.__version__)

    def devices(self) -> Sequence[str]:
        """The CUDA devices, the first without a number."""
        return tuple(_CUDA if number == 0 else f"{_CUDA}:{number}" for number in range(Cuda.devices()))

    def target(self, device: str) -> str:
        """The device's name and architecture: kernels are chosen on it."""
        return Cuda(_number(device)).described()

    def precisions(self, device: str) -> Sequence[Precision]:
        """Half and single precision, and the types of a quantized model."""
        return ("fp16", "fp32", "int8")

    def build_settings(self, device: str) -> Settings:
        """How long the builder looks for faster kernels; whether float32 may be rounded to TF32 in products."""
        return {"optimization": (3, 0, 1, 2, 4, 5), "tf32": (False, True)}

    def casts_first(self, device: str) -> bool:
        """On every device: none of its layers but a cast takes uint8."""
        return True

    def run_settings(self, device: str) -> Settings:
        """How many batches may be in flight."""
        return {"streams": (2, 1, 3, 4)}

    def compile(self, model: OnnxModel, options: BuildOptions, out: Path) -> None:
        """Builds the engine."""
        Cuda(_number(options.device)).use()
        log = _Log()
        with _translated(f"compile {model.name}", log):
            builder = tensorrt.Builder(log)
            network = builder.create_network(_creation_flags())
            parser = tensorrt.OnnxParser(network, log)
            if not parser.parse(model.file.path.read_bytes()):
                said = "; ".join(str(parser.get_error(number)) for number in range(parser.num_errors))
                raise BackendError(f"tensorrt cannot take {model.name}: {' '.join(said.split())[:400]}", remedy=ANOTHER)
            configuration = _configuration(builder, model, options)
            place = timing_cache(self.version(), self.target(options.device))
            _take_timings(configuration, place)
            engine = builder.build_serialized_network(network, configuration)
            if engine is None:
                raise BackendError(f"tensorrt could not compile {model.name}: {log.last()}", remedy=ANOTHER)
            out.write_bytes(engine)
            # What this build timed is worth having; that it cannot be kept is no reason to fail.
            with suppress(RecordError):
                store.write_bytes(place, bytes(configuration.get_timing_cache().serialize()))

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> TensorRtSession:
        """Loads the engine."""
        return TensorRtSession(compiled, int(run_settings.get("streams", 2)))


class TensorRtSession:
    """A loaded engine, with a context for each batch that may be in flight."""

    def __init__(self, compiled: CompiledModel, slots: int) -> None:
        self.device = compiled.options.device
        self.input = compiled.input
        self.output = compiled.output
        self.slots = slots
        self._cuda = Cuda(_number(self.device))
        self._cuda.use()
        self._log = _Log()
        path = compiled.file.path
        with _translated(f"open {path}", self._log):
            self._runtime = tensorrt.Runtime(self._log)
            self._engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
            if self._engine is None:
                raise BackendError(
                    f"tensorrt cannot open {path}: {self._log.last()}; an engine is of one version of TensorRT and one "
                    "kind of device: make it again with assay compile"
                )
            self._contexts = SlotPool(slots, lambda: _Slot(self._engine, compiled, self._cuda), _Slot.close)

    def infer(self, batch: Batch) -> Scores:
        """Scores one batch in a context that is idle."""
        with self._contexts.lend() as context, _translated("run a batch", self._log):
            # The device belongs to the thread that calls.
            self._cuda.use()
            return context.infer(batch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Frees the contexts, the engine and the buffers."""
        self._contexts.close()
        del self._engine, self._runtime


class _Slot:
    """What one batch in flight needs: a context, a stream, and buffers on either side."""

    def __init__(self, engine: Any, compiled: CompiledModel, cuda: Cuda) -> None:
        self._cuda = cuda
        self._stream = cuda.stream()
        self._context = engine.create_execution_context()
        if self._context is None:
            raise BackendError(
                "tensorrt found no memory on the device for one more batch in flight",
                remedy=Remedy("use a smaller batch, or fewer with {}", Option("set", "streams=1")),
            )
        self._input = Buffer(cuda, compiled.input)
        self._output = Buffer(cuda, compiled.output)
        for spec, buffer in ((compiled.input, self._input), (compiled.output, self._output)):
            self._context.set_tensor_address(spec.name, buffer.on_device)

    def infer(self, batch: Batch) -> Scores:
        """Copies, computes and copies back, all in this slot's stream."""
        self._input.host[...] = batch
        self._input.to_device(self._stream)
        if not self._context.execute_async_v3(self._stream):
            raise BackendError("tensorrt could not run a batch; compile the artifact again with assay compile")
        self._output.to_host(self._stream)
        self._cuda.wait(self._stream)
        scores: Scores = np.array(self._output.host)
        return scores

    def close(self) -> None:
        """Frees what the slot holds."""
        del self._context
        self._input.free()
        self._output.free()
        self._cuda.destroy(self._stream)


class _Log(tensorrt.ILogger):  # type: ignore[misc]  # the vendor ships no types
    """Keeps what the vendor calls an error, and prints nothing."""

    def __init__(self) -> None:
        tensorrt.ILogger.__init__(self)
        self._errors: list[str] = []

    def log(self, severity: Any, message: str) -> None:
        """Called by the vendor, from threads of its own too."""
        if severity <= tensorrt.ILogger.ERROR:
            self._errors.append(" ".join(message.split()))

    def last(self) -> str:
        """The newest error."""
        return self._errors[-1][:400] if self._errors else "it said nothing"


def timing_cache(version: str, target: str) -> Path:
    """Where timings are kept: in the user's cache, a file for each version and kind of device."""
    name = re.sub(r"[^A-Za-z0-9._]+", "-", f"{version} {target}")
    return environment.cache_folder() / "tensorrt" / f"{name}.timings"


def _take_timings(configuration: Any, place: Path) -> None:
    """Gives the builder the timings of earlier builds; those of another version or device it leaves aside."""
    known = place.read_bytes() if place.is_file() else b""
    cache = configuration.create_timing_cache(known)
    if cache is None or not configuration.set_timing_cache(cache, ignore_mismatch=False):
        configuration.set_timing_cache(configuration.create_timing_cache(b""), ignore_mismatch=False)


def _configuration(builder: Any, model: OnnxModel, options: BuildOptions) -> Any:
    configuration = builder.create_builder_config()
    configuration.builder_optimization_level = int(options.settings["optimization"])
    if not options.settings["tf32"]:
        configuration.clear_flag(tensorrt.BuilderFlag.TF32)
    profile = builder.create_optimization_profile()
    shape = tuple(int(side) for side in model.input.shape)
    profile.set_shape(model.input.name, shape, shape, shape)
    configuration.add_optimization_profile(profile)
    return configuration


def _creation_flags() -> int:
    """Strongly typed; versions that know nothing else have no flag for it."""
    flag = getattr(tensorrt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _number(device: str) -> int:
    return int(device.partition(":")[2] or 0)


@contextmanager
def _translated(doing: str, log: _Log) -> Iterator[None]:
    """The vendor's exceptions as one line of ours."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, AttributeError, OSError) as error:
        said = " ".join(str(error).split())[:400]
        raise BackendError(f"tensorrt could not {doing}: {said or log.last()}") from error
