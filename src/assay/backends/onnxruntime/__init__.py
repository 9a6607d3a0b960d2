"""ONNX Runtime: the graph is optimised ahead of time into the artifact and loaded without.

The execution providers of the installed wheel are devices: `cuda`, `tensorrt`, `openvino` and `cann` beside `cpu`. A
provider has to take the whole graph: there is no fall back to the CPU, and which provider runs each node is read back
from the session. An artifact for `tensorrt` holds what the provider compiled (ONNX Runtime's "EP context"); one for
`openvino` or `cann` holds the graph alone, which the provider compiles anew at each start: the backend `openvino`
does not have to. (ONNX Runtime 1.24's OpenVINO provider writes such a context for the processor, and cannot read it.)

Run on the processor, by `cpu` and, with the wheel onnxruntime-openvino 1.24.1, by `openvino`; the other providers are
written to the documented interface, not yet run on a device.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import onnxruntime

from assay import environment
from assay.backends.base import ANOTHER, Batch, Scores, Settings, Start
from assay.backends.node_costs import NodeRun, convolution, costliest, matrix_product
from assay.backends.onnxruntime import node_names
from assay.backends.onnxruntime.session import PROVIDERS, optimised_to, start, translated, without_tf32
from assay.errors import Remedy
from assay.records import BuildOptions, CompiledModel, OnnxModel, Precision, Profile, Setting

_LEVELS = {
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
_PRECISIONS: dict[str, tuple[Precision, ...]] = {
    "cpu": ("fp32", "int8"),
    "cuda": ("fp16", "fp32", "int8"),
    "tensorrt": ("fp16", "fp32", "int8"),
    "openvino": ("fp32", "int8"),
    "cann": ("fp16", "fp32"),
}
_COMPILING = ("tensorrt",)
"""The devices whose provider compiles the graph, can write what it compiled, and can read that."""
_NVIDIA = ("nvidia-smi", "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader")
_LISTS = {"cuda": _NVIDIA, "tensorrt": _NVIDIA, "cann": ("npu-smi", "info", "-m")}
_KERNEL = "_kernel_time"
_WEIGHTS = {"Conv": 1, "FusedConv": 1, "NhwcFusedConv": 1, "ConvInteger": 1, "QLinearConv": 3}
"""Which input of a convolution is its weights."""
_MATRIX_PRODUCTS = ("Gemm", "FusedGemm", "MatMul", "MatMulInteger", "QGemm", "QLinearMatMul")


class OnnxRuntime:
    """Graph optimisation offline; execution providers as devices; threads and streams are settings of a run."""

    name = "onnxruntime"
    suffix = ".onnx"
    faithful = True
    starts_from: Start = "typed onnx"

    def version(self) -> str:
        """The version of the installed wheel."""
        return str(onnxruntime.__version__)

    def devices(self) -> Sequence[str]:
        """The processor, and the accelerators that the installed wheel has an execution provider for."""
        available = onnxruntime.get_available_providers()
        return tuple(device for device, provider in PROVIDERS.items() if device == "cpu" or provider in available)

    def target(self, device: str) -> str:
        """The processor's features, or the accelerator: the artifact holds what was chosen for them."""
        if device in _LISTS:
            return f"{device}-{_listed(_LISTS[device])}"
        return environment.processor_fingerprint()

    def precisions(self, device: str) -> Sequence[Precision]:
        """Single precision, that of a quantized model, and half precision on accelerators that compute in it."""
        return _PRECISIONS[device]

    def build_settings(self, device: str) -> Settings:
        """How far the graph is optimised; the providers that compile it do that in their own way."""
        return {"optimization": tuple(_LEVELS)} if device in ("cpu", "cuda") else {}

    def run_settings(self, device: str) -> Settings:
        """Threads of one inference call (0: one a core), and how many calls may be in flight."""
        if device != "cpu":
            return {"streams": (1, 2)}
        return {"threads": (0, *range(1, environment.cores() + 1)), "streams": (1, 2)}

    def casts_first(self, device: str) -> bool:
        """Where TensorRT takes the graph: none of its layers but a cast takes uint8."""
        return device == "tensorrt"

    def compile(self, model: OnnxModel, options: BuildOptions, out: Path) -> None:
        """Writes the optimised graph, or the one that the provider compiled, as one ONNX file."""
        device, asked = options.device, options.precision
        if device == "cann" and asked == "fp16":
            # The processor, which would write the graph, widens halves that it cannot compute in.
            shutil.copyfile(model.file.path, out)
            return
        if device in _COMPILING:
            session_options = optimised_to(_LEVELS["all"])
            for key, value in {"enable": "1", "embed_mode": "1", "file_path": str(out)}.items():
                session_options.add_session_config_entry(f"ep.context_{key}", value)
        else:
            # What the CPU's own optimisation fuses, another provider may not know.
            session_options = optimised_to(_LEVELS[str(options.settings.get("optimization", "basic"))])
            session_options.optimized_model_filepath = str(out)
            device = device if "optimization" in options.settings else "cpu"
        with translated(f"compile {model.name} for {options.device}", ANOTHER), without_tf32():
            start(model.file.path, session_options, device, asked)
            if device not in _COMPILING:
                node_names.settle(out, model.file.path)

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> OnnxRuntimeSession:
        """Loads the optimised graph as it stands."""
        return _opened(compiled, run_settings, _run_options(compiled, run_settings))

    def profiles_on(self, device: str) -> bool:
        """On the processor: elsewhere the clock tells when work was handed over, not when it was done."""
        return device == "cpu"

    def profile(
        self, compiled: CompiledModel, run_settings: Mapping[str, Setting], batch: Batch, calls: int
    ) -> Profile:
        """By the runtime's own file of events."""
        options = _run_options(compiled, run_settings)
        options.enable_profiling = True
        with tempfile.TemporaryDirectory(prefix="assay-") as folder:
            options.profile_file_prefix = str(Path(folder) / "profile")
            with _opened(compiled, run_settings, options) as session:
                for _ in range(1 + calls):
                    session.infer(batch)
                events = json.loads(session.end_profiling().read_bytes())
        return costliest(_node_runs(events))

    def open_model(self, model: OnnxModel) -> OnnxRuntimeSession:
        """Opens a model that was not compiled, in float32 as it stands: the reference that others are held to."""
        return OnnxRuntimeSession(model, model.file.path, optimised_to(_LEVELS["all"]), 1)


