"""The proofs in a smaller form: fewer runs and no long ones, judged all together."""

from __future__ import annotations

import pytest

from proof import __main__ as command
from proof import coverage, interleaving, trend
from proof.claims import COVERAGE, Claim, within

RUNS = 400


@pytest.fixture(scope="module")
def cells() -> list[coverage.Cell]:
    return [
        coverage.cell(process, times, RUNS, [1, place, times])
        for place, process in enumerate(coverage.PROCESSES)
        for times in (10, 20, 40, 100)
    ]


def test_intervals_hold_the_true_mean_where_the_runs_are_long_enough(cells: list[coverage.Cell]) -> None:
    long = [one for one in cells if one.times >= coverage.SINCE.get(one.process, 20)]
    covers = sum(one.answers["covers"] for one in long)
    assert COVERAGE[0] <= covers / sum(one.answers["covers"] + one.answers["misses"] for one in long) <= COVERAGE[1]


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
    return [claim for claim in claims if not claim.holds]
