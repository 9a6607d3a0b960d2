"""What this machine offers: backends, devices, versions, and whether it is idle."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from assay import demo, environment
from assay.backends import registry
from assay.backends.base import Backend
from assay.data.transform import TransformChoice
from assay.errors import AssayError, MissingExtraError
from assay.processes import child
from assay.records import BackendState, Diagnosis, OnnxModel, Parity
from assay.steps import artifact
from assay.steps.adopt import describe
from assay.steps.build_options import BuildRequest, usual_precision
from assay.steps.export import ExportRequest, export

PROOF_SECONDS = 180.0
"""A backend that has not compiled and run a tiny model by then is shown as one that hangs."""


def doctor() -> Diagnosis:
    """Looks at the machine and at each backend of the table, which runs a tiny model once as proof."""
    return Diagnosis(
        environment=environment.describe(),
        busy_share=environment.busy_share(),
        backends=tuple(_state(name) for name in registry.BACKENDS),
    )


def _state(name: str) -> BackendState:
    """A backend's state; its import alone may crash, so all of the look is a child's."""
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        try:
            return child.run(
                look,
                name,
                dict(registry.BACKENDS),
                Path(folder),
                call=child.Call(
                    name=f"backend {name}",
                    doing="running a tiny model",
                    timeout=PROOF_SECONDS,
                    remedy=registry.remedy(name),
                ),
            )
        except AssayError as error:
            return BackendState(name=name, version=None, devices=(), problem=error.line())


def look(name: str, table: Mapping[str, str], folder: Path) -> BackendState:
    """What a backend says of itself, and whether it scores the demo's network as it should."""
    registry.take_over(table)
    try:
        backend = registry.get(name)
    except MissingExtraError as error:
        return BackendState(name=name, version=None, devices=(), problem=error.line(), installed=False)
    version = backend.version()
    devices = tuple(backend.devices())
    try:
        parity = _proof(backend, folder)
        problem = None
    except AssayError as error:
        parity, problem = None, error.line()
    return BackendState(name=name, version=version, devices=devices, problem=problem, parity=parity)


def _proof(backend: Backend, folder: Path) -> Parity | None:
    precision = usual_precision(backend.precisions(registry.device(backend, None)))
    options, _ = BuildRequest(backend=backend.name, precision=precision).options(1)
    return artifact.compile_into(_tiny_model(backend, folder), options, folder)[0].parity


def _tiny_model(backend: Backend, folder: Path) -> OnnxModel:
    """The demo's network, with what the backend starts from."""
    if backend.starts_from == "exported program":
        return export(ExportRequest(demo.CHECKPOINT, arch=demo.NAME, out=folder / "demo.onnx", pt2=True))
    choice = TransformChoice(resize=demo.RESIZE, crop=demo.CROP, mean=demo.MEAN, std=demo.STD)
    return describe(demo.ONNX, choice)
