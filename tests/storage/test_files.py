"""Files that others made: a pipe or a device at their place is neither waited for nor read."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from assay.data import class_list, labels
from assay.errors import AssayError
from assay.importers.import_results import import_results
from assay.records import RunRecord
from assay.steps.prepare import load_prepared
from assay.storage import envelope, files, store
from tests.messages import assert_says

READERS: dict[str, Callable[[Path], object]] = {
    "labels": lambda path: labels.classes_of(["a.png"], path),
    "class list": class_list.read,
    "import": lambda path: import_results([path]),
    "prepared set": load_prepared,
    "record": lambda path: store.read(path, RunRecord),
}


@pytest.mark.parametrize("name", list(READERS))
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_a_device_is_said_at_once(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "given"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(AssayError) as caught:
        READERS[name](path)
    assert_says(caught, str(path), "it is a pipe or a device; put what it gives into a file first")


def test_a_record_without_end_in_a_prepared_set_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prepared.json").symlink_to("/dev/zero")
    with pytest.raises(AssayError) as caught:
        load_prepared(tmp_path)
    assert_says(caught, f"cannot read {tmp_path / 'prepared.json'}", "a pipe or a device")
    (tmp_path / "prepared.json").unlink()
    monkeypatch.setattr(envelope, "LARGEST", 1 << 20)
    with (tmp_path / "prepared.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(AssayError) as caught:
        load_prepared(tmp_path)
    assert_says(caught, "prepared.json has more than 1.0 MiB", "give one of assay's")


def test_a_file_is_read_up_to_one_byte_too_many(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert files.read(tmp_path / "file", 5) == b"12345"
    assert files.read(tmp_path / "file", 3) == b"1234"
    with pytest.raises(IsADirectoryError):
        files.read(tmp_path, 3)


def test_compressed_labels_say_what_unpacks_them(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt.gz"
    path.write_bytes(gzip.compress(b"a.png 1\n"))
    with pytest.raises(AssayError) as caught:
        labels.classes_of(["a.png"], path)
    assert_says(caught, f"{path} is a compressed file and not the ILSVRC devkit", f"unpack it: gunzip {path}")