class OnnxRuntimeSession:
    """A loaded graph."""

    def __init__(
        self, described: CompiledModel | OnnxModel, path: Path, options: Any, slots: int, device: str = "cpu"
    ) -> None:
        self.device = device
        self.input = described.input
        self.output = described.output
        self.slots = slots
        again = "make it again with assay compile" if isinstance(described, CompiledModel) else "export the model anew"
        with translated(f"open {path}", Remedy(again)):
            self._session = start(path, options, device)

    def infer(self, batch: Batch) -> Scores:
        """Scores one batch."""
        with translated("run a batch", Remedy("give batches of the size and type that it was compiled for")):
            scores: Scores = self._session.run([self.output.name], {self.input.name: batch})[0]
        return np.asarray(scores, dtype=np.float32)

    def end_profiling(self) -> Path:
        """The file of events of a session that was asked for one."""
        return Path(self._session.end_profiling())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Frees the graph."""
        del self._session


def _run_options(compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> Any:
    device = compiled.options.device
    options = optimised_to(_LEVELS["none" if device in ("cpu", "cuda", *_COMPILING) else "all"])
    options.intra_op_num_threads = int(run_settings.get("threads", 0))
    return options


def _opened(compiled: CompiledModel, run_settings: Mapping[str, Setting], options: Any) -> OnnxRuntimeSession:
    streams = int(run_settings.get("streams", 1))
    return OnnxRuntimeSession(compiled, compiled.file.path, options, streams, compiled.options.device)


def _node_runs(events: Sequence[Mapping[str, Any]]) -> list[list[NodeRun]]:
    """The nodes' runs of each inference call but the first."""
    ends = sorted(event["ts"] + event["dur"] for event in events if event["name"] == "model_run")
    calls: list[list[NodeRun]] = [[] for _ in ends]
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            run = NodeRun(
                name=event["name"].removesuffix(_KERNEL),
                operator=event["args"]["op_name"],
                seconds=event["dur"] / 1e6,
                operations=_operations(event["args"]),
            )
            calls[bisect_left(ends, event["ts"] + event["dur"])].append(run)
    return calls[1:]


def _operations(node: Mapping[str, Any]) -> float | None:
    """What a node computes, by the shapes that it was given; channels that were added to fill a register count too.

    Weights that were laid out anew when the graph was loaded are not among the inputs any more.
    """
    given, made = _shapes(node.get("input_type_shape")), _shapes(node.get("output_type_shape"))
    operator = node["op_name"]
    if not given or not made or not made[0]:
        return None
    output = made[0]
    if operator in _MATRIX_PRODUCTS and given[0]:
        return matrix_product(output, given[0])
    place = _WEIGHTS.get(operator)
    if place is None or place >= len(given):
        return None
    weights = given[place]
    if len(weights) != len(output) or weights[0] not in (output[1], output[-1]):
        return None
    return convolution(output, weights)


def _shapes(listed: Sequence[Mapping[str, Sequence[int]]] | None) -> list[list[int]]:
    """`[{"float": [1, 3, 224, 224]}]` → `[[1, 3, 224, 224]]`."""
    return [[int(side) for side in shape] for tensor in listed or [] for shape in tensor.values()]


@cache
def _listed(command: tuple[str, ...]) -> str:
    """A hash of what a vendor's tool lists as present."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return hashlib.sha256(done.stdout.encode()).hexdigest()[:16]
