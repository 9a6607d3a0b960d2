"""The watch over the machine and its clock, as they are."""

from __future__ import annotations

import pytest

from tests.hurry import MOMENTARY

_USUAL = [(module, name, getattr(module, name)) for module, name, _ in MOMENTARY]
"""As they were before any test ran."""


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes back what makes other tests short."""
    for module, name, value in _USUAL:
        monkeypatch.setattr(module, name, value)
