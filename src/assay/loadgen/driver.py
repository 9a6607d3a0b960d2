"""One test by MLPerf's LoadGen, in a process of its own: it keeps the state of a process, and can end it.

Its logs are the result. What is returned beside them is what LoadGen cannot know of the system that it tested.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assay.backends import opening
from assay.backends.base import Session
from assay.data.prepared import Reader
from assay.errors import BackendError, MissingExtraError, Remedy
from assay.loadgen.queries import Library, Noise, Sample, SystemUnderTest
from assay.loadgen.records import ScenarioMode
from assay.loadgen.scenarios import BENCHMARK, OFFICIAL_SAMPLES, Load
from assay.measure import clock, machine, pipeline, stages
from assay.processes import child, workers
from assay.records import ArrayFile, CompiledModel, DeviceUser, MachineState, Setting, WarmUp
from assay.storage import store

if TYPE_CHECKING:
    from types import ModuleType

    from assay.measure.stages import Scores, Slot

SUMMARY, DETAIL, ACCURACY, CONFIGURATION = (
    "mlperf_log_summary.txt",
    "mlperf_log_detail.txt",
    "mlperf_log_accuracy.json",
    "user.conf",
)
_NAME = "LoadGen"
_DISTRIBUTION = "mlcommons-loadgen"
_PROBE_SECONDS = 1.0
"""How long it is tried what the system reaches, for LoadGen to make up its queries by."""
_MADE_UP = 64
"""Different images of made-up pixels, or as many as a batch holds."""
LOOK_SECONDS = 10.0
"""Between two looks at the test's memory: each takes time that it measures."""
_LONGEST_SECONDS = 24 * 3600.0
"""Queries that a slow system was sent in ten minutes may take hours; only what hangs takes a day."""


def require() -> None:
    """Raises `MissingExtraError` where LoadGen is not installed."""
    if find_spec("mlperf_loadgen") is None:
        raise MissingExtraError(
            f"a scenario (MLPerf's LoadGen; {_DISTRIBUTION} has wheels for Python 3.11 to 3.13, and this is "
            f"{platform.python_version()})",
            "loadgen",
        )


@dataclass(frozen=True)
class Test:
    """One test of one artifact."""

    __test__ = False  # Nothing for pytest.

    compiled: CompiledModel
    run_settings: Mapping[str, Setting]
    shards: tuple[ArrayFile, ...] | None
    """Of the prepared data set; None of made-up pixels."""
    load: Load
    mode: ScenarioMode
    folder: Path
    """Where LoadGen writes its logs."""


@dataclass(frozen=True)
class Driven:
    """What a test tells beside LoadGen's logs."""

    device: str
    slots: int
    warm_up: WarmUp
    target_qps: float
    queries_issued: int
    samples_issued: int
    samples_completed: int
    during: MachineState
    users: tuple[DeviceUser, ...]
    peak_memory_bytes: int | None


def run(test: Test) -> Driven:
    """Runs a test in a child process that ends with it; a crash, a hang, a backend's failure are one line."""
    require()
    scenario = test.load.scenario.name
    try:
        return child.run(
            drive,
            test,
            call=child.Call(
                name=_NAME,
                doing=f"running {scenario} on {test.compiled.model.name}",
                timeout=_LONGEST_SECONDS,
                look_seconds=LOOK_SECONDS,
                remedy=Remedy("its logs are in {}", test.folder),
            ),
        )
    finally:
        # The next test begins with a process of its own, and a failed one may still be at work.
        child.close()


def drive(test: Test) -> Driven:
    """Runs a test in this very process, which can run no second one."""
    import mlperf_loadgen

    test.folder.mkdir(parents=True, exist_ok=True)
    with opening.open_compiled(test.compiled, test.run_settings) as session:
        ring = stages.slots(session, session.slots)
        warm_up = clock.warm_up(lambda: session.infer(ring[0].batch))
        rate = _reached(session, ring)
        store.write_bytes(test.folder / CONFIGURATION, test.load.configuration(rate).encode())
        settings = _settings(mlperf_loadgen, test)
        attempt = _Attempt(mlperf_loadgen, test, session)
        with machine.Watch(session.device) as watch:
            attempt.run(settings)
        system = attempt.system
        return Driven(
            device=session.device,
            slots=session.slots,
            warm_up=warm_up,
            target_qps=test.load.target_qps or test.load.expected_qps(rate),
            queries_issued=system.queries,
            samples_issued=system.issued,
            samples_completed=system.completed,
            during=watch.during,
            users=watch.users,
            peak_memory_bytes=watch.peak_memory_bytes,
        )


