"""The candidates: each backend with its settings, the batch sizes, and the ways to quantize."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import msgspec

from assay.records import Calibrator, Precision, Setting
from assay.tuning.records import Candidate

if TYPE_CHECKING:
    import optuna

Settings = Mapping[str, Sequence[Setting]]


@dataclass(frozen=True)
class BackendSpace:
    """What one backend can be set to on one device; each first value is the default."""

    backend: str
    device: str
    precisions: Sequence[Precision]
    build: Settings
    run: Settings

    @property
    def key(self) -> str:
        """Tells it from the others in the study."""
        return f"{self.backend}/{self.device}"


@dataclass(frozen=True)
class Space:
    """All that may be tried."""

    backends: Sequence[BackendSpace]
    batches: Sequence[int]
    calibrators: Sequence[Calibrator] = ()
    """None where nothing may be quantized."""
    float_layers: Sequence[int] = (0,)

    @property
    def quantizes(self) -> bool:
        """Whether anything may be quantized."""
        return bool(self.calibrators) and any("int8" in one.precisions for one in self.backends)

    def starts(self) -> Iterator[Candidate]:
        """What is tried first: every backend's defaults, and those in 8 bits of the backends that have them.

        In 8 bits with no layer in float and with the most, so that a short search knows both ends; last, and of one
        backend, with one scale a layer.
        """
        candidates = list(self.defaults())
        usual = len(self.backends)
        quantized = [
            msgspec.structs.replace(one, precision="int8", calibrator=self.calibrators[0], float_layers=count)
            for count in dict.fromkeys((self.float_layers[0], self.float_layers[-1]))
            for one in candidates[:usual]
            if self.calibrators and "int8" in self._precisions(self._backend(f"{one.backend}/{one.device}"))
        ]
        coarse = [
            msgspec.structs.replace(one, per_channel=False) for one in quantized if one.backend == quantized[0].backend
        ]
        yield from (*candidates[:usual], *quantized, *candidates[usual:], *coarse)

    def defaults(self) -> Iterator[Candidate]:
        """Every backend's defaults in single precision, or its own first precision, at each batch size.

        The usual batch size of each backend comes first, so that a short search knows all backends.
        """
        usual = 16 if 16 in self.batches else self.batches[0]
        for batch in (usual, *(size for size in self.batches if size != usual)):
            for backend in self.backends:
                precision = "fp32" if "fp32" in backend.precisions else backend.precisions[0]
                yield Candidate(
                    backend=backend.backend,
                    device=backend.device,
                    batch=batch,
                    precision=precision,
                    build=_first(backend.build),
                    run=_first(backend.run),
                )

    def neighbours(self, candidate: Candidate) -> Iterator[Candidate]:
        """The candidates that differ from one in a single setting of its artifact."""
        for key, values in self._backend(f"{candidate.backend}/{candidate.device}").build.items():
            for value in values:
                if value != candidate.build[key]:
                    yield msgspec.structs.replace(candidate, build={**candidate.build, key: value})

    def candidates(self) -> Iterator[Candidate]:
        """All that may be tried, each once: hundreds in single precision, and many times that with 8 bits."""
        for backend in self.backends:
            settings = list(product(_combinations(backend.build), _combinations(backend.run)))
            for batch, precision in product(self.batches, self._precisions(backend)):
                for calibrator, per_channel, float_layers in self._quantizations(precision):
                    for build, run in settings:
                        yield Candidate(
                            backend=backend.backend,
                            device=backend.device,
                            batch=batch,
                            precision=precision,
                            calibrator=calibrator,
                            per_channel=per_channel,
                            float_layers=float_layers,
                            build=build,
                            run=run,
                        )

    def parameters(self, candidate: Candidate) -> dict[str, Setting]:
        """A candidate as the study knows it, for one that is to be tried at a given time."""
        backend = self._backend(f"{candidate.backend}/{candidate.device}")
        settings: dict[str, Setting] = {"backend": backend.key, "batch": candidate.batch}
        if len(self._precisions(backend)) > 1:
            settings[f"{backend.key}/precision"] = candidate.precision
        if candidate.precision == "int8" and candidate.calibrator is not None:
            settings |= {
                "calibrator": candidate.calibrator,
                "per_channel": candidate.per_channel,
                "float_layers": candidate.float_layers,
            }
        for key, values in {**backend.build, **backend.run}.items():
            if len(values) > 1:
                settings[f"{backend.key}/{key}"] = {**candidate.build, **candidate.run}[key]
        return settings

    def suggested(self, trial: optuna.Trial) -> Candidate:
        """The candidate that the study asks for: a setting is asked for only where its backend was chosen."""
        backend = self._backend(trial.suggest_categorical("backend", [one.key for one in self.backends]))
        batch = trial.suggest_categorical("batch", list(self.batches))
        precisions = self._precisions(backend)
        precision: Precision = precisions[0]
        if len(precisions) > 1:
            asked = trial.suggest_categorical(f"{backend.key}/precision", list(precisions))
            precision = next(one for one in precisions if one == asked)
        quantized = precision == "int8" and bool(self.calibrators)
        return Candidate(
            backend=backend.backend,
            device=backend.device,
            batch=batch,
            precision=precision,
            calibrator=self._calibrator(trial) if quantized else None,
            per_channel=trial.suggest_categorical("per_channel", [True, False]) if quantized else True,
            float_layers=trial.suggest_categorical("float_layers", list(self.float_layers)) if quantized else 0,
            build=_suggested(trial, backend, backend.build),
            run=_suggested(trial, backend, backend.run),
        )

    def _calibrator(self, trial: optuna.Trial) -> Calibrator:
        asked = trial.suggest_categorical("calibrator", list(self.calibrators))
        return next(one for one in self.calibrators if one == asked)

    def _quantizations(self, precision: Precision) -> Iterator[tuple[Calibrator | None, bool, int]]:
        """The ways to quantize: calibrator, a scale for each channel or not, and layers in float."""
        if precision == "int8" and self.calibrators:
            return product(self.calibrators, (True, False), self.float_layers)
        return iter([(None, True, 0)])

    def _precisions(self, backend: BackendSpace) -> list[Precision]:
        """Those that the backend has, 8 bits only where there is a way to quantize."""
        precisions = [one for one in backend.precisions if one != "int8" or self.calibrators]
        return sorted(precisions, key=lambda one: one != "fp32")

    def _backend(self, key: str) -> BackendSpace:
        return next(one for one in self.backends if one.key == key)


def _first(settings: Settings) -> dict[str, Setting]:
    return {key: values[0] for key, values in settings.items()}


def _combinations(settings: Settings) -> list[dict[str, Setting]]:
    """Every value of each setting with every value of the others."""
    return [dict(zip(settings, values, strict=True)) for values in product(*settings.values())]


def _suggested(trial: optuna.Trial, backend: BackendSpace, settings: Settings) -> dict[str, Setting]:
    suggested: dict[str, Setting] = {}
    for key, values in settings.items():
        asked = trial.suggest_categorical(f"{backend.key}/{key}", list(values)) if len(values) > 1 else values[0]
        suggested[key] = next(value for value in values if value == asked and type(value) is type(asked))
    return suggested
