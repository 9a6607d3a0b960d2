"""OpenVINO: the compiled model exported to one file and imported without a conversion.

What is exported holds the graph and the weights; how it runs (hint, streams, threads, and the precision that is
computed in) is chosen when it is imported, so none of these alters the artifact. The file opens on the OpenVINO version
and the instruction set that it was made with. Run on x86-64 processors; Intel's GPU and NPU are devices where OpenVINO
finds them, written to the documented interface and not yet run on one.
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from assay import environment
from assay.backends.base import ANOTHER, Batch, Scores, Settings, Start
from assay.backends.node_costs import NodeRun, convolution, costliest, matrix_product
from assay.backends.slots import SlotPool
from assay.errors import BackendError
from assay.records import BuildOptions, CompiledModel, OnnxModel, Precision, Profile, Setting


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Keeps the vendor's package from reporting its import over the network; it does without where that is missing."""
    absent = object()
    before = sys.modules.get("openvino_telemetry", absent)
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # to Python: not there
    try:
        yield
    finally:
        del sys.modules["openvino_telemetry"]
        if before is not absent:
            sys.modules["openvino_telemetry"] = before  # type: ignore[assignment]  # as it was found


with _without_telemetry():
    import openvino
    from openvino import opset13

_HINTS = {"latency": "LATENCY", "throughput": "THROUGHPUT"}
_STORAGES = ("fp32", "fp16")
_HINT = "INFERENCE_PRECISION_HINT"
_PRECISIONS: Mapping[str, tuple[Precision, ...]] = {
    "cpu": ("fp32", "int8"),
    "gpu": ("fp16", "fp32", "int8"),
    "npu": ("fp16", "int8"),
}
"""By the kind of device; NPUs compute in half precision."""
_COUNTERS = {"PERF_COUNT": "YES"}
_USUAL_RUN: Mapping[str, Setting] = {"hint": "latency", "streams": 1, "threads": 0}
_CONVOLUTIONS = ("Convolution", "GroupConvolution")
_MATRIX_PRODUCTS = ("FullyConnected", "MatMul")
_ALONE = "import sys; from assay.backends.openvino import export_alone; sys.exit(export_alone(sys.argv[1:]))"
_DECOMPRESSION = "decompression_0"
"""The mark that keeps OpenVINO from widening stored halves before it exports them."""


