"""Records of other versions of assay: runs that earlier ones left are read, and what a newer one wrote is said."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from assay.cli.main import main
from assay.errors import RecordError
from assay.records import Dataset, OnnxModel, Performance, Predictions, PreparedDataset, Verdict
from assay.steps import compare
from assay.steps.artifact import load_compiled
from assay.steps.results import load_predictions, load_run
from assay.storage import envelope as storage_envelope
from assay.storage import store
from tests.messages import assert_says

OLDER = Path(__file__).parent / "older"
"""A run folder as each earlier schema version left it, without its models and pixels."""
VERSIONS = [str(version) for version in range(1, storage_envelope.SCHEMA)]


def test_there_is_a_way_from_every_earlier_version_and_a_run_that_it_wrote() -> None:
    assert sorted(storage_envelope.STEPS) == list(range(1, storage_envelope.SCHEMA))
    assert sorted(path.name for path in OLDER.iterdir()) == VERSIONS
    for version in VERSIONS:
        for path in (OLDER / version).rglob("*.json"):
            assert msgspec.json.decode(path.read_bytes())["schema"] == int(version)


@pytest.fixture(params=VERSIONS)
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A run folder of an earlier schema version."""
    shutil.copytree(OLDER / request.param, tmp_path / "RUN")
    return tmp_path / "RUN"


def test_every_record_of_an_earlier_version_is_read(older: Path) -> None:
    kinds: dict[str, Any] = {"model": OnnxModel, "prepared": PreparedDataset, "verdict": Verdict, "dataset": Dataset}
    kinds |= {"performance": Performance, "predictions": Predictions}
    files = [path for path in older.rglob("*.json") if path.stem in kinds]
    assert {path.stem for path in files} == set(kinds)
    for path in files:
        store.read(path, kinds[path.stem])
    assert [found.options.batch for found in map(load_compiled, older.glob("compiled/*"))] == [2]


def test_a_run_of_an_earlier_version_is_evaluated_judged_and_shown(
    older: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = load_run(older)
    assert run.results[0].accuracy is not None
    assert run.results[0].accuracy.correct_at[0] == 6
    (_, predictions), *_ = load_predictions(older)
    assert np.asarray(predictions.scores.load()).shape == (6, 10)
    (figures,) = compare.figures(run)
    performance = run.results[0].performance
    assert figures.end_to_end_throughput.value == pytest.approx(6 / performance.wall_seconds)
    assert performance.warm_up.calls > 0
    assert main(["compare", str(older), "--reference", "top1=100"]) == 0
    assert "PASS   top-1 drop 0.00 points" in capsys.readouterr().out
    assert main(["report", str(older), "-o", str(tmp_path / "page.html")]) == 0
    assert "100.00 %" in (tmp_path / "page.html").read_text()


def test_what_version_1_did_not_note_counts_against_its_measurement() -> None:
    (file,) = OLDER.glob("1/bench/*/performance.json")
    said = msgspec.json.decode(file.read_bytes())["body"]
    found = store.read(file, Performance)
    assert (found.warm_up.calls, found.warm_up.seconds) == (said["warm_up_calls"], said["warm_up_seconds"])
    assert not found.warm_up.steady
    assert found.machine.busiest == said["machine_busy_share"]
    fields = storage_envelope.migrated({**said, "machine_busy_share": None}, 1)
    assert isinstance(fields, dict)
    assert fields["machine"]["before"]["busy_share"] == 1.0


def test_what_a_newer_assay_wrote_is_said_by_every_command_that_reads_it(
    older: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = older / "run.json"
    envelope = msgspec.json.decode(file.read_bytes())
    file.write_bytes(
        msgspec.json.encode({**envelope, "schema": storage_envelope.SCHEMA + 1, "signature": "of a later day"})
    )
    for words in (["compare", str(older)], ["report", str(older)], ["evaluate", str(older), "--labels", str(file)]):
        assert main(words) == 1
        said = capsys.readouterr().err
        assert f"{file} was made by a newer assay (schema version {storage_envelope.SCHEMA + 1}" in said
        assert "update assay, or run the command that made it again, with --repair" in said
        assert said.count("\n") == 1


def test_a_step_that_a_newer_assay_did_is_not_done_again_without_a_word(tmp_path: Path) -> None:
    array = store.save_array(tmp_path / "array.npy", np.zeros(2))
    file = tmp_path / "array.json"
    store.write(file, array, "these inputs")
    envelope = msgspec.json.decode(file.read_bytes())
    file.write_bytes(msgspec.json.encode({**envelope, "schema": storage_envelope.SCHEMA + 1}))
    with pytest.raises(RecordError) as caught:
        store.kept(file, type(array), "these inputs")
    assert_says(caught, str(file), "newer assay", "update assay", "with repair")


@pytest.mark.parametrize("schema", [0, -1, 10**30, "2", None, 1.5])
def test_a_version_that_never_was_is_refused(schema: object, tmp_path: Path) -> None:
    file = tmp_path / "model.json"
    envelope = msgspec.json.decode((OLDER / "1" / "model.json").read_bytes())
    file.write_bytes(msgspec.json.encode({**envelope, "schema": schema}))
    with pytest.raises(RecordError, match=r"model\.json"):
        store.read(file, OnnxModel)
