"""Sets of weights, as training scripts write them, and which of them is taken."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra `torch`")

import torch

from assay.errors import CheckpointError, UnknownNameError
from assay.models import weights_set
from assay.models.weights_set import Architecture, Shapes
from tests.messages import assert_says

pytestmark = pytest.mark.torch


def _shapes_for(shapes: Shapes) -> Shapes:
    """A network of one convolution, one normalisation and a classifier of any number of classes."""
    classes = shapes.get("fc.weight", (10, 4))[0]
    return {
        "conv.weight": (4, 3, 1, 1),
        "bn.weight": (4,),
        "bn.running_mean": (4,),
        "bn.num_batches_tracked": (),
        "fc.weight": (classes, 4),
        "fc.bias": (classes,),
    }


NET = Architecture("net", _shapes_for)


def _weights(seed: int, classes: int = 10) -> dict[str, Any]:
    torch.manual_seed(seed)
    shapes = _shapes_for({"fc.weight": (classes, 4)})
    return {
        name: torch.tensor(seed) if name.endswith("tracked") else torch.rand(tuple(shape))
        for name, shape in shapes.items()
    }


RAW, AVERAGED = _weights(1), _weights(2)
OPTIMIZER = {
    "state": {number: {"step": torch.tensor(3.0), "exp_avg": value} for number, value in enumerate(RAW.values())},
    "param_groups": [{"lr": 0.1}],
}


def _prefixed(prefix: str, table: dict[str, Any]) -> dict[str, Any]:
    return {prefix + name: value for name, value in table.items()}


def _load(folder: Path, content: object, wanted: str | None = None) -> weights_set.WeightsSet:
    torch.save(content, folder / "w.pth")
    return weights_set.load(folder / "w.pth", NET, wanted)


def _is(taken: weights_set.WeightsSet, expected: dict[str, Any]) -> bool:
    return taken.tensors.keys() == expected.keys() and all(
        torch.equal(taken.tensors[name], value) for name, value in expected.items()
    )


@pytest.mark.parametrize("where", ["state_dict", "model", "net", "ema", "module_list.0.weights"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.", "model.", "backbone.", "net.encoder."])
def test_the_one_set_is_found_wherever_it_stands(where: str, prefix: str, tmp_path: Path) -> None:
    content: Any = OrderedDict(_prefixed(prefix, AVERAGED))
    for key in reversed(where.split(".")):
        content = [content] if key == "0" else {key: content}
    beside = {"epoch": 9, "best": torch.tensor(0.5), "optimizer": OPTIMIZER, "args": argparse.Namespace(lr=0.1)}
    taken = _load(tmp_path, {**beside, **content})
    assert _is(taken, AVERAGED)
    assert taken.recorded == where
    assert not taken.warnings
    assert [note for note in taken.notes if note.startswith("the weights of w.pth are its set")] == (
        [] if where in ("state_dict", "model") else [f"the weights of w.pth are its set {where}"]
    )
    assert any("are taken without" in note for note in taken.notes) == (prefix in ("backbone.", "net.encoder."))


TWO_SETS = {
    "torchvision": (
        {
            "model": RAW,
            "model_ema": OrderedDict([("n_averaged", torch.tensor(5)), *_prefixed("module.", AVERAGED).items()]),
            "optimizer": OPTIMIZER,
        },
        ("model", "model_ema"),
    ),
    "timm": ({"state_dict": RAW, "state_dict_ema": AVERAGED, "optimizer": OPTIMIZER}, ("state_dict", "state_dict_ema")),
    "teacher and student": ({"student": RAW, "teacher": AVERAGED}, ("student", "teacher")),
    "momentum encoder": ({"model": RAW, "momentum_encoder": AVERAGED}, ("model", "momentum_encoder")),
    "optimema": ({"model": RAW, "optimema": AVERAGED}, ("model", "optimema")),
    "under an optimizer's name": ({"model": RAW, "exp_avg": AVERAGED}, ("model", "exp_avg")),
    "nested": ({"run": {"nets": {"a": RAW, "b": AVERAGED}}}, ("run.nets.a", "run.nets.b")),
    "in a list": ({"nets": [RAW, AVERAGED]}, ("nets.0", "nets.1")),
    "in one table": (
        {"state_dict": {**_prefixed("model.", RAW), **_prefixed("ema_model.module.", AVERAGED)}},
        ("state_dict.model", "state_dict.ema_model.module"),
    ),
    "one at the top": ({**RAW, "ema": AVERAGED}, (".", "ema")),
    "of other classes": ({"model": _weights(1, 5), "model_ema": AVERAGED}, ("model", "model_ema")),
}


@pytest.mark.parametrize("kind", TWO_SETS)
def test_two_whole_sets_are_listed_and_one_is_chosen(kind: str, tmp_path: Path) -> None:
    content, names = TWO_SETS[kind]
    with pytest.raises(CheckpointError) as caught:
        _load(tmp_path, content)
    assert_says(caught, "w.pth holds 2 sets of weights of net: ", *(f"{name} (" for name in names), "tensors, ")
    assert_says(caught, f"choose with weights_set={names[0]} or weights_set={names[1]}")
    taken = _load(tmp_path, content, names[1])
    assert _is(taken, AVERAGED)
    assert taken.recorded == names[1]
    with pytest.raises(UnknownNameError) as unknown:
        _load(tmp_path, content, "absent")
    assert_says(unknown, "unknown set of weights in", "'absent'; known: ", *names)


def test_sets_of_equal_weights_leave_nothing_open(tmp_path: Path) -> None:
    taken = _load(tmp_path, {"model": RAW, "model_ema": {name: value.clone() for name, value in RAW.items()}})
    assert _is(taken, RAW)
    assert not taken.warnings


def test_a_part_of_another_set_beside_the_whole_one_is_a_warning(tmp_path: Path) -> None:
    parameters = {name: value for name, value in AVERAGED.items() if "running" not in name}
    taken = _load(tmp_path, {"model": RAW, "ema": {"shadow": parameters}})
    assert _is(taken, RAW)
    assert len(taken.warnings) == 1
    assert "the set model of w.pth was taken; beside it stands ema.shadow (" in taken.warnings[0]
    assert "4 of 5 weights" in taken.warnings[0]


PARAMETERS = {name: value for name, value in AVERAGED.items() if "running" not in name and "tracked" not in name}
LEFT_ASIDE: dict[str, tuple[dict[str, Any], str]] = {
    "unnamed": ({"ema": {"shadow_params": list(PARAMETERS.values()), "decay": 0.9}}, "ema.shadow_params (4 tensors"),
    "other names": ({"ema": {name.replace(".", "/"): value for name, value in AVERAGED.items()}}, "ema (5 tensors"),
    "a small part": ({"ema": {"fc.weight": AVERAGED["fc.weight"], "fc.bias": AVERAGED["fc.bias"]}}, "ema (2 tensors"),
    "pairs": ({"ema": list(PARAMETERS.items())}, "ema (4 tensors"),
    "nested": ({"ema": {"conv": {"w": AVERAGED["conv.weight"]}, "fc": {"w": AVERAGED["fc.weight"]}}}, "ema (2 tensors"),
    "at the top": (_prefixed("ema-", {name: PARAMETERS[name] for name in ("fc.weight", "fc.bias")}), ". (2 tensors"),
}


@pytest.mark.parametrize("kind", LEFT_ASIDE)
def test_tensors_of_the_same_shapes_under_other_names_are_a_warning(kind: str, tmp_path: Path) -> None:
    beside, named = LEFT_ASIDE[kind]
    taken = _load(tmp_path, {"model": RAW, **beside, "optimizer": OPTIMIZER})
    assert _is(taken, RAW)
    (warning,) = taken.warnings
    assert warning == f"weights: the set model of w.pth was taken; left aside: {named} of the same shapes)"


def test_what_optimizers_keep_for_each_weight_is_no_warning(tmp_path: Path) -> None:
    by_name = {name: {"exp_avg": value, "exp_avg_sq": value} for name, value in AVERAGED.items()}
    lists = {"exp_avg": list(RAW.values()), "scales": [torch.ones(7), torch.ones(())]}
    taken = _load(tmp_path, {"model": RAW, "fsdp": {"state": by_name}, "flat": lists, "optimizer": OPTIMIZER})
    assert _is(taken, RAW)
    assert not taken.warnings


def test_an_optimizers_state_is_not_taken_for_weights(tmp_path: Path) -> None:
    state = {"exp_avg": PARAMETERS, "exp_avg_sq": PARAMETERS}
    taken = _load(tmp_path, {"weights": RAW, "optimizer": state})
    assert _is(taken, RAW)
    assert not taken.warnings
    with pytest.raises(CheckpointError) as caught:
        _load(tmp_path, {"optimizer": state})
    assert_says(caught, "an optimizer's state", "optimizer.exp_avg")


def test_numbers_among_the_weights_are_left_aside_and_named(tmp_path: Path) -> None:
    counters = {f"{layer}.total_ops": torch.zeros(1, dtype=torch.float64) for layer in ("conv", "bn", "fc")}
    taken = _load(tmp_path, {**RAW, **counters, "epoch": 5, "best": None, "n_averaged": torch.tensor(3)})
    assert _is(taken, RAW)
    assert not taken.warnings
    said = "left aside in w.pth, as no weights: conv.total_ops, bn.total_ops, fc.total_ops and 3 more"
    assert taken.notes == (said,)


def test_a_number_that_may_be_a_weight_is_a_warning(tmp_path: Path) -> None:
    taken = _load(tmp_path, {**RAW, "temperature": torch.tensor([2.0])})
    assert _is(taken, RAW)
    assert "temperature of w.pth left aside" in taken.warnings[0]


def test_more_weights_than_the_architectures_are_kept_for_the_network_to_refuse(tmp_path: Path) -> None:
    taken = _load(tmp_path, {**RAW, "attention.weight": torch.ones(4)})
    assert "attention.weight" in taken.tensors


def test_tensors_beside_the_prefix_may_be_part_of_the_network(tmp_path: Path) -> None:
    content = {"state_dict": {**_prefixed("model.", RAW), "normalize.mean": torch.ones(3)}}
    with pytest.raises(CheckpointError) as caught:
        _load(tmp_path, content)
    assert_says(caught, "beside model.* stand normalize.mean", "give weights_set=state_dict.model to leave them aside")
    taken = _load(tmp_path, content, "state_dict.model")
    assert _is(taken, RAW)
    assert "normalize.mean of w.pth left aside" in taken.warnings[0]


def test_of_what_fits_nothing_the_largest_table_is_named_as_it_stands(tmp_path: Path) -> None:
    other = {"backbone.block.weight": torch.ones(9), "backbone.head.weight": torch.ones(9)}
    assert set(_load(tmp_path, {"best": torch.tensor(1.0), "net": other}).tensors) == {"block.weight", "head.weight"}
