"""What a message must say: what, where, and what to do next."""

from __future__ import annotations

import pytest

from assay.errors import AssayError


def assert_says(caught: pytest.ExceptionInfo[AssayError], *parts: str) -> None:
    """The message is one line and holds every part; files may be listed below it."""
    said = str(caught.value)
    assert "\n" not in caught.value.message
    missing = [part for part in parts if part not in said]
    assert not missing, f"{missing} not said in: {said}"
