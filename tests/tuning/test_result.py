"""What a search over the demo's network leaves."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace as replace_request
from pathlib import Path

import pytest
from msgspec.structs import replace

from assay.cli.main import main
from assay.errors import RecordError, UsageError
from assay.page.report import report
from assay.records import OnnxModel, PreparedDataset
from assay.steps.prepare import load_prepared
from assay.steps.results import load_run
from assay.storage import store
from assay.tuning.records import Tuning
from assay.tuning.tune import SearchFolder, find_fastest, load_tuning
from tests.tuning.searches import BOTH, SHORT, Enough

pytest.importorskip("optuna", reason="needs the extra `tune`")

# One search for all of them; it takes seconds.
pytestmark = [pytest.mark.xdist_group("a search"), pytest.mark.long]


@pytest.fixture(scope="module")
def tuned(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Tuning, Path]:
    folder = tmp_path_factory.mktemp("tuned")
    return find_fastest(demo_model, demo_data, SearchFolder(folder), BOTH, Enough(4)), folder


def test_the_result_is_right_and_no_slower_than_the_default(tuned: tuple[Tuning, Path]) -> None:
    found, _ = tuned
    assert found.best is not None
    best = next(one for one in found.trials if one.number == found.best)
    assert best.state == "right"
    assert best.paired is not None
    assert best.paired.images == found.evaluation_images
    default = found.trials[0]
    assert (default.candidate.batch, default.candidate.precision) == (16, "fp32")
    # Where it is another than the default, it was the faster one in turn.
    assert found.tuned is not None
    beside = found.default or found.tuned
    assert found.tuned.performance.interface_throughput >= beside.performance.interface_throughput
    assert found.compiled is not None
    assert found.compiled.file.path.is_file()
    assert found.best in found.frontier


def test_artifacts_that_lost_are_removed(tuned: tuple[Tuning, Path]) -> None:
    found, folder = tuned
    assert found.compiled is not None
    assert [place.name for place in (folder / "compiled").iterdir()] == [found.compiled.key[:16]]


def test_calibration_and_evaluation_share_no_file(tuned: tuple[Tuning, Path]) -> None:
    _, folder = tuned
    calibration, evaluation = (load_prepared(folder / "data" / name) for name in ("calibration", "evaluation"))
    assert not set(calibration.dataset.image_sha256) & set(evaluation.dataset.image_sha256)
    assert len(calibration.dataset.names) + len(evaluation.dataset.names) == 240


def test_its_commands_make_the_same_artifact_again_with_the_same_hits(
    tuned: tuple[Tuning, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    found, folder = tuned
    assert found.compiled is not None
    before = found.compiled.file.sha256
    *made, bench = (shlex.split(line)[1:] for line in found.commands)
    for words in made:
        assert main(words) == 0
    assert store.hash_file(found.compiled.file.path) == before
    assert main([*bench[:-1], str(folder / "BENCH")]) == 0
    capsys.readouterr()
    again = load_run(folder / "BENCH").results[0]
    best = next(one for one in found.trials if one.number == found.best)
    assert again.accuracy == best.accuracy


def test_it_leaves_a_run_with_a_page_that_shows_the_search(tuned: tuple[Tuning, Path]) -> None:
    found, folder = tuned
    record = load_run(folder)
    assert found.compiled is not None
    assert record.results[0].compiled.file.sha256 == found.compiled.file.sha256
    assert record.results[0].performance.source == "prepared"
    written = report([folder]).path.read_text()
    assert "The search" in written


def test_no_more_than_the_whole_time_was_work(tuned: tuple[Tuning, Path]) -> None:
    found, _ = tuned
    assert 0 < found.overhead_share < 1
    for trial in found.trials:
        assert 0 < trial.working_seconds <= trial.seconds


def test_a_second_search_goes_on_where_the_first_ended(
    tuned: tuple[Tuning, Path], demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    found, searched = tuned
    folder = shutil.copytree(searched, tmp_path / "tuned")
    again = find_fastest(demo_model, demo_data, SearchFolder(folder), BOTH, Enough(1))
    # What the end of a search made of them is no part of the study.
    before, after = (tuple(replace(one, end_speed=None) for one in tuning.trials) for tuning in (found, again))
    assert after[: len(before)] == before
    assert len(again.trials) == len(found.trials) + 1


class Broken(Enough):
    """Ends a search as a kill would: nothing is caught, and nothing is written any more."""

    def note(self, message: str) -> None:
        try:
            super().note(message)
        except KeyboardInterrupt:
            raise SystemError from None


def test_a_search_that_goes_on_and_ends_badly_leaves_the_earlier_result_whole(
    tuned: tuple[Tuning, Path], demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    _, searched = tuned
    folder = shutil.copytree(searched, tmp_path / "tuned")
    before = {name: (folder / name).read_bytes() for name in ("tuning.json", "run.json")}
    with pytest.raises(UsageError, match="give a budget of at least"):
        find_fastest(demo_model, demo_data, SearchFolder(folder), replace_request(BOTH, budget_seconds=0.001))
    with pytest.raises(SystemError):
        find_fastest(
            demo_model, demo_data, SearchFolder(folder), replace_request(BOTH, budget_seconds=600.0), Broken(2)
        )
    assert {name: (folder / name).read_bytes() for name in before} == before
    kept = load_tuning(folder).compiled
    assert kept is not None
    assert store.is_there(kept.file)


def _files(place: Path) -> list[Path]:
    return [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]


def test_a_study_of_other_data_is_refused(tuned: tuple[Tuning, Path], demo_model: OnnxModel) -> None:
    _, folder = tuned
    before = {path: path.stat().st_mtime_ns for name in ("tuning.json", "data") for path in _files(folder / name)}
    with pytest.raises(RecordError, match="choose another folder"):
        find_fastest(demo_model, load_prepared(folder / "data/evaluation"), SearchFolder(folder), SHORT)
    # What is refused leaves the search that is there as it is.
    assert {path: path.stat().st_mtime_ns for path in before} == before
