from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from assay.errors import RecordError
from assay.records import ArrayFile, FileReference, ImageTransform, Predictions, PreparedDataset
from assay.storage import envelope, store
from tests import factories
from tests.messages import assert_says


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Files, whole or not at all.


def test_a_file_is_written_in_folders_that_are_not_there_yet(tmp_path: Path) -> None:
    store.write_bytes(tmp_path / "a/b/file.bin", b"content")
    assert (tmp_path / "a/b/file.bin").read_bytes() == b"content"
    assert _files(tmp_path / "a/b") == ["file.bin"]


def test_a_failure_while_writing_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def fail_half_way() -> None:
        with store.replacing(path) as beside:
            beside.write_bytes(b"half of the n")
            raise ValueError("half way")

    with pytest.raises(ValueError, match="half way"):
        fail_half_way()
    assert path.read_bytes() == b"old"
    assert _files(tmp_path) == ["file.bin"]


def test_a_failure_while_writing_a_new_file_leaves_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="array of Python objects"):
        store.save_array(tmp_path / "array.npy", np.array([object()]))
    assert _files(tmp_path) == []


def test_nothing_is_at_the_place_until_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    with store.replacing(path) as beside:
        beside.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"


def test_a_process_that_is_killed_while_writing_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    _python(
        "import os, sys; from pathlib import Path; from assay.storage import store\n"
        "with store.replacing(Path(sys.argv[1])) as beside:\n"
        "    beside.write_bytes(b'half of the n')\n"
        "    os._exit(9)",
        str(path),
    )
    assert path.read_bytes() == b"old"


