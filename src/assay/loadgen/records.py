"""Records of a scenario of MLPerf's LoadGen: what it was asked, what it measured, and whether it calls that valid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from assay.records.base import FileReference, PixelSource, Record, Setting
from assay.records.data import Accuracy, Dataset, Predictions
from assay.records.judgement import Verdict
from assay.records.machine import Environment, Machine
from assay.records.model import CompiledModel
from assay.records.performance import WarmUp

ScenarioMode = Literal["performance", "accuracy"]
Validity = Literal["VALID", "INVALID"]


class LoadGenTest(Record, frozen=True, kw_only=True):
    """One test of LoadGen, by its own logs."""

    mode: ScenarioMode
    version: str
    """Of LoadGen, with its commit."""
    result: Validity | None
    """None of the accuracy mode, which measures nothing."""
    reasons: tuple[str, ...] = ()
    """Of an invalid result, in LoadGen's own words."""
    settings: Mapping[str, Setting]
    """What it went by in the end: seeds, durations, counts, bounds."""
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    queries_issued: int
    samples_issued: int
    samples_completed: int
    latency: Mapping[str, float] = {}
    """Seconds of a query, waiting included: `min`, `mean`, `max`, `p50` … `p99.9`."""
    logs: tuple[FileReference, ...]
    """Every file of the test: LoadGen's logs, and the configuration that it was given."""


class ScenarioRecord(Record, frozen=True, kw_only=True):
    """What LoadGen found of one artifact in one scenario."""

    scenario: str
    compiled: CompiledModel
    run_settings: Mapping[str, Setting]
    device: str
    slots: int
    source: PixelSource
    dataset: Dataset | None
    official: bool
    """Whether every setting is MLPerf's own for image classification."""
    departures: tuple[str, ...]
    """Of what was not, why."""
    target_qps: float
    """Queries a second: sent in the server scenario, expected of the others."""
    latency_bound: float | None
    """Seconds that the 99th percentile may take, in the server scenario."""
    performance: LoadGenTest
    throughput: float | None
    """Images a second as the scenario counts them; None of multi-stream, which is judged by its latency."""
    warm_up: WarmUp
    machine: Machine
    peak_memory_bytes: int | None = None
    accuracy_test: LoadGenTest | None = None
    predictions: Predictions | None = None
    """The answers of the accuracy mode, as LoadGen logged them."""
    accuracy: Accuracy | None = None
    environment: Environment
    warnings: tuple[str, ...] = ()
    command: str | None = None


class ScenarioOutcome(Record, frozen=True, kw_only=True):
    """A scenario's record, and the verdict on it."""

    scenario: ScenarioRecord
    verdict: Verdict
