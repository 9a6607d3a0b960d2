"""What a whole run is asked for, and what of that cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from assay.data.prepared import OnError
from assay.data.transform import TransformChoice
from assay.errors import UsageError
from assay.records import InputKind, Precision, Reference
from assay.remote.bench import Spread
from assay.steps.choose_backend import AUTO, BuildRequest
from assay.steps.pixel_sources import Images
from assay.steps.trained_network import Weights
from assay.tuning.optuna_search import require_optuna

USUAL_BATCHES = (1, 16)


@dataclass(frozen=True)
class RunRequest:
    """What `assay run` was asked for."""

    model: str | Path
    """An .onnx file, or the name of an architecture."""
    images: Path
    labels: Path | None = None
    class_list: Path | None = None
    weights: Weights = None
    """A file, or the word `published`."""
    weights_entry: str | None = None
    random_weights: bool = False
    backend: str = "onnxruntime"
    """Or `auto`: each installed backend on a short trial, the fastest that keeps the scores."""
    device: str | None = None
    batches: Sequence[int] | None = None
    """None: the usual ones, or the model's own where it is fixed."""
    output: str | None = None
    """Which output of an .onnx file holds the scores, where it has several."""
    precision: Precision = "fp32"
    input_kind: InputKind = "uint8"
    settings: Mapping[str, str] = field(default_factory=dict)
    prepare: bool = True
    on_error: OnError = "stop"
    transform: TransformChoice = TransformChoice()
    opset: int | None = None
    paired: bool | None = None
    """Whether the ONNX model scores the images too, in float32; None: where an artifact is computed otherwise."""
    references: Sequence[Reference] = ()
    max_drop: float | None = None
    gates: Sequence[str] = ()
    page_images: bool = True
    """Whether the page shows pictures of the images."""
    command: str | None = None
    """The command line that asks for it, kept in the record."""
    wait_idle: float = 0.0
    """So many seconds in all, at most, to wait for an idle machine."""
    tune_seconds: float | None = None
    """So many seconds to search the fastest artifact, whose run this is then; None: the one asked for is compiled.

    With a backend named that one is searched, with `auto` all.
    """
    timeout: float | None = None
    """Seconds after which a stage that is still at the same images hangs, and the run is given up; None: it waits."""
    spread: Spread | None = None
    """Which workers share each measurement; None: this process alone."""
    calibration: Path | None = None
    """Images, or a prepared data set, for a search that goes to 8 bits as well."""

    @property
    def build(self) -> BuildRequest:
        """What its artifacts are to be compiled for."""
        return BuildRequest(
            backend=self.backend,
            device=self.device,
            precision=self.precision,
            input_kind=self.input_kind,
            settings=self.settings,
        )

    def check(self) -> None:
        """Raises where an option names what there is not, where two exclude each other, or images and labels differ."""
        for batch in self.batches or USUAL_BATCHES:
            self.build.check(batch)
        if not self.prepare and self.on_error == "skip":
            raise UsageError("--on-error skip needs a prepared data set; leave --no-prepare away")
        self._check_search()
        if self.spread is not None:
            self.spread.check([self.backend] if self.backend != AUTO else [])
        Images.of(self.images, self.labels, self.class_list)

    def _check_search(self) -> None:
        if self.tune_seconds is None:
            if self.calibration is not None:
                raise UsageError("--calibration is for the 8 bits that --tune tries; give both, or none")
            return
        require_optuna()
        if not self.prepare:
            raise UsageError("--tune measures on a prepared data set; leave --no-prepare away")
        chosen = [
            name
            for name, given in (
                ("--set", bool(self.settings)),
                ("--precision", self.precision != "fp32"),
                ("--device", self.device is not None),
                ("--cluster", self.spread is not None and self.spread.cluster is not None),
            )
            if given
        ]
        if chosen:
            raise UsageError(f"--tune searches what {', '.join(chosen)} would settle; leave one of them away")
