"""Figures that were read from elsewhere: what another tool wrote of its run, or what was published.

They have no samples behind them, so the point decides where they are compared. What their source does not say is
unknown (None) and stays so until somebody who knows says it; a comparison that needs it names what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from assay.records import Precision, Record, Reference
from assay.records import ThroughputKind as ThroughputKind

ReportedPixels = Literal["dataset", "synthetic"]

IMAGENET_VALIDATION = "ImageNet validation"
"""What `ReportedRun.dataset` calls the validation images, by which runs and reported figures of them meet."""


class ReportedLatency(Record, frozen=True, kw_only=True):
    """Times of one inference call of a whole batch, in seconds; None where the source does not have it."""

    min: float | None = None
    mean: float | None = None
    median: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None


class ReportedStage(Record, frozen=True, kw_only=True):
    """One stage of somebody's pipeline."""

    name: str
    counts: Literal["images", "batches"]
    rate: float
    """Images or batches a second."""
    latency: float
    """Seconds an image or batch."""


class ReportedResult(Record, frozen=True, kw_only=True):
    """What was reported of one batch size."""

    batch: int | None
    throughput: Mapping[ThroughputKind, float] = {}
    """Images a second, by kind; of one die, where the tool measures one die."""
    queries: float | None = None
    """Inference calls a second, from a tool that counts those and not images."""
    latency: ReportedLatency | None = None
    stages: tuple[ReportedStage, ...] = ()
    run_seconds: float | None = None
    """How long the whole run took."""
    top: Mapping[int, float] = {}
    """Top-k accuracy in percent, by k."""
    printed: Mapping[str, float] = {}
    """What the source itself printed of a derived figure, by the gate's name for it: `throughput` of the whole card, or
    `throughput/guide:T4`."""


class ReportedRun(Record, frozen=True, kw_only=True):
    """What one source reported, with what is known of how it was measured."""

    name: str
    """What a gate calls it by."""
    tool: str
    sources: tuple[str, ...]
    """The files or chapters that the figures stand in."""
    model: str | None = None
    """The architecture, as torchvision calls it."""
    weights_md5: str | None = None
    input_side: int | None = None
    """Pixels of the square that the model takes."""
    device: str | None = None
    dies: int | None = None
    """How many of what was measured make the card: its throughput is this many times the reported one."""
    precision: Precision | None = None
    pixels: ReportedPixels | None = None
    transfers: bool | None = None
    """Whether copies to and from the device count."""
    dataset: str | None = None
    """What the accuracy is of."""
    images: int | None = None
    """How many images the accuracy is of."""
    scenario: str | None = None
    """How LoadGen sent the queries: a throughput of the kind `scenario` is comparable within one scenario only."""
    notes: tuple[str, ...] = ()
    """What a reader should know beside the figures."""
    results: tuple[ReportedResult, ...]
    printed: Mapping[str, float] = {}
    """What the source itself printed of the best batch size, by the same names as for a single one."""


class ReportedReference(Reference, frozen=True, kw_only=True):
    """Reported figures that something is held against."""

    reported: ReportedRun
