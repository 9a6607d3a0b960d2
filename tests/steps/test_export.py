"""Checkpoints of every architecture and origin to ONNX."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra `torch`")

import torch

from assay import demo, environment
from assay.data.transform import TransformChoice
from assay.errors import AssayError, CheckpointError, ParityError, UnknownNameError, UsageError
from assay.models import architectures
from assay.progress import Silent
from assay.steps import trained_network
from assay.steps.export import export
from tests.messages import assert_says

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(environment.version("torchvision") is None, reason="needs the extra `torch`"),
]

SMALL = TransformChoice(resize=64, crop=64)
"""Networks that take images of any size export as well from small ones."""


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tests run beside each other; threads that wait for each other's turn make every one of them slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Told(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.kept: list[bool] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def finish(self, step: str, subject: str, detail: str, seconds: float | None) -> None:
        self.kept.append(seconds is None)


def _small(architecture: str, side: int) -> Any:
    """The layers of a large family in a small network; None where the family has a small member of its own."""
    models = architectures._torchvision()
    swin = {"patch_size": [4, 4], "embed_dim": 24, "depths": [2, 2], "num_heads": [2, 4]}
    blocks = [models.convnext.CNBlockConfig(24, 48, 1), models.convnext.CNBlockConfig(48, None, 1)]
    parts = models.swin_transformer
    made = {
        "convnext_tiny": lambda: models.ConvNeXt(blocks),
        "maxvit_t": lambda: models.MaxVit((side, side), 16, 7, [16, 32], [1, 1], 8, 0.1),
        "swin_t": lambda: models.SwinTransformer(window_size=[7, 7], **swin),
        "swin_v2_t": lambda: models.SwinTransformer(
            window_size=[8, 8], block=parts.SwinTransformerBlockV2, downsample_layer=parts.PatchMergingV2, **swin
        ),
        "vgg11": lambda: _narrow(models.vgg11(weights=None, init_weights=False)),
        "vit_b_16": lambda: models.VisionTransformer(side, 16, 2, 2, 64, 128),
    }
    return made[architecture]() if architecture in made else None


def _narrow(network: Any) -> Any:
    """VGG with a classifier that is not nine tenths of the file."""
    network.classifier = torch.nn.Sequential(torch.nn.Linear(512 * 7 * 7, 64), torch.nn.ReLU(), torch.nn.Linear(64, 9))
    return network


# One of each family, the smallest, with its opset and images as small as its layers allow.
FAMILIES = {
    "alexnet": (11, 224),
    "convnext_tiny": (11, 64),
    "densenet121": (11, 64),
    "efficientnet_b0": (11, 64),
    "efficientnet_v2_s": (11, 64),
    "googlenet": (11, 64),
    "inception_v3": (11, 96),
    "maxvit_t": (12, 56),
    "mnasnet0_5": (11, 64),
    "mobilenet_v2": (11, 64),
    "mobilenet_v3_small": (11, 64),
    "regnet_x_400mf": (11, 64),
    "regnet_y_400mf": (11, 64),
    "resnet18": (11, 64),
    "shufflenet_v2_x0_5": (11, 64),
    "squeezenet1_1": (11, 64),
    "swin_t": (11, 64),
    "swin_v2_t": (11, 64),
    "vgg11": (11, 224),
    "vit_b_16": (14, 64),
}


@pytest.mark.long
@pytest.mark.parametrize("architecture", FAMILIES)
def test_one_of_each_family_keeps_its_scores_at_the_lowest_opset(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opset, side = FAMILIES[architecture]
    small = _small(architecture, side)
    if small is not None:
        monkeypatch.setattr(architectures, "build", lambda *_, **__: small.eval())
    # Waiting until hundreds of megabytes are on the disk proves nothing here.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    told = Told()
    choice = TransformChoice(resize=side, crop=side)
    model = export(arch=architecture, out=tmp_path / "model.onnx", random_weights=True, progress=told, **vars(choice))
    model.file.path.unlink()
    assert model.opset == opset
    assert model.parity is not None
    assert model.parity.batches == (1, 3)
    assert 0 < model.parity.largest_difference <= 1e-4
    assert model.parity.top1_agreement == 1.0
    said = [note for note in told.notes if note.startswith(f"{architecture} needs opset {opset}: opset 11 lacks ")]
    assert len(said) == (opset > 11)


def _saved(network: Any, path: Path, content: Any = None) -> Path:
    torch.save(network.state_dict() if content is None else content, path)
    return path


@pytest.mark.long
@pytest.mark.parametrize("architecture", ["googlenet", "inception_v3", "mnasnet0_5", "shufflenet_v2_x0_5"])
def test_weights_of_another_number_of_classes_keep_their_scores(architecture: str, tmp_path: Path) -> None:
    side = FAMILIES[architecture][1]
    options = {"aux_logits": True, "init_weights": False} if architecture in ("googlenet", "inception_v3") else {}
    torch.manual_seed(3)
    network = architectures._torchvision().get_model(architecture, weights=None, num_classes=7, **options)
    content = {"model": {f"module.{name}": value for name, value in network.state_dict().items()}, "epoch": 3}
    told = Told()
    model = export(
        _saved(network, tmp_path / "w.pth", content),
        arch=architecture,
        out=tmp_path / "model.onnx",
        progress=told,
        **vars(TransformChoice(resize=side, crop=side)),
    )
    assert model.classes == 7
    assert model.class_names is None
    assert model.checkpoint is not None
    assert model.checkpoint.classes == 7
    assert model.checkpoint.published is None
    assert "w.pth scores 7 classes, read off its weights" in told.notes
    assert any("shifts its input" in note for note in told.notes) == bool(options)


def _squeezenet(tmp_path: Path, classes: int = 1000) -> Path:
    return _saved(architectures.build("squeezenet1_1", classes), tmp_path / "weights.pth")


def _squeezenets_hash(monkeypatch: pytest.MonkeyPatch, path: Path, architecture: str, entry: str) -> None:
    """Lets torchvision's entry have the hash of a file that is here."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    published = architectures.published_file
    known = published(architecture, entry)

    def file(name: str, wanted: str | None = None) -> architectures.PublishedFile:
        found = published(name, wanted)
        return architectures.PublishedFile(name, found.entry, found.url, sha256[:8], 1.0) if found == known else found

    monkeypatch.setattr(architectures, "published_file", file)


