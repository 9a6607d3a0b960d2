"""artifacts or a model ─bench→ figures: one after the other, in turn, or by MLPerf's scenarios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from pathlib import Path

from assay.data.transform import TransformChoice
from assay.errors import Option, Remedy, UsageError
from assay.loadgen.bench import bench_scenario
from assay.loadgen.records import ScenarioOutcome
from assay.loadgen.request import ScenarioRequest
from assay.measure.machine import Patience
from assay.progress import Progress, Silent
from assay.records import BenchOutcome, CompiledModel, InterleavedOutcome, PreparedDataset, Runnable, RunRecord
from assay.remote.bench import Spread
from assay.score import gates as score_gates
from assay.steps.adopt import describe, tell
from assay.steps.artifact import find_compiled, load_compiled
from assay.steps.bench import bench_all
from assay.steps.build_options import BuildRequest, batch_sizes, run_settings_of
from assay.steps.compare import compare_in_turn, figures
from assay.steps.interleave import bench_interleaved
from assay.steps.keywords import StrPath, several, sizes, takes
from assay.steps.measurement import Length, Measuring, require_repeats
from assay.steps.pixel_sources import Data, Images
from assay.steps.prepare import PrepareRequest, load_prepared, prepare_with
from assay.steps.results import held
from assay.steps.runnables import compiled_for
from assay.storage import locks
from assay.whole_run.request import USUAL_BATCHES

Given = StrPath | CompiledModel | Runnable
"""An artifact or an ONNX model, by its file, or an artifact's record."""


