"""MNN on the CPU: the converted graph in one `.mnn` file, with Winograd convolutions chosen as it is opened.

The converter is the compiled module `_tools`; the Python module around it, `MNN.tools.mnnconvert`, installs a package
with pip that reports usage over the network, and is never imported. Converter and runtime print to standard output,
which is kept clean of it. Run on x86-64.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from assay import environment
from assay.backends import native_output
from assay.backends.base import ANOTHER, Batch, Scores, Settings, Start
from assay.backends.mnn import constants
from assay.backends.slots import SlotPool
from assay.errors import BackendError, Option, Remedy
from assay.records import BuildOptions, CompiledModel, OnnxModel, Precision, Setting
from assay.storage import store

with native_output.captured():
    import MNN

# The converter finds the runtime's library only once that is loaded.
_ALONE = "import sys, MNN, _tools; _tools.mnnconvert(sys.argv[1:])"
_STORAGES = ("fp32", "fp16")
_TILES = {"large": 3, "small": 1}
"""How large a tile of a 3×3 convolution Winograd's algorithm makes at once, as the runtime's hint counts it."""
_TILE_HINT = 3
# What the converter says on its way, whether or not it gets there.
_CHATTER = ("The device supports", "Start to ", "inputTensors", "outputTensors", "Converted ", "MNN use ")


class Mnn:
    """Converts ahead of time; threads and streams are settings of a run."""

    name = "mnn"
    suffix = ".mnn"
    faithful = True
    starts_from: Start = "onnx"

    def version(self) -> str:
        """The version of the installed runtime."""
        return str(MNN.version())

    def devices(self) -> Sequence[str]:
        """The processor; the wheels hold nothing else."""
        return ("cpu",)

    def target(self, device: str) -> str:
        """The same on every processor: what suits one is chosen when the file is opened."""
        return device

    def precisions(self, device: str) -> Sequence[Precision]:
        """Single precision, as the model is written."""
        return ("fp32",)

    def build_settings(self, device: str) -> Settings:
        """How large Winograd's tiles are, and how weights and constants are stored.

        Large tiles are faster and round more: a few 1e-5 of the largest score in trained networks, 1e-3 in one of a
        hundred layers with random weights; small ones round as a plain convolution does. Weights stored as fp16 are
        widened as they are loaded: nothing is lost of a checkpoint that was stored so, and the check of a compile
        refuses what does lose.
        """
        return {"winograd": tuple(_TILES), "storage": _STORAGES}

    def run_settings(self, device: str) -> Settings:
        """Threads of one inference call (0: one a core), and how many calls may be in flight."""
        return {"threads": (0, *range(1, environment.cores() + 1)), "streams": (1, 2)}

    def compile(self, model: OnnxModel, options: BuildOptions, out: Path) -> None:
        """Converts to one file, whose bytes are the same each time.

        In a process of its own: what the converter does not expect in a graph ends it there and then.
        """
        halves = options.settings["storage"] == "fp16"
        # The file keeps this mark, so that artifacts whose scores differ are different files.
        mark = f"assay-{options.settings['winograd']}"
        out.unlink(missing_ok=True)
        with store.scratch_folder(out.resolve().parent) as folder:
            graph = model.file.path.resolve()
            if halves:
                graph = folder / "halves.onnx"
                constants.split(model.file.path, graph)
            order = ["mnnconvert", "-f", "ONNX", "--modelFile", str(graph), "--MNNModel", str(out.resolve())]
            order += ["--bizCode", mark]
            order += ["--fp16"] if halves else []
            # The converter leaves a file behind where it is at work.
            done = subprocess.run([sys.executable, "-c", _ALONE, *order], cwd=folder, capture_output=True, check=False)
        printed = (done.stdout + done.stderr).decode("utf-8", "replace")
        # The converter returns the same whether it succeeds or fails.
        if done.returncode != 0 or not out.is_file() or "Converted Success" not in printed:
            reason = _said(printed) or f"its process ended with status {done.returncode}"
            remedy = ANOTHER
            if options.batch > 1:
                smaller = (Option("batch"), options.batch)
                remedy = Remedy(f"{ANOTHER.text} or a smaller {{}} than {{}}", *ANOTHER.values, *smaller)
            raise BackendError(f"mnn could not compile {model.name}: {reason}", remedy=remedy)
        _name_by_content(out)

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> MnnSession:
        """Loads the file and lays its weights out for this processor."""
        threads = int(run_settings.get("threads", 0)) or environment.cores()
        return MnnSession(compiled, threads, int(run_settings.get("streams", 1)))


class MnnSession:
    """An interpreter for each batch in flight: those of one interpreter wait for each other."""

    def __init__(self, compiled: CompiledModel, threads: int, slots: int) -> None:
        self.device = "cpu"
        self.input = compiled.input
        self.output = compiled.output
        self.slots = slots
        self._interpreters = SlotPool(slots, lambda: _Interpreter(compiled, threads))

    def infer(self, batch: Batch) -> Scores:
        """Scores one batch on an interpreter that is idle."""
        with self._interpreters.lend() as interpreter:
            return interpreter.infer(batch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Frees the interpreters."""
        self._interpreters.close()


