"""The search itself: it is given a way to try a candidate, and asks an Optuna study which to try next.

What was tried lies in a study in an SQLite file, so that a search that was killed goes on where it was; the one that is
asked is in memory, since asking means many small writes. Every backend's defaults are tried first, and where those fail
what differs from them in one setting. A candidate that was tried already is not tried again; where the study asks for
nothing else, the search ends.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from assay.errors import MissingExtraError, RecordError
from assay.measure.clock import now
from assay.processes import interrupts
from assay.storage import files
from assay.tuning.records import Candidate, TuningTrial
from assay.tuning.space import Space

if TYPE_CHECKING:
    import optuna

_STUDY_BYTES = 1 << 18
"""What a study's file is given room for: that of a few trials, and the journal beside it while they are written."""
_TRIAL = "trial"
_INTEREST = "interest"
_REPEATS = 30
"""So many times in a row the study may ask for what is known before the space counts as searched."""
_OUT_OF_TIME = "the time is up"
_SEARCHED = "every candidate that the study asked for was tried"
INTERRUPTED = "it was interrupted"


class OutOfTime(Exception):  # noqa: N818 - the end of a search, not an error
    """The time was up before the trial was done: it counts as not tried."""


class Trying(Protocol):
    """Who tries candidates for a study."""

    most_seconds: float
    """That a trial may take."""

    def attempt(self, number: int, candidate: Candidate, trials: Sequence[TuningTrial], left: float) -> TuningTrial:
        """One trial, with all before it, and the seconds that are left; raises `OutOfTime`."""

    def tell(self, trials: Sequence[TuningTrial], left: float) -> None:
        """Is given all trials after each, the newest last, and the seconds left."""


@dataclass(frozen=True)
class Study:
    """Optuna's study of a search, kept in a file."""

    storage: Path
    interest: str
    """Tells the study of one model, data and space from another's."""
    seed: int

    def run(self, space: Space, trying: Trying, seconds: float) -> tuple[list[TuningTrial], str]:
        """Tries candidates until the time is up; returns all trials of the study, and why it ended.

        Raises `RecordError` if the file is of another search. A trial that was ended after less than
        `trying.most_seconds`, since its search gave no more, is tried again. An interrupt ends it and keeps all.
        """
        ends = now() + seconds
        with files.told_if_full(self.storage.parent, _STUDY_BYTES):
            kept = require_study(self.storage, self.interest)
        study = _in_memory(self.seed)
        study.add_trials(kept.trials)
        trials = _newest(msgspec.json.decode(one.user_attrs[_TRIAL], type=TuningTrial) for one in study.trials)
        queue = _first(space, trials, trying.most_seconds)
        repeats = 0
        try:
            with interrupts.first_is_kept():
                while repeats < _REPEATS:
                    if now() + _expected(trials) > ends:
                        return trials, _OUT_OF_TIME
                    if queue:
                        study.enqueue_trial(space.parameters(queue[0]))
                    asked = study.ask()
                    candidate = space.suggested(asked)
                    before = next((one for one in trials if one.candidate == candidate), None)
                    known = before if before is not None and _stands(before, trying.most_seconds) else None
                    repeats = repeats + 1 if known is not None else 0
                    number = before.number if before is not None else len(trials)
                    tried = known or trying.attempt(number, candidate, trials, ends - now())
                    asked.set_user_attr(_TRIAL, msgspec.json.encode(tried).decode())
                    # What cannot be used is worth nothing, and so the study learns to keep away from its like.
                    worth = tried.speed if tried.speed is not None and tried.state in ("right", "slower") else 0.0
                    done = study.tell(asked, worth)
                    if known is None:
                        trials = _newest([*trials, tried])
                        with files.told_if_full(self.storage.parent, _STUDY_BYTES):
                            kept.add_trial(done)
                        queue = _first(space, trials, trying.most_seconds)
                        trying.tell(trials, ends - now())
        except KeyboardInterrupt:
            return trials, INTERRUPTED
        except OutOfTime:
            return trials, _OUT_OF_TIME
        return trials, _SEARCHED


def _stands(trial: TuningTrial, most_seconds: float) -> bool:
    """Whether a trial would end no otherwise if it were given so many seconds."""
    return trial.cut_seconds is None or trial.cut_seconds >= most_seconds


def _newest(trials: Iterable[TuningTrial]) -> list[TuningTrial]:
    """The last trial of each number: one that is tried again takes the place of the one before, at the end."""
    newest: dict[int, TuningTrial] = {}
    for one in trials:
        newest.pop(one.number, None)
        newest[one.number] = one
    return list(newest.values())


def _first(space: Space, trials: Sequence[TuningTrial], most_seconds: float) -> list[Candidate]:
    """What is to be tried before the study is asked: the starts, and of those that failed what differs in one setting.

    A backend whose defaults a model does not bear may be the fastest with others.
    """
    states = [(one.candidate, one.state) for one in trials]
    tried = [one.candidate for one in trials if _stands(one, most_seconds)]
    starts = list(space.starts())
    failed = [start for start in starts if (start, "failed") in states]
    candidates = [*starts, *(one for start in failed for one in space.neighbours(start))]
    return [candidate for candidate in candidates if candidate not in tried]


def best_of(trials: Sequence[TuningTrial]) -> TuningTrial | None:
    """The newest trial that led."""
    return next((one for one in reversed(trials) if one.leads), None)


def _expected(trials: Sequence[TuningTrial]) -> float:
    """How long a next trial is likely to take: no longer than three in four did so far that did not fail."""
    lengths = sorted(one.seconds for one in trials if one.state != "failed")
    return lengths[(3 * len(lengths)) // 4] if lengths else 0.0


def require_optuna() -> None:
    """Raises `MissingExtraError` where what a search needs is not installed."""
    try:
        import optuna
        import sqlalchemy  # noqa: F401 - the study's file is written with it
    except ImportError as error:
        raise MissingExtraError(f"searching ({error})", "tune") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def require_study(storage: Path, interest: str) -> optuna.Study:
    """The study in a file, which is made where there is none; raises `RecordError` where it is of something else."""
    require_optuna()
    import optuna
    import sqlalchemy

    try:
        kept = optuna.create_study(
            storage=f"sqlite:///{storage}", study_name="tune", direction="maximize", load_if_exists=True
        )
        recorded = kept.user_attrs.get(_INTEREST)
        if recorded is None:
            kept.set_user_attr(_INTEREST, interest)
    except sqlalchemy.exc.DatabaseError as error:
        raise RecordError(
            f"{storage} is no study of a search: {error.orig}; delete it or choose another folder"
        ) from error
    if recorded not in (None, interest):
        raise RecordError(
            f"{storage} is a search for another model, data, gate or space, or by other versions; choose another folder"
        )
    return kept


def _in_memory(seed: int) -> optuna.Study:
    import optuna

    with warnings.catch_warnings(action="ignore"):  # the sampler's grouped form is marked experimental
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)
    return optuna.create_study(sampler=sampler, direction="maximize")