def test_a_full_disk_is_one_line_with_the_file_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def fill_the_disk() -> None:
        with store.replacing(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(RecordError) as caught:
        fill_the_disk()
    assert_says(caught, str(path), "No space left on device", "free the space or choose another folder")
    assert path.read_bytes() == b"old"


def test_a_file_that_outgrows_its_limit_leaves_the_old_content_and_no_part(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="this system has no limit for the size of files")
    path = tmp_path / "array.npy"
    path.write_bytes(b"old")
    said = _python(
        "import resource, sys; from pathlib import Path; import numpy as np; from assay.storage import store\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    store.save_array(Path(sys.argv[1]), np.zeros(10_000))\n"
        "except store.RecordError as error:\n"
        "    print(error)",
        str(path),
    )
    assert said.startswith(f"cannot write {path}: ")
    assert said.count("\n") == 1
    assert path.read_bytes() == b"old"
    assert _files(tmp_path) == ["array.npy"]


def test_a_folder_that_is_a_file_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(RecordError) as caught:
        store.write_bytes(tmp_path / "taken/file.bin", b"content")
    assert_says(caught, "cannot write", str(tmp_path / "taken/file.bin"), "choose another folder")


# Hashes and references.


def test_the_hash_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert store.hash_file(tmp_path / "abc") == known


def test_equal_parts_have_one_hash_in_any_order_of_a_mapping() -> None:
    assert store.hash_of("a", {"x": 1, "y": 2}) == store.hash_of("a", {"y": 2, "x": 1})


@pytest.mark.parametrize(
    ("parts", "others"),
    [
        (("a", "bc"), ("ab", "c")),
        ((1,), ("1",)),
        ((None,), ("",)),
        (((1, 2), 3), (1, (2, 3))),
        ((factories.transform(),), (factories.transform(crop=7),)),
    ],
)
def test_different_parts_have_different_hashes(parts: tuple[object, ...], others: tuple[object, ...]) -> None:
    assert store.hash_of(*parts) != store.hash_of(*others)


def test_another_process_finds_the_same_hash() -> None:
    here = store.hash_of("a", {"x": 1.5, "y": None}, ["b"])
    there = _python("from assay.storage import store; print(store.hash_of('a', {'y': None, 'x': 1.5}, ['b']))")
    assert there.strip() == here


def test_an_array_comes_back_as_it_was(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    kept = store.save_array(tmp_path / "array.npy", array)
    assert (kept.shape, kept.dtype) == ((2, 3), "float32")
    assert np.array_equal(kept.load(), array)


def test_a_file_is_intact_while_its_bytes_are_what_they_were(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"content")
    found = store.reference(path)
    assert store.is_intact(found)
    os.utime(path, ns=(1, 1))
    assert store.is_intact(found)


def test_a_file_is_not_intact_once_its_bytes_changed(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"content")
    found = store.reference(path)
    _overwrite(path, b"CONTENT")
    assert not store.is_intact(found)
    path.write_bytes(b"longer content")
    assert not store.is_intact(found)
    path.unlink()
    assert not store.is_intact(found)


def test_a_file_is_verified_by_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"content")
    found = store.reference(path)
    assert store.verified(found) == path
    # The size and the time are as they were: only the hash can tell.
    before = path.stat().st_mtime_ns
    path.write_bytes(b"CONTENT")
    os.utime(path, ns=(before, before))
    with pytest.raises(RecordError) as caught:
        store.verified(found)
    assert_says(caught, str(path), "sha256 differs", "with repair")


def test_a_file_that_is_gone_cannot_be_verified(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"content")
    found = store.reference(path)
    path.unlink()
    with pytest.raises(RecordError) as caught:
        store.verified(found)
    assert_says(caught, str(path), "is missing", "run the step that makes it again")


# Records.


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    record = factories.run_record([factories.result(tmp_path)])
    store.write(tmp_path / "run.json", record)
    assert store.read(tmp_path / "run.json", type(record)) == record


def test_paths_survive_moving_the_folder(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new/place"
    array = store.save_array(old / "arrays/scores.npy", np.array([1.0, 2.0]))
    store.write(old / "array.json", array)
    new.parent.mkdir()
    old.rename(new)
    moved = store.read(new / "array.json", ArrayFile)
    assert moved.file.path == new / "arrays/scores.npy"
    assert moved.load().tolist() == [1.0, 2.0]


def test_a_file_above_the_folder_is_found_again(tmp_path: Path) -> None:
    array = store.save_array(tmp_path / "scores.npy", np.array([1.0]))
    store.write(tmp_path / "bench/array.json", array)
    assert store.read(tmp_path / "bench/array.json", ArrayFile).file.path == tmp_path / "scores.npy"
    assert '"../scores.npy"' in (tmp_path / "bench/array.json").read_text(encoding="utf-8")


def test_the_file_says_what_it_holds(tmp_path: Path) -> None:
    store.write(tmp_path / "t.json", factories.transform(), made_from="abc")
    text = (tmp_path / "t.json").read_text(encoding="utf-8")
    for part in ('"record": "ImageTransform"', '"schema": 3', '"made_from": "abc"', '"sha256": "'):
        assert part in text


def test_a_record_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError) as caught:
        store.read(tmp_path / "run.json", ImageTransform)
    assert_says(caught, str(tmp_path / "run.json"), "No such file")


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe\x00", b"null", b'{"record": "ImageTransform"}'])
def test_a_file_that_is_no_record_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(content)
    with pytest.raises(RecordError) as caught:
        store.read(path, ImageTransform)
    assert_says(caught, str(path), "no assay record")
    with pytest.raises(RecordError, match="no assay record"):
        store.kind_of(path)


def test_a_file_tells_the_type_of_its_record(tmp_path: Path) -> None:
    store.write(tmp_path / "record.json", factories.transform())
    assert store.kind_of(tmp_path / "record.json") == "ImageTransform"


def test_a_record_of_another_type_says_both_types(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    store.write(path, factories.transform())
    with pytest.raises(RecordError) as caught:
        store.read(path, ArrayFile)
    assert_says(caught, str(path), "ImageTransform", "not ArrayFile")


def test_a_newer_schema_says_to_update(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    store.write(path, factories.transform())
    path.write_text(path.read_text(encoding="utf-8").replace('"schema": 3', '"schema": 4'), encoding="utf-8")
    with pytest.raises(RecordError) as caught:
        store.read(path, ImageTransform)
    assert_says(caught, str(path), "newer assay", "schema version 4", "update assay", "with repair")


def _older(path: Path) -> str:
    """Makes of a record's file one of schema version 1, which had no hash; returns its text."""
    lines = path.read_text(encoding="utf-8").replace('"schema": 3', '"schema": 1').splitlines()
    path.write_text("\n".join(line for line in lines if '"sha256"' not in line), encoding="utf-8")
    return path.read_text(encoding="utf-8")


def test_a_record_of_an_earlier_assay_says_so(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    store.write(path, factories.transform())
    path.write_text(_older(path), encoding="utf-8")
    for read in (store.read, lambda path, kind: store.kept(path, kind, "")):
        with pytest.raises(RecordError) as caught:
            read(path, ImageTransform)
        assert_says(caught, str(path), "of an earlier assay (schema version 1", "with repair")


@pytest.mark.parametrize(
    ("whole", "damaged"),
    [
        ('"crop": 8', '"crop": 9'),
        ('"made_from": ""', '"made_from": "0"'),
        ('"record": "ImageTransform"', '"record": "ArrayFile"'),
        ('"sha256"', '"sha257"'),
        ('"resize": 10,', ""),
    ],
)
def test_a_damaged_record_says_so_and_what_to_do(tmp_path: Path, whole: str, damaged: str) -> None:
    path = tmp_path / "t.json"
    store.write(path, factories.transform())
    text = path.read_text(encoding="utf-8")
    assert whole in text
    path.write_text(text.replace(whole, damaged), encoding="utf-8")
    for read in (store.read, lambda path, kind: store.kept(path, kind, "")):
        with pytest.raises(RecordError) as caught:
            read(path, ImageTransform)
        assert_says(caught, f"{path} is damaged", "the sha256 differs", "with repair")


def test_a_record_that_was_only_laid_out_anew_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    store.write(path, factories.transform())
    path.write_bytes(msgspec.json.format(path.read_bytes(), indent=-1))
    assert store.read(path, ImageTransform) == factories.transform()


def test_a_hash_over_what_is_no_such_record_says_where(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(envelope.seal("ImageTransform", "", b'{"resize":10,"crop":"eight","mean":[0,0,0],"std":[1,1,1]}'))
    with pytest.raises(RecordError) as caught:
        store.read(path, ImageTransform)
    assert_says(caught, f"{path} is damaged", "$.crop")


@pytest.mark.parametrize("damaged", [b"5", b'"arr\xff.npy"'])
def test_a_damaged_path_is_an_error_of_the_record(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "array.json"
    array = store.save_array(tmp_path / "array.npy", np.array([1.0]))
    store.write(path, array)
    path.write_bytes(path.read_bytes().replace(b'"array.npy"', damaged))
    with pytest.raises(RecordError) as caught:
        store.read(path, ArrayFile)
    assert_says(caught, str(path))


# What is kept.


def _kept_array(folder: Path) -> tuple[Path, ArrayFile]:
    array = store.save_array(folder / "array.npy", np.array([1.0, 2.0]))
    store.write(folder / "array.json", array, made_from="these inputs")
    return folder / "array.json", array


def test_a_step_with_the_same_inputs_is_kept(tmp_path: Path) -> None:
    path, array = _kept_array(tmp_path)
    assert store.kept(path, ArrayFile, "these inputs") == array
    references = FileReference(path=tmp_path / "array.npy", sha256="", size=0, modified_ns=0)
    store.write(path, references, made_from="these inputs")
    assert store.kept(path, FileReference, "these inputs") == references


def test_a_step_with_other_inputs_is_not_kept(tmp_path: Path) -> None:
    path, _ = _kept_array(tmp_path)
    assert store.kept(path, ArrayFile, "other inputs") is None


def test_a_step_that_was_never_done_is_not_kept(tmp_path: Path) -> None:
    assert store.kept(tmp_path / "array.json", ArrayFile, "these inputs") is None


def test_a_step_is_kept_when_its_output_was_only_touched(tmp_path: Path) -> None:
    path, array = _kept_array(tmp_path)
    os.utime(array.file.path, ns=(1, 1))
    assert store.kept(path, ArrayFile, "these inputs") == array


def test_a_step_whose_output_changed_is_refused_by_name(tmp_path: Path) -> None:
    path, array = _kept_array(tmp_path)
    content = bytearray(array.file.path.read_bytes())
    content[-1] ^= 1
    _overwrite(array.file.path, bytes(content))
    with pytest.raises(RecordError) as caught:
        store.kept(path, ArrayFile, "these inputs")
    assert_says(caught, f"{array.file.path} is damaged", "the sha256 differs", "with repair")
    assert store.kept(path, ArrayFile, "other inputs") is None


def test_a_step_whose_output_vanished_is_not_kept(tmp_path: Path) -> None:
    path, array = _kept_array(tmp_path)
    array.file.path.unlink()
    assert store.kept(path, ArrayFile, "these inputs") is None
    # Were the step killed once it has made its file again, a record that is left would call that damaged.
    assert not path.exists()


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b"", "with repair"),
        (b"{}", "move it out of the way"),
        (b'{"record": "ArrayFile", "schema": 3, "made_from": "", "body": 3}', "with repair"),
    ],
)
def test_a_damaged_record_is_refused_and_not_passed_over(tmp_path: Path, content: bytes, remedy: str) -> None:
    path, _ = _kept_array(tmp_path)
    path.write_bytes(content)
    with pytest.raises(RecordError) as caught:
        store.kept(path, ArrayFile, "these inputs")
    assert_says(caught, str(path), remedy)


def test_an_array_that_changed_is_refused_where_it_is_read(tmp_path: Path) -> None:
    array = store.save_array(tmp_path / "array.npy", np.array([1.0, 2.0]))
    before = array.file.path.stat().st_mtime_ns
    content = bytearray(array.file.path.read_bytes())
    content[-1] ^= 1
    array.file.path.write_bytes(content)
    os.utime(array.file.path, ns=(before, before))
    with pytest.raises(RecordError) as caught:
        array.load()
    assert_says(caught, f"{array.file.path} is damaged", "the sha256 differs", "with repair")


def test_every_file_that_a_step_made_must_be_there(tmp_path: Path) -> None:
    shards = tuple(factories.array_file(tmp_path, np.full((1, 8, 8, 3), number)) for number in range(3))
    prepared = PreparedDataset(
        dataset=factories.dataset("abc", (0, 1, 2)), transform=factories.transform(), shards=shards
    )
    store.write(tmp_path / "prepared.json", prepared, made_from="m")
    assert store.kept(tmp_path / "prepared.json", PreparedDataset, "m") == prepared
    shards[1].file.path.unlink()
    assert store.kept(tmp_path / "prepared.json", PreparedDataset, "m") is None


def test_files_of_predictions_are_their_scores(tmp_path: Path) -> None:
    found: Predictions = factories.predictions(tmp_path, [[1.0, 2.0]])
    assert list(store.files_of(found)) == [found.scores.file]


def _python(code: str, *arguments: str) -> str:
    """What another process prints; code that ends itself with status 9 is as good as killed."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 9), done.stderr
    return done.stdout


def _overwrite(path: Path, content: bytes) -> None:
    """Other bytes of the same size, and another time whatever the clock's steps are."""
    assert path.stat().st_size == len(content)
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))
