"""What this machine offers: backends, devices, versions, and whether it is idle."""

from __future__ import annotations

from assay import environment
from assay.backends import registry
from assay.errors import AssayError
from assay.records import BackendState, Diagnosis


def doctor() -> Diagnosis:
    """Looks at the machine and at each backend of the table."""
    return Diagnosis(
        environment=environment.describe(),
        busy_share=environment.busy_share(),
        backends=tuple(_state(name) for name in registry.BACKENDS),
    )


def _state(name: str) -> BackendState:
    try:
        backend = registry.get(name)
        return BackendState(name=name, version=backend.version(), devices=tuple(backend.devices()), problem=None)
    except AssayError as error:
        return BackendState(name=name, version=None, devices=(), problem=error.message)
