"""From a model, as its file lies there, to an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest

import assay
from assay.data.transform import TransformChoice
from assay.errors import ModelError, RecordError
from assay.progress import Silent
from assay.records import BuildOptions, InputKind, OnnxModel
from assay.steps import parity
from assay.steps.adopt import adopt, describe
from assay.steps.artifact import compile_into, load_compiled
from assay.steps.build_options import BuildRequest, batch_sizes
from assay.steps.parity import BOUNDS
from tests import factories, onnx_variants
from tests.messages import assert_says


def options(batch: int = 2) -> BuildOptions:
    return BuildRequest(backend="onnxruntime").options(batch)[0]


@pytest.fixture
def with_data(tmp_path: Path, demo_choice: TransformChoice) -> OnnxModel:
    """A bare file whose weights lie beside it."""
    file = onnx_variants.save_with_data(onnx_variants.original(), tmp_path / "model.onnx", "w.bin")
    return describe(file, demo_choice)


def test_an_artifact_of_weights_beside_the_file_is_that_of_weights_inside(
    with_data: OnnxModel, demo_choice: TransformChoice, tmp_path: Path
) -> None:
    adopted = adopt(with_data.file.path, out=tmp_path / "adopted" / "model.onnx", **vars(demo_choice))
    one, _ = compile_into(with_data, options(), tmp_path / "one")
    two, _ = compile_into(adopted, options(), tmp_path / "two")
    assert (one.key, one.file.sha256) == (two.key, two.file.sha256)


def test_weights_that_change_beside_the_file_are_compiled_anew(
    with_data: OnnxModel, demo_choice: TransformChoice, tmp_path: Path
) -> None:
    first, _ = compile_into(with_data, options(), tmp_path / "compiled")
    weights = with_data.data[0].path
    content = bytearray(weights.read_bytes())
    content[3] ^= 1
    weights.write_bytes(bytes(content))
    with pytest.raises(RecordError) as caught:
        compile_into(with_data, options(4), tmp_path / "compiled")
    assert_says(caught, str(weights), "is not what its record says")
    changed = describe(with_data.file.path, demo_choice)
    second, kept = compile_into(changed, options(), tmp_path / "compiled")
    assert not kept
    assert first.key != second.key


def test_each_output_has_its_own_artifact(tmp_path: Path, demo_choice: TransformChoice) -> None:
    file = onnx_variants.save(onnx_variants.two_outputs(), tmp_path / "model.onnx")
    made = [
        compile_into(describe(file, demo_choice, name), options(), tmp_path / "compiled")
        for name in (onnx_variants.NAME, onnx_variants.AUXILIARY)
    ]
    assert [kept for _, kept in made] == [False, False]
    assert [compiled.output.shape for compiled, _ in made] == [(2, 10), (2, 128)]


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize(
    "changed", [{"mean": (0.0, 0.9, 0.2)}, {"std": (0.3, 0.3, 0.3)}, {"resize": 100}, {"interpolation": "bicubic"}]
)
def test_a_model_with_another_transform_has_another_artifact_and_keeps_its_record(
    kind: InputKind, changed: dict[str, Any], demo_model: OnnxModel, tmp_path: Path
) -> None:
    wanted = BuildRequest(backend="onnxruntime", input=kind).options(2)[0]
    other = msgspec.structs.replace(demo_model, transform=msgspec.structs.replace(demo_model.transform, **changed))
    made = [compile_into(model, wanted, tmp_path)[0] for model in (demo_model, other)]
    assert made[0].key != made[1].key
    assert [load_compiled(one.file.path).model.transform for one in made] == [
        demo_model.transform,
        other.transform,
    ]


def test_the_batch_sizes_of_a_model_with_a_free_one_are_those_asked_for() -> None:
    model = factories.model()
    assert batch_sizes(model, None, (1, 16)) == [1, 16]
    assert batch_sizes(model, [8, 2, 8], (1, 16)) == [8, 2]


@pytest.mark.parametrize("batch", [1, 4])
def test_the_batch_size_of_a_model_with_a_fixed_one_is_that(
    batch: int, tmp_path: Path, demo_choice: TransformChoice
) -> None:
    class Notes(Silent):
        def note(self, message: str) -> None:
            said.append(message)

    said: list[str] = []
    model = describe(onnx_variants.save(onnx_variants.fixed(batch), tmp_path / "model.onnx"), demo_choice)
    assert model.fixed_batch == batch
    assert batch_sizes(model, None, (1, 16), Notes()) == [batch]
    assert said == [f"batch size {batch}: the only one that the model takes"]
    assert batch_sizes(model, [batch], (1, 16)) == [batch]
    with pytest.raises(ModelError) as caught:
        batch_sizes(model, [batch, 16], (1, 16))
    assert_says(caught, f"fixed batch size of {batch}", "cannot be compiled for batch size 16", f"batch={batch}")


def test_a_quantized_model_compiles_to_integers_and_another_does_not(
    demo_model: OnnxModel, demo_choice: TransformChoice, tmp_path: Path
) -> None:
    integers = BuildRequest(backend="onnxruntime", precision="int8").options(2)[0]
    model = describe(onnx_variants.save(onnx_variants.quantized(), tmp_path / "model.onnx"), demo_choice)
    compiled, _ = compile_into(model, integers, tmp_path / "compiled")
    assert compiled.parity is not None
    assert compiled.parity.bound > 1e-4
    assert compiled.parity.holds
    with pytest.raises(ModelError) as caught:
        compile_into(demo_model, integers, tmp_path / "compiled")
    assert_says(caught, "demo is not quantized", "cannot be compiled to int8", "give a QDQ model")


def test_every_precision_has_a_bound_and_half_the_bits_a_looser_one() -> None:
    bounds = parity.BOUNDS
    assert bounds["fp32"].difference < bounds["fp16"].difference < bounds["int8"].difference
    assert bounds["fp32"].top1_agreement == bounds["fp16"].top1_agreement == 1.0


@pytest.mark.parametrize(
    ("difference", "agreement", "bound"),
    [(0.01, 1.0, (0.1, 0.75)), (0.3, 0.5, (0.3, 0.0)), (0.3, 1.0, (0.3, 0.75))],
)
def test_a_compile_to_integers_moves_scores_no_further_than_quantizing_did(
    difference: float, agreement: float, bound: tuple[float, float]
) -> None:
    made = factories.quantization()
    moved = msgspec.structs.replace(made.change_elsewhere, largest_difference=difference, top1_agreement=agreement)
    made = msgspec.structs.replace(made, change_elsewhere=moved)
    found = parity.bound_of("int8", made)
    assert (found.difference, found.top1_agreement) == bound
    assert parity.bound_of("int8", None) == parity.BOUNDS["int8"]
    assert parity.bound_of("fp32", made) == parity.BOUNDS["fp32"]


@pytest.mark.parametrize(
    ("make", "precision", "backend"),
    [
        (onnx_variants.quantized, "int8", "onnxruntime"),
        (onnx_variants.quantized, "int8", "openvino"),
        (onnx_variants.half, "fp16", "onnxruntime"),
        (onnx_variants.half, "fp16", "openvino"),
        (onnx_variants.half, "fp16", "mnn"),
    ],
)
def test_the_precision_of_a_graph_is_read_off_it(
    make: Any, precision: str, backend: str, tmp_path: Path, demo_choice: TransformChoice
) -> None:
    pytest.importorskip({"mnn": "MNN"}.get(backend, backend))
    path = onnx_variants.save(make(), tmp_path / "net.onnx")
    compiled = assay.compile(path, backend=backend, batch=4, out=tmp_path / "artifact", **vars(demo_choice))
    assert compiled.options.precision == precision == compiled.model.precision
    assert compiled.model.full_name == f"net {precision}"
    assert compiled.parity is not None
    assert compiled.parity.bound == BOUNDS[compiled.options.precision].difference
    with pytest.raises(ModelError) as caught:
        assay.compile(path, backend=backend, precision="fp32", out=tmp_path / "other", **vars(demo_choice))
    assert_says(caught, f"net is {precision} by its operators", "leave precision away")


def test_rows_and_the_record_have_the_precision_and_name_of_the_graph(
    tmp_path: Path, demo_choice: TransformChoice
) -> None:
    path = onnx_variants.save(onnx_variants.quantized(), tmp_path / "net.onnx")
    done = assay.bench(path, synthetic=True, iterations=2, batch=2, out=tmp_path / "BENCH", **vars(demo_choice))
    (row,) = assay.to_rows(tmp_path / "BENCH")
    assert (row["model"], row["precision"]) == ("net int8", "int8")
    assert done is not None


def test_weights_that_are_stored_as_halves_leave_a_model_in_single_precision(
    tmp_path: Path, demo_choice: TransformChoice
) -> None:
    model = onnx_variants.original()
    for weight in [one for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT]:
        values = onnx.numpy_helper.to_array(weight).astype(np.float16)
        cast = onnx.helper.make_node("Cast", [f"{weight.name}.half"], [weight.name], to=onnx.TensorProto.FLOAT)
        weight.CopyFrom(onnx.numpy_helper.from_array(values, f"{weight.name}.half"))
        model.graph.node.insert(0, cast)
    path = onnx_variants.save(model, tmp_path / "net.onnx")
    compiled = assay.compile(path, batch=4, out=tmp_path / "artifact", **vars(demo_choice))
    assert (compiled.options.precision, compiled.model.full_name) == ("fp32", "net")
