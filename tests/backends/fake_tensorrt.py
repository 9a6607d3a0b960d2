"""Stand-ins for the packages `tensorrt` and `cuda-python`: engines that ONNX Runtime computes, memory of the host."""

from __future__ import annotations

import ctypes
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto


class _Context:
    def __init__(self, session: Any) -> None:
        self._session = session
        self._places: dict[str, int] = {}

    def set_tensor_address(self, name: str, place: int) -> None:
        self._places[name] = place

    def execute_async_v3(self, stream: int) -> bool:
        (taken,), (given,) = self._session.get_inputs(), self._session.get_outputs()
        kind = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}[taken.type]
        count = int(np.prod(taken.shape)) * np.dtype(kind).itemsize
        batch = np.frombuffer(ctypes.string_at(self._places[taken.name], count), kind).reshape(taken.shape)
        scores = self._session.run([given.name], {taken.name: batch})[0]
        assert scores.dtype == np.float32
        ctypes.memmove(self._places[given.name], scores.tobytes(), scores.nbytes)
        return True


def _uint8_into(content: bytes) -> str:
    """The operators other than a cast that take the graph's bytes, as no layer of TensorRT does."""
    graph = onnx.load_from_string(content).graph
    bytes_of = {value.name for value in graph.input if value.type.tensor_type.elem_type == TensorProto.UINT8}
    return ", ".join(node.op_type for node in graph.node if bytes_of & set(node.input) and node.op_type != "Cast")


def tensorrt(asked: dict[str, Any]) -> Any:
    """The package; `asked` takes what the builder was told, and its entry `fails` is what goes wrong."""
    module: Any = ModuleType("tensorrt")

    class ILogger:
        ERROR = 1

    class Parser:
        def __init__(self, network: Any, log: Any) -> None:
            self._network = network
            self.num_errors = 1
            self._refused = ""

        def parse(self, content: bytes) -> bool:
            self._network.content = content
            self._refused = _uint8_into(content)
            if self._refused:
                return False
            return asked.get("fails") != "parse"

        def get_error(self, number: int) -> str:
            if self._refused:
                return f"All UINT8 inputs must directly feed into a cast layer, not into {self._refused}"
            return "In node 3 (importNonZero):\n unsupported operator NonZero"

    class Configuration:
        def clear_flag(self, flag: Any) -> None:
            asked["cleared"] = flag

        def add_optimization_profile(self, profile: Any) -> None:
            asked["shapes"] = profile.shapes

        def create_timing_cache(self, known: bytes) -> Any:
            asked.setdefault("known timings", []).append(known)
            return SimpleNamespace(serialize=lambda: b"timings")

        def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
            self._cache = cache
            return True

        def get_timing_cache(self) -> Any:
            return self._cache

    class Profile:
        def set_shape(self, name: str, *shapes: Any) -> None:
            self.shapes = (name, *shapes)

    class Builder:
        def __init__(self, log: Any) -> None:
            self._log = log

        def create_network(self, flags: int) -> Any:
            asked["flags"] = flags
            return SimpleNamespace(content=b"")

        def create_builder_config(self) -> Any:
            asked["configuration"] = Configuration()
            return asked["configuration"]

        def create_optimization_profile(self) -> Any:
            return Profile()

        def build_serialized_network(self, network: Any, configuration: Any) -> bytes | None:
            if asked.get("fails") == "build":
                self._log.log(1, "Could not find any implementation for node conv1")
                return None
            return bytes(network.content)

    class Runtime:
        def __init__(self, log: Any) -> None:
            self._log = log

        def deserialize_cuda_engine(self, content: bytes) -> Any:
            if content.startswith(b"no engine"):
                self._log.log(1, "Version tag does not match")
                return None
            session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
            return SimpleNamespace(create_execution_context=lambda: _Context(session))

    module.__version__ = "10.13.0"
    module.ILogger = ILogger
    module.Builder, module.OnnxParser, module.Runtime = Builder, Parser, Runtime
    module.NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
    module.BuilderFlag = SimpleNamespace(TF32="TF32")
    return module


def cuda_runtime(devices: int, held: dict[int, Any]) -> Any:
    """The runtime's module; `held` is the memory that was taken and not given back."""
    module: Any = ModuleType("cuda.bindings.runtime")

    def take(count: int) -> tuple[int, int]:
        memory = (ctypes.c_uint8 * count)()
        held[ctypes.addressof(memory)] = memory
        return 0, ctypes.addressof(memory)

    def free(place: int) -> tuple[int]:
        del held[place]
        return (0,)

    def copy(target: int, source: int, count: int, direction: Any, stream: int) -> tuple[int]:
        ctypes.memmove(target, source, count)
        return (0,)

    properties = SimpleNamespace(name=b"NVIDIA H200\0\0", major=9, minor=0)
    module.cudaGetDeviceCount = lambda: (0, devices) if devices else (100, None)
    module.cudaGetDeviceProperties = lambda number: (0, properties)
    module.cudaSetDevice = lambda number: (0 if number < devices else 101,)
    module.cudaGetErrorString = lambda status: (0, b"out of memory" if status == 2 else b"invalid device ordinal")
    module.cudaStreamNonBlocking = 1
    module.cudaStreamCreateWithFlags = lambda flags: (0, 7)
    module.cudaStreamSynchronize = lambda stream: (0,)
    module.cudaStreamDestroy = lambda stream: (0,)
    module.cudaMalloc = module.cudaMallocHost = take
    module.cudaFree = module.cudaFreeHost = free
    module.cudaMemcpyAsync = copy
    module.cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    return module
