"""What a page says of a search."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from assay.page import report
from assay.page.page import run_page
from assay.storage import store
from assay.tuning import finish
from assay.tuning import text as tuning_text
from assay.tuning.records import Candidate, Tuning
from tests import searches


def _section(folder: Path, found: Tuning | None = None, **changes: Any) -> str:
    """The section of the search, in a page that is whole."""
    record = searches.run(folder)
    store.write(folder / "tuning.json", found or searches.search(record, **changes))
    page = run_page(report.run_report(record, folder))
    assert page.count('<h2 id="search">') == 1
    return page.partition('<section aria-labelledby="search">')[2].partition("</section>")[0]


def _text(section: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", section).split())


def test_it_says_what_was_searched_and_what_was_found(tmp_path: Path) -> None:
    text = _text(_section(tmp_path))
    assert "8 trials (2 right, 1 slower, 2 wrong, 1 too large, 2 failed), the last search of 88.0 s" in text
    assert "it ended because the time is up" in text
    assert "For throughput, with seed 7, evaluated on 200 images" in text
    assert "top-1 of the model in float32 is 60.00 %, and 59.00 % is allowed" in text
    assert "The best is trial 16: 1,600 /s at 59.50 %" in text
    assert "The best default is trial 1: 100.0 /s at 60.00 %" in text
    assert "batch 16 1 × 16.000" in text
    assert "2 trials failed" in text


def test_the_frontier_the_wrong_and_the_failed_are_listed(tmp_path: Path) -> None:
    text = _text(_section(tmp_path))
    listed = text.partition("The frontier")[2].partition("Faster but wrong")[0]
    assert "26 2,600 /s 60.00 % too large" in listed
    assert listed.index("16 1,600 /s") < listed.index("1 100.0 /s")
    wrong = text.partition("Faster but wrong")[2].partition("Failed")[0]
    assert wrong.index("31 3,100 /s –") < wrong.index("21 2,100 /s 50.00 %")
    assert "top-1 fell by 10.00 points" in wrong


def test_what_is_faster_but_wrong_is_told_by_speeds(tmp_path: Path) -> None:
    slow = searches.trial(3, "wrong", speed=1_500.0, right_images=90, reason="top-1 fell by 15.00 points")
    found = searches.search(searches.run(tmp_path), trials=(*searches.trials(), slow))
    assert [one.number for one in found.faster_but_wrong] == [30, 20]
    # Where nothing is right, nothing that is wrong is beaten.
    none = searches.fruitless(searches.run(tmp_path), slow, searches.trial(6, "failed", speed=None))
    assert none.faster_but_wrong == (slow,)
    # In the picture a slow one that is wrong is no faster one.
    key = _section(tmp_path, found).partition('<ul class="key">')[2].partition("</ul>")[0]
    assert "</span>wrong<" in key
    assert "faster" not in key


def test_of_many_wrong_ones_the_fastest_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    wrong = [searches.trial(20 + number, "wrong", reason="of the sample") for number in range(7)]
    section = _section(tmp_path, trials=(*searches.trials()[:2], *wrong))
    text = _text(section.partition("<details")[0])
    assert "the fastest 5 of 7" in text
    assert text.count("of the sample") == 5


def test_every_trial_is_listed_folded_where_there_is_a_result(tmp_path: Path) -> None:
    section = _section(tmp_path)
    assert "<details>" in section
    assert _text(section.partition("<details>")[2].partition("</details>")[0]).count("onnxruntime · batch") == 8


def test_the_commands_that_make_it_again_are_there(tmp_path: Path) -> None:
    section = _section(tmp_path)
    assert "The same again, without a search" in section
    assert "<span>assay</span> <span>bench</span> <span>A</span>" in section


def test_reasons_and_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    section = _section(tmp_path)
    assert "&lt;script&gt;alert(3)" in section
    assert "<script" not in section
    assert "\u202e" not in section
    record = searches.run(tmp_path)
    named = msgspec.structs.replace(record.model, name="<script>alert(4)</script>")
    other = searches.of_another_model(searches.fruitless(msgspec.structs.replace(record, model=named)))
    store.write(tmp_path / "tuning.json", other)
    assert "<script" not in run_page(report.run_report(record, tmp_path))


def test_a_search_that_none_passed_says_so_and_lists_what_was_tried(tmp_path: Path) -> None:
    found = searches.fruitless(searches.run(tmp_path), *searches.trials()[3:])
    section = _section(tmp_path, found)
    assert "No trial passed the gate of 1.00 points and the memory limit: the model in float32 stands." in section
    assert "chart-frontier" in section
    assert "<details open>" in section
    assert "The same again" not in section
    assert "What each choice was worth" not in section


def test_the_limit_that_kept_all_out_is_named(tmp_path: Path) -> None:
    large = searches.trial(25, "too large", right_images=120, reason="it held 90.8 MiB")
    found = searches.fruitless(searches.run(tmp_path), large, max_memory=60 << 20)
    assert "No trial passed the memory limit of 60.0 MiB: the model in float32 stands." in _section(tmp_path, found)
    printed = tuning_text.tuning(found, "T")
    assert "no candidate passed the memory limit of 60.0 MiB: the reference stands" in printed
    assert "gate" not in printed


def test_what_came_of_8_bits_is_a_line(tmp_path: Path) -> None:
    quantized = Candidate(
        backend="onnxruntime", device="cpu", batch=1, precision="int8", calibrator="minmax", float_layers=2
    )
    coarse = msgspec.structs.replace(quantized, per_channel=False, float_layers=0)
    near = searches.trial(8, "wrong", candidate=quantized, right_images=110, kept_float=("Conv_8", "Conv_4"))
    trials = (*searches.trials(), near, searches.trial(9, "wrong", candidate=coarse))
    none = searches.search(
        searches.run(tmp_path), trials=trials, eight_bits=finish.eight_bits(trials, searches.REFERENCE / 2)
    )
    said = "8 bits: none of 2 scored trials within the gate; the nearest is trial 9, onnxruntime · batch 1 · int8 · "
    said += "minmax, 2 layers in float: it loses 5.00 points; with one scale a layer none of 1"
    assert said in tuning_text.tuning(none, "T").splitlines()
    assert "trial 9 keeps in float: Conv_8, Conv_4" in tuning_text.tuning(none, "T")
    assert said in _text(_section(tmp_path, none))
    right = (*trials, searches.trial(10, candidate=quantized, right_images=119))
    some = msgspec.structs.replace(none, trials=right, eight_bits=finish.eight_bits(right, searches.REFERENCE / 2))
    assert "8 bits: 1 of 3 scored trials within the gate; the fastest is trial 11," in tuning_text.tuning(some, "T")
    slower = (searches.trial(8, "slower", candidate=quantized),)
    unknown = msgspec.structs.replace(none, trials=slower, eight_bits=finish.eight_bits(slower, 60.0))
    assert "8 bits: none of 1 trial came to be scored" in (tuning_text.eight_bits(unknown) or "")
    assert tuning_text.eight_bits(searches.search(searches.run(tmp_path))) is None


def test_a_search_that_evaluated_none_has_no_picture(tmp_path: Path) -> None:
    found = searches.fruitless(searches.run(tmp_path), *searches.trials()[6:])
    section = _section(tmp_path, found)
    assert "No trial was evaluated on all images: 2 trials failed." in section
    assert "<svg" not in section
    assert _text(section).count("onnxruntime · batch") == 2


def test_without_labels_it_is_the_first_class_that_counts(tmp_path: Path) -> None:
    bare = searches.trial(15, paired=searches.agreeing(0.995))
    section = _section(tmp_path, reference_accuracy=None, trials=(bare,), frontier=(15,), default=None)
    text = _text(section)
    assert "evaluated on 200 images without labels: what counts is the share that has the same first class" in text
    assert "99.00 % is allowed" in text
    assert "16 1,600 /s 99.50 % right" in text
    assert "top-1" not in text


def test_a_search_for_latency_tells_the_p99(tmp_path: Path) -> None:
    text = _text(_section(tmp_path, objective="latency"))
    assert "For latency" in text
    assert "p99 0.62 ms at 59.50 %" in text


def test_results_are_called_by_what_they_are_to_the_search(tmp_path: Path) -> None:
    record = searches.run(tmp_path)
    searches.beside(tmp_path, record)
    page = run_page(report.run_report(record, tmp_path))
    assert '<th scope="row">16, tuned</th>' in page
    assert "<h3>batch 1, default</h3>" in page
    assert "batch 16, tuned</text>" in page
