"""What a whole run is asked for, and what of that cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from assay.data.prepared import OnError
from assay.data.transform import TransformChoice
from assay.errors import Option, Remedy, UsageError
from assay.progress import Progress, Silent
from assay.records import Reference
from assay.remote.bench import Spread
from assay.steps.build_options import AUTO, USUAL_BACKEND, BuildRequest
from assay.steps.compare import given_reference
from assay.steps.export import ExportRequest
from assay.steps.keywords import StrPath, path, sizes
from assay.steps.measurement import require_repeats
from assay.steps.pixel_sources import Images
from assay.steps.trained_network import PUBLISHED, Weights
from assay.tuning.optuna_search import require_optuna

USUAL_BATCHES = (1, 16)


@dataclass(frozen=True)
class RunRequest(BuildRequest, TransformChoice):
    """The whole way, from a model to a verdict."""

    model: StrPath
    """An `.onnx` file, or the name of an architecture."""
    _: KW_ONLY
    images: StrPath
    out: StrPath
    labels: StrPath | None = None
    class_list: StrPath | None = None
    weights: StrPath | None = None
    """Of an architecture: a file, or the word `published`."""
    random_weights: bool = False
    """In place of weights, for speed only."""
    weights_entry: str | None = None
    """Torchvision's entry whose weights these are."""
    weights_set: str | None = None
    """The name of a set of weights in the file, if it holds several."""
    opset: int | None = None
    batch: int | Sequence[int] | None = None
    """Batch sizes; by default 1 and 16, or the model's own."""
    output: str | None = None
    """The name of the output of an `.onnx` file that holds the scores, if there are several."""
    tune: float | None = None
    """Seconds to search for the fastest artifact that is still right, whose run this is then."""
    calibration: StrPath | None = None
    """Images, or a prepared data set, for a search that tries int8 as well."""
    no_prepare: bool = False
    """Whether images are decoded on the way, without a prepared data set."""
    on_error: OnError = "stop"
    paired: bool | None = None
    """Whether the ONNX model scores the images too, in float32; by default if an artifact is computed otherwise."""
    reference: str | Reference | None = None
    """Figures on these very images in percent, as `top1=47.0,top5=78.0`."""
    max_drop: float | None = None
    """Points that top-1 may fall."""
    gate: str | Sequence[str] = ()
    cluster: str | None = None
    """The address of a Ray cluster whose devices share the data set, or `local`."""
    repeat: int = 1
    """How many processes measure each artifact, one after the other: a figure's interval is then of restarts too."""
    min_time: float = 0.0
    """Seconds to measure each batch size at least, around the images again once all are scored."""
    wait_idle: float = 0.0
    """Seconds to wait for an idle machine, at most and in all."""
    timeout: float | None = None
    """Seconds after which a stage without progress is given up."""
    no_images: bool = False
    """Whether the page shows no pictures of the images."""
    command: str | None = None
    """The command line that asks for it, kept in the record."""
    progress: Progress = Silent()

    @property
    def chosen_weights(self) -> Weights:
        """A file or the word `published`; None for random ones."""
        return PUBLISHED if self.weights == PUBLISHED else path(self.weights)

    @property
    def references(self) -> tuple[Reference, ...]:
        """What the run is held against."""
        if self.reference is None or isinstance(self.reference, Reference):
            return () if self.reference is None else (self.reference,)
        return (given_reference(self.reference),)

    @property
    def batches(self) -> list[int] | None:
        """The batch sizes that were asked for."""
        return sizes(self.batch)

    @property
    def workers(self) -> Spread | None:
        """Who shares each measurement; None: this process alone."""
        return Spread.of(self.cluster, self.device)

    @property
    def is_onnx(self) -> bool:
        """Whether the model is an `.onnx` file, and no architecture."""
        return Path(self.model).suffix == ".onnx"

    def export(self, out: Path, pt2: bool) -> ExportRequest:
        """The export of its architecture."""
        return ExportRequest(
            self.chosen_weights,
            arch=str(self.model),
            out=out,
            random_weights=self.random_weights,
            weights_entry=self.weights_entry,
            weights_set=self.weights_set,
            opset=self.opset,
            pt2=pt2,
            progress=self.progress,
            **vars(self.transform),
        )

    def check(self) -> None:
        """Raises if an option names something unknown, two exclude each other, or images and labels differ."""
        for batch in self.batches or USUAL_BATCHES:
            self.build.check_build(batch)
        if self.no_prepare and self.on_error == "skip":
            raise UsageError(
                "skipping images needs a prepared data set",
                remedy=Remedy("leave {} or {} away", Option("on_error", "skip"), Option("no_prepare")),
            )
        self._check_search()
        require_repeats(self.repeat, cluster=self.workers is not None)
        if self.min_time < 0:
            remedy = Remedy("give a {} of 0 or more", Option("min_time"))
            raise UsageError(f"{self.min_time:g} seconds", remedy=remedy)
        if self.workers is not None:
            self.workers.check([] if self.is_auto else [self.backend or USUAL_BACKEND])
        Images.of(self.images, self.labels, self.class_list)

    def _check_search(self) -> None:
        calibration, tune, no_prepare = Option("calibration"), Option("tune"), Option("no_prepare")
        if self.tune is None:
            if self.calibration is not None:
                raise UsageError(
                    "calibration images are for the int8 that a search tries",
                    remedy=Remedy("give {} and {}, or none of them", calibration, tune),
                )
            return
        require_optuna()
        if self.no_prepare:
            raise UsageError(
                "a search measures on a prepared data set", remedy=Remedy("leave {} or {} away", no_prepare, tune)
            )
        settled = [
            Option(name)
            for name, given in (
                ("set", bool(self.set)),
                ("precision", self.precision not in (None, "fp32")),
                ("device", self.device is not None),
                ("cluster", self.cluster is not None),
            )
            if given
        ]
        if settled:
            raise UsageError(
                "a search finds the backend's settings itself",
                remedy=Remedy(f"leave {{}}, or {', '.join('{}' for _ in settled)}, away", tune, *settled),
            )

    @property
    def is_auto(self) -> bool:
        """Whether the backend is to be chosen: a search chooses among all, unless one is named."""
        return self.backend == AUTO or (self.tune is not None and self.backend is None)
