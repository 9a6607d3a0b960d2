"""Every benchmark in its small form, so that none breaks unseen; what it measures is noise, and no bound is checked."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from benchmarks.catalogue import benchmarks

KNOWN = benchmarks()
LONG: set[str] = set()
"""Those whose small form takes more than some seconds."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] if name in LONG else []) for name in KNOWN]
)
def test_the_small_form_runs_from_end_to_end(name: str, tmp_path: Path) -> None:
    benchmark = KNOWN[name]
    if (reason := benchmark.reason_to_skip()) is not None:
        pytest.skip(reason)
    row = benchmark.row(name, tmp_path, small=True)
    assert row.name == name
    assert math.isfinite(row.measured)
    assert row.against
    assert row.bound == str(benchmark.bound)
