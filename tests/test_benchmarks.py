"""Every benchmark in its small form, so that none breaks unseen: what it measures is noise, and no bound is checked."""

from __future__ import annotations

import dataclasses
import itertools
import json
from math import isfinite
from pathlib import Path

import pytest
from benchmarks import __main__ as command
from benchmarks import contract_overhead, harness
from benchmarks.catalogue import benchmarks
from benchmarks.harness import Benchmark, Bound, Measured, Turns, in_turn

from assay import environment

KNOWN = benchmarks()
SLOW = {
    "ray_overhead",
    "ray_two_nodes",
    "search_overhead",
    "search_regret",
    "tuned_fp32",
    "tuned_int8",
    "tuned_small",
}
"""A cluster takes long to start, and a search with less than some seconds finds nothing."""
LONG = {
    "contract_overhead",
    "end_to_end_share_all",
    "loadgen_vs_own",
    "memory_growth",
    "mnn_vs_ort",
    "report_page",
    "resume_noop",
}
"""They start many processes, or measure more than one thing."""


def _marks(name: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] * (name in SLOW) + [pytest.mark.long] * (name in LONG)


def test_there_are_benchmarks_for_every_small_form_that_is_long() -> None:
    assert set(KNOWN) > SLOW | LONG


@pytest.mark.parametrize("name", [pytest.param(name, marks=_marks(name)) for name in KNOWN])
def test_every_benchmark_gives_a_row(name: str, tmp_path: Path) -> None:
    benchmark = KNOWN[name]
    if (reason := benchmark.reason_to_skip()) is not None:
        pytest.skip(reason)
    row = benchmark.row(name, tmp_path, small=True)
    assert (row.name, row.unit, row.bound) == (name, benchmark.unit, str(benchmark.bound))
    assert isfinite(row.measured)
    assert row.against
    assert row.instruction_sets == environment.instruction_sets()


@pytest.mark.slow
@pytest.mark.torch
def test_the_call_of_torch_by_itself_gives_the_scores_of_the_session(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    form = dataclasses.replace(contract_overhead.BENCHMARK.small, backends=("torch",))
    assert "torch on demo" in contract_overhead.measure(form, tmp_path).against


def test_the_ratio_is_the_median_of_the_rounds_so_that_drift_cancels_out() -> None:
    turns = Turns(ours=(2.0, 4.0, 8.0, 80.0, 32.0), yardstick=(1.0, 2.0, 4.0, 8.0, 16.0))
    assert turns.ratio == 2.0
    assert turns.medians("ms", 1000) == "8,000 to 4,000 ms, 5 rounds"


def test_the_order_changes_from_round_to_round() -> None:
    clock = itertools.count(1)
    turns = in_turn(lambda: float(next(clock)), lambda: float(next(clock)), rounds=3)
    assert turns == Turns(ours=(1.0, 4.0, 5.0), yardstick=(2.0, 3.0, 6.0))


@pytest.mark.parametrize(
    ("bound", "printed", "held", "missed"), [(Bound(least=0.6), ">= 0.6", 0.6, 0.59), (Bound(most=3), "<= 3", 3, 3.1)]
)
def test_a_bound_is_held_or_missed(bound: Bound, printed: str, held: float, missed: float) -> None:
    assert str(bound) == printed
    assert bound.holds(held)
    assert not bound.holds(missed)


@pytest.fixture
def one_benchmark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The command with one benchmark that measures what its form says, and one that cannot run here."""

    def measure(form: float, folder: Path) -> Measured:
        return Measured(form, "nothing")

    half = Benchmark(measure, full=0.5, small=0.1, bound=Bound(least=0.4))
    missed = dataclasses.replace(half, bound=Bound(least=0.6))
    absent = dataclasses.replace(half, modules=("no_such_module",))
    monkeypatch.setattr(command, "benchmarks", lambda: {"half": half, "missed": missed, "absent": absent})
    latest = tmp_path / "benchmarks" / "latest.json"
    latest.parent.mkdir()
    for module in (command, harness):
        monkeypatch.setattr(module, "LATEST", latest)
    return latest


def test_a_row_is_printed_and_kept_and_names_the_instruction_sets(
    one_benchmark: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["half"]) == 0
    (kept,) = json.loads(one_benchmark.read_text())
    assert (kept["name"], kept["measured"], kept["bound"], kept["holds"]) == ("half", 0.5, ">= 0.4", True)
    assert kept["instruction_sets"] == list(environment.instruction_sets())
    assert "half" in capsys.readouterr().out


def test_a_missed_bound_is_a_failure_and_is_kept(one_benchmark: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["half", "missed"]) == 1
    assert [row["holds"] for row in json.loads(one_benchmark.read_text())] == [True, False]
    assert "NO" in capsys.readouterr().out


def test_what_cannot_run_here_is_skipped_with_the_reason(
    one_benchmark: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["absent"]) == 1
    assert "absent skipped: not installed: no_such_module" in capsys.readouterr().out
    assert not one_benchmark.exists()


def test_an_unknown_benchmark_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["pipeline_cieling"]) == 2
    assert "unknown benchmark 'pipeline_cieling'; known: pipeline_ceiling" in capsys.readouterr().err
