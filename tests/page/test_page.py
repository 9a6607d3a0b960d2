from __future__ import annotations

import dataclasses
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from assay import units
from assay.page import report as page_report
from assay.page.content import ComparedRecord, ComparisonReport, RunReport
from assay.page.figures import comparison
from assay.page.page import comparison_page, run_page
from assay.records import (
    Figures,
    Machine,
    MachineState,
    NodeTime,
    RunRecord,
    Share,
    SpeedCell,
    SpeedRow,
    SpeedTable,
    WorkerIdentity,
)
from assay.render import table
from assay.render.paired import sentence
from assay.score import figures
from assay.steps import compare
from tests import factories, pages


class _Read(HTMLParser):
    """The tags of a page, its attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag in ("th", "td"):
            self.text += " "
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, name: str) -> list[str]:
        return [value for found, value in self.attributes if found == name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("RUN")


@pytest.fixture(scope="module")
def record(folder: Path) -> RunRecord:
    return pages.run(folder)


@pytest.fixture(scope="module")
def page(folder: Path, record: RunRecord) -> str:
    return run_page(page_report.run_report(record, folder))


def _page_of(record: RunRecord, **content: object) -> str:
    return run_page(_report(record, **content))


def _report(record: RunRecord, **content: object) -> RunReport:
    usual = {"figures": compare.figures(record), "shares": page_report.shares(record), "verdict": None}
    return RunReport(record=record, **{**usual, **content})  # type: ignore[arg-type]


def test_the_figures_on_the_page_are_those_of_the_record(page: str, record: RunRecord) -> None:
    text = _Read(page).text
    for found in compare.figures(record):
        for estimate in (found.end_to_end_throughput, found.interface_throughput):
            assert units.rate(estimate.value) in text
        assert all(units.milliseconds(one.value) in text for one in found.latency.values())
        assert all(units.percent(one.value) in text for one in found.top)
        for low, high in filter(None, (one.interval for one in (*found.top, found.end_to_end_throughput))):
            unit = units.percent if high <= 100 and low >= 0 and high in [t.high for t in found.top] else units.rate
            assert f"{unit(low)} to {unit(high)}" in text
    assert record.model.sha256 in text
    assert all(result.compiled.file.sha256 in text for result in record.results)
    assert record.dataset is not None
    assert record.dataset.fingerprint in text


def test_the_verdict_stands_first_with_its_reasons(page: str) -> None:
    text = _Read(page).text
    assert text.index("PASS") < text.index("top-1 drop 0.00 points") < text.index("Throughput")
    assert "noted: precision fp16 against fp32" in text
    assert "allowed 1.00 points" in text


def test_stages_layers_pairs_warnings_and_commands_are_told(page: str) -> None:
    text = " ".join(_Read(page).text.split())
    assert "The bottleneck is infer, at work for 97 % of the run." in text
    assert "/layer1/<conv>" in text
    assert "12.5" in text
    assert "the machine was busy <before> measuring" in text
    assert "assay run 'net <i>.onnx' --images val -o RUN" in text
    assert "assay compile /nowhere/file --backend onnxruntime" in text
    assert "Image by image, beside ONNX model, float32" in text
    assert "0.125" in text


def test_the_share_of_the_interface_that_comes_through_has_its_interval(page: str, record: RunRecord) -> None:
    text = " ".join(_Read(page).text.split())
    for result in record.results:
        found = figures.share(result.performance, "end-to-end", of="interface")
        assert found.interval is not None
        low, high = found.interval
        assert f"{units.share(found.value)}{units.share(low)} to {units.share(high)}" in text


def test_a_figure_reads_on_the_page_as_on_the_terminal(folder: Path, record: RunRecord) -> None:
    first = record.results[0]
    assert first.paired is not None
    assert first.profile is not None
    paired = replace(first.paired, p_value=3e-7, agreement=1 - 1e-6, largest_score_change=0.02, largest_score=10.0)
    node = NodeTime(name="relu", operator="Relu", seconds=4e-6, share=0.5, gflops=0.0042)
    profile = replace(first.profile, seconds=8e-6, nodes=(node,))
    changed = replace(record, results=(replace(first, paired=paired, profile=profile), *record.results[1:]))
    report = dataclasses.replace(page_report.run_report(record, folder), record=changed)
    text = " ".join(_Read(run_page(report)).text.split())
    for figure in ("p < 0.001", "99.99 %", "2.0e-03", "points (-0.50 points to 2.50 points)"):
        assert figure in sentence(paired)
        assert figure in text
    assert "2.0e-03of the largest score" in text
    assert "4.00 µs" in table.profile(profile)
    assert "4.00 µs" in text
    assert "8.00 µs in all nodes of a call" in text


def test_the_workers_that_shared_a_run_are_told(record: RunRecord) -> None:
    first = record.results[0]
    workers = [
        WorkerIdentity(name=name, machine="host", device="cpu", processor="p", artifact_sha256=letter * 64)
        for name, letter in (("host <1> cpu", "d"), ("host 2 cpu", "e"))
    ]
    shares = (
        Share(worker=workers[0], shards=3, images=1_300, interface_seconds=2.0),
        Share(worker=workers[1], shards=1, images=100, interface_seconds=0.0, lost=True),
    )
    performance = replace(first.performance, shares=shares)
    found = replace(record, results=(replace(first, performance=performance), *record.results[1:]))
    text = " ".join(_Read(_page_of(found)).text.split())
    for told in ("Workers", "host <1> cpu", "1,300", units.rate(650.0), "host 2 cpu, died", "dddd"):
        assert told in text
    assert "died" not in _Read(_page_of(record)).text


def test_the_use_of_the_device_by_others_has_a_column(record: RunRecord) -> None:
    assert "device in use by others" not in _page_of(record)
    machine = Machine(
        before=MachineState(seconds=0.3, busy_share=0.0, device_busy_share=0.9),
        during=MachineState(seconds=9.0, busy_share=0.01),
        after=MachineState(seconds=0.3, busy_share=0.02, device_busy_share=0.4),
    )
    first = record.results[0]
    performance = replace(first.performance, machine=machine)
    found = replace(record, results=(replace(first, performance=performance), *record.results[1:]))
    text = " ".join(_Read(_page_of(found)).text.split())
    assert (
        "in use by others device in use by others 1 before 0 % 90 % 1 during 1 % – 1 after 2 % 40 % 16 before" in text
    )


def test_names_that_strangers_chose_are_text_and_nothing_else(page: str) -> None:
    read = _Read(page)
    known = (
        "html head meta title style body div header p h1 bdi main span ul li code section h2 h3 table thead tr th "
        "tbody td dl dt dd svg desc defs g path use clippath pattern rect text strong figure img figcaption pre a "
        "footer"
    )
    assert set(read.tags) <= set(known.split())
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert "alert(1)" in read.text
    assert "alert(2)" in read.text
    # A template in a name is not one of ours, and a formula in a name is not drawn as one.
    assert "{{ 7 * 7 }}&amp;$\\frac{1}$.png" in read.text
    assert "猫 \ufffdgnp.exe.png" in read.text
    assert "\u202e" not in page


def test_names_in_charts_are_text_too(page: str) -> None:
    assert "preprocess &lt;b&gt;$x$" in page
    assert "<b>" not in page


def test_the_page_fetches_nothing(page: str) -> None:
    read = _Read(page)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in page
    assert all(source.startswith("data:image/jpeg;base64,") for source in read.values("src"))
    assert all(target.startswith("#") for target in (*read.values("href"), *read.values("xlink:href")))
    assert "url(" not in re.sub(r"url\(#[\w.-]+\)", "", page)
    assert "@import" not in page


def test_identifiers_are_unique_and_each_reference_has_its_target(page: str) -> None:
    read = _Read(page)
    identifiers = Counter(read.values("id"))
    assert not [name for name, count in identifiers.items() if count > 1]
    targets = {*re.findall(r"url\(#([\w.-]+)\)", page), *(target[1:] for target in read.values("href"))}
    targets |= {one for value in read.values("aria-labelledby") for one in value.split()}
    assert targets <= set(identifiers)


def test_charts_take_their_colours_from_the_page_and_say_in_words_what_they_show(page: str) -> None:
    assert "#0101" not in page
    assert "#0102" not in page
    read = _Read(page)
    assert read.tags["svg"] == read.tags["desc"] == 6
    assert "Batch 1: end-to-end" in read.text
    assert "font-family: 'DejaVu" not in page


def test_pictures_are_few_and_say_what_they_are_of(page: str) -> None:
    read = _Read(page)
    assert read.tags["img"] == 8
    assert len(set(read.values("alt"))) == 4
    assert "<script>alert(1)</script>.png" in read.values("alt")
    assert "right to wrong" in read.text


def test_the_same_records_give_the_same_page(page: str, folder: Path, record: RunRecord) -> None:
    assert run_page(page_report.run_report(record, folder)) == page


def test_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    bare = factories.run_record([factories.result(tmp_path, correct_at=None)], dataset=None)
    text = _Read(_page_of(bare)).text
    assert "Not judged" in text
    assert "measured and not held against anything" in text
    assert "Made-up pixels" in text
    for heading in ("Accuracy", "Confidently wrong", "Costliest layers", "Before you trust", "Seen at work"):
        assert heading not in text


@pytest.mark.parametrize(
    ("word", "sign"), [("PASS", "✓"), ("FAIL", "✗"), ("INCONCLUSIVE", "?"), ("NOT COMPARABLE", "≠")]
)
def test_a_verdict_has_a_word_and_a_sign_beside_its_colour(tmp_path: Path, word: str, sign: str) -> None:
    record = factories.run_record([factories.result(tmp_path)])
    found = pages.verdict(record, pages.check(word))  # type: ignore[arg-type]
    text = " ".join(_Read(_page_of(record, verdict=found)).text.split())
    assert f"{sign} {word}" in text or f"{sign}{word}" in text


def test_a_verdict_of_no_gates_says_that_there_was_nothing_to_judge(tmp_path: Path) -> None:
    record = factories.run_record([factories.result(tmp_path)])
    assert "There was nothing to judge it by." in _page_of(record, verdict=pages.verdict(record))


def test_a_figure_without_an_interval_says_why(tmp_path: Path) -> None:
    record = factories.run_record([factories.result(tmp_path, calls=pages.calls(4, 0.01))])
    assert "no interval: 4 samples are too few" in _page_of(record)


def test_many_batch_sizes_are_all_drawn(tmp_path: Path) -> None:
    sizes = (1, 2, 4, 8, 16, 32, 64, 128)
    record = factories.run_record([factories.result(tmp_path, batch, calls=pages.calls(30, 0.01)) for batch in sizes])
    report = _report(record, histograms=tuple(page_report.histogram(one.performance) for one in record.results))
    assert _Read(run_page(report)).tags["svg"] == 1 + 2 * len(sizes)


def _cell(value: float | None, **more: object) -> SpeedCell:
    return SpeedCell(value=value, **more)  # type: ignore[arg-type]


def test_several_records_stand_beside_each_other_with_their_ratios_and_remarks() -> None:
    rows = (
        SpeedRow(
            batch=1,
            throughputs=(
                _cell(1003.8, low=937.5, high=1070.1),
                _cell(558.38, printed=591.376, printed_by="the <guide>"),
            ),
            ratios=(_cell(1.7977, low=1.575, high=2.021),),
        ),
        SpeedRow(
            batch="best",
            throughputs=(_cell(1003.8, low=937.5, high=1070.1), _cell(None, obstacle="no dies")),
            ratios=(_cell(None, obstacle="why"),),
        ),
    )
    names = ("ours</text><script>", "theirs")
    table = SpeedTable(kind="interface", records=names, pairs=(names,), rows=rows, differences=(("dies 1 against 4",),))
    report = ComparisonReport(
        table=table,
        records=tuple(ComparedRecord(name, {"model": "net"}, ("a note",)) for name in names),
        in_turn=(names,),
    )
    page = comparison_page(report)
    read = _Read(page)
    assert "script" not in read.tags
    text = " ".join(read.text.split())
    for wanted in ("1003.800±6.6 %", "558.380* 1.798±12.4 %", "×1.798", "unknown", "not comparable", "a note"):
        assert wanted in text
    assert "± is half of the 95 % interval" in text
    assert "ours</text><script> and theirs were measured in turn" in text
    # What is drawn is told in words: the interval of each figure that has one.
    assert "ours</text><script> 1,004 /s (937.5 /s to 1,070 /s), theirs 558.4 /s ×1.798." in text
    assert "* the <guide> printed 591.376 (theirs, batch 1)" in text
    assert "theirs: no dies" in text
    assert "ours</text><script> / theirs: why" in text
    assert "ours</text><script> / theirs, noted: dies 1 against 4" in text


def test_the_chart_of_several_records_draws_an_interval_where_there_is_one() -> None:
    def whiskers(*throughputs: SpeedCell) -> int:
        rows = (SpeedRow(batch=1, throughputs=throughputs, ratios=(_cell(1.8),)),)
        drawn = comparison(SpeedTable(kind="interface", records=("a", "b"), pairs=(("a", "b"),), rows=rows))
        return drawn.count('id="chart-comparison-LineCollection')

    wide, bare = _cell(1000.0, low=900.0, high=1100.0), _cell(560.0)
    assert (whiskers(bare, bare), whiskers(wide, bare), whiskers(wide, wide)) == (0, 1, 2)


def test_figures_without_intervals_need_no_word_of_them() -> None:
    rows = (SpeedRow(batch=1, throughputs=(_cell(1003.8), _cell(558.38)), ratios=(_cell(1.7977),)),)
    table = SpeedTable(kind="interface", records=("a", "b"), pairs=(("a", "b"),), rows=rows)
    text = _Read(comparison_page(ComparisonReport(table=table, records=(ComparedRecord("a", {}),)))).text
    assert "±" not in text
    assert "in turn" not in text


def test_records_without_speed_have_no_chart() -> None:
    page = comparison_page(ComparisonReport(table=None, records=(ComparedRecord("one", {}),)))
    assert "None of these records has a throughput to compare." in page
    assert "<svg" not in page


def test_a_very_wide_interval_does_not_make_all_else_too_small(tmp_path: Path) -> None:
    from assay.page.figures import throughput

    found = compare.figures(factories.run_record([factories.result(tmp_path)]))[0]
    wide = msgspec.structs.replace(found.interface_throughput, low=1.0, high=1e9)
    assert "000,000 /s</text>" not in throughput([_with(found, wide)], ["1"])


def _with(found: Figures, interface: object) -> Figures:
    return msgspec.structs.replace(found, interface_throughput=interface)