class _Interpreter:
    """A loaded graph with buffers for one batch; for one thread at a time."""

    def __init__(self, compiled: CompiledModel, threads: int) -> None:
        path = compiled.file.path
        # High precision is float32 throughout; less allows bfloat16 where a processor has it.
        configuration = {"backend": "CPU", "numThread": threads, "precision": "high"}
        with native_output.captured() as printed:
            try:
                self._interpreter = MNN.Interpreter(str(path))
                self._interpreter.setSessionHint(_TILE_HINT, _TILES[str(compiled.options.settings["winograd"])])
                self._session = self._interpreter.createSession(configuration)
            except Exception as error:  # the vendor raises the base class itself
                failed: Exception | None = error
            else:
                failed = None
        if failed is not None or self._session is None:
            raise BackendError(
                f"mnn could not open {path}: {_said(printed.text) or failed}; make it again with assay compile"
            ) from failed
        self._input = self._interpreter.getSessionInput(self._session).getNumpyData()
        self._output = self._interpreter.getSessionOutput(self._session)
        shapes = tuple(self._input.shape), tuple(self._output.getShape())
        if shapes != (compiled.input.shape, compiled.output.shape) or self._input.dtype != compiled.input.dtype:
            raise BackendError(
                f"mnn opened {path} as {shapes[0]} {self._input.dtype} → {shapes[1]}, not as its record says: "
                f"{compiled.input.shape} {compiled.input.dtype} → {compiled.output.shape}; "
                "make it again with assay compile"
            )
        # The runtime's own tensors may be packed by channels; copying to one like this unpacks them.
        self._scores = MNN.Tensor(
            shapes[1],
            MNN.Halide_Type_Float,
            np.zeros(self._output.getShape(), np.float32),
            MNN.Tensor_DimensionType_Caffe,
        )

    def infer(self, batch: Batch) -> Scores:
        """Copies a batch in, runs, and copies its scores out."""
        if batch.shape != self._input.shape or batch.dtype != self._input.dtype:
            raise BackendError(
                f"mnn could not run a batch: it takes {self._input.shape} {self._input.dtype}, "
                f"and was given {batch.shape} {batch.dtype}"
            )
        np.copyto(self._input, batch)
        code = self._interpreter.runSession(self._session)
        if code != 0 or not self._output.copyToHostTensor(self._scores):
            raise BackendError(f"mnn could not run a batch: error code {code}; try a smaller batch size")
        return np.array(self._scores.getNumpyData(), dtype=np.float32)


def _name_by_content(path: Path) -> None:
    """Replaces the random identifier that the converter writes by one made from all the other bytes."""
    written = str(MNN.get_model_uuid(str(path))).encode()
    content = path.read_bytes()
    if len(written) != len(str(uuid.UUID(int=0))) or content.count(written) != 1:
        return
    blank = content.replace(written, bytes(len(written)))
    identifier = uuid.UUID(bytes=hashlib.sha256(blank).digest()[:16])
    path.write_bytes(content.replace(written, str(identifier).encode()))


def _said(printed: str) -> str:
    """What went wrong, out of all that was printed, in one line."""
    lines = [line.strip() for line in printed.splitlines()]
    told = [line for line in lines if line and not line.startswith(_CHATTER) and ": ONNX Model " not in line]
    # A line of the log begins with its time and place: [10:05:19] :220: …
    return " ".join(re.sub(r"^\[[\d:]+\] \S*:\d+: ", "", line) for line in told)[:400]
