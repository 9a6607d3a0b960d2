from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from assay.errors import RecordError
from assay.tuning import optuna_search as searching
from assay.tuning.optuna_search import Study, best_of
from assay.tuning.records import Candidate, TrialState, TuningTrial
from assay.tuning.space import BackendSpace, Space

pytest.importorskip("optuna", reason="needs the extra `tune`")

FAST = BackendSpace("fast", "cpu", ("fp32", "int8"), {"level": ("all", "none")}, {"threads": (0, 1, 2)})
SLOW = BackendSpace("slow", "cpu", ("fp32",), {}, {"streams": (1, 2)})
SPACE = Space(backends=(FAST, SLOW), batches=(1, 16), calibrators=("minmax",), float_layers=(0, 2))


class Trials:
    """Tries candidates at once, by a speed that is known, and remembers what was asked."""

    most_seconds = 30.0

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.asked: list[Candidate] = []
        self.told: list[TuningTrial] = []
        self._interrupt_at = interrupt_at

    def attempt(self, number: int, candidate: Candidate, trials: Sequence[TuningTrial], left: float) -> TuningTrial:
        if self._interrupt_at == len(self.asked):
            raise KeyboardInterrupt
        self.asked.append(candidate)
        speed = 10.0 * candidate.batch * (2 if candidate.backend == "fast" else 1) + float(
            candidate.run.get("threads", 0)
        )
        if candidate.precision == "int8" and candidate.float_layers == 0:
            return TuningTrial(number=number, candidate=candidate, state="wrong", speed=9 * speed)
        best = best_of(trials)
        better = best is None or speed > (best.speed or 0)
        state: TrialState = "right" if better else "slower"
        return TuningTrial(number=number, candidate=candidate, state=state, leads=better, speed=speed)

    def tell(self, trials: Sequence[TuningTrial], left: float) -> None:
        self.told.append(trials[-1])


def _searched(
    folder: Path, trials: Trials, interest: str = "a", seconds: float = 60.0, most_seconds: float = 30.0
) -> tuple[list[TuningTrial], str]:
    trials.most_seconds = most_seconds
    return Study(folder / "study.sqlite", interest, seed=0).run(SPACE, trials, seconds)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trials, list[TuningTrial]]:
    """A search that came to its end, and what it found."""
    trials = Trials()
    return trials, _searched(tmp_path_factory.mktemp("searched"), trials)[0]


@pytest.mark.xdist_group("a study")
def test_every_backends_defaults_come_first(searched: tuple[Trials, list[TuningTrial]]) -> None:
    trials, _ = searched
    first = trials.asked[:2]
    assert [(one.backend, one.batch, one.precision) for one in first] == [("fast", 16, "fp32"), ("slow", 16, "fp32")]
    assert dict(first[0].build) | dict(first[0].run) == {"level": "all", "threads": 0}
    assert trials.asked[2].calibrator == "minmax"
    assert all(one in trials.asked for one in SPACE.defaults())


@pytest.mark.xdist_group("a study")
def test_the_fastest_that_is_right_wins_and_nothing_is_tried_twice(searched: tuple[Trials, list[TuningTrial]]) -> None:
    trials, found = searched
    best = best_of(found)
    assert best is not None
    assert (best.candidate.backend, best.candidate.batch, best.candidate.run["threads"]) == ("fast", 16, 2)
    assert len({str(one) for one in trials.asked}) == len(trials.asked) == len(found)
    assert trials.told == found


def test_an_interrupt_keeps_what_was_found_and_a_second_search_goes_on(tmp_path: Path) -> None:
    found, stopped = _searched(tmp_path, Trials(interrupt_at=3))
    assert (len(found), stopped) == (3, searching.INTERRUPTED)
    again = Trials(interrupt_at=3)
    more, _ = _searched(tmp_path, again)
    assert len(more) == 6
    assert more[:3] == found
    assert not any(one.candidate in again.asked for one in found)


def test_the_search_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(searching, "now", lambda: float(next(clock)))
    found, stopped = _searched(tmp_path, Trials(), seconds=100.0)
    assert 1 <= len(found) < 6
    assert stopped == "the time is up"


def test_a_study_of_another_model_is_refused(tmp_path: Path) -> None:
    _searched(tmp_path, Trials(interrupt_at=1))
    with pytest.raises(RecordError, match=r"is a search for another model, .*; choose another folder"):
        _searched(tmp_path, Trials(), interest="b")


def test_a_file_that_is_no_study_is_named(tmp_path: Path) -> None:
    (tmp_path / "study.sqlite").write_bytes(b"not a database, and longer than its header" * 9)
    with pytest.raises(RecordError, match=r"study\.sqlite is no study of a search"):
        _searched(tmp_path, Trials())


@pytest.mark.long
def test_where_a_backends_defaults_fail_what_differs_in_one_setting_is_tried_next(tmp_path: Path) -> None:
    class Failing(Trials):
        def attempt(self, number: int, candidate: Candidate, trials: Sequence[TuningTrial], left: float) -> TuningTrial:
            tried = super().attempt(number, candidate, trials, left)
            failed = candidate.build.get("level") == "all" and candidate.precision == "fp32"
            return msgspec.structs.replace(tried, state="failed", speed=None, leads=False) if failed else tried

    trials = Failing()
    _searched(tmp_path, trials)
    asked = [(one.backend, one.batch, one.precision, dict(one.build)) for one in trials.asked]
    assert asked[:3] == [
        ("fast", 16, "fp32", {"level": "all"}),
        ("slow", 16, "fp32", {}),
        ("fast", 16, "int8", {"level": "all"}),
    ]
    starts = [(one.backend, one.batch, one.precision, dict(one.build)) for one in SPACE.starts()]
    assert asked[: len(starts)] == starts
    assert asked[len(starts)] == ("fast", 16, "fp32", {"level": "none"})


@pytest.mark.long
def test_what_was_ended_for_a_share_of_the_time_is_tried_again_once_there_is_more(tmp_path: Path) -> None:
    class Cutting(Trials):
        def attempt(self, number: int, candidate: Candidate, trials: Sequence[TuningTrial], left: float) -> TuningTrial:
            tried = super().attempt(number, candidate, trials, left)
            if candidate.backend == "fast":
                return tried
            return msgspec.structs.replace(tried, state="failed", speed=None, leads=False, cut_seconds=30.0)

    found, _ = _searched(tmp_path, Cutting())
    cut = [one for one in found if one.cut_seconds is not None]
    assert cut
    same = Trials()
    _searched(tmp_path, same)
    assert not any(one.candidate in same.asked for one in cut)
    more = Trials()
    again, _ = _searched(tmp_path, more, most_seconds=31.0)
    starts = [one.candidate for one in cut if one.candidate in list(SPACE.starts())]
    assert more.asked[: len(starts)] == starts
    assert len({one.number for one in again}) == len(again)
    assert {one.candidate.backend for one in again if one.cut_seconds is not None} <= {"slow"}
    assert all(one.state != "failed" for one in again if one.candidate in starts)
    numbers = {one.number: one.candidate for one in found}
    assert all(numbers[one.number] == one.candidate for one in again if one.number in numbers)