def test_weights_that_match_no_published_file_have_no_figure_of_their_own(tmp_path: Path) -> None:
    model = export(_squeezenet(tmp_path), arch="squeezenet1_1", out=tmp_path / "m.onnx", **vars(SMALL))
    assert model.checkpoint is not None
    assert model.checkpoint.published is not None
    assert not model.checkpoint.published.matched
    told = export(_squeezenet(tmp_path), arch="squeezenet1_1", out=tmp_path / "m.onnx").transform_source
    assert told == "torchvision's IMAGENET1K_V1, assumed: the weights match no published file"


@pytest.mark.parametrize("given", [None, "IMAGENET1K_V1"])
@pytest.mark.parametrize("known", [True, False])
def test_the_entry_is_found_by_hash_or_taken_from_the_user(
    given: str | None, known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = _squeezenet(tmp_path)
    if known:
        _squeezenets_hash(monkeypatch, weights, "squeezenet1_1", "IMAGENET1K_V1")
    model = export(weights, arch="squeezenet1_1", out=tmp_path / "m.onnx", weights_entry=given)
    assert model.checkpoint is not None
    assert model.checkpoint.published is not None
    assert model.checkpoint.published.matched == (known or given is not None)
    assert (model.transform_source == "torchvision's IMAGENET1K_V1") == (known or given is not None)


def test_a_published_file_of_another_architecture_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = _squeezenet(tmp_path)
    _squeezenets_hash(monkeypatch, weights, "resnet50", "IMAGENET1K_V2")
    with pytest.raises(CheckpointError) as caught:
        export(weights, arch="squeezenet1_1", out=tmp_path / "m.onnx")
    assert_says(caught, str(weights), "torchvision's IMAGENET1K_V2 of resnet50", "give arch=resnet50")


def test_an_entry_against_the_files_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"never read")
    _squeezenets_hash(monkeypatch, weights, "wide_resnet101_2", "IMAGENET1K_V1")
    with pytest.raises(CheckpointError) as caught:
        export(weights, arch="wide_resnet101_2", out=tmp_path / "m.onnx", weights_entry="IMAGENET1K_V2", **vars(SMALL))
    assert_says(caught, "holds torchvision's IMAGENET1K_V1", "not IMAGENET1K_V2", "leave weights_entry away")


