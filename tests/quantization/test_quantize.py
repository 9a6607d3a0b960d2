"""From a float32 model and calibration images to a model of 8 bits, with its record."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from assay import demo, environment
from assay.data.transform import TransformChoice
from assay.errors import DatasetError, ModelError, RecordError, UnknownNameError, UsageError
from assay.models import onnx_file
from assay.progress import Silent
from assay.quantization import calibration, quantize
from assay.quantization.calibration import Scheme, calibrate, calibration_data
from assay.quantization.layer_costs import Depth, measure_sensitivity
from assay.quantization.quantize import quantize_to
from assay.records import OnnxModel, PreparedDataset, Runnable
from assay.steps import pair
from assay.steps.adopt import adopt, describe, float_model_of
from assay.steps.artifact import compile_into
from assay.steps.build_options import BuildRequest
from assay.steps.measurement import measure
from assay.steps.prepare import PrepareRequest, prepare_with
from assay.storage import store
from tests import onnx_variants
from tests.messages import assert_says

IMAGES = 24


class Notes(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.kept: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)

    def finish(self, step: str, subject: str, detail: str, seconds: float | None) -> None:
        if seconds is None:
            self.kept.append(step)


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The demo's images in two folders by their content: those to calibrate on, and those to evaluate on."""
    root = tmp_path_factory.mktemp("halves")
    folders = root / "calibration", root / "evaluation"
    for folder in folders:
        folder.mkdir()
    for image in sorted(demo.IMAGES.iterdir()):
        shutil.copy(image, folders[int(store.hash_file(image)[-1], 16) % 2])
    return folders


@pytest.fixture(scope="module")
def prepared(
    halves: tuple[Path, Path], demo_model: OnnxModel, tmp_path_factory: pytest.TempPathFactory
) -> tuple[PreparedDataset, PreparedDataset]:
    """Both, prepared."""
    folder = tmp_path_factory.mktemp("prepared")
    one, two = (
        prepare_with(PrepareRequest(images, out=folder / images.name), demo_model.transform) for images in halves
    )
    return one, two


@pytest.fixture(scope="module")
def quantized(
    demo_model: OnnxModel, prepared: tuple[PreparedDataset, PreparedDataset], tmp_path_factory: pytest.TempPathFactory
) -> OnnxModel:
    """The demo's model in 8 bits."""
    return quantize_to(
        demo_model, prepared[0], tmp_path_factory.mktemp("int8") / "model.int8.onnx", Scheme(images=IMAGES)
    )


def test_the_record_beside_the_model_says_what_it_was_made_from(
    quantized: OnnxModel, demo_model: OnnxModel, prepared: tuple[PreparedDataset, PreparedDataset]
) -> None:
    made = store.read(quantized.file.path.with_name("model.int8.json"), OnnxModel).quantization
    assert made is not None
    assert (made.calibrator, made.per_channel, made.float_layers) == ("minmax", True, ())
    assert made.float_model_sha256 == demo_model.sha256
    assert len(made.calibration_image_sha256) == IMAGES
    assert set(made.calibration_image_sha256) <= set(prepared[0].dataset.image_sha256)
    assert made.graph_parity.holds
    assert made.change.top1_agreement > 0.9
    assert (quantized.opset, quantized.input, quantized.output) == (13, demo_model.input, demo_model.output)
    assert quantized.precision == "int8"
    assert onnx_file.precision_of(onnx_file.load(quantized.file.path)) == "int8"
    assert describe(quantized.file.path).quantization == made


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("input_kind", ["uint8", "float32"])
def test_the_model_compiles_to_8_bits_and_stays_right(
    backend: str,
    input_kind: str,
    quantized: OnnxModel,
    demo_model: OnnxModel,
    prepared: tuple[PreparedDataset, PreparedDataset],
    tmp_path: Path,
) -> None:
    pytest.importorskip(backend)
    options, _ = BuildRequest(backend=backend, precision="int8", input=input_kind).options(8)  # type: ignore[arg-type]
    compiled, _ = compile_into(quantized, options, tmp_path / "compiled")
    measured = measure(Runnable(compiled, {}), prepared[1], tmp_path / "bench")
    reference = pair.predictions(quantized, prepared[1], tmp_path / "reference")
    assert measured.predictions is not None
    ours, theirs = (np.asarray(found.scores.load()) for found in (measured.predictions, reference))
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean() > 0.95
    assert not np.array_equal(ours, theirs)


