"""What a search is asked for, and what it may try on this machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import get_args

from assay.backends import registry
from assay.data.transform import TransformChoice
from assay.errors import AssayError, BackendError, Option, Remedy, UsageError
from assay.progress import Progress, Silent
from assay.records import Calibrator, InputKind, OnnxModel, PreparedDataset
from assay.steps import artifact, build_options
from assay.steps.keywords import StrPath, several, sizes
from assay.tuning.records import Objective
from assay.tuning.space import BackendSpace, Space

TUNED_BATCHES = (1, 4, 8, 16, 32, 64)
FLOAT_LAYERS = (0, 1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Goal:
    """What a search is for, once its model and images are loaded."""

    backends: Sequence[str] | None = None
    """None: every one that is installed and whose scores are the model's."""
    batches: Sequence[int] = TUNED_BATCHES
    """For latency, the smallest of them alone."""
    objective: Objective = "throughput"
    budget_seconds: float = 600.0
    max_drop: float = 1.0
    max_memory: int | None = None
    int8: bool = True
    calibration: PreparedDataset | None = None
    """None: a part of the data, by its hashes, which is then left out of the evaluation."""
    seed: int = 0
    input_kind: InputKind = "uint8"
    beside: str | None = None
    """The backend whose defaults the result is measured beside in the end; None: the one whose are fastest."""

    def __post_init__(self) -> None:
        """Raises `UsageError` if a figure is none that can be meant."""
        if not 0 <= self.max_drop <= 100:
            raise UsageError(
                f"the allowed drop is {self.max_drop:g} points",
                remedy=Remedy("give {} from 0 to 100", Option("max_drop")),
            )
        if not 0 < self.budget_seconds < math.inf:
            raise UsageError(
                f"a search of {self.budget_seconds:g} seconds",
                remedy=Remedy("give a {} of more than 0", Option("budget")),
            )
        if not 0 <= self.seed < 1 << 32:
            raise UsageError(
                f"{self.seed} is no seed", remedy=Remedy("give a {} from 0 to {}", Option("seed"), (1 << 32) - 1)
            )
        if self.calibration is not None and not self.int8:
            raise UsageError(
                "calibration images are for int8, which is not tried",
                remedy=Remedy("leave {} or {} away", Option("calibration"), Option("no_int8")),
            )


@dataclass(frozen=True)
class TuneRequest(TransformChoice):
    """A search for the fastest artifact of a model that is still right."""

    model: StrPath
    _: KW_ONLY
    data: StrPath
    """A prepared data set, to evaluate on."""
    out: StrPath
    backends: Sequence[str] | None = None
    """By default all that are installed."""
    batch: int | Sequence[int] | None = None
    """By default 1, 4, 8, 16, 32 and 64, or the model's own."""
    objective: Objective = "throughput"
    """`latency` is the p99 at the smallest batch size."""
    budget: float = 600.0
    """Seconds."""
    max_drop: float = 1.0
    """Points that top-1 may fall."""
    max_memory: int | None = None
    """Bytes that a run may hold."""
    no_int8: bool = False
    """Whether to quantize nothing."""
    calibration: StrPath | None = None
    """Images, or a prepared data set, for int8; by default a quarter of the data, by its hashes."""
    seed: int = 0
    output: str | None = None
    """The name of the output that holds the classes' scores, if there are several."""
    command: str | None = None
    """The command line that asks for it, kept in the record."""
    progress: Progress = Silent()

    def goal(self, calibration: PreparedDataset | None) -> Goal:
        """What the search is for, with the images to calibrate on."""
        return Goal(
            backends=several(self.backends) if self.backends is not None else None,
            batches=sizes(self.batch) or TUNED_BATCHES,
            objective=self.objective,
            budget_seconds=self.budget,
            max_drop=self.max_drop,
            max_memory=self.max_memory,
            int8=not self.no_int8,
            calibration=calibration,
            seed=self.seed,
        )


def space_of(model: OnnxModel, goal: Goal) -> Space:
    """What may be tried on this machine; raises where no backend can be."""
    quantizes = goal.int8
    names = goal.backends if goal.backends is not None else tuple(registry.BACKENDS)
    spaces, problems = [], []
    for name in names:
        try:
            backend = registry.get(name)
            if goal.backends is None and not backend.faithful:
                continue
            artifact.require_start(model, backend)
            device = registry.device(backend, None)
            precisions = [one for one in backend.precisions(device) if quantizes or one != "int8"]
            if model.precision != "fp32":
                precisions = [model.precision]
            spaces.append(
                BackendSpace(name, device, precisions, backend.build_settings(device), backend.run_settings(device))
            )
        except AssayError as error:
            if goal.backends is not None:
                raise
            problems.append(f"{name}: {error.line()}")
    if not spaces:
        raise BackendError(f"no backend can run {model.name} ({'; '.join(problems)}); see assay doctor")
    wanted = None if tuple(goal.batches) == TUNED_BATCHES else goal.batches
    batches = build_options.batch_sizes(model, wanted, TUNED_BATCHES)
    if goal.objective == "latency":
        batches = [min(batches)]
    return Space(
        backends=spaces,
        batches=batches,
        calibrators=get_args(Calibrator) if quantizes else (),
        float_layers=FLOAT_LAYERS if quantizes else (0,),
    )
