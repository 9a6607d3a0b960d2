from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from assay.cli.main import main
from assay.errors import RecordError
from assay.page.report import ReportRequest, report, write_report
from assay.steps.results import load_run
from assay.storage import store
from assay.tuning import page_section
from assay.tuning.page_section import SearchReport
from assay.tuning.records import Tuning
from tests import searches


def _found(folder: Path, found: Tuning) -> SearchReport:
    store.write(folder / "tuning.json", found)
    report, notes = page_section.search(load_run(folder), folder)
    assert report is not None
    assert notes == ()
    return report


@pytest.mark.parametrize("place", ["tuning.json", "tune/tuning.json"])
def test_a_search_lies_in_the_runs_folder_or_in_one_below_it(tmp_path: Path, place: str) -> None:
    record = searches.run(tmp_path)
    store.write(tmp_path / place, searches.search(record))
    report, notes = page_section.search(record, tmp_path)
    assert report is not None
    assert notes == ()
    assert report.best is not None
    assert report.default is not None
    assert (report.best.trial.number, report.default.trial.number) == (15, 0)
    assert report.roles == ("default", "tuned")
    assert [point.trial.number for point in report.frontier] == [25, 15, 0]


def test_no_search_is_no_search(tmp_path: Path) -> None:
    assert page_section.search(searches.run(tmp_path), tmp_path) == (None, ())


def test_a_search_for_another_artifact_is_left_out_and_the_next_is_looked_at(tmp_path: Path) -> None:
    record = searches.run(tmp_path)
    other = searches.run(tmp_path / "other", 8)
    store.write(tmp_path / "tuning.json", searches.search(other))
    note = "tuning.json is left out: it is of another artifact, of net"
    assert page_section.search(record, tmp_path) == (None, (note,))
    store.write(tmp_path / "tune/tuning.json", searches.search(record))
    report, notes = page_section.search(record, tmp_path)
    assert report is not None
    assert notes == (note,)


def test_a_search_that_found_nothing_belongs_to_a_run_of_its_model(tmp_path: Path) -> None:
    record = searches.run(tmp_path)
    found = searches.fruitless(record, *searches.trials()[3:])
    assert _found(tmp_path, found).best is None
    store.write(tmp_path / "tuning.json", searches.of_another_model(found))
    page = report([tmp_path]).path.read_text(encoding="utf-8")
    assert "tuning.json is left out: it is of another model, net" in page
    assert "The search" not in page


def test_a_search_without_a_run_has_a_page_of_its_own_with_the_picture(tmp_path: Path) -> None:
    found = searches.fruitless(searches.run(tmp_path / "other"), *searches.trials()[3:6])
    store.write(tmp_path / "T/tuning.json", found)
    page = report([tmp_path / "T"]).path
    assert page == tmp_path / "T/report.html"
    text = page.read_text(encoding="utf-8")
    assert "chart-frontier" in text
    assert "No trial passed the gate" in text
    os.utime(page, ns=(1, 1))
    assert write_report(ReportRequest([tmp_path / "T"]), reuse=True).path.stat().st_mtime_ns == 1


def test_every_trial_is_in_the_picture_or_in_a_count(tmp_path: Path) -> None:
    found = searches.search(searches.run(tmp_path))
    report = _found(tmp_path, found)
    assert report.not_evaluated == (
        "1 trial measured and not faster than the best so far",
        "1 trial wrong on a sample already",
        "2 trials failed",
    )
    counted = sum(int(line.partition(" ")[0]) for line in report.not_evaluated)
    assert len(report.evaluated) + counted == len(found.trials)
    assert report.failures == ((searches.HOSTILE, 2),)


def test_what_is_allowed_is_so_much_below_the_reference(tmp_path: Path) -> None:
    record = searches.run(tmp_path)
    report = _found(tmp_path, searches.search(record, max_drop=2.5))
    assert (report.reference, report.bound) == (60.0, 57.5)
    bare = searches.trial(15, paired=searches.agreeing(0.995))
    without = _found(tmp_path, searches.search(record, reference_accuracy=None, trials=(bare,)))
    assert (without.reference, without.bound) == (100.0, 99.0)
    assert [point.top1 for point in without.evaluated] == [99.5]


def test_the_pace_of_a_search_for_latency_is_its_p99_in_seconds(tmp_path: Path) -> None:
    record = searches.run(tmp_path)
    report = _found(tmp_path, searches.search(record, objective="latency"))
    assert [point.pace for point in report.evaluated][:2] == [1 / 100, 1 / 1600]


def test_one_artifact_run_in_two_ways_is_two_results(tmp_path: Path) -> None:
    record = searches.run(tmp_path, 16, 16)
    best = searches.trial(15, right_images=120)
    usual = msgspec.structs.replace(best.candidate, run={"threads": 2})
    default = msgspec.structs.replace(best, number=3, candidate=usual)
    first = msgspec.structs.replace(
        record.results[0], performance=msgspec.structs.replace(record.results[0].performance, run_settings=usual.run)
    )
    record = msgspec.structs.replace(record, results=(first, record.results[1]))
    store.write(tmp_path / "run.json", record)
    report = _found(tmp_path, searches.search(record, trials=(best, default), best_default=3))
    assert report.roles == ("default", "tuned")


def test_a_record_that_names_trials_it_does_not_have_still_has_a_page(tmp_path: Path) -> None:
    record = searches.run(tmp_path)
    report = _found(tmp_path, searches.search(record, best=99, frontier=(99, 15)))
    assert report.best is None
    assert [point.trial.number for point in report.frontier] == [15]


def test_a_damaged_record_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = searches.run(tmp_path)
    searches.beside(tmp_path, record)
    file = tmp_path / "tuning.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"seed": 7', '"seed": "x"'), encoding="utf-8")
    with pytest.raises(RecordError, match="is damaged"):
        page_section.search(record, tmp_path)
    assert main(["report", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "tuning.json is damaged" in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "report.html").exists()


def test_a_page_is_made_again_where_its_search_has_changed(tmp_path: Path) -> None:
    record = searches.run(tmp_path)
    page = report([tmp_path]).path
    os.utime(page, ns=(1, 1))
    assert write_report(ReportRequest([tmp_path]), reuse=True).path.stat().st_mtime_ns == 1
    for place in ("tuning.json", "tune/tuning.json"):
        store.write(tmp_path / place, searches.search(record))
        made = write_report(ReportRequest([tmp_path]), reuse=True).path
        assert made.stat().st_mtime_ns != 1
        assert "The search" in made.read_text(encoding="utf-8")
        os.utime(made, ns=(1, 1))
