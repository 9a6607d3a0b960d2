"""The watch over the machine and its clock, as they are."""

from __future__ import annotations

import pytest

from assay.measure import clock, machine

_WINDOW_SECONDS, _AGREEMENT, _LOOK_SECONDS = clock.WINDOW_SECONDS, clock.AGREEMENT, machine.LOOK_SECONDS


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes back what makes other tests short."""
    monkeypatch.setattr(clock, "WINDOW_SECONDS", _WINDOW_SECONDS)
    monkeypatch.setattr(clock, "AGREEMENT", _AGREEMENT)
    monkeypatch.setattr(machine, "LOOK_SECONDS", _LOOK_SECONDS)