@pytest.mark.parametrize(
    ("changes", "kind", "parts"),
    [
        ({"arch": "squeezenet"}, UnknownNameError, ("'squeezenet'; known: squeezenet1_",)),
        ({"weights_entry": "IMAGENET1K_V3"}, UnknownNameError, ("'IMAGENET1K_V3'; known: IMAGENET1K_V1",)),
        ({"checkpoint": "absent.pth", "random_weights": False}, UsageError, ("no weights at absent.pth",)),
        ({"opset": 3}, UsageError, ("opset 3", "7 to 20")),
        (
            {"arch": demo.NAME, "checkpoint": "published", "random_weights": False},
            UsageError,
            ("nothing is published",),
        ),
        ({"arch": demo.NAME, "weights_entry": "IMAGENET1K_V1"}, UsageError, ("nothing is published",)),
    ],
)
def test_a_fault_is_one_line_and_leaves_no_model(
    changes: dict[str, Any], kind: type[AssayError], parts: tuple[str, ...], tmp_path: Path
) -> None:
    given: dict[str, Any] = {"arch": "squeezenet1_1", "out": tmp_path / "m.onnx", "random_weights": True}
    with pytest.raises(kind) as caught:
        export(**(given | changes))
    assert_says(caught, *parts)
    assert not list(tmp_path.iterdir())


def test_weights_of_another_architecture_say_which_it_looks_like(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(architectures, "names", lambda: ["alexnet", "resnet18", "resnet34", "squeezenet1_1"])
    weights = _saved(architectures.build("resnet18", 5), tmp_path / "weights.pth")
    with pytest.raises(CheckpointError) as caught:
        export(weights, arch="squeezenet1_1", out=tmp_path / "m.onnx")
    assert_says(
        caught,
        f"the weights of {weights} and squeezenet1_1 do not fit",
        "keys missing (features.0.weight, ",
        "keys too many (conv1.weight, ",
        "it looks like resnet18; give arch=resnet18",
    )
    assert not (tmp_path / "m.onnx").exists()


def test_a_vision_transformer_says_what_images_its_weights_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _small("vit_b_16", 64)
    monkeypatch.setattr(architectures, "build_for", lambda *_: (network, 1000))
    weights = _saved(network, tmp_path / "weights.pth")
    with pytest.raises(UsageError) as caught:
        export(weights, arch="vit_b_16", out=tmp_path / "m.onnx")
    assert_says(caught, str(weights), "64×64", "crops 224", "resize=64 crop=64")


def test_scores_that_are_all_the_same_prove_nothing(tmp_path: Path) -> None:
    network = architectures.build("squeezenet1_1", 5)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    weights = _saved(network, tmp_path / "weights.pth")
    with pytest.raises(ParityError) as caught:
        export(weights, arch="squeezenet1_1", out=tmp_path / "m.onnx", **vars(SMALL))
    assert_says(caught, "torch", "the same score")
    assert not (tmp_path / "m.onnx").exists()


def test_published_weights_come_from_the_cache_and_are_judged_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(environment.CACHE_VARIABLE, str(tmp_path / "cache"))
    name = architectures.published_file("squeezenet1_1").url.rpartition("/")[2]
    (tmp_path / "cache" / "weights").mkdir(parents=True)
    cached = _squeezenet(tmp_path).rename(tmp_path / "cache" / "weights" / name)
    _squeezenets_hash(monkeypatch, cached, "squeezenet1_1", "IMAGENET1K_V1")
    told = Told()
    for _ in range(2):
        model = export(
            trained_network.PUBLISHED, arch="squeezenet1_1", out=tmp_path / "m.onnx", progress=told, **vars(SMALL)
        )
    assert told.kept == [False, True]
    assert told.notes[0] == "the weights are torchvision's IMAGENET1K_V1; a weights entry names others"
    assert model.checkpoint is not None
    assert model.checkpoint.file is not None
    assert model.checkpoint.file.path == cached
    assert model.checkpoint.published is not None
    assert model.checkpoint.published.matched


def _two_sets(tmp_path: Path) -> Path:
    """The demo's weights as a training script saves them: raw, here halved, and averaged."""
    averaged = torch.load(demo.CHECKPOINT, weights_only=True)
    raw = {name: value / 2 if value.is_floating_point() else value for name, value in averaged.items()}
    torch.save({"model": raw, "model_ema": averaged, "epoch": 3}, tmp_path / "two.pth")
    return tmp_path / "two.pth"


def test_of_two_sets_of_weights_the_user_chooses_and_the_record_says_which(tmp_path: Path) -> None:
    weights, out = _two_sets(tmp_path), tmp_path / "m.onnx"
    with pytest.raises(CheckpointError) as caught:
        export(weights, arch=demo.NAME, out=out)
    assert_says(caught, "2 sets of weights", "model (", "model_ema (", "weights_set=model or weights_set=model_ema")
    with pytest.raises(UnknownNameError):
        export(weights, arch=demo.NAME, out=out, weights_set="ema")
    assert not out.exists()
    told = Told()
    files = set()
    for name in ("model", "model_ema", "model_ema"):
        model = export(weights, arch=demo.NAME, out=out, weights_set=name, progress=told)
        assert model.checkpoint is not None
        assert model.checkpoint.weights_set == name
        files.add(model.file.sha256)
    assert told.kept == [False, False, True]
    assert len(files) == 2
    assert "the weights of two.pth are its set model_ema" in told.notes
    assert model.file.sha256 == export(demo.CHECKPOINT, arch=demo.NAME, out=tmp_path / "same.onnx").file.sha256


def test_what_a_checkpoint_left_open_is_a_warning_of_the_model(tmp_path: Path) -> None:
    whole = torch.load(demo.CHECKPOINT, weights_only=True)
    part = {name: value / 2 for name, value in whole.items() if value.is_floating_point() and "running" not in name}
    torch.save({"model": whole, "ema": part}, tmp_path / "part.pth")
    model = export(tmp_path / "part.pth", arch=demo.NAME, out=tmp_path / "m.onnx")
    assert any("beside it stands ema (" in warning for warning in model.warnings)


def test_random_weights_are_no_set_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="leave weights_set away"):
        export(arch=demo.NAME, out=tmp_path / "m.onnx", random_weights=True, weights_set="model")


