"""The proofs in a smaller form: fewer runs and no long ones."""

from __future__ import annotations

import pytest

from proof import __main__ as command
from proof import coverage, interleaving, percentiles, power, trend
from proof.claims import Claim, Share, counted, shown, within

RUNS = 300


@pytest.fixture(scope="module")
def cells() -> list[coverage.Cell]:
    return [
        coverage.cell(process, samples, RUNS, [1, place, samples])
        for place, process in enumerate((*coverage.PLAIN, *coverage.HEAVY))
        for samples in (60, 240, 1000)
    ]


def test_intervals_hold_the_true_mean_and_are_given(cells: list[coverage.Cell]) -> None:
    claims = coverage.claims(cells)
    assert len(claims) == len(coverage.PLAIN) + len(coverage.HEAVY) + 4
    assert _failed(claims) == []


def test_the_table_of_the_documents_has_a_line_a_series(cells: list[coverage.Cell]) -> None:
    long = [*cells, *(coverage.cell(one, 4000, 1, [1]) for one in (*coverage.PLAIN, *coverage.HEAVY))]
    lines = coverage.table(long).splitlines()
    assert lines[0] == "| series | 240 calls | 1,000 calls | 4,000 calls |"
    assert len(lines) == 2 + len(coverage.PLAIN) + len(coverage.HEAVY)


def test_percentiles_are_held_where_an_interval_is_given() -> None:
    assert _failed(percentiles.prove(1, fewer=10)) == []


def test_differences_are_found_and_equal_artifacts_are_not_told_apart() -> None:
    assert _failed(power.prove(1, fewer=5)) == []


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
    assert "unknown proof 'luck'; known: coverage, percentiles, trend, interleaving, power" in capsys.readouterr().err


def test_a_counted_share_may_lie_three_standard_errors_beyond_its_bound() -> None:
    # By hand: √(0.9 · 0.1 / 100) is 0.03.
    assert [Share(count, 100).is_within(0.9, 1.0) for count in (80, 82, 100)] == [False, True, True]
    assert counted("none", [Share(0, 0)], least=0.9) == shown("none", [])


def _failed(claims: list[Claim]) -> list[Claim]:
    return [claim for claim in claims if claim.holds is False]
