"""The backends by name: the one table, each imported when it is asked for."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import sys
from collections.abc import Mapping, Sequence
from typing import cast

from assay import environment
from assay.backends.base import Backend, Names, Settings
from assay.errors import BackendError, MissingExtraError, Remedy, UnknownNameError, UsageError
from assay.processes import child
from assay.records import Setting

BACKENDS: dict[str, str] = {
    "onnxruntime": "assay.backends.onnxruntime:OnnxRuntime",
    "torch": "assay.backends.torch:Torch",
    "tensorrt": "assay.backends.tensorrt:TensorRt",
    "ascend": "assay.backends.ascend:Ascend",
    "openvino": "assay.backends.openvino:OpenVino",
    "mnn": "assay.backends.mnn:Mnn",
    "null": "assay.backends.null:Null",
}
"""name → module:class."""

_OF_THE_CORE = ("onnxruntime", "null")
_IMPORT_SECONDS = 120.0

_FIGURES = 12
"""Of a number, as many as are looked at."""


def get(name: str) -> Backend:
    """The backend of this name; raises where it is unknown or its optional part is not installed."""
    if name not in BACKENDS:
        raise UnknownNameError("backend", name, BACKENDS)
    module, _, kind = BACKENDS[name].partition(":")
    try:
        return cast(Backend, getattr(importlib.import_module(module), kind)())
    except ImportError as error:
        if error.name is not None and error.name.startswith("assay"):
            raise
        raise MissingExtraError(f"backend {name} ({error})", name) from error
    except (Exception, SystemExit) as error:
        # What a vendor's package does as it is imported may fail in any way.
        why = " ".join(f"{type(error).__name__}: {error}".split())[:400]
        raise BackendError(f"backend {name} cannot be imported ({why})", remedy=remedy(name)) from error


def import_first(name: str) -> None:
    """Imports a backend in a child process before this one does: a vendor's crash at import is an error line.

    The child is kept, and takes the compile that follows. Those of the core are spared it: all of assay needs them.
    """
    if name not in BACKENDS or name in _OF_THE_CORE or BACKENDS[name].partition(":")[0] in sys.modules:
        return
    child.run(
        _import_alone,
        name,
        dict(BACKENDS),
        call=child.Call(name=f"backend {name}", doing="importing it", timeout=_IMPORT_SECONDS, remedy=remedy(name)),
    )


def _import_alone(name: str, table: Mapping[str, str]) -> None:
    take_over(table)
    get(name)


def remedy(name: str) -> Remedy:
    """What to do about a backend whose package is broken: the command that installs that package again."""
    try:
        listed = importlib.metadata.requires("assay") or []
    except importlib.metadata.PackageNotFoundError:
        listed = []
    of_the_extra = [one for one in listed if re.search(rf"extra == ['\"]{re.escape(name)}['\"]", one)]
    found = [re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in of_the_extra]
    found = found or [name for one in listed if re.match(rf"{re.escape(name)}\b", one)]
    how = f"pip install --force-reinstall {' '.join(found)}" if found else "docs/backends.md says what it needs"
    return Remedy("install it again ({}) or choose another backend", how)


def most_of_a_count() -> int:
    """The largest count, of threads or of batches in flight, that a setting takes: four a core, or 64.

    More do not help, and what runtimes do with thousands of threads is anything from an exception to a crash.
    """
    return max(64, 4 * environment.cores())


def take_over(table: Mapping[str, str]) -> None:
    """Makes the table that of the process that started this one, which may hold more than ours."""
    theirs = dict(table)
    BACKENDS.clear()
    BACKENDS.update(theirs)


def device(backend: Backend, wanted: str | None) -> str:
    """The device asked for, by its name or its place in the backend's list, or else the default.

    Raises `UnknownNameError` where the machine has no such device.
    """
    devices = backend.devices()
    if not devices:
        raise BackendError(
            f"backend {backend.name} finds no device on this machine; look at its driver, or choose another backend"
        )
    if wanted is not None and wanted.isdecimal() and int(wanted) < len(devices):
        return devices[int(wanted)]
    if wanted is not None and wanted not in devices:
        raise UnknownNameError(f"device of backend {backend.name}", wanted, devices)
    return wanted or devices[0]


def split_settings(
    backend: Backend, device_name: str, given: Mapping[str, str]
) -> tuple[dict[str, Setting], dict[str, Setting]]:
    """Sorts `KEY=VALUE` settings into those that alter the artifact and those of a run, with their defaults."""
    build, run = backend.build_settings(device_name), backend.run_settings(device_name)
    for key in given:
        if key not in build and key not in run:
            raise UnknownNameError(f"setting of backend {backend.name}", key, [*build, *run])
    return _chosen(build, given), _chosen(run, given)


def _chosen(settings: Settings, given: Mapping[str, str]) -> dict[str, Setting]:
    """Every setting's value: the given one, of the default's type, or the default."""
    return {key: _parsed(key, given[key], values) if key in given else values[0] for key, values in settings.items()}


def _parsed(key: str, text: str, values: Sequence[Setting]) -> Setting:
    known = {str(value).lower(): value for value in values}
    default = next(iter(known.values()))
    if text.lower() in known:
        return known[text.lower()]
    # Counts such as threads are open: the listed values are those worth trying, not all that work.
    if isinstance(default, int) and not isinstance(default, bool) and text.isdecimal():
        most = most_of_a_count()
        # Python itself refuses to read numbers of thousands of figures.
        if len(text) <= _FIGURES and 0 < int(text) <= most:
            return int(text)
        raise UsageError(
            f"setting {key}={text[:_FIGURES]}{'…' * (len(text) > _FIGURES)}: give {0 if 0 in values else 1} to {most}"
        )
    shown = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    if isinstance(values, Names):
        if re.fullmatch(values.form, text):
            return text
        raise UnknownNameError(f"value of setting {key}", text, shown, Remedy("or another name that {}", values.where))
    raise UnknownNameError(f"value of setting {key}", text, shown)
