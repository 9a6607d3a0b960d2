from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from assay.errors import ModelError
from assay.models import external_data, onnx_file
from tests import factories
from tests.messages import assert_says


def _saved(folder: Path, location: str = "weights.bin", **changes: str) -> Path:
    """A model whose matrix claims to lie at `location`; `changes` alter its entries."""
    folder.mkdir(exist_ok=True)
    path = folder / "model.onnx"
    onnx.save(
        factories.onnx_classifier(), str(path), save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    model = onnx.load(str(path), load_external_data=False)
    for entry in model.graph.initializer[1].external_data:
        entry.value = {"location": location, **changes}.get(entry.key, entry.value)
    path.write_bytes(model.SerializeToString())
    return path


def test_weights_beside_the_model_are_those_that_were_saved(tmp_path: Path) -> None:
    path = _saved(tmp_path)
    read = onnx_file.load(path)
    for ours, theirs in zip(read.graph.initializer, factories.onnx_classifier().graph.initializer, strict=True):
        assert (numpy_helper.to_array(ours) == numpy_helper.to_array(theirs)).all()
    assert external_data.files(onnx_file.load(path, with_weights=False), path) == (tmp_path / "weights.bin",)
    assert external_data.files(read, path) == ()


@pytest.mark.parametrize(
    "location",
    [
        "/etc/hostname",
        "../secret.bin",
        "sub/../../secret.bin",
        "..\\secret.bin",
        "C:\\secret.bin",
        "C:secret.bin",
        "\\\\host\\share",
        "",
        "a\0b",
    ],
)
def test_a_location_outside_the_folder_is_refused_before_anything_is_read(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret.bin").write_bytes(b"secret" * 1000)
    path = _saved(tmp_path / "model", location)
    (tmp_path / "model" / "weights.bin").unlink()  # what cannot be read was not
    for action in (onnx_file.load, lambda path: external_data.files(onnx_file.load(path, False), path)):
        with pytest.raises(ModelError) as caught:
            action(path)
        if location == "a\0b":
            continue
        assert_says(caught, str(path))


@pytest.mark.parametrize("location", ["/etc/hostname", "../secret.bin", "C:\\secret.bin"])
def test_a_location_outside_the_folder_is_named(tmp_path: Path, location: str) -> None:
    path = _saved(tmp_path / "model", location)
    with pytest.raises(ModelError) as caught:
        onnx_file.load(path)
    assert_says(caught, f"{path} keeps weights outside its folder, at {location!r}", "only files beside the model")


@pytest.mark.parametrize("through_folder", [True, False])
def test_a_link_out_of_the_folder_is_refused(tmp_path: Path, through_folder: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.bin").write_bytes(b"secret" * 1000)
    path = _saved(tmp_path / "model", "sub/secret.bin" if through_folder else "link.bin")
    if through_folder:
        (tmp_path / "model" / "sub").symlink_to(tmp_path / "elsewhere")
    else:
        (tmp_path / "model" / "link.bin").symlink_to(tmp_path / "elsewhere" / "secret.bin")
    with pytest.raises(ModelError) as caught:
        onnx_file.load(path)
    assert_says(caught, "outside its folder", f"a symbolic link to {tmp_path / 'elsewhere' / 'secret.bin'}")


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    path = _saved(tmp_path, "link.bin")
    (tmp_path / "link.bin").symlink_to("weights.bin")
    assert onnx_file.load(path).graph.initializer[1].raw_data


@pytest.mark.parametrize("location", ["loop.bin", "x" * 5000])
def test_a_location_that_cannot_be_opened_is_named(tmp_path: Path, location: str) -> None:
    (tmp_path / "loop.bin").symlink_to("loop.bin")
    with pytest.raises(ModelError) as caught:
        onnx_file.load(_saved(tmp_path, location))
    assert_says(caught, str(tmp_path / "model.onnx"), location[:200])


@pytest.mark.parametrize("location", ["gone.bin", "."])
def test_a_file_that_is_missing_is_named(tmp_path: Path, location: str) -> None:
    path = _saved(tmp_path, location)
    with pytest.raises(ModelError) as caught:
        onnx_file.load(path)
    assert_says(caught, f"{path} keeps its weights in {location!r}, and no such file is in {tmp_path}; put it there")


def test_a_file_that_is_too_short_is_named(tmp_path: Path) -> None:
    path = _saved(tmp_path)
    weights = tmp_path / "weights.bin"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelError) as caught:
        onnx_file.load(path)
    assert_says(caught, str(path), "weights.bin beside it is truncated", "the weights 'matrix' end at", "copy it again")


@pytest.mark.parametrize(("key", "value"), [("offset", "-1"), ("length", "many"), ("offset", "٣")])
def test_a_damaged_entry_is_named(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(ModelError) as caught:
        onnx_file.load(_saved(tmp_path, **{key: value}))
    assert_says(caught, "is damaged", key, repr(value))


def test_more_than_one_file_can_hold_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = _saved(tmp_path)
    with (tmp_path / "weights.bin").open("rb+") as file:
        file.truncate(2**31)  # a hole, which takes no room on the disk
    with pytest.raises(ModelError) as caught:
        onnx_file.load(path)
    assert_says(caught, str(path), "2.0 GiB", "a single ONNX file holds 2 GiB at most")


def test_weights_in_branches_and_constants_are_found_too(tmp_path: Path) -> None:
    def outside(name: str) -> TensorProto:
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value=f"../{name}")
        return tensor

    constant = helper.make_node("Constant", [], ["constant"], value=outside("constant"))
    branch = helper.make_graph([constant], "branch", [], [], [outside("inner")])
    model = factories.onnx_classifier()
    for node in (
        helper.make_node("If", ["condition"], [], then_branch=branch),
        helper.make_node("Constant", [], ["outer"], value=outside("outer")),
    ):
        altered = onnx.ModelProto()
        altered.CopyFrom(model)
        altered.graph.node.append(node)
        with pytest.raises(ModelError, match="outside its folder"):
            external_data.files(altered, tmp_path / "model.onnx")
