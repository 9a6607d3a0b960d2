"""Records that only answer a command: nothing is made of them but what a person or a program reads."""

from __future__ import annotations

from pathlib import Path

import msgspec

from assay.records.base import Record
from assay.records.data import Accuracy
from assay.records.machine import Environment
from assay.records.model import OnnxModel, Parity


class NamedAccuracy(Record, frozen=True, kw_only=True):
    """The accuracy of one of several predictions."""

    name: str
    accuracy: Accuracy


class Evaluation(Record, frozen=True, kw_only=True):
    """The accuracies of all predictions that were asked for."""

    results: tuple[NamedAccuracy, ...]


class ImagePrediction(Record, frozen=True, kw_only=True):
    """The best classes of one image, best first."""

    image: Path
    classes: tuple[int, ...]
    scores: tuple[float, ...]
    names: tuple[str, ...] | None


class PredictionList(Record, frozen=True, kw_only=True):
    """The best classes of several images by one model."""

    model: OnnxModel
    images: tuple[ImagePrediction, ...]


class BackendState(Record, frozen=True, kw_only=True):
    """What a backend offers on this machine, or why it offers nothing."""

    name: str
    version: str | None
    devices: tuple[str, ...]
    problem: str | None
    installed: bool = True
    parity: Parity | None = None
    """Of one inference of a tiny model against ONNX Runtime; None where it failed or the scores are made up."""


class Diagnosis(Record, frozen=True, kw_only=True):
    """What a machine offers."""

    environment: Environment
    busy_share: float
    backends: tuple[BackendState, ...]


class BackendAttempt(Record, frozen=True, kw_only=True):
    """What a backend did with a model when it was tried for a moment, or why it could not."""

    backend: str
    device: str | None = None
    throughput: float | None = None
    """Images a second of the inference calls alone, on made-up pixels."""
    compile_seconds: float | None = None
    parity: Parity | None = None
    problem: str | None = None


class BackendChoice(Record, frozen=True, kw_only=True):
    """Which backend runs a model fastest on this machine, and what was tried to tell, the fastest first."""

    model_sha256: str
    batch: int
    chosen: str
    attempts: tuple[BackendAttempt, ...] = msgspec.field(name="trials")
    """The name on disk is of older records."""
