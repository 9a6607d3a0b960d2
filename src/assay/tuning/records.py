"""Records of a search for the fastest artifact that is still right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from assay.records.base import Calibrator, Precision, Record, Setting
from assay.records.data import Accuracy
from assay.records.machine import Environment
from assay.records.measurement import BatchResult, Estimate, PairedAccuracy
from assay.records.model import CompiledModel, OnnxModel

RECORD = "tuning.json"
"""The file of a search's record, in its folder."""

Objective = Literal["throughput", "latency", "end-to-end"]
"""The interface throughput at the best batch size, the p99 latency at the smallest, or the whole way's throughput."""
TrialState = Literal["right", "slower", "wrong", "failed", "too large"]
"""Within the accuracy gate; slower, and so not evaluated; outside the gate; no result; above the memory limit."""


class Candidate(Record, frozen=True, kw_only=True):
    """One way to deploy a model: what is compiled, and how it is run."""

    backend: str
    device: str
    batch: int
    precision: Precision
    calibrator: Calibrator | None = None
    """Of an 8-bit model that was made for it; None of the model itself."""
    per_channel: bool = True
    """Whether its weights have a scale for each channel."""
    float_layers: int = 0
    """How many of the layers that quantization harms most stay in float."""
    build: Mapping[str, Setting] = {}
    """Settings that alter the artifact."""
    run: Mapping[str, Setting] = {}
    """Settings that alter only how it runs."""


class TuningTrial(Record, frozen=True, kw_only=True):
    """What became of one candidate."""

    number: int
    candidate: Candidate
    state: TrialState
    reason: str | None = None
    leads: bool = False
    """Whether it is right, and was faster than the best so far beyond doubt: the best from then on."""
    speed: float | None = None
    """By the objective, the more the better: images a second, or for latency inference calls a second at the p99.

    Scaled to one machine speed: the ratio to the best so far, which was measured in turn, times that one's.
    """
    end_speed: float | None = None
    """Likewise as the end of the search showed it, in turn with the other finalists; None of those that were none.

    The fastest of them has the most that any of them had in its trial.
    """
    ratio: Estimate | None = None
    """Over the best so far, in turn."""
    sample_agreement: float | None = None
    """The share of the sample's images with the reference's first class."""
    accuracy: Accuracy | None = None
    """On the whole evaluation set, of those that were faster than the best so far or may be on the frontier."""
    paired: PairedAccuracy | None = None
    artifact: str | None = None
    """The key."""
    kept_float: tuple[str, ...] = ()
    """The layers that its 8-bit model keeps in float, by name."""
    peak_memory_bytes: int | None = None
    """Of the process that evaluated it."""
    seconds: float = 0.0
    """How long the trial took, and of it what it spent on compiling, measuring and evaluating."""
    working_seconds: float = 0.0
    cut_seconds: float | None = None
    """What its search gave a trial, where that is what ended it: a search that gives more tries it again."""

    @property
    def standing(self) -> float | None:
        """The speed that counts once the search is over."""
        return self.end_speed if self.end_speed is not None else self.speed

    @property
    def top1(self) -> float | None:
        """Top-1 over the whole evaluation set in percent; without labels, the share with the reference's first class.

        None of one that was not evaluated.
        """
        if self.accuracy is not None:
            return self.accuracy.top(1)
        return 100 * self.paired.agreement if self.paired is not None else None


class ChoiceWorth(Record, frozen=True, kw_only=True):
    """What one choice of the result brought: the best trial with it over the best with the default instead."""

    choice: str
    instead_of: str
    ratio: float


class EightBits(Record, frozen=True, kw_only=True):
    """What came of the trials in 8 bits."""

    tried: int
    scored: int
    """Of those, the ones that were held to the gate, on a sample or on all images."""
    right: int
    best: int | None
    """The number of the fastest that is right."""
    nearest: int | None
    """The number of the one that is most right, of those that were evaluated on all images."""
    nearest_drop: float | None
    """Points of top-1 that it is below the model in float32; without labels, of the same first class."""
    coarse_scored: int
    """Of the scored ones, those with one scale a layer, and of them those that are right."""
    coarse_right: int


class Tuning(Record, frozen=True, kw_only=True):
    """A search, whole: every trial, the result, and how to make it again without a search."""

    model: OnnxModel
    objective: Objective
    max_drop: float
    budget_seconds: float
    seconds: float
    overhead_share: float
    """Of the whole search, spent on none of compiling, measuring and evaluating."""
    seed: int
    evaluation_images: int
    reference_accuracy: Accuracy | None
    trials: tuple[TuningTrial, ...]
    best: int | None
    """The number of the trial that won; None where none passed, and the reference stands."""
    best_default: int | None
    """The number of the fastest of the defaults, or of those of the backend that the result was to be measured beside;
    None where none was right."""
    frontier: tuple[int, ...]
    """The trials that no other beats in both speed and accuracy, the fastest first."""
    worth: tuple[ChoiceWorth, ...]
    commands: tuple[str, ...]
    """Command lines that make the result again."""
    compiled: CompiledModel | None
    tuned: BatchResult | None
    """The result on the evaluation set, end to end."""
    default: BatchResult | None
    """The best default likewise, in turn with the result; None where that is the default itself."""
    environment: Environment
    stopped: str
    """Why the search ended."""
    backends: tuple[str, ...] = ()
    """That were searched, and at which batch sizes; empty in older records."""
    batches: tuple[int, ...] = ()
    max_memory: int | None = None
    """Bytes that a run may hold; None where nobody asked, and in older records."""
    int8: bool | None = None
    """Whether 8 bits were asked for; None in older records."""
    eight_bits: EightBits | None = None
    """None where none were tried, and in older records."""

    @property
    def finalists(self) -> int:
        """How many candidates the end of the search measured in turn, to choose the fastest."""
        return max(1, sum(one.end_speed is not None for one in self.trials))

    @property
    def states(self) -> Mapping[TrialState, int]:
        """How many trials ended in which state, in the order in which they were first met."""
        return Counter(one.state for one in self.trials)

    @property
    def faster_but_wrong(self) -> tuple[TuningTrial, ...]:
        """The trials that are faster than the result and outside the gate, the fastest first.

        Where nothing is right, all that are outside the gate.
        """
        best = next((one.standing for one in self.trials if one.number == self.best), None) or 0.0
        wrong = [one for one in self.trials if one.state == "wrong" and (one.standing or 0.0) > best]
        return tuple(sorted(wrong, key=lambda one: -(one.standing or 0.0)))
