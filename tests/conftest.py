"""What several tests start from."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay import demo
from assay.data.transform import TransformChoice
from assay.records import OnnxModel, PreparedDataset
from assay.steps.adopt import adopt
from assay.steps.prepare import PrepareRequest, prepare_with
from tests.hurry import MOMENTARY

_MATERIAL = Path(__file__).parents[2] / "shared" / "material"


def pytest_configure() -> None:
    """Takes up Ctrl-C where a shell that starts things in the background has it ignored, for commands inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def hurried() -> Iterator[None]:
    """Warm-ups and looks at the machine that last a moment: on a busy one they last long, and say nothing here."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in MOMENTARY:
            patch.setattr(module, name, value)
        yield


@pytest.fixture(scope="session")
def material() -> Path:
    """Real photographs and trained models beside the checkout."""
    if not _MATERIAL.is_dir():
        pytest.skip("the optional test material is not beside this checkout")
    return _MATERIAL


@pytest.fixture(scope="session")
def demo_choice() -> TransformChoice:
    """The demo's transform, as a user would give it."""
    return TransformChoice(resize=demo.RESIZE, crop=demo.CROP, mean=demo.MEAN, std=demo.STD)


@pytest.fixture(scope="session")
def demo_model(tmp_path_factory: pytest.TempPathFactory, demo_choice: TransformChoice) -> OnnxModel:
    """The demo's ONNX file, taken as a model."""
    return adopt(demo.ONNX, out=tmp_path_factory.mktemp("model") / "model.onnx", **vars(demo_choice))


@pytest.fixture(scope="session")
def demo_data(tmp_path_factory: pytest.TempPathFactory, demo_model: OnnxModel) -> PreparedDataset:
    """The demo's images, prepared."""
    folder = tmp_path_factory.mktemp("prepared")
    return prepare_with(PrepareRequest(demo.IMAGES, out=folder, labels=demo.LABELS), demo_model.transform)