@pytest.mark.parametrize(
    "change",
    [
        {"opset": 12},
        {"weights_entry": "IMAGENET1K_V1"},
        {"resize": 72, "crop": 64},
        {"checkpoint": None, "random_weights": True},
    ],
)
def test_an_export_is_kept_until_something_of_it_changes(change: dict[str, Any], tmp_path: Path) -> None:
    given: dict[str, Any] = {"checkpoint": _squeezenet(tmp_path), **vars(SMALL)}
    told = Told()
    for request in (given, given, given | change):
        export(arch="squeezenet1_1", out=tmp_path / "m.onnx", progress=told, **request)
    assert told.kept == [False, True, False]


def test_weights_that_change_are_exported_again(tmp_path: Path) -> None:
    told = Told()
    for classes in (1000, 7):
        weights = _squeezenet(tmp_path, classes)
        model = export(weights, arch="squeezenet1_1", out=tmp_path / "m.onnx", progress=told, **vars(SMALL))
    assert told.kept == [False, False]
    assert model.classes == 7


@pytest.mark.material
def test_the_same_weights_in_two_formats_are_the_same_model(material: Path, tmp_path: Path) -> None:
    folder = material / "models"
    files = [
        export(folder / name, arch="squeezenet1_0", out=tmp_path / f"{name}.onnx").file.sha256
        for name in ("squeezenet1_0.pth", "squeezenet1_0_dc_torchvision_keys.safetensors")
    ]
    assert files[0] == files[1]


def test_weights_too_many_for_one_file_stand_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The real limit is 2 GiB, which vit_h_14 and regnet_y_128gf pass.
    monkeypatch.setattr("assay.models.export._LARGEST_FILE", 100_000)
    out = tmp_path / "model.onnx"
    model = export(demo.CHECKPOINT, arch=demo.NAME, out=out)
    assert [file.path for file in model.data] == [tmp_path / "model.onnx.data"]
    assert model.data[0].size > 700_000 > model.file.size
    assert model.parity is not None
    assert model.parity.holds
    assert export(demo.CHECKPOINT, arch=demo.NAME, out=out) == model
    model.data[0].path.unlink()
    assert export(demo.CHECKPOINT, arch=demo.NAME, out=out).data[0].sha256 == model.data[0].sha256
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", "model.onnx.data", "model.json"}