def _reached(session: Session, ring: Sequence[Slot]) -> float:
    """Images a second of a short probe with every slot at work."""
    batch = int(session.input.shape[0])
    jobs = stages.repeated(batch, batch, stages.for_seconds(_PROBE_SECONDS))
    infer = stages.infer(session, lambda _: "synthetic")
    outcome = pipeline.run(jobs, [infer], ring, infer.name)
    return outcome.items / outcome.wall_seconds


def _settings(loadgen: ModuleType, test: Test) -> Any:
    """LoadGen's settings: MLPerf's own, those of the configuration that was written, and what a short test alters."""
    settings = loadgen.TestSettings()
    scenario = test.load.scenario.loadgen
    if settings.FromConfig(str(test.folder / CONFIGURATION), BENCHMARK, scenario) != 0:
        raise BackendError(f"{_NAME} cannot read {test.folder / CONFIGURATION}; choose another folder")
    settings.scenario = getattr(loadgen.TestScenario, scenario)
    mode = {"performance": "PerformanceOnly", "accuracy": "AccuracyOnly"}[test.mode]
    settings.mode = getattr(loadgen.TestMode, mode)
    for name, value in test.load.overrides(test.mode).items():
        setattr(settings, name, value)
    return settings


class _Attempt:
    """LoadGen around a session, with what went wrong on either side of it."""

    def __init__(self, loadgen: ModuleType, test: Test, session: Session) -> None:
        self._loadgen, self._folder = loadgen, test.folder
        reader = Reader(test.shards) if test.shards is not None else Noise()
        self._images = len(reader) if isinstance(reader, Reader) else max(_MADE_UP, int(session.input.shape[0]))
        self._library = Library(session, reader, self._images, test.compiled.model.transform)
        self._over = threading.Event()
        self._failure: BaseException | None = None
        complete = self._complete_with_scores if test.mode == "accuracy" else self._complete
        self.system = SystemUnderTest(session, self._library, complete, self._fail, test.load.scenario.gathers)

    def run(self, settings: Any) -> None:
        """Runs the test; where it failed, LoadGen is left behind, waiting for answers that will not come."""
        thread = workers.thread(partial(self._start, settings), "loadgen")
        thread.start()
        self._over.wait()
        if self._failure is not None:
            self.system.rest()
            raise self._failure
        self.system.end()

    def _start(self, settings: Any) -> None:
        loadgen = self._loadgen
        logs = loadgen.LogSettings()
        output = loadgen.LogOutputSettings()
        output.outdir = str(self._folder)
        output.copy_summary_to_stdout = False
        logs.log_output, logs.enable_trace = output, False
        try:
            system = loadgen.ConstructSUT(self._guarded(self.system.issue), self._guarded(self.system.flush))
            held = min(self._images, OFFICIAL_SAMPLES)
            load, unload = self._guarded(self._library.load), self._guarded(self._library.unload)
            library = loadgen.ConstructQSL(self._images, held, load, unload)
            # LoadGen looks for a file of an auditor's settings, which would be in the folder where it runs.
            loadgen.StartTestWithLogSettings(system, library, settings, logs, str(self._folder / "audit.config"))
            loadgen.DestroyQSL(library)
            loadgen.DestroySUT(system)
        except BaseException as error:
            self._fail(error)
        self._over.set()

    def _guarded(self, call: Callable[..., None]) -> Callable[..., None]:
        """A call by LoadGen, whose failure must not reach it: it would end the process."""

        def guarded(*arguments: object) -> None:
            try:
                call(*arguments)
            except BaseException as error:
                self._fail(error)

        return guarded

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._over.set()

    def _complete(self, samples: Sequence[Sample], _: Scores) -> None:
        response = self._loadgen.QuerySampleResponse
        self._loadgen.QuerySamplesComplete([response(sample.id, 0, 0) for sample in samples])

    def _complete_with_scores(self, samples: Sequence[Sample], scores: Scores) -> None:
        """Answers with every class's score: LoadGen copies them into its log before it returns."""
        response = self._loadgen.QuerySampleResponse
        held = np.ascontiguousarray(scores, dtype="<f4")
        row, address = held.strides[0], held.ctypes.data
        self._loadgen.QuerySamplesComplete(
            [response(sample.id, address + place * row, row) for place, sample in enumerate(samples)]
        )
