"""MNN as a vendor might ship it: a compile reports itself, from the child that compiles or the converter's process."""

from __future__ import annotations

import importlib
import socket
from contextlib import suppress
from pathlib import Path

from assay.backends import mnn
from assay.records import BuildOptions, OnnxModel

TABLE = {name: f"{__name__}:{name.title()}" for name in ("connecting", "converting", "importing")}
NOWHERE = ("192.0.2.1", 9)
"""An address for documentation, which nobody has."""
_REPORT = f"import contextlib, socket\nwith contextlib.suppress(OSError): socket.socket().connect_ex({NOWHERE})\n"


class Connecting(mnn.Mnn):
    """Reports from the child that compiles."""

    name = "connecting"

    def compile(self, model: OnnxModel, options: BuildOptions, out: Path) -> None:
        with suppress(OSError):
            socket.socket().connect(NOWHERE)
        super().compile(model, options, out)


class Converting(mnn.Mnn):
    """Reports from the converter's process."""

    name = "converting"

    def compile(self, model: OnnxModel, options: BuildOptions, out: Path) -> None:
        mnn._ALONE = f"{_REPORT}{mnn._ALONE}"
        super().compile(model, options, out)


class Importing(mnn.Mnn):
    """Looks for the package that reports."""

    name = "importing"

    def compile(self, model: OnnxModel, options: BuildOptions, out: Path) -> None:
        with suppress(ImportError):
            importlib.import_module("openvino_telemetry")
        super().compile(model, options, out)
