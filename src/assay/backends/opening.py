"""The one way to open an artifact for use: only where it was made for what is here now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from assay import command_line
from assay.backends import registry
from assay.backends.base import Session
from assay.errors import AssayError, BackendError, Option, Remedy
from assay.processes import child, watchdog
from assay.records import CompiledModel, OnnxModel, Setting
from assay.storage import store


@contextmanager
def open_compiled(
    compiled: CompiledModel, run_settings: Mapping[str, Setting], timeout: float | None = None
) -> Iterator[Session]:
    """A session of an artifact whose bytes are those of its record, made by this version for this machine.

    Raises `RecordError` where the bytes have changed, and `BackendError` where the artifact is of another version or
    processor, with the command that makes it again; also where memory does not suffice for its batch. Raises
    `StalledError` where opening takes longer than the timeout.
    """
    require_present(compiled)
    store.verified(compiled.file)
    backend, batch = registry.get(compiled.options.backend), compiled.options.batch

    def opened() -> Session:
        with _translated(compiled):
            return watchdog.within(
                timeout, "open", str(compiled.file.path), lambda: backend.open(compiled, run_settings)
            )

    with memory_suffices(backend.name, batch), opened() as session:
        yield session


def require_present(compiled: CompiledModel) -> None:
    """Raises where this machine's backend is not the very one that an artifact was made by and for."""
    options = compiled.options
    backend = registry.get(options.backend)
    registry.device(backend, options.device)
    version, target = backend.version(), backend.target(options.device)
    if compiled.backend_version != version:
        raise BackendError(
            f"{compiled.file.path} was made by {options.backend} {compiled.backend_version}, and here is {version}",
            remedy=_again(compiled),
        )
    if compiled.target != target:
        raise BackendError(
            f"{compiled.file.path} was made for another {options.device} ({compiled.target}; here is {target})",
            remedy=_again(compiled),
        )


def command(compiled: CompiledModel) -> str:
    """The command line that makes an artifact again."""
    model, options = compiled.model, compiled.options
    return command_line.of(
        "compile",
        model.file.path,
        backend=options.backend,
        device=options.device,
        batch=options.batch,
        precision=options.precision,
        input=options.input_kind,
        set=options.settings,
        **options_of_a_bare_file(model),
        out=compiled.file.path,
    )


def options_of_a_bare_file(model: OnnxModel) -> dict[str, object]:
    """What a command line must say of a model's file that has no record beside it: how its images are made."""
    if model.file.path.with_suffix(".json").is_file():
        return {}
    transform = model.transform
    return {
        "resize": transform.resize,
        "crop": transform.crop,
        "interpolation": transform.interpolation,
        "mean": transform.mean,
        "std": transform.std,
        "output": model.output.name,
    }


def _again(compiled: CompiledModel) -> Remedy:
    return Remedy("make it again: {}", command(compiled))


@contextmanager
def _translated(compiled: CompiledModel) -> Iterator[None]:
    """Makes one line of what a backend leaves as its vendor raised it."""
    what = f"{compiled.options.backend} could not open {compiled.file.path}"
    try:
        # Some formats take nothing for a model that computes nothing.
        if compiled.file.size == 0:
            raise BackendError(f"{what}: it is empty", remedy=_again(compiled))
        yield
    except (AssayError, MemoryError):
        raise
    except Exception as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())[:400]
        raise BackendError(f"{what}: {why}", remedy=_again(compiled)) from error


@contextmanager
def memory_suffices(backend: str, batch: int) -> Iterator[None]:
    """Makes one line of a vendor's failure to get memory, whatever it calls it."""
    try:
        yield
    except MemoryError as error:
        raise _too_large(backend, batch, "MemoryError") from error
    except BackendError as error:
        if child.is_about_memory(error.message):
            raise _too_large(backend, batch, error.message) from error
        raise


def _too_large(backend: str, batch: int, why: str) -> BackendError:
    smaller = Remedy("give a smaller {} than {}", Option("batch"), batch)
    return BackendError(
        f"{backend}: memory does not suffice for batch {batch} ({why})",
        remedy=smaller if batch > 1 else Remedy("free memory or take a smaller model"),
    )