def test_a_quantized_model_is_paired_with_the_float32_model_that_it_was_made_from(
    quantized: OnnxModel, demo_model: OnnxModel, tmp_path: Path
) -> None:
    found = float_model_of(quantized)
    assert (found.sha256, found.transform) == (demo_model.sha256, demo_model.transform)
    assert float_model_of(demo_model) is demo_model
    assert quantized.quantization is not None
    moved = msgspec.structs.replace(quantized.quantization.float_model, path=tmp_path / "gone.onnx")
    lost = msgspec.structs.replace(
        quantized, quantization=msgspec.structs.replace(quantized.quantization, float_model=moved)
    )
    with pytest.raises(RecordError) as caught:
        float_model_of(lost)
    assert_says(caught, "gone.onnx", "missing")


def test_an_adopted_copy_keeps_what_it_was_made_from(quantized: OnnxModel, tmp_path: Path) -> None:
    assert adopt(quantized.file.path, out=tmp_path / "model.onnx").quantization == quantized.quantization


def test_a_second_call_keeps_the_model_and_another_choice_keeps_the_calibration(
    demo_model: OnnxModel, prepared: tuple[PreparedDataset, PreparedDataset], tmp_path: Path
) -> None:
    def run(*float_layers: str) -> tuple[OnnxModel, list[str]]:
        notes = Notes()
        made = quantize_to(
            demo_model,
            prepared[0],
            tmp_path / "model.int8.onnx",
            Scheme(images=IMAGES, float_layers=float_layers),
            calibrations=tmp_path / "calibrations",
            progress=notes,
        )
        return made, notes.kept

    first, kept = run()
    assert kept == []
    assert run() == (first, ["quantize"])
    second, kept = run("last", "first")
    assert kept == ["ranges"]
    assert second.sha256 != first.sha256
    assert second.quantization is not None
    assert second.quantization.float_layers == ("/conv1/Conv", "/fc/Gemm")


def test_images_give_the_ranges_of_the_same_images_prepared(
    demo_model: OnnxModel, halves: tuple[Path, Path], prepared: tuple[PreparedDataset, PreparedDataset], tmp_path: Path
) -> None:
    given = (calibration_data(halves[0]), prepared[0])
    one, two = (calibrate(demo_model, data, tmp_path / "c", Scheme(images=5)) for data in given)
    assert one == two
    assert len(set(one.names)) == 5


@pytest.mark.long
@pytest.mark.parametrize("variant", [onnx_variants.channels_last, onnx_variants.two_outputs, onnx_variants.softmax])
def test_models_of_other_exporters_are_quantized_too(
    variant: Callable[[], object],
    demo_choice: TransformChoice,
    prepared: tuple[PreparedDataset, PreparedDataset],
    tmp_path: Path,
) -> None:
    file = onnx_variants.save(variant(), tmp_path / "model.onnx")  # type: ignore[arg-type]
    model = describe(file, demo_choice, "probability" if "softmax" in str(variant) else onnx_variants.NAME)
    made = quantize_to(model, prepared[0], tmp_path / "model.int8.onnx", Scheme(images=IMAGES))
    assert made.quantization is not None
    assert made.quantization.change.top1_agreement > 0.85


def test_a_fixed_batch_size_is_filled_up(
    demo_choice: TransformChoice, prepared: tuple[PreparedDataset, PreparedDataset], tmp_path: Path
) -> None:
    model = describe(onnx_variants.save(onnx_variants.fixed(4), tmp_path / "model.onnx"), demo_choice)
    made = quantize_to(model, prepared[0], tmp_path / "model.int8.onnx", Scheme(images=6))
    assert made.fixed_batch == 4
    assert made.quantization is not None
    assert len(made.quantization.calibration_image_sha256) == 6


def test_the_range_is_reduced_where_the_processor_saturates(
    demo_model: OnnxModel,
    prepared: tuple[PreparedDataset, PreparedDataset],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment, "has_vnni", lambda: False)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    made = quantize_to(demo_model, prepared[0], tmp_path / "model.int8.onnx", Scheme(images=2))
    assert made.quantization is not None
    assert made.quantization.reduce_range
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert not quantize.saturates()


def test_the_layers_that_cost_most_come_first(
    demo_model: OnnxModel, prepared: tuple[PreparedDataset, PreparedDataset]
) -> None:
    found = measure_sensitivity(demo_model, prepared[0], Scheme(images=IMAGES), depth=Depth(scored=4, dearest=2))
    alone = [cost.alone for cost in found.layers]
    assert alone == sorted(alone, reverse=True)
    assert len(alone) == 26
    assert [cost.kept_float is not None for cost in found.layers[:3]] == [True, True, False]
    assert 0 < found.whole < 1


