"""What the tests of backends share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assay import demo
from assay.processes import child
from assay.records import OnnxModel
from assay.steps.export import export


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    """The demo with its exported program."""
    out = tmp_path_factory.mktemp("exported") / "model.onnx"
    return export(demo.CHECKPOINT, arch=demo.NAME, out=out, pt2=True)


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where artifacts that several tests open are compiled once."""
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling stays in this process, where a vendor's package has a stand-in."""

    def run(function: Callable[..., Any], *arguments: Any, **_: Any) -> Any:
        return function(*arguments)

    monkeypatch.setattr(child, "run", run)
