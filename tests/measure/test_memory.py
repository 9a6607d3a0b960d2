from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from assay.measure import memory
from assay.measure.memory import PeakMemory

PART = 64 << 20


FULL = b"\x01" * PART


@contextmanager
def mapped() -> Iterator[None]:
    # Not through the allocator: it may keep what it was given back, and hand out again what is resident already.
    with mmap.mmap(-1, PART) as block:
        block.write(FULL)
        yield


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="this system's mark cannot be set back")
def test_a_peak_between_two_looks_is_seen_and_one_before_is_not() -> None:
    with mapped():
        pass
    calm = PeakMemory()
    before = memory.resident_bytes()
    assert calm.bytes() < before + PART / 2
    with mapped():
        pass
    assert calm.bytes() > before + PART * 0.9


def test_where_the_mark_cannot_be_set_back_what_was_seen_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "_RESET", tmp_path / "absent" / "clear_refs")
    peak = PeakMemory()
    before = memory.resident_bytes()
    with mapped():
        peak.look()
    assert peak.bytes() > before + PART * 0.9


def test_where_there_is_no_mark_at_all_what_was_seen_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "absent")
    assert PeakMemory().bytes() > 1 << 20
