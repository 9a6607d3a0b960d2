"""WebDataset shards: samples, their classes, and the patterns that name shards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from assay.data import sources
from assay.data.class_list import ClassList
from assay.data.sources import webdataset
from assay.errors import DatasetError, UsageError
from tests import archives
from tests.messages import assert_says

CLASSES = ClassList(Path("classes.txt"), 3, {"tench": 0, "shark": 1, "7": 2})


def _shard(folder: Path, members: dict[str, bytes]) -> sources.Source:
    return sources.find(archives.tar(folder / "val-0.tar", members))


def test_samples_of_several_shards_are_sorted_and_what_else_they_hold_is_left_alone(tmp_path: Path) -> None:
    archives.tar(tmp_path / "1.tar", {"a.jpg": b"A", "a.cls": b"4", "a.json": b"{}", "read.me": b""})
    archives.tar(tmp_path / "0.tar", {"b.x.PNG": b"B", "b.x.cls": b"2\n", "b.x.txt": b"bee"})
    found = sources.find(tmp_path)
    assert found.names == ("a.jpg", "b.x.PNG")
    assert found.classes(None) == (4, 2)
    assert found.skipped == ("read.me",)
    assert [found.read(name) for name in found.names] == [b"A", b"B"]


def test_a_class_may_go_by_its_name_in_a_class_list(tmp_path: Path) -> None:
    found = _shard(
        tmp_path, {"a.jpg": b"", "a.cls": b"shark", "b.jpg": b"", "b.cls": b"7", "c.jpg": b"", "c.cls": b"0"}
    )
    assert found.classes(CLASSES) == (1, 2, 0)


@pytest.mark.parametrize("text", ["shark", "-1", "1.0", "", "9" * 30, "²", "\udcff"])
def test_a_class_that_is_none_is_named(text: str, tmp_path: Path) -> None:
    content = text.encode("utf-8", "surrogateescape")
    found = _shard(tmp_path, {"a.jpg": b"", "a.cls": content})
    with pytest.raises(DatasetError) as caught:
        found.classes(None)
    assert_says(caught, "1 of 1 classes in", "a number from 0", "give class_list=FILE")
    assert caught.value.files == (f"a.cls: {content!r}",)


@pytest.mark.parametrize("text", ["whale", "3"])
def test_a_class_that_the_list_does_not_have_is_named(text: str, tmp_path: Path) -> None:
    found = _shard(tmp_path, {"a.jpg": b"", "a.cls": text.encode()})
    with pytest.raises(DatasetError) as caught:
        found.classes(CLASSES)
    assert_says(caught, "one of classes.txt", "a number from 0 to 2", f"a.cls: b'{text}'")


def test_a_class_as_large_as_a_film_is_not_read(tmp_path: Path) -> None:
    found = _shard(tmp_path, {"a.jpg": b"", "a.cls": b"1" * 300})
    with pytest.raises(DatasetError) as caught:
        found.classes(None)
    assert_says(caught, "1 files in", "too large to hold a class", "a.cls")


def test_samples_that_are_not_one_image_and_one_class_are_named(tmp_path: Path) -> None:
    found = _shard(tmp_path, {"a.jpg": b"", "a.cls": b"1", "b.jpg": b"", "c.cls": b"1"})
    with pytest.raises(DatasetError) as caught:
        found.classes(None)
    assert_says(caught, "1 images in", "have no class and 1 classes no image", "or give labels")
    assert caught.value.files == ("b.jpg", "c.cls")
    two = sources.find(archives.tar(tmp_path / "two.tar", {"a.jpg": b"", "a.png": b"", "a.cls": b"1"}))
    with pytest.raises(DatasetError) as caught:
        two.classes(None)
    assert_says(caught, "2 images in", "share a sample")


def test_samples_without_an_image_are_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        _shard(tmp_path, {"a.cls": b"1", "a.npy": b""})
    assert_says(caught, "no image in the samples of")


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("val-{000..002}.tar", ["val-000.tar", "val-001.tar", "val-002.tar"]),
        ("val-{8..11}.tar", ["val-8.tar", "val-9.tar", "val-10.tar", "val-11.tar"]),
        ("{a,b}/{0..1}.tar", ["a/0.tar", "a/1.tar", "b/0.tar", "b/1.tar"]),
        ("{a,}.tar", ["a.tar", ".tar"]),
    ],
)
def test_a_pattern_stands_for_what_a_shell_makes_of_it(pattern: str, paths: list[str]) -> None:
    assert webdataset.is_pattern(Path(pattern))
    assert webdataset.expanded(Path(pattern)) == [Path(path) for path in paths]


@pytest.mark.parametrize("path", ["val.tar", "{a}.tar", "{}.tar", "{1..}.tar"])
def test_braces_that_stand_for_one_path_are_no_pattern(path: str) -> None:
    assert not webdataset.is_pattern(Path(path))


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("{0..999999999}.tar", "more than 100000 shards"),
        ("{0..999}{0..999}.tar", "more than 100000 shards"),
        ("{5..2}.tar", "counts down"),
    ],
)
def test_a_pattern_of_too_many_or_none_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        sources.find(Path(pattern))
    assert_says(caught, said, pattern)


def test_shards_that_are_missing_are_named(tmp_path: Path) -> None:
    archives.tar(tmp_path / "0.tar", {"a.jpg": b""})
    pattern = tmp_path / "{0..2}.tar"
    with pytest.raises(DatasetError) as caught:
        sources.find(pattern)
    assert_says(caught, f"2 of 3 archives of {pattern} are missing")
    assert caught.value.files == (str(tmp_path / "1.tar"), str(tmp_path / "2.tar"))


MANY = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from assay.data import sources
found = sources.find(Path(sys.argv[1]))
with ThreadPoolExecutor(8) as threads:
    print(len(set(threads.map(found.read, found.names))), sum(found.classes(None)))
"""


def test_more_shards_than_files_may_be_open_are_read(tmp_path: Path) -> None:
    samples = {f"{number:04}.jpg": (f"{number}".encode(), "1") for number in range(1100)}
    archives.shards(tmp_path, samples, 1)
    done = subprocess.run([sys.executable, "-c", MANY, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1100", "1100"]
