"""Ascend devices: `atc` compiles to an `.om` file as in the guide, and `ais_bench` runs it.

Both come with CANN, Huawei's toolkit, which is no Python package of a registry: `source …/set_env.sh` puts it on the
paths. This file is written to their documented interfaces; nothing of it was run on a device yet. With uint8 input
the graph begins with a cast of bytes, which `atc` documents for its own preprocessing alone: where it refuses that,
compile for float32 input.
"""

from __future__ import annotations

import importlib
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from assay.backends.base import Batch, Names, Scores, Settings, Start
from assay.backends.slots import SlotPool
from assay.errors import BackendError, Option, Remedy
from assay.processes import programs
from assay.records import BuildOptions, CompiledModel, OnnxModel, Precision, Setting
from assay.storage import store

_DEVICE = re.compile(r"npu:(\d+)")
_PROCESSORS = ("Ascend310", "Ascend710", "Ascend310P3", "Ascend310B1", "Ascend910A", "Ascend910B3")
"""The guide's two, and others of those that `--soc_version` knows."""
_FORM = "Ascend[0-9A-Za-z_-]+"
_ONNX = 5
"""What `atc` calls the framework."""


class Ascend:
    """Half precision throughout, as the devices compute convolutions."""

    name = "ascend"
    suffix = ".om"
    faithful = True
    starts_from: Start = "onnx"
    usual_device = "npu:0"

    def version(self) -> str:
        """The version of CANN that `atc` belongs to."""
        home = _compiler().resolve().parents[1]
        for file in (home / "version.cfg", home / "compiler" / "version.info", home / "version.info"):
            match = re.search(r"(?i)version\D*(\d[\w.]*)", file.read_text("utf-8")) if file.is_file() else None
            if match:
                return match[1]
        return "unknown"

    def devices(self) -> Sequence[str]:
        """The devices by number; none where CANN's Python interface is not on the path."""
        try:
            count, failed = importlib.import_module("acl").rt.get_device_count()
        except (ImportError, AttributeError, OSError):
            return ()
        return tuple(f"npu:{number}" for number in range(0 if failed else count))

    def target(self, device: str) -> str:
        """The processor that CANN finds here: an artifact is for one kind alone."""
        return " ".join(["ascend", *_processor()])

    def precisions(self, device: str) -> Sequence[Precision]:
        """Half precision."""
        return ("fp16",)

    def build_settings(self, device: str) -> Settings:
        """The processor, as `atc` calls it: the one that CANN finds here, or else the guide's."""
        where = "npu-smi info shows, with Ascend before it"
        return {"soc_version": Names.of(*_processor(), *_PROCESSORS, form=_FORM, where=where)}

    def run_settings(self, device: str) -> Settings:
        """How many batches may be in flight, each in a session of its own."""
        return {"slots": (1, 2)}

    def command(self, model: OnnxModel, options: BuildOptions, out: Path) -> Sequence[str]:
        """The guide's command line."""
        shape = ",".join(str(side) for side in model.input.shape)
        return (
            "atc",
            f"--framework={_ONNX}",
            f"--model={model.file.path}",
            # The tool adds the suffix to whatever name it is given.
            f"--output={out.with_name(out.name.removesuffix(self.suffix))}",
            # What is neither N×C×H×W has no name of its own for models of ONNX.
            f"--input_format={'NCHW' if options.input_kind == 'float32' else 'ND'}",
            f"--input_shape={model.input.name}:{shape}",
            "--log=error",
            f"--soc_version={options.settings['soc_version']}",
        )

    def compile(self, model: OnnxModel, options: BuildOptions, out: Path) -> None:
        """Runs the compiler, in a folder of its own that takes what it leaves behind."""
        program = _compiler()
        with store.scratch_folder(out.parent) as folder:
            # It runs in that folder, so what it is told must not depend on where it runs.
            made = folder.resolve() / f"artifact{self.suffix}"
            words = self.command(model, options, made)
            done = subprocess.run([program, *words[1:]], cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode != 0 or not made.is_file():
                raise BackendError(
                    f"atc could not compile {model.name} (status {done.returncode}): "
                    f"{_reason(done.stdout + done.stderr)}",
                    remedy=Remedy(
                        "compile with {} to get its command line, and run that to see its own messages",
                        Option("dry_run"),
                    ),
                )
            made.replace(out)

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> AscendSession:
        """Loads the artifact on its device."""
        return AscendSession(compiled, int(run_settings.get("slots", 1)))


class AscendSession:
    """A loaded artifact, once for each batch that may be in flight."""

    def __init__(self, compiled: CompiledModel, slots: int) -> None:
        self.device = compiled.options.device
        self.input = compiled.input
        self.output = compiled.output
        self.slots = slots
        number = _DEVICE.fullmatch(self.device)
        if number is None:
            raise BackendError(f"{self.device} is no device of ascend; give one such as npu:0")
        try:
            interface = importlib.import_module("ais_bench.infer.interface")
        except ImportError as error:
            raise BackendError(
                f"ascend runs artifacts with the package ais_bench ({error}); install the wheels of aclruntime and "
                "ais_bench for your version of CANN"
            ) from error
        with _translated(f"open {compiled.file.path}"):
            self._sessions = SlotPool[Any](
                slots,
                lambda: interface.InferSession(int(number[1]), str(compiled.file.path)),
                lambda session: session.free_resource(),
            )

    def infer(self, batch: Batch) -> Scores:
        """Scores one batch on a session that is idle."""
        with self._sessions.lend() as session, _translated("run a batch"):
            scores = session.infer([np.ascontiguousarray(batch)], mode="static")[0]
        # Half precision where the compiler kept the output so; and memory that the next call may write to.
        return np.array(scores, dtype=np.float32).reshape([int(side) for side in self.output.shape])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Frees the device's memory."""
        self._sessions.close()


def _processor() -> tuple[str, ...]:
    """The name of this machine's processor, or nothing where CANN's Python interface does not tell."""
    try:
        name = importlib.import_module("acl").get_soc_name()
    except (ImportError, AttributeError, OSError):
        return ()
    return (name,) if isinstance(name, str) and name else ()


def _compiler() -> Path:
    program = programs.find("atc")
    if program is None:
        raise BackendError(
            "ascend needs CANN, and its compiler atc is not on the PATH",
            remedy=Remedy(
                "install the CANN toolkit and source its set_env.sh, or compile with {} to see the command line",
                Option("dry_run"),
            ),
        )
    return program


def _reason(said: str) -> str:
    """The lines that name an error, or else the last one, as one line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"error|\bE\d{5}\b", line, re.IGNORECASE)]
    return " ".join(errors[:3] or lines[-1:])[:400] or "it said nothing"


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """The vendor's exceptions as one line of ours."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, OSError) as error:
        raise BackendError(f"ascend could not {doing}: {' '.join(str(error).split())[:400]}") from error
