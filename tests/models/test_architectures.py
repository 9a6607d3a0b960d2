from __future__ import annotations

import pytest

from assay import environment

pytest.importorskip("torch", reason="needs the extra `torch`")

import torch

from assay.errors import UnknownNameError
from assay.models import architectures
from assay.records import ImageTransform
from tests.messages import assert_says

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(environment.version("torchvision") is None, reason="needs the extra `torch`"),
]


def test_the_names_are_torchvisions_classifiers() -> None:
    names = architectures.names()
    assert {"wide_resnet101_2", "squeezenet1_0", "vit_b_16"} <= set(names)
    assert not {"fcn_resnet50", "fasterrcnn_resnet50_fpn", "raft_large"} & set(names)


def test_a_network_is_built_with_its_classes_and_in_evaluation_mode() -> None:
    network = architectures.build("squeezenet1_0", classes=7)
    assert not network.training
    assert network.state_dict()["classifier.1.weight"].shape[0] == 7


def test_random_weights_are_the_same_every_time_and_leave_the_callers_chance_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second = (architectures.build("squeezenet1_0", classes=2).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.rand(1), expected)


def test_an_unknown_architecture_lists_the_nearest_first() -> None:
    with pytest.raises(UnknownNameError) as caught:
        architectures.build("wide_resnet101")
    assert_says(caught, "unknown architecture 'wide_resnet101'; known: wide_resnet101_2, ")


def test_the_flagship_has_two_entries_the_guides_first() -> None:
    assert architectures.weights_entries("wide_resnet101_2") == ["IMAGENET1K_V1", "IMAGENET1K_V2"]


@pytest.mark.parametrize(
    ("sha256", "entry"), [("32ee1156" + "0" * 56, "IMAGENET1K_V1"), ("32ee1157" + "0" * 56, None), ("0" * 64, None)]
)
def test_a_file_is_matched_to_its_entry_by_its_hash(sha256: str, entry: str | None) -> None:
    found = architectures.file_of_hash(sha256)
    assert (found.entry if found else None) == entry
    assert found is None or found.architecture == "wide_resnet101_2"


@pytest.mark.parametrize(
    ("entry", "top1", "top5", "resize"), [("IMAGENET1K_V1", 78.848, 94.284, 256), ("IMAGENET1K_V2", 82.51, 96.02, 232)]
)
def test_an_entry_has_its_own_accuracy_and_transform(entry: str, top1: float, top5: float, resize: int) -> None:
    published = architectures.published("wide_resnet101_2", entry)
    assert published is not None
    assert (published.top1, published.top5, published.images, published.matched) == (top1, top5, 50_000, True)
    assert entry in published.source
    assert architectures.transform_of("wide_resnet101_2", entry) == ImageTransform(
        resize=resize, crop=224, interpolation="bilinear", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )


def test_weights_of_unknown_origin_are_not_taken_for_the_published_ones() -> None:
    published = architectures.published("squeezenet1_0", None)
    assert published is not None
    assert published.top1 == 58.092
    assert not published.matched


def test_an_unknown_entry_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError) as caught:
        architectures.published("wide_resnet101_2", "IMAGENET1K_V3")
    assert_says(caught, "weights entry of wide_resnet101_2", "'IMAGENET1K_V3'", "IMAGENET1K_V1", "IMAGENET1K_V2")


def test_classes_have_imagenets_names() -> None:
    names = architectures.class_names("squeezenet1_0")
    assert len(names) == 1000
    assert (names[0], names[65], names[999]) == ("tench", "sea snake", "toilet tissue")


def test_every_architecture_has_a_transform_a_figure_and_names() -> None:
    for name in architectures.names():
        transform = architectures.transform_of(name, None)
        assert 0 < transform.crop <= transform.resize
        published = architectures.published(name, None)
        assert published is not None
        assert 0 < published.top1 < 100
        assert len(architectures.class_names(name)) == 1000


def test_weights_of_the_features_alone_have_no_figure() -> None:
    assert architectures.published("vgg16", "IMAGENET1K_FEATURES") is None


def test_every_published_file_is_told_from_the_others_by_its_hash() -> None:
    files = [
        architectures.published_file(name, entry)
        for name in architectures.names()
        for entry in architectures.weights_entries(name)
    ]
    assert len({file.hash_prefix for file in files}) == len(files) > 80
    for file in files:
        assert len(file.hash_prefix) >= 8
        assert file.url.startswith("https://")
        assert 1 < file.mebibytes < 4000
        assert architectures.file_of_hash(file.hash_prefix.ljust(64, "0")) == file


def _shapes(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


@pytest.mark.parametrize("classes", [2, 7, 1000, 1001])
@pytest.mark.parametrize("architecture", ["squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_the_number_of_classes_is_read_off_the_shapes(architecture: str, classes: int) -> None:
    trained = architectures.build(architecture, classes)
    network, found = architectures.build_for(architecture, _shapes(trained))
    assert found == classes
    assert _shapes(network) == _shapes(trained)
    network.load_state_dict(trained.state_dict(), assign=True)
    assert not any(value.is_meta for value in (*network.parameters(), *network.buffers()))


def test_auxiliary_classifiers_are_there_if_the_weights_have_them() -> None:
    with_them = {"aux1.conv.conv.weight": (128, 512, 1, 1)}
    assert architectures.build_for("googlenet", with_them)[0].aux_logits
    assert not architectures.build_for("googlenet", {})[0].aux_logits


def test_a_vision_transformer_is_built_for_the_images_that_its_weights_take() -> None:
    shapes = {"encoder.pos_embedding": (1, 577, 768), "conv_proj.weight": (768, 3, 16, 16)}
    assert architectures.side_of(architectures.build_for("vit_b_16", shapes)[0]) == 384
    assert architectures.entry_for_side("vit_b_16", 384) == "IMAGENET1K_SWAG_E2E_V1"
    assert architectures.entry_for_side("vit_b_16", 100) == "IMAGENET1K_V1"
    assert architectures.side_of(architectures.build_for("resnet18", {})[0]) is None


_FEW = ["alexnet", "regnet_x_400mf", "resnet50", "resnext50_32x4d", "squeezenet1_0", "vit_b_16", "wide_resnet50_2"]


@pytest.mark.parametrize(("architecture", "classes"), [("wide_resnet50_2", 10), ("regnet_x_400mf", 1000)])
def test_shapes_tell_the_architecture(architecture: str, classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architectures, "names", lambda: _FEW)
    assert architectures.look_alikes(_shapes(architectures.build(architecture, classes))) == [architecture]


@pytest.mark.parametrize(
    "shapes", [{}, {"w": (1,)}, {"encoder.pos_embedding": (0, 0, 0), "conv_proj.weight": (0,) * 4}]
)
def test_shapes_of_something_else_look_like_nothing(
    shapes: dict[str, tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(architectures, "names", lambda: _FEW)
    assert architectures.look_alikes(shapes) == []


@pytest.mark.parametrize("architecture", _FEW)
def test_a_network_for_weights_has_no_memory_of_its_own(architecture: str) -> None:
    outline, classes = architectures.build_for(architecture, {})
    assert classes == 1000
    assert all(parameter.is_meta for parameter in outline.parameters() if parameter.numel() > 10_000)


def test_weights_of_any_side_and_number_of_classes_fit_a_vision_transformer() -> None:
    with torch.device("meta"):
        trained = architectures._torchvision().get_model("vit_b_32", weights=None, num_classes=7, image_size=96)
    network, classes = architectures.build_for("vit_b_32", _shapes(trained))
    assert (classes, architectures.side_of(network)) == (7, 96)
    assert _shapes(network) == _shapes(trained)
