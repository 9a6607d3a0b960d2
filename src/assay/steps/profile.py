"""artifact ─profile→ its costliest nodes: a pass of its own, apart from what is measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from assay.backends import opening, registry
from assay.backends.base import Batch, Profiles
from assay.errors import MissingExtraError, Option, Remedy, UsageError
from assay.progress import Progress, Silent, Stopwatch
from assay.records import BatchResult, CompiledModel, Profile

PROFILE_SECONDS = 2.0
LEAST_CALLS = 3
MOST_CALLS = 100


def require(artifacts: Iterable[CompiledModel]) -> None:
    """Raises `UsageError` with the backends that have a profile, where that of an artifact has none."""
    for compiled in artifacts:
        _profiling(compiled)


def profiled(results: Sequence[BatchResult], progress: Progress = Silent()) -> tuple[BatchResult, ...]:
    """The results with the costliest nodes of each artifact."""
    watch = Stopwatch()
    progress.start("profile", len(results))
    measured = []
    for result in results:
        measured.append(msgspec.structs.replace(result, profile=_profile(result)))
        progress.advance()
    many = f"{len(measured)} artifacts" if len(measured) > 1 else "1 artifact"
    calls = sum(result.profile.calls for result in measured if result.profile is not None)
    progress.finish("profile", many, f"{calls} inference calls", watch.seconds)
    return tuple(measured)


def _profile(result: BatchResult) -> Profile:
    compiled, performance = result.compiled, result.performance
    calls = min(max(int(PROFILE_SECONDS / performance.latency(50)), LEAST_CALLS), MOST_CALLS)
    with opening.memory_suffices(compiled.options.backend, performance.batch):
        return _profiling(compiled).profile(compiled, performance.run_settings, _pixels(compiled), calls)


def _profiling(compiled: CompiledModel) -> Profiles:
    options = compiled.options
    backend = registry.get(options.backend)
    if not isinstance(backend, Profiles):
        raise UsageError(
            f"backend {options.backend} does not tell what each node costs; of those installed "
            f"{', '.join(_profiling_backends()) or 'none'} can",
            remedy=Remedy("leave {} away, or choose one of them", Option("profile")),
        )
    if not backend.profiles_on(options.device):
        raise UsageError(
            f"backend {options.backend} does not tell what each node costs on {options.device}",
            remedy=Remedy("leave {} away", Option("profile")),
        )
    return backend


def _pixels(compiled: CompiledModel) -> Batch:
    """A batch of made-up pixels."""
    shape = tuple(int(side) for side in compiled.input.shape)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8).astype(compiled.input.dtype, copy=False)


def _profiling_backends() -> list[str]:
    """Those of the backends installed here that have a profile."""
    names = []
    for name in registry.BACKENDS:
        try:
            backend = registry.get(name)
        except MissingExtraError:
            continue
        if isinstance(backend, Profiles):
            names.append(name)
    return names
