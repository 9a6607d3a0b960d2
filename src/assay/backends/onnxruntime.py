"""ONNX Runtime on the CPU: the graph is optimised ahead of time into the artifact and loaded without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import onnxruntime

from assay import environment
from assay.backends.base import Batch, Scores, Settings
from assay.errors import BackendError
from assay.records import BuildOptions, CompiledModel, OnnxModel, Precision, Setting

_LEVELS = {
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}
_ERRORS_ONLY = 3
_state = onnxruntime.capi.onnxruntime_pybind11_state
# Each of the vendor's exceptions derives from Exception itself, so they have to be listed.
_VENDOR_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(kind for kind in vars(_state).values() if isinstance(kind, type) and issubclass(kind, Exception)),
)


class OnnxRuntime:
    """Graph optimisation offline; threads and streams are settings of a run."""

    name = "onnxruntime"
    suffix = ".onnx"
    faithful = True

    def version(self) -> str:
        """The version of the installed wheel."""
        return str(onnxruntime.__version__)

    def devices(self) -> Sequence[str]:
        """The processor."""
        return ("cpu",)

    def target(self, device: str) -> str:
        """The processor's features: the optimised graph holds layouts chosen for them."""
        return environment.processor_fingerprint()

    def precisions(self, device: str) -> Sequence[Precision]:
        """Single precision, as the model is written."""
        return ("fp32",)

    def build_settings(self, device: str) -> Settings:
        """How far the graph is optimised."""
        return {"optimization": tuple(_LEVELS)}

    def run_settings(self, device: str) -> Settings:
        """Threads of one inference call (0: one a core), and how many calls may be in flight."""
        return {"threads": (0, *range(1, environment.cores() + 1)), "streams": (1, 2)}

    def compile(self, model: OnnxModel, options: BuildOptions, out: Path) -> None:
        """Writes the optimised graph as one ONNX file."""
        session_options = _session_options(_LEVELS[str(options.settings["optimization"])])
        session_options.optimized_model_filepath = str(out)
        with _translated(f"compile {model.name}"):
            onnxruntime.InferenceSession(str(model.file.path), session_options, providers=["CPUExecutionProvider"])

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> OnnxRuntimeSession:
        """Loads the optimised graph as it stands."""
        session_options = _session_options(_LEVELS["none"])
        session_options.intra_op_num_threads = int(run_settings.get("threads", 0))
        return OnnxRuntimeSession(compiled, compiled.file.path, session_options, int(run_settings.get("streams", 1)))

    def open_model(self, model: OnnxModel) -> OnnxRuntimeSession:
        """Opens a model that was not compiled, in float32 as it stands: the reference that others are held to."""
        return OnnxRuntimeSession(model, model.file.path, _session_options(_LEVELS["all"]), 1)


class OnnxRuntimeSession:
    """A loaded graph."""

    def __init__(self, described: CompiledModel | OnnxModel, path: Path, options: Any, slots: int) -> None:
        self.device = "cpu"
        self.input = described.input
        self.output = described.output
        self.slots = slots
        with _translated(f"open {path}"):
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def infer(self, batch: Batch) -> Scores:
        """Scores one batch."""
        with _translated("run a batch"):
            scores: Scores = self._session.run([self.output.name], {self.input.name: batch})[0]
        return np.asarray(scores, dtype=np.float32)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Frees the graph."""
        del self._session


def _session_options(level: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = _ERRORS_ONLY
    return options


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """The vendor's exceptions as one line of ours."""
    try:
        yield
    except _VENDOR_ERRORS as error:
        raise BackendError(f"onnxruntime could not {doing}: {' '.join(str(error).split())[:400]}") from error