@dataclass(frozen=True)
class BenchRequest(BuildRequest, TransformChoice):
    """Artifacts to be measured, or a model at several batch sizes."""

    artifacts: Given | Sequence[Given]
    _: KW_ONLY
    out: StrPath
    data: StrPath | PreparedDataset | None = None
    """A prepared data set."""
    images: StrPath | None = None
    """Images, decoded on the way."""
    synthetic: bool = False
    """Whether the inference call alone is measured, on made-up pixels."""
    labels: StrPath | None = None
    """Of the images."""
    class_list: StrPath | None = None
    batch: int | Sequence[int] | None = None
    """For a model; by default 1 and 16, or its own."""
    duration: float | None = None
    """Seconds; by default once over the data, or 10 on made-up pixels."""
    iterations: int | None = None
    """Batches to run."""
    interleave: bool = False
    """Whether the artifacts are measured in turn, in short blocks."""
    profile: bool = False
    """Whether the ten costliest nodes are measured too, by a pass of its own."""
    cluster: str | None = None
    """The address of a Ray cluster whose devices share the data set, or `local`."""
    repeat: int = 1
    """How many processes measure each artifact, one after the other: a figure's interval is then of restarts too."""
    wait_idle: float = 0.0
    """Seconds to wait for an idle machine, at most and in all."""
    timeout: float | None = None
    """Seconds after which a stage without progress is given up."""
    output: str | None = None
    """The name of a model's output that holds the scores, if there are several."""
    scenario: str | None = None
    """`single-stream`, `multi-stream`, `server` or `offline`: queries sent by MLPerf's LoadGen."""
    mlperf: bool = False
    """Whether MLPerf's own duration and counts are taken, and its accuracy mode is run too."""
    target_qps: float | None = None
    """Queries a second: sent by `server`, expected by `offline`."""
    latency_bound: float | None = None
    """Seconds, for the 99th percentile of `server`."""
    gate: str | Sequence[str] = ()
    """Of artifacts that are measured in turn, or of a scenario."""
    command: str | None = None
    """The command line that asks for it, kept in the record."""
    progress: Progress = Silent()

    @property
    def subjects(self) -> list[Given]:
        """The artifacts and models that were named."""
        given = self.artifacts
        return [given] if isinstance(given, (str, Path, CompiledModel, Runnable)) else list(given)

    @property
    def workers(self) -> Spread | None:
        """Who shares each measurement; None: this process alone."""
        return Spread.of(self.cluster, self.device)

    @property
    def measuring(self) -> Measuring:
        """How to measure."""
        return Measuring(
            length=Length(seconds=self.duration, batches=self.iterations, timeout=self.timeout),
            patience=Patience(self.wait_idle),
            profile=self.profile,
            repeats=self.repeat,
            workers=self.workers,
            progress=self.progress,
        )

    def check(self) -> None:
        """Raises `UsageError` if options exclude each other, or nothing is given to measure."""
        if not self.subjects:
            raise UsageError("nothing to measure", remedy=Remedy("give one artifact or model, or more"))
        sources = [name for name in ("data", "images", "synthetic") if getattr(self, name) not in (None, False)]
        if len(sources) != 1:
            raise UsageError(
                f"{len(sources)} sources of pixels",
                remedy=Remedy("give one of {}, {} and {}", Option("data"), Option("images"), Option("synthetic")),
            )
        for name in ("duration", "iterations"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"{name} {value:g}", remedy=Remedy("give a {} of more than 0", Option(name)))
        if self.duration is not None and self.iterations is not None:
            raise UsageError(
                "two lengths of the run",
                remedy=Remedy("give {} or {}", Option("duration"), Option("iterations")),
            )
        if self.images is None and (self.labels or self.class_list) is not None:
            raise UsageError(
                "a prepared data set holds its labels",
                remedy=Remedy("give {} and {} with {}", Option("labels"), Option("class_list"), Option("images")),
            )
        if self.scenario is not None:
            self._check_scenario()
        else:
            self._check_measurement()

    def _check_measurement(self) -> None:
        for name in ("mlperf", "target_qps", "latency_bound"):
            if getattr(self, name):
                raise UsageError(
                    "an option of a scenario without one",
                    remedy=Remedy("give {} with {}", Option(name), Option("scenario")),
                )
        require_repeats(self.repeat, interleave=self.interleave, cluster=self.workers is not None)
        for name in ("interleave", "profile"):
            if self.workers is not None and getattr(self, name):
                raise UsageError(
                    "one device is measured",
                    remedy=Remedy("leave {} away, or {} and further devices", Option(name), Option("cluster")),
                )
        if self.gate and not self.interleave:
            raise UsageError(
                "a gate judges artifacts that are measured in turn",
                remedy=Remedy("add {}, or give {} to compare", Option("interleave"), Option("gate")),
            )

    def _check_scenario(self) -> None:
        require_repeats(self.repeat, scenario=True)
        for name in ("interleave", "profile", "iterations", "timeout"):
            if getattr(self, name):
                raise UsageError("LoadGen sends a scenario's queries", remedy=Remedy("leave {} away", Option(name)))
        if self.workers is not None:
            raise UsageError(
                "a scenario tests one device",
                remedy=Remedy("leave {} and further devices away", Option("cluster")),
            )
        if self.target_qps is not None and self.target_qps <= 0:
            raise UsageError(
                f"{self.target_qps:g} queries a second", remedy=Remedy("give a {} of more than 0", Option("target_qps"))
            )
        self.asked_scenario.check()
        if self.mlperf and self.synthetic:
            raise UsageError(
                "MLPerf's way runs the accuracy mode too, which needs images",
                remedy=Remedy("give {} or {}", Option("data"), Option("images")),
            )

    @property
    def asked_scenario(self) -> ScenarioRequest:
        """What is asked of LoadGen."""
        return ScenarioRequest(
            scenario=self.scenario or "",
            official=self.mlperf,
            seconds=self.duration,
            target_qps=self.target_qps,
            latency_bound=self.latency_bound,
            gates=several(self.gate),
        )


@takes(BenchRequest)
def bench(request: BenchRequest) -> BenchOutcome | InterleavedOutcome | ScenarioOutcome:
    """Measures artifacts, or a model at several batch sizes: one after the other, in turn, or by a scenario."""
    request.check()
    out = Path(request.out)
    if request.scenario is not None:
        return _scenario(request, out)
    if request.interleave:
        return _in_turn(request, out)
    data = _data(request)
    with held(out, "run"):
        record = bench_all(_runnables(request, data), data, out, request.measuring, request.command)
    return _outcome(record)


