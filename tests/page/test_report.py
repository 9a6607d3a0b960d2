from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from assay.cli.main import main
from assay.errors import AssayError
from assay.page import images
from assay.page import report as page_report
from assay.page.report import ReportRequest, report, write_report
from assay.records import BatchResult, Blocks, FileReference
from assay.render.speed import speed_cells
from assay.score import accuracy, paired
from assay.steps import compare
from assay.steps.results import load_run
from assay.storage import store
from tests import factories, pages


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pages.run(tmp_path)
    return tmp_path


def test_the_page_of_a_run_stands_in_its_folder(folder: Path) -> None:
    for place in (folder, folder / "run.json"):
        written = report([place])
        assert written.path == (folder / "report.html").resolve()
        assert written.path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_page_is_kept_where_it_is_of_these_very_records(folder: Path) -> None:
    written = report([folder]).path
    os.utime(written, ns=(1, 1))
    assert write_report(ReportRequest([folder]), reuse=True).path.stat().st_mtime_ns == 1
    record = load_run(folder)
    store.write(folder / "verdict.json", pages.verdict(record, pages.check("FAIL")))
    changed = write_report(ReportRequest([folder]), reuse=True).path
    assert "✗" in changed.read_text(encoding="utf-8")


def test_a_page_that_is_damaged_is_drawn_again(folder: Path) -> None:
    written = report([folder]).path
    page = written.read_text(encoding="utf-8")
    for damaged in (page.replace("</body>", "</bodi>"), page + "<!-- of others -->", page[: len(page) // 2], ""):
        written.write_text(damaged, encoding="utf-8")
        assert write_report(ReportRequest([folder]), reuse=True).path.read_text(encoding="utf-8") == page


def test_without_reuse_a_page_is_made_again(folder: Path) -> None:
    first = report([folder])
    first.path.write_text(first.path.read_text(encoding="utf-8") + "<!-- of old -->", encoding="utf-8")
    assert "of old" not in report([folder]).path.read_text(encoding="utf-8")


def test_a_verdict_on_other_artifacts_is_not_this_runs(folder: Path) -> None:
    record = load_run(folder)
    other = msgspec.structs.replace(pages.verdict(record, pages.check("FAIL")), artifact_sha256=("f" * 64,))
    store.write(folder / "verdict.json", other)
    assert "Not judged" in report([folder]).path.read_text(encoding="utf-8")


def test_pictures_are_those_of_the_images_files(folder: Path) -> None:
    galleries, notes = images.galleries(load_run(folder), folder)
    assert [gallery.title for gallery in galleries] == ["Images that flipped", "Confidently wrong"]
    assert notes == ()
    flipped, wrong = galleries
    assert (flipped.total, wrong.total) == (4, 4)
    assert dict(flipped.pictures[0].facts) == {
        "label": pages.CLASSES[0],
        "flipped": "right to wrong",
        "ONNX model, float32": pages.CLASSES[0],
        "here": pages.CLASSES[1],
    }
    assert wrong.pictures[0].name == pages.HOSTILE[0]
    assert all(picture.source for gallery in galleries for picture in gallery.pictures)


def test_a_prepared_data_set_gives_the_pictures_where_there_is_one(folder: Path) -> None:
    record = load_run(folder)
    from_files = images.galleries(record, folder)[0][0].pictures[0].source
    pages.prepare(folder, record)
    from_prepared = images.galleries(record, folder)[0][0].pictures[0].source
    assert from_prepared is not None
    assert from_prepared != from_files


def test_a_prepared_data_set_that_was_touched_gives_none(folder: Path) -> None:
    record = load_run(folder)
    from_files = images.galleries(record, folder)
    pages.prepare(folder, record)
    shard = folder / "prepared" / "images-00000.npy"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\x01")
    assert images.galleries(record, folder) == from_files


def test_an_image_that_was_replaced_is_not_shown_as_the_one_that_was_measured(folder: Path) -> None:
    factories.write_image(folder / "images" / pages.HOSTILE[0], seed=99)
    galleries, notes = images.galleries(load_run(folder), folder)
    assert galleries[0].pictures[0].source is None
    assert notes == ("2 of 8 pictures are left out: their images are gone or have changed",)
    page = report([folder]).path.read_text(encoding="utf-8")
    assert "2 of 8 pictures are left out" in page
    assert "the file is gone" in page


def test_images_that_are_gone_are_said_to_be(folder: Path) -> None:
    for name in pages.HOSTILE:
        (folder / "images" / name).unlink()
    _, notes = images.galleries(load_run(folder), folder)
    assert notes == ("pictures are left out: the images are no longer where they were measured",)


def test_a_name_that_leads_out_of_the_data_set_is_not_followed(folder: Path) -> None:
    record = load_run(folder)
    assert record.dataset is not None
    secret = factories.write_image(folder / "secret.png")
    names = ("../secret.png", *record.dataset.names[1:])
    dataset = msgspec.structs.replace(
        record.dataset, names=names, image_sha256=(store.hash_file(secret), *record.dataset.image_sha256[1:])
    )
    pixels = images._Pixels(record, dataset, folder)
    assert pixels.of(names[0], 0) is None
    assert pixels.of(names[1], 1) is not None


def test_scores_that_are_gone_are_said_to_be_and_the_rest_is_shown(folder: Path) -> None:
    for file in ("scores.npy", "reference.npy"):
        (folder / file).unlink()
    page = report([folder]).path.read_text(encoding="utf-8")
    assert "images are left out: cannot read" in page
    assert "Throughput" in page


def test_no_images_leaves_every_picture_out(folder: Path) -> None:
    page = report([folder], no_images=True).path.read_text(encoding="utf-8")
    assert "<img" not in page
    assert "Confidently wrong" not in page


def test_what_the_accuracy_is_held_against_stands_beside_it(folder: Path) -> None:
    report = page_report.run_report(load_run(folder), folder)
    assert [line.name for line in report.accuracies] == ["batch 1, 16", "ONNX model, float32", "given"]
    measured, reference, given = report.accuracies
    assert (measured.top[1].value, reference.top[1].value, given.top[1].value) == (20.0, 100.0, 60.0)
    assert [line.is_reference for line in report.accuracies] == [False, True, True]


def test_a_histogram_counts_every_call_and_says_what_lies_beyond_it(tmp_path: Path) -> None:
    calls = pages.calls(300, 0.01)
    found = page_report.histogram(factories.performance(tmp_path, calls))
    assert found.calls == 300
    assert found.beyond == 1
    assert found.longest == pytest.approx(max(end - start for start, end in calls))
    assert len(found.edges) == len(found.counts) + 1


@pytest.mark.parametrize("calls", [[(0.0, 0.5)], [(0.0, 0.5), (0.5, 1.0)], [(0.0, 0.25), (0.25, 1.0)]])
def test_a_histogram_of_few_calls_or_equal_ones_holds_them_all(
    tmp_path: Path, calls: list[tuple[float, float]]
) -> None:
    found = page_report.histogram(factories.performance(tmp_path, calls))
    assert (sum(found.counts), found.beyond) == (len(calls), 0)


def test_the_surest_mistakes_are_those_of_the_largest_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "CHUNK", 2)
    scores = np.array([[9, 0, 0], [0, 1, 0], [0, 5, 0], [2, 0, 0], [0, 0, 7]], np.float32)
    found = images.surest_mistakes(scores, [0, 0, 0, 0, 1], 2)
    assert found.total == 3
    assert [(one.place, one.first) for one in found.mistakes] == [(4, 2), (2, 1)]
    assert found.mistakes[0].share == pytest.approx(np.exp(7) / (np.exp(7) + 2))


def test_scores_that_are_shares_already_are_taken_as_they_are() -> None:
    found = images.surest_mistakes(np.array([[0.1, 0.9], [0.4, 0.6]], np.float32), [0, 0], 1)
    assert found.mistakes[0].share == pytest.approx(0.9)


def test_several_records_and_reported_ones_stand_on_one_page(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "both.html"
    page = report([folder, Path("guide:T4"), Path("guide:310P-tuned")], out=out).path.read_text(encoding="utf-8")
    assert "570.786" in page
    assert "another model: net &lt;i&gt; against wide_resnet101_2" in page
    assert "as it was judged by itself" in page
    assert "NVIDIA T4" in page


def test_the_guides_table_is_on_the_page_with_what_it_printed_otherwise(tmp_path: Path) -> None:
    places = [Path("guide:310P-tuned"), Path("guide:310"), Path("guide:T4")]
    page = report(places, out=tmp_path / "guide.html").path.read_text(encoding="utf-8")
    assert "1.603" in page
    assert "* the guide printed 1.785 (guide:310P-tuned / guide:310, batch 32)" in page


def test_a_place_without_a_record_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(AssayError, match="no run at"):
        report([tmp_path], out=tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_the_command_says_where_the_page_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(folder), "--no-images"]) == 0
    assert capsys.readouterr().out.startswith(f"{folder.resolve() / 'report.html'} · ")
    assert main(["report", str(folder), "--json", "-o", str(folder / "other.html")]) == 0
    file = folder / "printed.json"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    assert store.read(file, FileReference).path == (folder / "other.html").resolve()


WITHOUT_BACKENDS = """
import sys
class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("onnxruntime", "openvino", "MNN", "torch", "torchvision", "tensorrt", "cuda"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NotInstalled())
from assay.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_old_results_need_no_backend(folder: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_BACKENDS, "report", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "report.html").is_file()


@pytest.mark.long
def test_the_page_of_fifty_thousand_images_is_small_and_soon_made(tmp_path: Path) -> None:
    yardstick, _ = _time_and_page(tmp_path / "few", 500)
    seconds, written = _time_and_page(tmp_path / "many", 50_000)
    # A hundred times as many images take but a few times as long.
    assert seconds < 15 * yardstick
    assert written.size < 3_000_000
    page = written.path.read_text(encoding="utf-8")
    assert "50,000 images" in page
    assert len(set(re.findall(r"ILSVRC2012_val_\d+", page))) <= 4 * images.MOST


def _time_and_page(folder: Path, count: int) -> tuple[float, FileReference]:
    """The page of a run of so many images, and its processor time, for others are at work beside the tests."""
    classes = 5
    generator = np.random.default_rng(0)
    names = [f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, count + 1)]
    labels = generator.integers(0, classes, count)
    scores = 3 * np.eye(classes, dtype=np.float32)[labels] + generator.standard_normal((count, classes))
    reference, ours = (
        factories.predictions(folder, scores + 0.5 * generator.standard_normal(scores.shape), names) for _ in range(2)
    )
    counted, flips = accuracy.evaluate(ours, labels.tolist()), paired.compare(ours, reference, labels.tolist(), "fp32")
    assert flips.right_to_wrong is not None
    assert len(flips.right_to_wrong) > count / 50

    def result(batch: int) -> BatchResult:
        calls = pages.calls(count // batch, 0.01 * batch)
        made = factories.result(folder, batch, calls=calls, images=count, wall_seconds=calls[-1][1])
        found = msgspec.structs.replace(made, predictions=ours, accuracy=counted, paired=flips)
        return msgspec.structs.replace(found, profile=pages.profile("conv"))

    dataset = factories.dataset(names, labels.tolist())
    record = factories.run_record([result(1), result(16)], model=pages.model(), dataset=dataset, reference=reference)
    store.write(folder / "run.json", record)
    begin = time.process_time()
    written = report([folder])
    return time.process_time() - begin, written


def _measured_in_turn(folder: Path, name: str, seconds: float, interleaving: str) -> Path:
    """Forty blocks of ten calls, as long as these seconds but for some noise."""
    lengths = seconds * np.random.default_rng(len(name)).normal(1, 0.05, 400)
    ends = np.cumsum(lengths)
    blocks = Blocks(
        interleaving=interleaving,
        calls=(10,) * 40,
        wall_seconds=tuple(np.diff(ends[9::10], prepend=0.0).tolist()),
    )
    made = factories.result(
        folder,
        calls=list(zip((ends - lengths).tolist(), ends.tolist(), strict=True)),
        images=400,
        wall_seconds=float(ends[-1]),
        blocks=blocks,
    )
    store.write(folder / name / "run.json", factories.run_record([made]))
    return folder / name


def test_records_that_were_measured_in_turn_say_so_and_have_the_intervals_of_the_terminal(tmp_path: Path) -> None:
    places = [
        _measured_in_turn(tmp_path, "A", 0.010, "one"),
        _measured_in_turn(tmp_path, "BB", 0.011, "one"),
        _measured_in_turn(tmp_path, "CCC", 0.012, "another"),
    ]
    page = report(places, out=tmp_path / "report.html").path.read_text(encoding="utf-8")
    shown = re.sub(r"<[^>]*>", "", page)
    assert f"{places[0]} and {places[1]} were measured in turn" in shown
    assert shown.count("measured in turn") == 1
    table = compare.speed_table([(str(place), load_run(place)) for place in places], ())
    assert table is not None
    _, rows, _ = speed_cells(table)
    spreads = [cell for row in rows for cell in row if "±" in cell]
    assert len(spreads) == 2 * 5
    assert all(cell.replace(" ±", "±") in shown for cell in spreads)
