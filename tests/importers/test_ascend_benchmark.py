from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assay.errors import AssayError
from assay.importers import ascend_benchmark
from assay.importers.report_file import ReportFile
from assay.records.reported import ReportedRun
from tests.messages import assert_says
from tests.reports import BATCH_16, MISLABELLED

NAME = "perf_vision_batchsize_16_device_1.txt"


def performance(text: str, name: str = NAME, batch: int | None = None) -> ReportedRun:
    assert ascend_benchmark.is_performance(text)
    return ascend_benchmark.read_performance(ReportFile(name=name, text=text, batch=batch))


def test_a_performance_file_has_both_throughputs_and_the_stages() -> None:
    run = performance(BATCH_16)
    assert (run.tool, run.dies, run.pixels, run.transfers) == ("Ascend benchmark", None, "dataset", False)
    (result,) = run.results
    assert (result.batch, dict(result.throughput)) == (16, {"interface": 170.965, "end-to-end": 119.367})
    assert [(stage.name, stage.counts, stage.rate) for stage in result.stages] == [
        ("data read", "images", 126.399),
        ("preprocess", "images", 126.137),
        ("infer", "images", 119.647),
        ("post", "batches", 7.47771),
    ]
    assert [stage.latency for stage in result.stages[-2:]] == pytest.approx([0.00727049, 0.133731])


def test_numbers_with_exponents_windows_ends_and_other_versions_names_are_read() -> None:
    text = BATCH_16.replace("418876", "4.18876e+05").replace("\n", "\r\n").replace("[post]", "[postprocess]")
    assert performance(text.replace("[infer]", "[inference]")) == performance(BATCH_16)


def test_a_name_that_its_rates_contradict_needs_the_users_word() -> None:
    with pytest.raises(AssayError) as caught:
        performance(MISLABELLED)
    assert_says(caught, NAME, "its name says batch 16", "its rates say 8", "set=batch=")
    run = performance(MISLABELLED, batch=8)
    assert run.results[0].batch == 8
    assert run.notes == ("its name says batch 16; its rates and the user say 8",)
    with pytest.raises(AssayError) as caught:
        performance(MISLABELLED, batch=32)
    assert_says(caught, "the setting says batch 32", "its rates say 8")


def test_a_padded_last_batch_does_not_contradict_the_name() -> None:
    # 40 images are three batches of 16, of 13.3 images on average.
    text = BATCH_16.replace("119.367, latency: 418876", "119.367, latency: 335.1").replace("7.47771", "8.97")
    assert performance(text).results[0].batch == 16


def test_a_file_with_another_name_leaves_the_batch_unknown() -> None:
    run = performance(BATCH_16, name="310.txt")
    assert run.results[0].batch is None
    assert "batches of about 16 images" in run.notes[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[data read] throughputRate: 126.399, moduleLatency: 7.91145\n", ""), ["`[data read] throughputRate"]),
        (("119.647", "fast"), ["line 4", "[infer] throughputRate", "'fast'"]),
        (("Interface throughputRate: 170.965, ", ""), ["line 4", "Interface throughputRate: …"]),
        (("133.731", "-nan"), ["line 5", "'-nan'"]),
        (("7.47771", "0"), ["line 5", "above 0"]),
        (("[data read]", "[e2e]"), ["line 2", "one line [e2e]"]),
        ((BATCH_16[-75:], ""), ["line 4"]),
    ],
)
def test_a_damaged_performance_file_is_refused(change: tuple[str, str], said: list[str]) -> None:
    with pytest.raises(AssayError) as caught:
        performance(BATCH_16.replace(*change))
    assert_says(caught, NAME, *said)


@pytest.mark.parametrize(
    "text",
    [
        "ave_throughputRate: 516.07 samples/s, ave_latency: 1.93 ms\n",
        "-----------------PureInfer Performance Summary------------------\n"
        "[INFO] ave_throughputRate: 516.07samples/s, ave_latency: 1.93ms\n-----\n",
        "\nave_throughputRate = 516.07samples/s, ave_latency = 1.93ms\n",
    ],
)
def test_pure_inference_is_of_invented_pixels_a_sample(text: str) -> None:
    assert ascend_benchmark.is_pure_inference(text)
    run = ascend_benchmark.read_pure_inference(ReportFile(name="PureInfer_perf_of_wrn_bs4_in_device_0.txt", text=text))
    assert (run.pixels, run.dies, run.transfers) == ("synthetic", None, None)
    assert (run.results[0].batch, dict(run.results[0].throughput)) == (None, {"interface": 516.07})
    assert "bs4" in run.notes[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ave_throughputRate: 516.07 samples/s", "ave_latency"),
        ("ave_throughputRate: x samples/s, ave_latency: 1 ms", "'x'"),
        ("ave_throughputRate: 1 samples/s, ave_latency: 1 ms\n" * 2, "line 2"),
    ],
)
def test_damaged_pure_inference_is_refused(text: str, said: str) -> None:
    with pytest.raises(AssayError) as caught:
        ascend_benchmark.read_pure_inference(ReportFile(name="PureInfer.txt", text=text))
    assert_says(caught, "PureInfer.txt", said)


def evaluation(values: Any) -> ReportedRun:
    text = json.dumps({"title": "Overall statistical evaluation", "value": values})
    assert ascend_benchmark.is_evaluation(text)
    return ascend_benchmark.read_evaluation(ReportFile(name="result.json", text=text))


def entry(key: str, value: Any) -> dict[str, Any]:
    return {"key": key, "value": value}


GUIDE = [entry("Number of images", "50000"), entry("Top1 accuracy", "78.84%"), entry("Top5 accuracy", "94.29%")]


def test_an_evaluation_has_accuracies_and_a_number_of_images() -> None:
    run = evaluation(GUIDE)
    assert (run.images, run.dataset, dict(run.results[0].top)) == (50000, None, {1: 78.84, 5: 94.29})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (3, "`value`"),
        ([3], "`value`"),
        ([], "Top1 accuracy"),
        (GUIDE[1:], "Number of images"),
        ([entry("Number of images", "many"), GUIDE[1]], "'many'"),
        ([GUIDE[0], entry("Top1 accuracy", 78.84)], "percentage"),
        ([GUIDE[0], entry("Top1 accuracy", "x%")], "'x'"),
        ([GUIDE[0], entry("Top1 accuracy", "178.84%")], "100%"),
        ([GUIDE[0], entry("Top1 accuracy", "78%"), entry("Top5 accuracy", "7%")], "rise"),
    ],
)
def test_a_damaged_evaluation_is_refused(values: Any, said: str) -> None:
    with pytest.raises(AssayError) as caught:
        evaluation(values)
    assert_says(caught, "result.json", said)


@pytest.mark.material
def test_the_originals_result_is_read(material: Path) -> None:
    text = (material / "golden/result.json").read_text(encoding="utf-8")
    run = ascend_benchmark.read_evaluation(ReportFile(name="result.json", text=text))
    assert run.images == 200
    assert dict(run.results[0].top) == {1: 47.0, 2: 65.5, 3: 71.5, 4: 76.5, 5: 78.0}