@pytest.mark.parametrize("calibrator", ["entropy", "percentile", "minmax"])
def test_few_images_are_said_to_be_few_where_a_histogram_is_cut(
    calibrator: str, demo_model: OnnxModel, prepared: tuple[PreparedDataset, PreparedDataset], tmp_path: Path
) -> None:
    notes = Notes()
    calibrate(demo_model, prepared[0], tmp_path, Scheme(calibrator=calibrator, images=3), progress=notes)  # type: ignore[arg-type]
    expected = [] if calibrator == "minmax" else [f"3 images are few for {calibrator}; give 32 or more, or minmax"]
    assert notes.said == expected


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibration must not be reached."""

    def fail(*arguments: object, **options: object) -> None:
        raise AssertionError("the work began")

    monkeypatch.setattr(calibration, "pick", fail)


@pytest.mark.usefixtures("no_work")
class TestBadInput:
    """Said before the work begins."""

    def test_an_unknown_layer(
        self, demo_model: OnnxModel, prepared: tuple[PreparedDataset, PreparedDataset], tmp_path: Path
    ) -> None:
        with pytest.raises(UnknownNameError) as caught:
            quantize_to(demo_model, prepared[0], tmp_path / "m.onnx", Scheme(float_layers=["/conv1/Con"]))
        assert_says(caught, "unknown layer of demo '/conv1/Con'", "known: /conv1/Conv")

    def test_every_layer_in_float(
        self, demo_model: OnnxModel, prepared: tuple[PreparedDataset, PreparedDataset], tmp_path: Path
    ) -> None:
        every = [
            node.name for node in onnx_file.load(demo_model.file.path).graph.node if node.op_type in ("Conv", "Gemm")
        ]
        with pytest.raises(ModelError) as caught:
            quantize_to(demo_model, prepared[0], tmp_path / "m.onnx", Scheme(float_layers=every))
        assert_says(caught, "every layer of demo", "nothing is left to quantize")

    def test_an_unknown_calibrator(
        self, demo_model: OnnxModel, prepared: tuple[PreparedDataset, PreparedDataset], tmp_path: Path
    ) -> None:
        with pytest.raises(UnknownNameError) as caught:
            quantize_to(demo_model, prepared[0], tmp_path / "m.onnx", Scheme(calibrator="minmaks"))  # type: ignore[arg-type]
        assert_says(caught, "unknown calibrator 'minmaks'", "known: minmax")

    def test_no_images_asked_for(
        self, demo_model: OnnxModel, prepared: tuple[PreparedDataset, PreparedDataset], tmp_path: Path
    ) -> None:
        with pytest.raises(UsageError) as caught:
            quantize_to(demo_model, prepared[0], tmp_path / "m.onnx", Scheme(images=0))
        assert_says(caught, "0 images to calibrate on", "give images of 1 or more")

    def test_a_calibration_set_of_another_crop(
        self, demo_model: OnnxModel, halves: tuple[Path, Path], tmp_path: Path
    ) -> None:
        transform = msgspec.structs.replace(demo_model.transform, crop=48)
        other = prepare_with(PrepareRequest(halves[0], out=tmp_path / "other"), transform)
        with pytest.raises(UsageError) as caught:
            quantize_to(demo_model, other, tmp_path / "m.onnx")
        assert_says(caught, "cropped to 48", "demo wants 72 and 64", "like=the model")

    def test_a_model_that_is_quantized_already(
        self, quantized: OnnxModel, prepared: tuple[PreparedDataset, PreparedDataset], tmp_path: Path
    ) -> None:
        with pytest.raises(ModelError) as caught:
            quantize_to(quantized, prepared[0], tmp_path / "m.onnx")
        assert_says(caught, "model.int8.onnx is quantized already", "give the float32 model")

    def test_a_model_of_float16(
        self, demo_choice: TransformChoice, prepared: tuple[PreparedDataset, PreparedDataset], tmp_path: Path
    ) -> None:
        model = describe(onnx_variants.save(onnx_variants.half(), tmp_path / "half.onnx"), demo_choice)
        with pytest.raises(ModelError) as caught:
            quantize_to(model, prepared[0], tmp_path / "m.onnx")
        assert_says(caught, "half.onnx is of float16", "export it in float32")

    @pytest.mark.parametrize("name", ["model.onnx", "model.json", "model.other"])
    def test_a_place_that_is_the_models_own(
        self, name: str, demo_model: OnnxModel, prepared: tuple[PreparedDataset, PreparedDataset]
    ) -> None:
        with pytest.raises(UsageError) as caught:
            quantize_to(demo_model, prepared[0], demo_model.file.path.with_name(name))
        assert_says(caught, name, "give")

    def test_a_folder_without_images(self, tmp_path: Path) -> None:
        with pytest.raises(DatasetError) as caught:
            calibration_data(tmp_path)
        assert_says(caught, f"no image in {tmp_path}")
