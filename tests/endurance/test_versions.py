"""Records of other versions of assay: one of a newer or an unknown schema is named, by every command that reads it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from assay.cli.main import main
from assay.errors import RecordError
from assay.records import ArrayFile
from assay.storage import envelope as envelopes
from assay.storage import store
from tests.messages import assert_says
from tests.sample_folders import SAMPLES


def _of_version(file: Path, place: Path, schema: object, **more: object) -> Path:
    """A copy of a record's file that says that it is of another schema version."""
    place.write_bytes(msgspec.json.encode({**msgspec.json.decode(file.read_bytes()), "schema": schema, **more}))
    return place


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (envelopes.SCHEMA + 1, "was made by a newer assay (schema version {schema}"),
        (envelopes.SCHEMA - 1, "is of an earlier assay (schema version {schema}"),
    ],
)
def test_a_record_of_another_version_is_named_by_every_command_that_reads_it(
    schema: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = _of_version(SAMPLES / "run" / "run.json", tmp_path / "run.json", schema, signature="of another day")
    for words in (
        ["compare", str(tmp_path)],
        ["report", str(tmp_path)],
        ["evaluate", str(tmp_path), "--labels", str(file)],
    ):
        assert main(words) == 1
        shown = capsys.readouterr().err
        assert f"{file} {said.format(schema=schema)}" in shown
        assert "run the command that made it again, with --repair" in shown
        assert shown.count("\n") == 1


def test_a_step_that_a_newer_assay_did_is_not_done_again_without_a_word(tmp_path: Path) -> None:
    array = store.save_array(tmp_path / "array.npy", np.zeros(2))
    file = tmp_path / "array.json"
    store.write(file, array, "these inputs")
    _of_version(file, file, envelopes.SCHEMA + 1)
    with pytest.raises(RecordError) as caught:
        store.kept(file, type(array), "these inputs")
    assert_says(caught, str(file), "newer assay", "update assay", "with repair")


@pytest.mark.parametrize("schema", [0, -1, 10**30, "2", None, 1.5])
def test_a_version_that_never_was_is_refused(schema: object, tmp_path: Path) -> None:
    file = tmp_path / "array.json"
    store.write(file, store.save_array(tmp_path / "array.npy", np.zeros(2)))
    _of_version(file, file, schema)
    with pytest.raises(RecordError, match=r"array\.json"):
        store.read(file, ArrayFile)
