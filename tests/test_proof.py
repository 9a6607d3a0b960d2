"""The proofs in a smaller form: fewer runs and no long ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pytest

from proof import __main__ as command
from proof import coverage, interleaving, trend
from proof.claims import COVERAGE, Claim, within

RUNS = 400
LENGTHS = (5, 10, 20, 40, 100)


def _cells(processes: Iterable[str], lengths: Sequence[int] = LENGTHS) -> list[coverage.Cell]:
    return [
        coverage.cell(process, times, RUNS, [1, place, times])
        for place, process in enumerate(processes)
        for times in lengths
    ]


@pytest.fixture(scope="module")
def cells() -> list[coverage.Cell]:
    return _cells(coverage.PROCESSES)


def _covered(cells: Sequence[coverage.Cell]) -> tuple[float, float]:
    """The share of intervals that hold the truth, and two standard errors of it where 95 % do."""
    intervals = sum(one.answers["covers"] + one.answers["misses"] for one in cells)
    return sum(one.answers["covers"] for one in cells) / intervals, 2 * math.sqrt(0.95 * 0.05 / intervals)


@pytest.mark.parametrize("process", coverage.PROCESSES)
def test_intervals_hold_the_true_mean_where_the_runs_are_long_enough(process: str, cells: list[coverage.Cell]) -> None:
    since = coverage.SINCE.get(process, 20)
    share, error = _covered([one for one in cells if one.process == process and one.times >= since])
    assert COVERAGE[0] - error <= share <= COVERAGE[1] + error


@pytest.mark.parametrize("process", coverage.BEYOND)
def test_what_is_beyond_the_method_is_shown_and_holds_nothing_up(
    process: str, cells: list[coverage.Cell], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rare = _cells([process])
    share, error = _covered([one for one in rare if one.times >= 20])
    assert share < COVERAGE[0] - error
    found = [one for one in coverage.claims([*cells, *rare]) if one.holds is None]
    assert [one.name.partition(":")[0] for one in found] == [
        *(f"{process}, {times} times" for times in LENGTHS),
        *(f"{name}, 20 times" for name in coverage.SINCE),
    ]
    assert found[1].measured == f"{rare[1].printed:.1%}, {rare[1].coverage:.1%}"
    monkeypatch.setattr(coverage, "prove", lambda seed: found)
    assert command.main(["--seed", "1", "coverage"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if process in line]
    assert [line.split()[-1] for line in lines] == ["–"] * len(LENGTHS)


def test_intervals_are_given_for_long_runs_and_seldom_for_short_ones(cells: list[coverage.Cell]) -> None:
    assert all(one.printed >= 0.85 for one in cells if one.times >= 40)
    assert all(one.printed <= 0.3 for one in cells if one.times == 10)


def test_false_alarms_are_rare(cells: list[coverage.Cell]) -> None:
    assert sum(one.answers["not stationary"] for one in cells if one.times >= 20) <= 0.02 * RUNS * 3 * len(
        coverage.PROCESSES
    )


def test_trends_are_found() -> None:
    assert _failed(trend.prove(1)) == []


def test_in_turns_decides_rightly_and_apart_does_not() -> None:
    assert _failed(interleaving.prove(1, fewer=2)) == []


def test_the_table_names_what_does_not_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trend, "prove", lambda seed: [within("half", [0.5], most=0.6), within("most", [0.7], most=0.6)])
    assert command.main(["--seed", "3", "trend"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if "50.0%" in line] == [["3", "half", "50.0%", "at", "most", "60%", "yes"]]
    assert [line.split()[-1] for line in lines if "70.0%" in line] == ["NO"]


def test_an_unknown_proof_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--seed", "1", "luck"])
    assert "unknown proof 'luck'; known: coverage, trend, interleaving" in capsys.readouterr().err


def _failed(claims: list[Claim]) -> list[Claim]:
    return [claim for claim in claims if claim.holds is False]
