"""Real photographs and trained models, where they are."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import assay
from assay.data.transform import TransformChoice
from assay.records import RunRecord
from assay.score.accuracy import best
from assay.steps.compare import given_reference
from assay.whole_run.request import RunRequest
from assay.whole_run.run import run

pytestmark = pytest.mark.material

SQUEEZENET = (94, 131, 143, 153, 156)
MOBILENET = (116, 145, 155, 162, 169)


def request_of(material: Path, model: str, **changes: object) -> RunRequest:
    whole = RunRequest(
        model,
        images=material / "images",
        labels=material / "labels" / "val_label.txt",
        reference=given_reference("top1=47.0"),
        out="RUN",
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def counts(run: RunRecord) -> list[tuple[int, ...]]:
    return [result.accuracy.correct_at for result in run.results if result.accuracy]


def assert_golden_top5(run: RunRecord, golden: Path) -> None:
    """Every image's five best classes and their scores are those of the file."""
    with golden.open() as file:
        expected = {row["file"]: row for row in csv.DictReader(file)}
    for result in run.results:
        assert result.predictions is not None
        classes, scores = best(np.asarray(result.predictions.scores.load()))
        for name, order, values in zip(result.predictions.names, classes, scores, strict=True):
            row = expected[name]
            assert [int(row[f"class{k}"]) for k in range(1, 6)] == order.tolist()
            np.testing.assert_allclose(values, [float(row[f"logit{k}"]) for k in range(1, 6)], rtol=1e-4, atol=1e-3)


@pytest.mark.long
@pytest.mark.torch
def test_squeezenet_from_its_checkpoint(material: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    weights = material / "models" / "squeezenet1_0.pth"
    outcome = assay.run(replace(request_of(material, "squeezenet1_0", weights=weights), out=tmp_path / "RUN"))
    assert counts(outcome.run) == [SQUEEZENET, SQUEEZENET]
    assert outcome.verdict.word == "PASS"
    assert_golden_top5(outcome.run, material / "golden" / "top5_squeezenet1_0_dc_torchvision.csv")
    failed = run(
        replace(
            request_of(material, "squeezenet1_0", weights=weights, reference="top1=58.1"),
            out=tmp_path / "RUN",
        )
    )
    assert failed.verdict.word == "FAIL"
    unjudged = assay.run(
        replace(request_of(material, "squeezenet1_0", weights=weights, reference=None), out=tmp_path / "RUN")
    )
    assert unjudged.verdict.holds
    assert unjudged.verdict.word is None
    assert "is of the 50,000 ImageNet validation images; these 200 are others" in unjudged.verdict.checks[0].reason


@pytest.mark.long
@pytest.mark.parametrize(("prepare", "input_kind"), [(True, "float32"), (False, "uint8")])
def test_squeezenet_from_onnx_on_other_ways(material: Path, tmp_path: Path, prepare: bool, input_kind: str) -> None:
    model = str(material / "models" / "squeezenet1_0_dc_torchvision.onnx")
    request = request_of(material, model, no_prepare=not prepare, input=input_kind, batch=16)
    run = assay.run(replace(request, out=tmp_path / "RUN")).run
    assert counts(run) == [SQUEEZENET]
    assert_golden_top5(run, material / "golden" / "top5_squeezenet1_0_dc_torchvision.csv")


def test_mobilenet_from_onnx(material: Path, tmp_path: Path) -> None:
    model = str(material / "models" / "mobilenet_v1_0.25_224.onnx")
    run = assay.run(replace(request_of(material, model), out=tmp_path / "RUN")).run
    assert counts(run) == [MOBILENET, MOBILENET]
    assert_golden_top5(run, material / "golden" / "top5_mobilenet_v1_0.25_224.csv")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["mnn", "openvino"])
@pytest.mark.parametrize(
    ("model", "right"), [("squeezenet1_0_dc_torchvision", SQUEEZENET), ("mobilenet_v1_0.25_224", MOBILENET)]
)
def test_golden_top5_on_other_backends(
    material: Path, tmp_path: Path, backend: str, model: str, right: tuple[int, ...]
) -> None:
    pytest.importorskip({"mnn": "MNN"}.get(backend, backend))
    request = request_of(material, str(material / "models" / f"{model}.onnx"), backend=backend, batch=16)
    run = assay.run(replace(request, out=tmp_path / "RUN")).run
    assert counts(run) == [right]
    assert_golden_top5(run, material / "golden" / f"top5_{model}.csv")


def test_cifar_with_an_explicit_transform(material: Path, tmp_path: Path) -> None:
    transform = TransformChoice(resize=32, crop=32, mean=(0.4914, 0.4822, 0.4465), std=(0.247, 0.2435, 0.2616))
    model = str(material / "models" / "cifar10_resnet20.onnx")
    request = request_of(material, model, labels=None, reference=None, **vars(transform))
    outcome = assay.run(replace(request, out=tmp_path / "RUN"))
    assert outcome.run.model.classes == 10
    assert outcome.run.results[0].predictions is not None
    assert outcome.run.results[0].predictions.scores.shape == (200, 10)
