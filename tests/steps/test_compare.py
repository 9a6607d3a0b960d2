from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from assay import demo
from assay.data.transform import TransformChoice
from assay.errors import RecordError, UsageError
from assay.records import RunRecord
from assay.steps.compare import CompareRequest, compare
from assay.steps.results import load_run
from assay.whole_run.request import RunRequest
from assay.whole_run.run import run
from tests.messages import assert_says


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The demo's network in ONNX Runtime and in OpenVINO, on the same images."""
    pytest.importorskip("openvino", reason="needs the extra `openvino`")
    folder = tmp_path_factory.mktemp("runs")
    choice = TransformChoice(resize=demo.RESIZE, crop=demo.CROP, mean=demo.MEAN, std=demo.STD)
    for backend in ("onnxruntime", "openvino"):
        request = RunRequest(
            demo.ONNX, images=demo.IMAGES, labels=demo.LABELS, backend=backend, batch=[16], **vars(choice), out="RUN"
        )
        run(replace(request, out=folder / backend))
    return [folder / "onnxruntime", folder / "openvino"]


def _record(place: Path) -> RunRecord:
    return load_run(place)


def test_another_backend_is_paired_with_the_float32_model_image_by_image(runs: list[Path]) -> None:
    plain, other = _record(runs[0]), _record(runs[1])
    assert plain.results[0].paired is None
    paired = other.results[0].paired
    assert paired is not None
    assert (paired.images, paired.agreement, paired.right_to_wrong, paired.p_value) == (240, 1.0, (), 1.0)
    assert 0 < paired.largest_score_change < 1e-3 * paired.largest_score
    assert other.reference is not None
    assert other.reference.names == plain.results[0].predictions.names  # type: ignore[union-attr]


def test_two_runs_on_the_same_images_are_paired_with_each_other(runs: list[Path]) -> None:
    found = compare([runs[1]], against=[runs[0]])
    (pairing,) = found.paired
    assert (pairing.record, pairing.batch, pairing.accuracy.images) == (str(runs[1]), 16, 240)
    assert pairing.accuracy.reference == str(runs[0])
    without = compare([runs[1], runs[0]])
    assert [one.accuracy.reference for one in without.paired] == [str(runs[0])]
    assert without.table is not None
    assert without.table.pairs == ((str(runs[1]), str(runs[0])),)


def test_damaged_scores_are_not_compared(runs: list[Path], tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(runs[1], copy)
    (scores,) = (copy / "bench").glob("*/scores.npy")
    content = bytearray(scores.read_bytes())
    content[-1] ^= 1
    scores.write_bytes(content)
    with pytest.raises(RecordError, match="sha256 differs"):
        compare([copy], against=[runs[0]])


def test_a_record_given_twice_is_refused(runs: list[Path]) -> None:
    with pytest.raises(UsageError) as caught:
        compare([runs[0], runs[0]])
    assert_says(caught, str(runs[0]), "given twice")


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (CompareRequest(""), "an empty name of a record; give its folder"),
        (CompareRequest(["guide:T4", " "]), "an empty name of a record; give its folder"),
        (CompareRequest("guide:T4", against=""), "an empty name of a record; give its folder"),
        (CompareRequest("guide:T4", reference=0.47), "reference 0.47 is not text; give reference=top1=47.0"),  # type: ignore[arg-type]
        (CompareRequest("guide:T4", reference={"top1": 47}), "{'top1': 47} is not text"),  # type: ignore[arg-type]
        (CompareRequest("guide:T4", reference=" "), "reference ' ' names no figure"),
        (CompareRequest("guide:T4", max_drop="1"), "max_drop is '1'; give a number of points"),  # type: ignore[arg-type]
        (CompareRequest("guide:T4", max_drop=-1), "the allowed drop is -1 points; give a max_drop of 0 or more"),
        (CompareRequest("guide:T4", max_drop=101), "the allowed drop is 101 points; give a max_drop of 100 or less"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(request_: CompareRequest, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        compare(request_)
    assert_says(caught, said)
