"""What a search is asked for, and what it may try on this machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from assay.backends import registry
from assay.errors import AssayError, BackendError, UsageError
from assay.records import Calibrator, InputKind, OnnxModel, PreparedDataset
from assay.steps import build_options
from assay.steps import compile as compile_step
from assay.tuning.records import Objective
from assay.tuning.space import BackendSpace, Space

TUNED_BATCHES = (1, 4, 8, 16, 32, 64)
FLOAT_LAYERS = (0, 1, 2, 4, 8, 16)


@dataclass(frozen=True)
class TuneRequest:
    """What a search was asked for."""

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
        """Raises `UsageError` where a figure is none that can be meant."""
        if not 0 <= self.max_drop <= 100:
            raise UsageError(f"--max-drop {self.max_drop:g}: give the points that top-1 may fall, from 0 to 100")
        if not 0 < self.budget_seconds < math.inf:
            raise UsageError(f"--budget {self.budget_seconds:g}: give the seconds of the search, more than 0")
        if not 0 <= self.seed < 1 << 32:
            raise UsageError(f"--seed {self.seed}: give a whole number from 0 to {(1 << 32) - 1}")
        if self.calibration is not None and not self.int8:
            raise UsageError("--calibration is for 8 bits, and --no-int8 tries none; leave one of them away")


def space_of(model: OnnxModel, request: TuneRequest) -> Space:
    """What may be tried on this machine; raises where no backend can be."""
    quantizes = request.int8
    names = request.backends if request.backends is not None else tuple(registry.BACKENDS)
    found, problems = [], []
    for name in names:
        try:
            backend = registry.get(name)
            if request.backends is None and not backend.faithful:
                continue
            compile_step.require_start(model, backend)
            device = registry.device(backend, None)
            precisions = [one for one in backend.precisions(device) if quantizes or one != "int8"]
            found.append(
                BackendSpace(name, device, precisions, backend.build_settings(device), backend.run_settings(device))
            )
        except AssayError as error:
            if request.backends is not None:
                raise
            problems.append(f"{name}: {error.line()}")
    if not found:
        raise BackendError(f"no backend can run {model.name} ({'; '.join(problems)}); see assay doctor")
    wanted = None if tuple(request.batches) == TUNED_BATCHES else request.batches
    batches = build_options.batch_sizes(model, wanted, TUNED_BATCHES)
    if request.objective == "latency":
        batches = [min(batches)]
    return Space(
        backends=found,
        batches=batches,
        calibrators=get_args(Calibrator) if quantizes else (),
        float_layers=FLOAT_LAYERS if quantizes else (0,),
    )
