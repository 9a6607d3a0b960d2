"""What the tests of backends share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from assay.processes import child


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling stays in this process, where a vendor's package has a stand-in."""

    def run(function: Callable[..., Any], *arguments: Any, **_: Any) -> Any:
        return function(*arguments)

    monkeypatch.setattr(child, "run", run)
