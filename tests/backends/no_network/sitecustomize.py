"""Loaded by every Python process of a guarded run: refuses and notes what would reach the network.

The notes go to the file that ASSAY_TEST_ATTEMPTS names, a line each as they come up: most of these processes are
killed at their end.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

_TELLING = ("MNN.tools", "openvino_telemetry", "pip")
"""Modules that report over the network, or install what does."""


def _note(what: str) -> None:
    with Path(os.environ["ASSAY_TEST_ATTEMPTS"]).open("a", encoding="utf-8") as file:
        file.write(f"{what}\n")


class _Watch(MetaPathFinder):
    """The first finder of modules: those that tell are noted and not there."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if any(name == one or name.startswith(f"{one}.") for one in _TELLING):
            _note(f"import {name}")
            raise ModuleNotFoundError(f"no {name} in this test", name=name)


def _refused(name: str) -> Any:
    def refuse(*arguments: Any, **_: Any) -> None:
        _note(f"{name} {arguments[1:] or arguments}")
        raise OSError("no network in this test")

    return refuse


if "ASSAY_TEST_ATTEMPTS" in os.environ:
    sys.meta_path.insert(0, _Watch())
    for _name in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, _name, _refused(_name))
    socket.getaddrinfo = _refused("getaddrinfo")
    _note("guarded")