def _in_turn(request: BenchRequest, out: Path) -> InterleavedOutcome:
    gates = [score_gates.parse(text) for text in several(request.gate)]  # before it takes minutes
    data = _data(request)
    with locks.lock(out):
        records = bench_interleaved(_runnables(request, data), data, out, request.measuring, command=request.command)
    return InterleavedOutcome(
        outcomes={letter: _outcome(record) for letter, record in records.items()},
        comparison=compare_in_turn(records, gates),
    )


def _scenario(request: BenchRequest, out: Path) -> ScenarioOutcome:
    asked = request.asked_scenario
    with held(out, "scenario"):
        if request.batch is None and not any(_is_artifact(given) for given in request.subjects):
            request = replace(request, batch=asked.load.scenario.usual_batch)
        runnables = _runnables(request, None)
        if len(runnables) > 1:
            raise UsageError(
                f"a scenario tests one artifact, and these are {len(runnables)}",
                remedy=Remedy("give one, or one {}", Option("batch")),
            )
        (runnable,) = runnables
        data = None
        if request.data is not None:
            data = _prepared(request.data)
        elif request.images is not None:
            # Images are in memory before a query asks for them; how they got there is no part of a scenario's time.
            wanted = PrepareRequest(
                request.images,
                out=out / "prepared",
                labels=request.labels,
                class_list=request.class_list,
                progress=request.progress,
            )
            data = prepare_with(wanted, runnable.compiled.model.transform)
        return bench_scenario(runnable, data, out, asked, request.measuring, request.command)


def _outcome(record: RunRecord) -> BenchOutcome:
    return BenchOutcome(run=record, figures=figures(record))


def _runnables(request: BenchRequest, data: Data) -> list[Runnable]:
    """The artifacts that were named, and those compiled from a model that was, each with its run settings."""
    runnables: list[Runnable] = []
    for given in request.subjects:
        if isinstance(given, Runnable):
            _refuse_build_options(request, given.compiled.file.path, "set")
            runnables.append(given)
            continue
        compiled = given if isinstance(given, CompiledModel) else _compiled(Path(given))
        if compiled is not None:
            _refuse_build_options(request, compiled.file.path if isinstance(given, CompiledModel) else Path(given))
            runnables.append(Runnable(compiled, run_settings_of(compiled, request.set)))
            continue
        model = describe(Path(str(given)), request.transform, request.output)
        tell(model, request.progress)
        batches = batch_sizes(model, sizes(request.batch), USUAL_BATCHES, request.progress)
        runnables += compiled_for(model, request.build, batches, Path(request.out), data, request.progress)
    return runnables


def _compiled(given: Path) -> CompiledModel | None:
    """The artifact at a path; None for a model, which alone may come without a record."""
    is_model = given.suffix == ".onnx" or not given.exists()
    return find_compiled(given) if is_model else load_compiled(given)


def _is_artifact(given: Given) -> bool:
    if isinstance(given, (CompiledModel, Runnable)):
        return True
    return Path(given).exists() and find_compiled(Path(given)) is not None


def _refuse_build_options(request: BenchRequest, artifact: Path, *settled: str) -> None:
    """Raises if an option would be passed over: one that says how to compile, or one that is settled otherwise."""
    names = [
        "batch",
        "backend",
        "device",
        "precision",
        "input",
        "output",
        *(one.name for one in fields(TransformChoice)),
        *settled,
    ]
    given = [name for name in names if getattr(request, name) not in (None, {})]
    if request.workers is not None and "device" in given:
        # Several devices say who shares the run, and not what to compile for.
        given.remove("device")
    if given:
        raise UsageError(
            f"{artifact} is compiled already",
            remedy=Remedy(f"leave {', '.join('{}' for _ in given)} away, or give the MODEL.onnx", *map(Option, given)),
        )


def _data(request: BenchRequest) -> Data:
    if request.data is not None:
        return _prepared(request.data)
    if request.images is None:
        return None
    return Images.of(request.images, request.labels, request.class_list)


def _prepared(data: StrPath | PreparedDataset) -> PreparedDataset:
    return data if isinstance(data, PreparedDataset) else load_prepared(Path(data))
