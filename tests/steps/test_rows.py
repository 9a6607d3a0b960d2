from __future__ import annotations

from pathlib import Path

import pytest

import assay
from assay.records import RunRecord
from assay.storage import store
from tests import factories


def test_runs_and_reported_figures_are_rows_with_the_same_keys(tmp_path: Path) -> None:
    store.write(tmp_path / "run.json", factories.run_record([factories.result(tmp_path)]))
    rows = assay.to_rows([tmp_path, "guide:T4"])
    assert len(rows) == 1 + 6
    assert len({tuple(row) for row in rows}) == 1
    ours, theirs = rows[0], rows[1]
    assert (ours["backend"], ours["batch"], ours["interface"], ours["top1"]) == ("onnxruntime", 1, 100.0, 47.0)
    assert ours["interface_low"] == pytest.approx(100.0)
    assert ours["p50"] == pytest.approx(0.0025)
    assert (theirs["device"], theirs["interface"], theirs["top1"], theirs["p50"]) == ("NVIDIA T4", 244.615, None, None)


def test_a_loaded_run_tells_its_latency_and_its_accuracy(tmp_path: Path) -> None:
    results = [factories.result(tmp_path), factories.result(tmp_path, 16, (90,) * 5, calls=factories.steady(4.0))]
    store.write(tmp_path / "run.json", factories.run_record(results))
    run = assay.load(str(tmp_path))
    assert isinstance(run, RunRecord)
    assert run.latency(99) == run.at(1).latency(99) == pytest.approx(0.0025)
    assert run.at(16).latency(50) == pytest.approx(0.01)
    assert (run.top(1), run.at(1).top(1)) == (45.0, 47.0)