class OpenVino:
    """Exports ahead of time; hint, streams and threads are settings of a run."""

    name = "openvino"
    suffix = ".blob"
    faithful = True
    starts_from: Start = "onnx"

    def version(self) -> str:
        """The version of the installed runtime, down to its build."""
        return str(openvino.get_version())

    def devices(self) -> Sequence[str]:
        """The processor, and Intel's GPU and NPU where OpenVINO finds them."""
        with _translated("look for devices"):
            present = {str(name).lower() for name in openvino.Core().available_devices}
        return tuple(sorted(present, key=lambda name: (not name.startswith("cpu"), name)))

    def target(self, device: str) -> str:
        """The processor's features, or the device's full name."""
        if device == "cpu":
            return environment.processor_fingerprint()
        with _translated(f"describe {device}"):
            return f"{device}-{openvino.Core().get_property(device.upper(), 'FULL_DEVICE_NAME')}"

    def precisions(self, device: str) -> Sequence[Precision]:
        """Single precision, which is enforced against bfloat16, that of a model that was quantized before, and half.

        What is computed in is said to the runtime; the graph is the same.
        """
        return _PRECISIONS.get(_kind(device), _PRECISIONS["cpu"])

    def build_settings(self, device: str) -> Settings:
        """Whether weights that half precision holds exactly are stored in it; no score changes by that."""
        return {"storage": _STORAGES}

    def run_settings(self, device: str) -> Settings:
        """What to run for; batches in flight and threads (0: as many as the hint takes)."""
        return {
            "hint": tuple(_HINTS),
            "streams": (1, 2) if device == "cpu" else (1, 2, 4),
            "threads": (0, *range(1, environment.cores() + 1)),
        }

    def compile(self, model: OnnxModel, options: BuildOptions, out: Path) -> None:
        """Writes the exported model as one file, in a process of its own.

        OpenVINO numbers the operators that it makes from the start of the process on, and writes the numbers down:
        the same bytes come of a fresh one alone.
        """
        order = [str(model.file.path), str(out), options.device, options.precision, str(options.settings["storage"])]
        done = subprocess.run([sys.executable, "-c", _ALONE, *order], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()
            reason = said[-1] if said else f"its process ended with status {done.returncode}"
            raise BackendError(f"openvino could not compile {model.name}: {reason}", remedy=ANOTHER)

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> OpenVinoSession:
        """Imports the exported model."""
        return OpenVinoSession(compiled, {**_USUAL_RUN, **run_settings})

    def profiles_on(self, device: str) -> bool:
        """On every device."""
        return True

    def profile(
        self, compiled: CompiledModel, run_settings: Mapping[str, Setting], batch: Batch, calls: int
    ) -> Profile:
        """By the runtime's own counters."""
        with OpenVinoSession(compiled, {**_USUAL_RUN, **run_settings}, counters=True) as session:
            session.infer(batch)
            return costliest([session.counted(batch) for _ in range(calls)])


def export_alone(arguments: Sequence[str]) -> int:
    """Compiles and exports one model; prints what went wrong in one line and returns 1."""
    model, out, device, precision, storage = arguments
    try:
        with _translated():
            core = openvino.Core()
            graph = core.read_model(model)
            if storage == "fp16":
                _store_halves(graph)
            compiled = core.compile_model(graph, device.upper(), _computed_in(device, precision))
            exported = compiled.export_model()
            Path(out).write_bytes(exported.getvalue() if isinstance(exported, io.BytesIO) else bytes(exported))
    except BackendError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


class OpenVinoSession:
    """An imported model and a pool of its requests, one for each batch in flight."""

    def __init__(self, compiled: CompiledModel, settings: Mapping[str, Setting], counters: bool = False) -> None:
        device = compiled.options.device.upper()
        self.input = compiled.input
        self.output = compiled.output
        with _translated(f"open {compiled.file.path}"):
            configuration = _run_configuration(compiled.options, settings) | (_COUNTERS if counters else {})
            model = openvino.Core().import_model(compiled.file.path.read_bytes(), device, configuration)
            self._operations = _operations(model) if counters else {}
            self.device = ",".join(str(name) for name in model.get_property("EXECUTION_DEVICES")).lower()
            self.slots = max(int(settings["streams"]), _wanted_requests(model, str(settings["hint"])))
            self._requests = SlotPool[Any](self.slots, model.create_infer_request)
        if _kind(self.device) != _kind(compiled.options.device):
            raise BackendError(
                f"openvino runs {compiled.file.path} on {self.device}, not on {compiled.options.device}; "
                "compile it for a device that assay doctor shows"
            )

    def infer(self, batch: Batch) -> Scores:
        """Scores one batch on a request that is idle."""
        with self._done(batch) as request:
            # The tensor belongs to the request, which the next batch gets.
            return np.array(request.get_output_tensor(0).data, dtype=np.float32)

    def counted(self, batch: Batch) -> list[NodeRun]:
        """What each node of one call cost, in a session that was opened with counters."""
        with self._done(batch) as request:
            return [
                NodeRun(
                    name=node.node_name,
                    operator=node.node_type,
                    seconds=node.real_time.total_seconds(),
                    operations=self._operations.get(node.node_name),
                )
                for node in request.profiling_info
                if node.real_time
            ]

    @contextmanager
    def _done(self, batch: Batch) -> Iterator[Any]:
        """A request that has scored the batch."""
        with self._requests.lend() as request, _translated("run a batch"):
            request.start_async({0: batch}, share_inputs=True)
            request.wait()
            yield request

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Frees the requests, and the model with the last of them."""
        del self._requests


def _kind(device: str) -> str:
    """`gpu.1` is a `gpu`."""
    return device.partition(".")[0]


def _computed_in(device: str, precision: str) -> dict[str, str]:
    """What is computed in, or around a quantized model's own operators; what is left open may become bfloat16."""
    computes_halves = precision == "fp16" and "fp16" in _PRECISIONS.get(_kind(device), _PRECISIONS["cpu"])
    return {_HINT: "f16" if computes_halves or _kind(device) == "npu" else "f32"}


def _run_configuration(options: BuildOptions, settings: Mapping[str, Setting]) -> dict[str, str]:
    configuration = _computed_in(options.device, options.precision) | {
        "PERFORMANCE_HINT": _HINTS[str(settings["hint"])]
    }
    if settings["hint"] == "latency" or int(settings["streams"]) > 1:
        configuration["NUM_STREAMS"] = str(settings["streams"])
    if int(settings["threads"]) and options.device == "cpu":
        configuration["INFERENCE_NUM_THREADS"] = str(settings["threads"])
    return configuration


def _operations(model: Any) -> dict[str, float]:
    """What those nodes compute of which that is known, by their names in the graph that runs."""
    counts = {}
    with _translated("describe its graph"):
        for node in model.get_runtime_model().get_ops():
            kind = node.get_rt_info()["layerType"].value
            if kind not in (*_CONVOLUTIONS, *_MATRIX_PRODUCTS):
                continue
            left, right, output = (_sides(port) for port in (node.input(0), node.input(1), node.output(0)))
            count = matrix_product(output, left) if kind in _MATRIX_PRODUCTS else convolution(output, right)
            counts[str(node.get_friendly_name())] = count
    return counts


def _sides(port: Any) -> list[int]:
    return [int(side) for side in port.get_shape()]


def _wanted_requests(model: Any, hint: str) -> int:
    """How many requests keep the device at work; the throughput hint chooses its streams itself."""
    return int(model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")) if hint == "throughput" else 1


def _store_halves(graph: Any) -> None:
    """Stores every constant that half precision holds exactly in half the bytes."""
    for node in graph.get_ordered_ops():
        if node.get_type_name() != "Constant" or node.get_output_element_type(0) != openvino.Type.f32:
            continue
        values = node.data
        with np.errstate(over="ignore"):
            halves = values.astype(np.float16)
        if not np.array_equal(halves.astype(np.float32), values):
            continue
        widened = opset13.convert(opset13.constant(halves, dtype=np.float16), "f32")
        widened.get_rt_info()[_DECOMPRESSION] = ""
        for reader in node.output(0).get_target_inputs():
            reader.replace_source_output(widened.output(0))


@contextmanager
def _translated(doing: str = "") -> Iterator[None]:
    """The vendor's exceptions as one line of ours; of its chain of places only what went wrong is of use."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines()]
        said = [line for line in lines if line and not line.startswith(("Exception from", "Check '", "FrontEnd API"))]
        what = " ".join(said or lines)[:400]
        hint = ""
        if "incompatible" in what or "mismatch" in what or "deserialize" in what:
            hint = "; the artifact is of another OpenVINO or processor, or damaged: make it again with assay compile"
        raise BackendError(f"{doing and f'openvino could not {doing}: '}{what}{hint}") from error
