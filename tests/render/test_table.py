from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from assay import units
from assay.records import (
    Accuracy,
    BackendState,
    BatchResult,
    Check,
    Diagnosis,
    ImagePrediction,
    NodeTime,
    PairedAccuracy,
    PredictionList,
    Profile,
    Reference,
    RunRecord,
    Verdict,
)
from assay.render import table
from assay.score import compare, gates
from assay.score.figures import figures
from assay.whole_run import outcome as outcomes
from assay.whole_run.outcome import Outcome
from tests import factories, pages


def _lines(text: str) -> list[str]:
    """Each line that holds anything, with one space between its words."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def _results(found: Sequence[BatchResult]) -> str:
    return table.results(found, [figures(result) for result in found])


def _judged(run: RunRecord, *texts: str, asked: bool = True, top1: float | None = 47.0) -> Verdict:
    given = [Reference(name="given", described="given", top1=top1)] if top1 is not None else []
    return compare.judge(run, [gates.parse(text, asked) for text in texts], given)


def _two_batches(folder: Path) -> RunRecord:
    # 100 images: in 400 calls of 2.5 ms, and in 250 of 2 ms.
    batches = [
        factories.result(folder, 1),
        factories.result(folder, 16, (94, 94, 94, 94, 156), calls=factories.steady(0.5, 250)),
    ]
    return factories.run_record(batches)


def test_results_are_aligned_by_batch_size(tmp_path: Path) -> None:
    lines = _results(_two_batches(tmp_path).results).splitlines()
    assert _lines("\n".join(lines)) == [
        "batch end-to-end ± interface ± p50 p99 bottleneck",
        "1 50.0 /s 0.0 % 100.0 /s 0.0 % 2.50 ms 2.50 ms infer 98 %",
        "16 50.0 /s 0.0 % 200.0 /s 0.0 % 2.00 ms – infer 98 %",
        "batch images top-1 top-5",
        "1 200 47.00 % (40.20 % to 53.91 %) 78.00 % (71.76 % to 83.18 %)",
        "16 200 47.00 % (40.20 % to 53.91 %) 78.00 % (71.76 % to 83.18 %)",
    ]
    assert len({line.index("infer 98") for line in lines[1:3]}) == 1
    assert max(map(len, lines)) <= 80


def test_the_widest_results_fit_a_terminal_with_their_spreads_and_break_no_figure(tmp_path: Path) -> None:
    stages = (factories.stage("preprocess", 0.98), factories.stage("infer", 0.5))
    calls = pages.calls(400, 0.0099)
    wide = factories.result(tmp_path, 1024, calls=calls, stages=stages, images=90_000, wall_seconds=calls[-1][1])
    shown, derived = _results([wide]), figures(wide)
    assert max(map(len, shown.splitlines())) <= 80
    line = next(line for line in _lines(shown) if line.startswith("1024"))
    for one in (derived.end_to_end_throughput, derived.interface_throughput):
        assert one.spread is not None
        assert f"{units.rate(one.value)} {units.spread(one.spread)}" in line
    assert line.endswith("preprocess 98 %")


def test_batch_sizes_that_count_the_same_share_a_line(tmp_path: Path) -> None:
    shown = _results([factories.result(tmp_path, batch) for batch in (1, 16)])
    assert _lines(shown)[-1] == "1, 16 200 47.00 % (40.20 % to 53.91 %) 78.00 % (71.76 % to 83.18 %)"


def test_results_without_labels_have_no_accuracy(tmp_path: Path) -> None:
    assert "top-1" not in _results([factories.result(tmp_path, correct_at=None)])


@pytest.mark.parametrize(
    ("correct_at", "classes", "headers"),
    [((1, 2, 2), 3, ["top-1", "top-3"]), ((1, 2), 2, ["top-1", "top-2"]), ((2,), 1, ["top-1"])],
)
def test_a_model_of_few_classes_shows_its_last_rank(
    tmp_path: Path, correct_at: tuple[int, ...], classes: int, headers: list[str]
) -> None:
    shown = _results([factories.result(tmp_path, correct_at=correct_at, count=2, classes=classes)])
    assert _lines(shown)[2].split()[2:] == headers


def test_measurements_show_every_figure_and_name_the_bottleneck(tmp_path: Path) -> None:
    stages = (
        factories.stage("read", 0.25, waiting_out_seconds=0.75),
        factories.stage("infer", 1.8, workers=2, items=50, waiting_in_seconds=0.2),
    )
    calls = [(0.0, 0.001), (1.0, 1.003)]
    one = factories.result(tmp_path, 16, calls=calls, stages=stages, source="synthetic")
    shown = table.measurements([one], [figures(one)])
    assert _lines(shown) == [
        "batch 16 · onnxruntime · cpu · fp32 · 100 images (synthetic) · end-to-end 50.0 /s · interface 25,000 /s",
        "latency min mean max",
        "1.00 ms 2.00 ms 3.00 ms",
        "stage workers rate busy waits for work waits for room",
        "read 1 100.0 /s 25 % 0 % 75 %",
        "infer 2 50.0 /s 90 % 10 % 0 % bottleneck",
        "infer busy 0 % of 1 slot · 0.00 calls in flight on average",
    ]


def test_a_verdict_is_a_line_a_gate_and_the_word_last(tmp_path: Path) -> None:
    run = _two_batches(tmp_path)
    lines = table.verdict(_judged(run, "top1-drop<=1", "throughput>=300"), "RUN/verdict.json").splitlines()
    assert lines == [
        "PASS   top-1 drop 0.00 points (0.00 % relative) at batch 1, 16",
        "       47.00 % against 47.00 % (given), allowed 1.00 points",
        "FAIL   throughput 200.0 /s (200.0 /s to 200.0 /s) at batch 16, asked >= 300.0 /s",
        "verdict FAIL · model 3c1e0000… · artifacts 0001aaaa…, 0016aaaa… · RUN/verdict.json",
    ]


def test_a_gate_that_nobody_asked_for_and_nothing_to_judge_is_no_verdict(tmp_path: Path) -> None:
    judged = _judged(_two_batches(tmp_path), "top1-drop<=1", asked=False, top1=None)
    first, last = table.verdict(judged, "RUN/verdict.json").splitlines()
    assert first.startswith("NOT COMPARABLE no published top-1 is known for net.")
    assert last == "done, nothing to judge · RUN/verdict.json"


def test_what_differs_is_noted_below_its_gate(tmp_path: Path) -> None:
    ours = factories.run_record([factories.result(tmp_path, options={"precision": "int8"})])
    theirs = Reference(name="old", described="old", run=factories.run_record([factories.result(tmp_path)]))
    judged = compare.judge(ours, [gates.parse("throughput/old>=1")], [theirs])
    assert table.verdict(judged, "here").splitlines()[2] == "       noted: precision int8 against fp32"


def test_pairs_with_the_float32_model_stand_above_the_verdict(tmp_path: Path) -> None:
    paired = PairedAccuracy(reference="float32", images=200, agreement=1.0, largest_score_change=0.0, largest_score=1.0)
    one = msgspec.structs.replace(factories.result(tmp_path), paired=paired)
    run = factories.run_record([one])
    judged = _judged(run, "top1-drop<=1")
    outcome = Outcome(run=run, verdict=judged, word=judged.word, figures=(figures(one),))
    assert "batch 1 beside float32: the same first class in 100 % of 200 images" in outcomes.text(outcome, "here")


def test_a_run_ends_with_its_table_its_warnings_and_the_verdict(tmp_path: Path) -> None:
    run = factories.run_record([factories.result(tmp_path)], warnings=("the machine was busy",))
    judged = _judged(run, "top1-drop<=1")
    outcome = Outcome(run=run, verdict=judged, word=judged.word, figures=tuple(map(figures, run.results)))
    lines = [line for line in outcomes.text(outcome, "here").splitlines() if line]
    assert [line.split()[0] for line in lines] == ["batch", "1", "batch", "1", "warning", "PASS", "47.00", "verdict"]
    assert lines[4] == "warning  the machine was busy"


def test_accuracies_are_shown_with_their_counts() -> None:
    shown = table.accuracies([("batch 1", Accuracy(count=200, classes=1000, correct_at=factories.SQUEEZENET))])
    assert _lines(shown) == [
        "predictions images top-1 top-2 top-3 top-4 top-5",
        "batch 1 200 47.00 % (94) 65.50 % (131) 71.50 % (143) 76.50 % (153) 78.00 % (156)",
    ]


def test_accuracies_of_models_of_few_and_many_classes_stand_in_one_table() -> None:
    few = Accuracy(count=2, classes=2, correct_at=(1, 2))
    many = Accuracy(count=2, classes=5, correct_at=(1, 1, 1, 1, 2))
    assert "50.00 % (1)" in table.accuracies([("few", few), ("many", many)])


def _predicted(names: tuple[str, ...] | None) -> PredictionList:
    image = ImagePrediction(image=Path("/images/a [1].png"), classes=(7, 0), scores=(0.75, 0.25), names=names)
    return PredictionList(model=factories.model(), images=(image,))


def test_the_best_classes_of_an_image_are_shown_by_name() -> None:
    assert table.predictions(_predicted(("hexagon", "[bold] :smile:"))).splitlines() == [
        "a [1].png",
        "  class  name             score",
        "      7  hexagon         0.7500",
        "      0  [bold] :smile:  0.2500",
    ]


def test_classes_without_names_are_shown_by_number() -> None:
    assert _lines(table.predictions(_predicted(None)))[2] == "7 class 7 0.7500"


@pytest.mark.parametrize(("share", "state"), [(0.0, "0 % in use: idle"), (0.4, "40 % in use: busy")])
def test_a_machine_is_shown_with_its_backends(share: float, state: str) -> None:
    problem = "openvino is not installed; install it with: pip install 'assay-inference[openvino]'"
    backends = (
        BackendState(name="onnxruntime", version="1.18", devices=("cpu",), problem=None),
        BackendState(name="openvino", version=None, devices=(), problem=problem, installed=False),
    )
    shown = table.diagnosis(Diagnosis(environment=factories.environment(), busy_share=share, backends=backends))
    lines = shown.splitlines()
    assert lines[0] == "assay 0.1.0 · Python 3.11.2 · Linux 6.1 · x86_64"
    assert lines[1] == f"A Processor · 2 cores · 8.0 GiB · {state}"
    assert lines[2] == "numpy 2.0.0"
    assert lines[-4].split() == ["onnxruntime", "1.18", "cpu", "ready"]
    assert lines[-3].split() == ["openvino", "not", "installed"]
    assert lines[-1] == f"openvino: {problem}"


def test_a_long_problem_of_a_backend_is_shown_whole() -> None:
    problem = "cannot be loaded: " + "library after library " * 12 + "is missing; install them"
    backends = (BackendState(name="tensorrt", version=None, devices=(), problem=problem),)
    shown = table.diagnosis(Diagnosis(environment=factories.environment(), busy_share=0.0, backends=backends))
    assert " ".join(shown.split()).endswith("is missing; install them")


def test_every_verdict_word_is_followed_by_its_reason(tmp_path: Path) -> None:
    check = _judged(_two_batches(tmp_path), "top1-drop<=1").checks[0]

    def line(word: str) -> str:
        changed = Check(**{name: getattr(check, name) for name in check.__struct_fields__} | {"verdict": word})
        judged = Verdict(artifact_sha256=(), model_sha256="", dataset_fingerprint=None, checks=(changed,))
        return table.verdict(judged, "here").splitlines()[0]

    for word in ("PASS", "FAIL", "INCONCLUSIVE", "NOT COMPARABLE"):
        assert line(word).split(maxsplit=len(word.split()))[-1] == check.reason
        assert line(word).startswith(f"{word} ")


def test_a_profile_shows_what_is_known_of_each_node() -> None:
    named = "/a/very/long/path/of/a/network/of/many/blocks/blocks.3/conv2/Conv"
    nodes = (
        NodeTime(name=named, operator="Conv", seconds=0.0123, share=0.61, gflops=165.4),
        NodeTime(name="relu", operator="Relu", seconds=0.000028, share=0.04),
    )
    shown = table.profile(Profile(calls=20, seconds=0.02, nodes=nodes))
    assert _lines(shown) == [
        "share a call GFLOP/s operator node",
        "61 % 12.3 ms 165 Conv …/of/many/blocks/blocks.3/conv2/Conv",
        "4 % 28.0 µs – Relu relu",
    ]
    assert max(len(line) for line in shown.splitlines()) <= 80
