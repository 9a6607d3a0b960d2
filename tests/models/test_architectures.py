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
    assert architectures.entry_of_hash("wide_resnet101_2", sha256) == entry


@pytest.mark.parametrize(
    ("entry", "top1", "top5", "resize"), [("IMAGENET1K_V1", 78.848, 94.284, 256), ("IMAGENET1K_V2", 82.51, 96.02, 232)]
)
def test_an_entry_has_its_own_accuracy_and_transform(entry: str, top1: float, top5: float, resize: int) -> None:
    published = architectures.published("wide_resnet101_2", entry)
    assert (published.top1, published.top5, published.images, published.matched) == (top1, top5, 50_000, True)
    assert entry in published.source
    assert architectures.transform_of("wide_resnet101_2", entry) == ImageTransform(
        resize=resize, crop=224, interpolation="bilinear", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )


def test_weights_of_unknown_origin_are_not_taken_for_the_published_ones() -> None:
    published = architectures.published("squeezenet1_0", None)
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
        assert 0 < architectures.published(name, None).top1 < 100
        assert len(architectures.class_names(name)) == 1000
