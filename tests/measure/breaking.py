"""LoadGen's test in its child process, with a session that breaks while the test is under way."""

from __future__ import annotations

import os
import signal
import threading
import time

from assay.backends.base import Batch, Scores
from assay.backends.onnxruntime import OnnxRuntimeSession
from assay.errors import BackendError
from assay.loadgen import driver
from assay.loadgen.driver import Driven, Test

WHOLE = OnnxRuntimeSession.infer


def refusing(test: Test) -> Driven:
    """A session that raises once LoadGen's queries come."""
    return _broken(test, _refuse)


def dying(test: Test) -> Driven:
    """A session that ends the process."""
    return _broken(test, _die)


def hanging(test: Test) -> Driven:
    """A session that never answers; the file `at-work` says that it is asked."""
    return _broken(test, lambda: _hang(test))


def _broken(test: Test, what: object) -> Driven:
    def infer(self: OnnxRuntimeSession, batch: Batch) -> Scores:
        # Warming up and the trial before the test stay whole.
        if threading.current_thread().name == "assay-answers":
            what()  # type: ignore[operator]
        return WHOLE(self, batch)

    OnnxRuntimeSession.infer = infer  # type: ignore[method-assign]
    return driver.drive(test)


def _refuse() -> None:
    raise BackendError("onnxruntime refused a batch")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hang(test: Test) -> None:
    (test.folder / "at-work").touch()
    time.sleep(600)
