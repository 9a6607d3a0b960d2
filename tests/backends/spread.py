"""ONNX Runtime that takes its time, so that a worker can be killed at work; its target hangs on the node it runs on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from assay import environment
from assay.backends.onnxruntime import OnnxRuntime, OnnxRuntimeSession
from assay.errors import BackendError
from assay.records import CompiledModel, Setting

TABLE = {"slow": "tests.backends.spread:Slow"}
CALL_SECONDS = 0.06
BEGUN: list[str] = []
"""The device of each call of this process, as it begins."""
KIND, CALL = "ASSAY_TEST_KIND", "ASSAY_TEST_CALL_SECONDS"
"""Of the processor, and how long a call takes there, in the environment of a node."""
DECODERS = "ASSAY_TEST_DECODERS"
"""In the environment of a node that decodes by other versions."""
DEADLY = "ASSAY_TEST_DEADLY"
"""In the environment of a node where the worker dies as it opens the artifact."""
FULL = "ASSAY_TEST_FULL"
"""In the environment of a node whose device is taken: nothing opens there."""


class Slow(OnnxRuntime):
    """Scores as ONNX Runtime does."""

    name = "slow"

    def target(self, device: str) -> str:
        """As the environment has it."""
        return super().target(device) + os.environ.get(KIND, "")

    def open(self, compiled: CompiledModel, run_settings: Mapping[str, Setting]) -> OnnxRuntimeSession:
        """With a pause in every call."""
        if DECODERS in os.environ:
            environment.decoders = lambda: ("1.0", None)
        if DEADLY in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)
        if FULL in os.environ:
            raise BackendError("the device of this node is taken; free it")
        session = super().open(compiled, run_settings)
        infer, seconds = session.infer, float(os.environ.get(CALL, CALL_SECONDS))

        def slowly(batch: np.ndarray[Any, np.dtype[Any]]) -> Any:
            BEGUN.append(session.device)
            time.sleep(seconds)
            return infer(batch)

        session.infer = slowly  # type: ignore[method-assign]
        return session
