"""A search on its way: it tries candidates, holds their artifacts, and tells of them."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence

from assay import units
from assay.progress import Progress
from assay.records import Runnable
from assay.steps import artifact
from assay.tuning import text as render
from assay.tuning.optuna_search import best_of
from assay.tuning.records import Candidate, TuningTrial
from assay.tuning.request import Goal
from assay.tuning.space import Space
from assay.tuning.trial import COMPILED, Trial
from assay.tuning.yardstick import Yardstick

_FINALISTS = 3
"""So many of the fastest are measured once more in the end: which of them is first may have been chance."""
MOST_SHARE = 0.25
MOST_SECONDS = 60.0
HANGING_SHARE = 0.4
"""A trial that takes longer than the first share of the budget and than so many seconds, or than the last share, counts
as one that hangs."""
_KEPT = 4
"""Artifacts that lost and are kept for a while, since the next candidate may differ in its run settings alone."""


class Search:
    """A search on its way: tries candidates, holds their artifacts, and tells of them."""

    def __init__(
        self, yardstick: Yardstick, space: Space, goal: Goal, progress: Progress, holds: str | None = None
    ) -> None:
        self.yardstick, self.progress = yardstick, progress
        self.holds = holds
        """The key of an artifact that is not its own to remove."""
        budget = goal.budget_seconds
        # Of one trial.
        self.most_seconds = min(max(MOST_SHARE * budget, MOST_SECONDS), HANGING_SHARE * budget)
        self._beside = goal.beside
        self.defaults = list(space.defaults())
        self._telling = [one for one in space.starts() if one.calibrator is not None]
        self.working = 0.0
        """Seconds of all trials that were spent on compiling, measuring and evaluating."""
        self._made: dict[int, Runnable] = {}
        """By the trial's number, the artifacts that are there, the newest last."""

    def attempt(self, number: int, candidate: Candidate, trials: Sequence[TuningTrial], left: float) -> TuningTrial:
        """One trial."""
        self.progress.start(f"trial {number + 1}", None)
        best = best_of(trials)
        held = None if best is None else (best, self.runnable(best))
        made = Trial(
            self.yardstick,
            number,
            candidate,
            left,
            self.most_seconds,
            bar=self._bar(candidate, trials),
            is_telling=candidate in self._telling,
        )
        try:
            trial, runnable = made.tried(trials, held)
        finally:
            # One that the time did not suffice for was at work as well.
            self.working += made.working
        if runnable is not None:
            self._made[number] = runnable
        return trial

    def tell(self, trials: Sequence[TuningTrial], left: float) -> None:
        """Says what became of the newest trial, and what is best so far."""
        trial, best = trials[-1], best_of(trials)
        fast = f"{render.speed(self.yardstick.objective, trial.speed)} " if trial.speed is not None else ""
        what = trial.state if trial.reason is None else f"{trial.state}: {trial.reason}"
        stands = "none is right yet" if best is None else f"best {render.speed(self.yardstick.objective, best.speed)}"
        self.progress.note(
            f"trial {trial.number + 1}: {render.described(trial)}: {fast}{what} · {stands}, "
            f"{units.seconds(max(left, 0))} left"
        )
        recent = list(self._made)[-_KEPT:]
        kept = {*recent, *(one.number for one in (best, *self.finalists(trials)) if one is not None)}
        self._made = {number: made for number, made in self._made.items() if number in kept}
        self.clean_up(
            {made.compiled.key for made in self._made.values()}
            | {one.artifact for one in trials if one.number in kept and one.artifact is not None}
        )

    def default(self, trials: Sequence[TuningTrial]) -> TuningTrial | None:
        """The fastest of the defaults that are right."""
        defaults = [one for one in trials if one.state == "right" and self._is_default(one.candidate)]
        return max(defaults, key=lambda one: one.speed or 0.0, default=None)

    def _is_default(self, candidate: Candidate) -> bool:
        """Whether it is what the result is measured beside: any backend's defaults, or those of the one asked for."""
        return candidate in self.defaults and self._beside in (None, candidate.backend)

    def _bar(self, candidate: Candidate, trials: Sequence[TuningTrial]) -> float:
        """Defaults that are faster than those so far are evaluated, even where they are no longer on the frontier."""
        if not self._is_default(candidate):
            return math.inf
        best = self.default(trials)
        return 0.0 if best is None or best.speed is None else best.speed

    def finalists(self, trials: Sequence[TuningTrial]) -> list[TuningTrial]:
        """The fastest of those that are within the gates, and the default; none where none is."""
        right = [one for one in trials if one.state == "right"]
        fastest = sorted(right, key=lambda one: -(one.speed or 0.0))[:_FINALISTS]
        default = self.default(trials)
        return [*fastest, *([default] if default is not None and fastest and default not in fastest else [])]

    def runnable(self, trial: TuningTrial) -> Runnable:
        """A trial's artifact, compiled again where it is not there, as when the search was killed in between."""
        if trial.number not in self._made:
            seconds = artifact.COMPILE_SECONDS
            made = Trial(self.yardstick, trial.number, trial.candidate, seconds, seconds)
            try:
                self._made[trial.number] = Runnable(made.compiled(), trial.candidate.run)
            finally:
                self.working += made.working
        return self._made[trial.number]

    def clean_up(self, keep: set[str]) -> None:
        """Removes the artifacts that lost."""
        folder = self.yardstick.folder / COMPILED
        kept = {key[:16] for key in (*keep, self.holds) if key is not None}
        for place in folder.iterdir() if folder.is_dir() else ():
            if place.name not in kept:
                shutil.rmtree(place, ignore_errors=True)
