"""The backends by name: those that installed packages list in their metadata, each imported when it is asked for."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib import metadata
from typing import cast

from assay import environment
from assay.backends.base import Backend, Names, Settings
from assay.errors import (
    DISTRIBUTION,
    AssayError,
    BackendError,
    MissingExtraError,
    Remedy,
    UnknownNameError,
    UsageError,
)
from assay.processes import child
from assay.records import Setting

GROUP = "assay.backends"
"""The group of entry points in which a package lists its backends."""

_OURS = "assay."
_OR = " or "
"""Stands between the classes of two packages that bring a backend of one name."""
_IMPORT_SECONDS = 120.0

_FIGURES = 12
"""Of a number, as many as are looked at."""


class Installed(Mapping[str, str]):
    """The table of the installed packages, read when it is first looked at: that takes some milliseconds."""

    @cached_property
    def _table(self) -> dict[str, str]:
        """Raises `BackendError` if this package itself lists none, as a source tree without an installation."""
        values: dict[str, list[str]] = {}
        for entry in metadata.entry_points(group=GROUP):
            known = values.setdefault(entry.name, [])
            if entry.value not in known:
                known.append(entry.value)
        if not any(value.startswith(_OURS) for known in values.values() for value in known):
            raise BackendError(
                f"{DISTRIBUTION} is not installed in this environment, so no backend is registered",
                remedy=Remedy("install it, or its source tree with pip install -e"),
            )
        return {name: _OR.join(values[name]) for name in sorted(values)}

    def __getitem__(self, name: str) -> str:
        return self._table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


BACKENDS: Mapping[str, str] = Installed()
"""name → module:class."""


def get(name: str) -> Backend:
    """The backend of this name.

    Raises `UnknownNameError` if no package lists it, `MissingExtraError` if its optional part is not installed, and
    `BackendError` if it cannot be imported or is no backend.
    """
    if name not in BACKENDS:
        raise UnknownNameError("backend", name, BACKENDS)
    value = BACKENDS[name]
    if _OR in value:
        packages = sorted({entry.dist.name for entry in metadata.entry_points(group=GROUP, name=name) if entry.dist})
        raise BackendError(
            f"backend {name} is provided by more than one package ({', '.join(packages)}: {value})",
            remedy=Remedy("uninstall all of them but one"),
        )
    try:
        backend = metadata.EntryPoint(name=name, value=value, group=GROUP).load()()
    except AssayError:
        raise
    except ImportError as error:
        # An import of ours that fails within ours is a bug.
        if value.startswith(_OURS) and f"{error.name}.".startswith(_OURS):
            raise
        package = _package(name)
        if package is None or name not in _extras(package):
            raise _not_importable(name, error) from error
        raise MissingExtraError(f"backend {name} ({error})", name, package.name) from error
    except (Exception, SystemExit) as error:
        # What a vendor's package does as it is imported may fail in any way.
        raise _not_importable(name, error) from error
    _require_contract(name, value, backend)
    return cast(Backend, backend)


def _not_importable(name: str, error: BaseException) -> BackendError:
    why = " ".join(f"{type(error).__name__}: {error}".split())[:400]
    return BackendError(f"backend {name} cannot be imported ({why})", remedy=remedy(name))


def _require_contract(name: str, value: str, backend: object) -> None:
    """Raises `BackendError` if an object is no backend, or one of another name."""
    wanted = (*Backend.__annotations__, *(member for member in vars(Backend) if not member.startswith("_")))
    missing = [member for member in wanted if not hasattr(backend, member)]
    if missing:
        raise BackendError(f"{value} is not a backend: it has no {', '.join(missing)}", remedy=remedy(name))
    called = cast(Backend, backend).name
    if called != name:
        raise BackendError(f"backend {name} calls itself {called!r} ({value})", remedy=remedy(name))


def import_first(name: str) -> None:
    """Imports a backend in a child process before this one does: a vendor's crash at import is an error line.

    The child is kept, and takes the compile that follows. Those of the core are spared it: all of assay needs them.
    """
    if name not in BACKENDS or BACKENDS[name].partition(":")[0] in sys.modules or _of_the_core(name):
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
    package = _package(name)
    listed = (package.requires or []) if package is not None else []
    of_the_extra = [one for one in listed if re.search(rf"extra == ['\"]{re.escape(name)}['\"]", one)]
    packages = [re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in of_the_extra]
    if package is not None and not packages:
        # A stranger's backend may be at fault itself; one of ours needs the package of its name.
        ours = BACKENDS[name].startswith(_OURS)
        packages = [name for one in listed if re.match(rf"{re.escape(name)}\b", one)] if ours else [package.name]
    how = f"pip install --force-reinstall {' '.join(packages)}" if packages else "docs/backends.md says what it needs"
    return Remedy("install it again ({}) or choose another backend", how)


def _package(name: str) -> metadata.Distribution | None:
    """The installed package that brings a backend; None if it is not from a package's metadata."""
    value = BACKENDS.get(name)
    return next((entry.dist for entry in metadata.entry_points(group=GROUP, name=name) if entry.value == value), None)


def _extras(package: metadata.Distribution) -> list[str]:
    return package.metadata.get_all("Provides-Extra") or []


def _of_the_core(name: str) -> bool:
    """Whether a backend is ours and needs no extra of its own."""
    package = _package(name)
    return package is not None and BACKENDS[name].startswith(_OURS) and name not in _extras(package)


def most_of_a_count() -> int:
    """The largest count, of threads or of batches in flight, that a setting takes: four a core, or 64.

    More do not help, and what runtimes do with thousands of threads is anything from an exception to a crash.
    """
    return max(64, 4 * environment.cores())


def take_over(table: Mapping[str, str]) -> None:
    """Makes the table that of the process that started this one, which may hold more than the metadata here."""
    global BACKENDS
    BACKENDS = dict(table)


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
