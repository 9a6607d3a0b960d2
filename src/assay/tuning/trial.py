"""One candidate: compiled, measured in turn with the best so far, and scored where it may be on the frontier.

All of it is in one process, which nothing else runs beside; where memory is asked about, the scoring has its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from assay import units
from assay.backends import registry
from assay.errors import AssayError, Remedy
from assay.processes import child
from assay.progress import Stopwatch
from assay.records import BatchResult, BuildOptions, CompiledModel, Estimate, OnnxModel, PairedAccuracy, Runnable
from assay.score import paired
from assay.steps import pair as pair_step
from assay.storage import store
from assay.tuning import trial_process, yardstick
from assay.tuning.optuna_search import OutOfTime
from assay.tuning.records import Candidate, TrialState, TuningTrial
from assay.tuning.yardstick import Yardstick

T = TypeVar("T")

SPEED_SECONDS = 1.0
"""Of each of the two that are measured in turn; slow models have fewer calls, and a wider interval."""
COMPILED = "compiled"
"""The folder of the artifacts, below that of the search."""
LATENCY_SECONDS = 4.0
"""Where the slowest calls are what counts: a second has few of them."""
_MARGIN = 1.05
"""A ratio that has no interval, for there were few calls, must be above this."""
_TELLING_SHARE = 0.1
"""Of the time that is left, for evaluating what is not faster."""
_GRACE_SECONDS = 2.0


@dataclass
class Trial:
    """One trial on its way."""

    yardstick: Yardstick
    number: int
    candidate: Candidate
    seconds_left: float
    """Of the budget; a trial that it does not suffice for is not counted."""
    most_seconds: float
    """That a trial may take: one that hangs costs no more."""
    bar: float = math.inf
    """A speed above which it is evaluated in any case."""
    is_telling: bool = False
    """Whether it is evaluated at whatever speed, where that costs little of the time that is left."""
    watch: Stopwatch = field(default_factory=Stopwatch)
    working: float = 0.0
    _ended: str | None = None
    """What it was at when `most_seconds` were over."""

    def tried(
        self, trials: Sequence[TuningTrial], best: tuple[TuningTrial, Runnable] | None
    ) -> tuple[TuningTrial, Runnable | None]:
        """What became of the candidate, and its artifact where there is one; `trials` are those before it.

        Raises `OutOfTime` where the budget did not suffice.
        """
        noted: dict[str, object] = {}
        runnable: Runnable | None = None
        try:
            model = self._model()
            noted["kept_float"] = model.quantization.float_layers if model.quantization is not None else ()
            runnable = Runnable(self._compiled(model), self.candidate.run)
            noted["artifact"] = runnable.compiled.key
            state, reason = self._judged(runnable, trials, best, noted)
        except AssayError as error:
            if self._left() <= 0:
                raise OutOfTime from error
            state, reason = "failed", " ".join(error.line().split())
            if self._ended is not None:
                noted["cut_seconds"] = self.most_seconds
                took, most = units.seconds(self.watch.seconds), units.seconds(self.most_seconds)
                reason = (
                    f"ended after {took} while {self._ended}: in this budget a trial may take {most}; a search with "
                    "more tries it again"
                )
        finally:
            child.ahead(trial_process.__name__)
        trial = TuningTrial(
            number=self.number,
            candidate=self.candidate,
            state=state,
            reason=reason,
            seconds=self.watch.seconds,
            working_seconds=self.working,
            **noted,  # type: ignore[arg-type]  # each by its own name
        )
        return trial, runnable

    def _judged(
        self,
        runnable: Runnable,
        trials: Sequence[TuningTrial],
        best: tuple[TuningTrial, Runnable] | None,
        noted: dict[str, object],
    ) -> tuple[TrialState, str | None]:
        """The speed first; of what may be on the frontier the sample, the memory and the whole set."""
        speed, ratio = self._speed(runnable, best)
        noted |= {"speed": speed, "ratio": ratio}
        # What seems faster by chance would put up the bar for all that follow.
        faster = ratio is None or (ratio.value > _MARGIN if ratio.low is None else ratio.low > 1)
        wanted = (
            speed > self.bar
            or self._tells(speed)
            or yardstick.may_join(self.candidate, speed, trials, self.yardstick.top1)
        )
        if not faster and not wanted:
            return "slower", None
        agreement, wrong = self._sample(runnable)
        noted["sample_agreement"] = agreement
        if wrong is not None:
            return "wrong", wrong
        result, pair = self._evaluation(runnable)
        noted |= {"accuracy": result.accuracy, "paired": pair}
        if (limit := self.yardstick.max_memory) is not None:
            held = noted["peak_memory_bytes"] = result.performance.peak_memory_bytes
            if held is None:
                return "too large", "this system does not say how much memory it held, and there is a limit to it"
            if held > limit:
                return "too large", f"it held {units.memory(held)}"
        if (drop := _drop(pair)) > self.yardstick.max_drop:
            what = "top-1 fell by" if pair.right_to_wrong is not None else "first classes changed for"
            return "wrong", f"{what} {units.points(drop)}"
        noted["leads"] = faster
        return "right", None

    def _tells(self, speed: float) -> bool:
        """Whether its accuracy is wanted for its own sake, and to be had in little time."""
        images_a_second = speed * (self.candidate.batch if self.yardstick.objective == "latency" else 1)
        expected = len(self.yardstick.data.dataset.names) / images_a_second
        return self.is_telling and expected <= _TELLING_SHARE * self._left()

    def compiled(self) -> CompiledModel:
        """The candidate's artifact, kept where it is there already."""
        return self._compiled(self._model())

    def _model(self) -> OnnxModel:
        """The model, or the one in 8 bits that the candidate asks for."""
        candidate = self.candidate
        if candidate.calibrator is None:
            return self.yardstick.model
        watch = Stopwatch()
        try:
            return self.yardstick.quantizer.model(
                candidate.calibrator, candidate.per_channel, candidate.float_layers, self._left()
            )
        finally:
            self.working += watch.seconds

    def _compiled(self, model: OnnxModel) -> CompiledModel:
        candidate = self.candidate
        options = BuildOptions(
            backend=candidate.backend,
            device=candidate.device,
            batch=candidate.batch,
            precision=candidate.precision,
            input_kind=self.yardstick.input_kind,
            settings=candidate.build,
        )
        return self._alone(trial_process.compiled, model, options, self.yardstick.folder / COMPILED, doing="compiling")

    def _sample(self, runnable: Runnable) -> tuple[float, str | None]:
        """The share of a sample with the reference's first class; what is wrong where it cannot be within the gate."""
        images = self.yardstick.sample
        scores = self._alone(
            trial_process.sample_scores, runnable, self.yardstick.data, images.tolist(), doing="scoring"
        )
        return self.yardstick.judged(images, scores)

    def _speed(self, runnable: Runnable, best: tuple[TuningTrial, Runnable] | None) -> tuple[float, Estimate | None]:
        """The speed by the objective, scaled by the best one's, which was measured in turn."""
        data = self.yardstick.data if self.yardstick.objective == "end-to-end" else None
        both = [runnable] if best is None else [runnable, best[1]]
        with store.scratch_folder(self.yardstick.folder) as folder:
            # Of how long the slowest calls take, a few calls say nothing.
            prunes = self.yardstick.objective != "latency"
            seconds = SPEED_SECONDS if prunes else LATENCY_SECONDS
            measured = self._alone(trial_process.speeds, both, data, folder, seconds, prunes, doing="measuring")
            if best is None or best[0].speed is None:
                return yardstick.speed_of(measured[0], self.yardstick.objective), None
            ratio = yardstick.ratio(measured[0], measured[1], self.yardstick.objective)
            return best[0].speed * ratio.value, ratio

    def _evaluation(self, runnable: Runnable) -> tuple[BatchResult, PairedAccuracy]:
        if self.yardstick.max_memory is not None:
            # The artifact is the only one that this process ever opens.
            child.close()
        result = self._alone(
            trial_process.evaluated, runnable, self.yardstick.data, self.yardstick.folder / "bench", doing="evaluating"
        )
        assert result.predictions is not None  # noqa: S101 - it went once over the data
        pair = paired.compare(result.predictions, self.yardstick.reference, self.yardstick.labels, pair_step.NAME)
        return result, pair

    def _alone(self, function: Callable[..., T], *arguments: object, doing: str) -> T:
        """A function of `alone` in the trial's process, for as long as the budget has and a little more."""
        watch = Stopwatch()
        result: T
        worked: float | None = None
        doing = f"{doing} {self.yardstick.model.name} at batch {self.candidate.batch}"
        share, left = self.most_seconds - self.watch.seconds, self._left()
        timeout = max(min(share, left), 0.0) + _GRACE_SECONDS
        try:
            result, worked = child.run(
                trial_process.timed,
                dict(registry.BACKENDS),
                function,
                *arguments,
                call=child.Call(
                    name=f"backend {self.candidate.backend}",
                    doing=doing,
                    timeout=timeout,
                    remedy=Remedy("the search goes on without it"),
                ),
            )
        except AssayError:
            if share < left and watch.seconds >= timeout:
                self._ended = doing
            raise
        finally:
            self.working += watch.seconds if worked is None else worked
        return result

    def _left(self) -> float:
        return max(self.seconds_left - self.watch.seconds, 0.0)


def _drop(pair: PairedAccuracy) -> float:
    """Points of top-1 below the reference; without labels, images of a hundred whose first class is another."""
    if pair.right_to_wrong is None or pair.wrong_to_right is None:
        return 100 * (1 - pair.agreement)
    return 100 * (len(pair.right_to_wrong) - len(pair.wrong_to_right)) / pair.images
