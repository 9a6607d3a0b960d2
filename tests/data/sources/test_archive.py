"""Archives of images: what is listed, read and refused."""

from __future__ import annotations

import errno
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from assay.data import sources
from assay.data.class_list import ClassList
from assay.errors import DatasetError
from assay.measure.memory import PeakMemory
from tests import archives
from tests.messages import assert_says


def _pixels(*names: str) -> dict[str, bytes]:
    return {name: name.encode() * 700 for name in names}


def test_an_archive_of_images_is_listed_as_its_folder_would_be(tmp_path: Path) -> None:
    files = _pixels("b.png", "a.jpg", "C.JPEG", "README.md", ".DS_Store", "._a.jpg", ".hidden/d.jpg")
    found = sources.find(archives.tar(tmp_path / "val.tar", files))
    assert found.names == ("C.JPEG", "a.jpg", "b.png")
    assert found.skipped == ("README.md",)
    assert found.classes(None) is None
    assert [found.read(name) for name in found.names] == [files[name] for name in found.names]


def test_class_folders_are_numbered_by_name_or_by_the_class_list(tmp_path: Path) -> None:
    empty = archives.special("cow", tarfile.DIRTYPE)
    files = _pixels("dog/1.png", "cat/2.png", "cat/1.png", "cat/note.txt")
    found = sources.find(archives.tar(tmp_path / "val.tar", [empty, *files.items()]))
    assert found.names == ("cat/1.png", "cat/2.png", "dog/1.png")
    assert found.skipped == ("cat/note.txt",)
    assert found.classes(None) == (0, 0, 2)
    assert found.classes(ClassList(Path("classes.txt"), 2, {"dog": 0, "cat": 1})) == (1, 1, 0)
    with pytest.raises(DatasetError) as caught:
        found.classes(ClassList(Path("classes.txt"), 1, {"cat": 0}))
    assert_says(caught, "1 class folders in", "val.tar are not in classes.txt", "dog")


def test_a_folder_that_holds_everything_is_no_part_of_a_name(tmp_path: Path) -> None:
    found = sources.find(archives.tar(tmp_path / "val.tar", _pixels("./in/val/b.jpg", "in/val/a.jpg", "in/read.me")))
    assert (found.names, found.skipped) == (("a.jpg", "b.jpg"), ("in/read.me",))
    assert found.read("a.jpg") == b"in/val/a.jpg" * 700
    nested = sources.find(archives.tar(tmp_path / "nested.tar", _pixels("val/cat/1.png", "val/dog/1.png")))
    assert (nested.names, nested.classes(None)) == (("cat/1.png", "dog/1.png"), (0, 1))


def test_a_member_larger_than_any_image_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = archives.tar(tmp_path / "val.tar", _pixels("b.jpg"))
    size = 3 << 30
    header = tarfile.TarInfo("a.jpg")
    header.size = size
    content = path.read_bytes()
    with path.open("wb") as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        # A hole in the file, which takes no room on the disk.
        file.seek(size, 1)
        file.write(content)
    found = sources.find(path)
    assert found.names == ("a.jpg", "b.jpg")
    peak = PeakMemory()
    before = peak.bytes()
    with pytest.raises(DatasetError) as caught:
        found.read("a.jpg")
    assert_says(caught, "cannot read a.jpg in", "val.tar", "3.0 GiB", "1.0 GiB at most")
    assert peak.bytes() - before < 100 << 20


def test_a_disk_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archives.tar(tmp_path / "val.tar", _pixels("b.jpg"))

    def fails(descriptor: int, size: int, offset: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", fails)
    with pytest.raises(DatasetError) as caught:
        sources.find(path)
    assert_says(caught, "cannot read", "val.tar", "Input/output error", "check the disk")


def test_many_threads_read_at_once(tmp_path: Path) -> None:
    files = _pixels(*(f"{number:03}.jpg" for number in range(300)))
    found = sources.find(archives.tar(tmp_path / "val.tar", files))
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(found.read, found.names * 5)) == list(files.values()) * 5


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (("../out.jpg", b"x"), "'../out.jpg': leads out of its folder"),
        (("in/../../out.jpg", b"x"), "'in/../../out.jpg': leads out of its folder"),
        (("/etc/passwd.jpg", b"x"), "'/etc/passwd.jpg': an absolute path"),
        (archives.special("l.jpg", tarfile.SYMTYPE, "/etc/passwd"), "'l.jpg': a symbolic link"),
        (archives.special("h.jpg", tarfile.LNKTYPE, "a.jpg"), "'h.jpg': a hard link"),
        (archives.special("d.jpg", tarfile.CHRTYPE), "'d.jpg': a character device"),
        (archives.special("b.jpg", tarfile.BLKTYPE), "'b.jpg': a block device"),
        (archives.special("p.jpg", tarfile.FIFOTYPE), "'p.jpg': a pipe"),
        (archives.special("s.jpg", tarfile.GNUTYPE_SPARSE), "'s.jpg': a member of type b'S'"),
        (("a.jpg", b"y"), "'a.jpg': stands there twice"),
        (("./a.jpg", b"y"), "'./a.jpg': stands there twice"),
        (("\udcff.jpg", b"y"), "'\\udcff.jpg': its name is not UTF-8"),
    ],
)
def test_members_that_cannot_be_trusted_are_refused_by_name(
    member: tarfile.TarInfo | tuple[str, bytes], said: str, tmp_path: Path
) -> None:
    path = archives.tar(tmp_path / "val.tar", [("a.jpg", b"x"), member])
    with pytest.raises(DatasetError) as caught:
        sources.find(path)
    assert_says(caught, f"1 members of {path} cannot be trusted", "make the archive again")
    assert caught.value.files == (said,)


def test_a_name_that_two_shards_have_is_refused_with_both(tmp_path: Path) -> None:
    archives.tar(tmp_path / "one.tar", _pixels("a.jpg"))
    archives.tar(tmp_path / "two.tar", _pixels("a.jpg"))
    with pytest.raises(DatasetError) as caught:
        sources.find(tmp_path)
    assert caught.value.files == ("'a.jpg' in two.tar: stands in one.tar too",)


@pytest.mark.parametrize(("mode", "how"), [("w:gz", "gunzip"), ("w:bz2", "bunzip2"), ("w:xz", "unxz")])
def test_a_compressed_archive_is_refused_with_what_unpacks_it(mode: str, how: str, tmp_path: Path) -> None:
    path = archives.tar(tmp_path / "val.tar.z", _pixels("a.jpg"), mode)
    with pytest.raises(DatasetError) as caught:
        sources.find(path)
    assert_says(caught, f"{path} is compressed", "cannot be read at random", f"once: {how} {path}")


@pytest.mark.parametrize("content", [b"", b"hello", bytes(range(256)) * 8])
def test_a_file_that_is_no_archive_says_what_to_give(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "val.tar").write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        sources.find(tmp_path / "val.tar")
    assert_says(caught, f"{tmp_path / 'val.tar'} is no tar archive", "give a folder of images, or a .tar")


def test_a_shard_that_was_never_fetched_is_refused_by_name(tmp_path: Path) -> None:
    archives.tar(tmp_path / "one.tar", _pixels("a.jpg"))
    (tmp_path / "two.tar").write_bytes(bytes(20480))
    with pytest.raises(DatasetError) as caught:
        sources.find(tmp_path)
    assert_says(caught, f"{tmp_path / 'two.tar'} is damaged: it holds no member", "fetch or make it again")


def test_an_archive_without_images_says_how_images_end(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        sources.find(archives.tar(tmp_path / "val.tar", _pixels("read.me")))
    assert_says(caught, f"no image in {tmp_path / 'val.tar'}", ".jpeg, .jpg, .png", "read.me")


def test_an_archive_of_archives_says_to_unpack_the_outer_one(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        sources.find(archives.tar(tmp_path / "train.tar", _pixels("n01440764.tar", "n01443537.tar")))
    assert_says(caught, "holds archives, not images", "unpack it, and each of them into a folder", "n01440764.tar")


@pytest.mark.parametrize("deep", ["cat/1.jpg", "cat/in/1.jpg"])
def test_images_at_several_depths_are_named(deep: str, tmp_path: Path) -> None:
    flat = "a.jpg" if deep.count("/") == 1 else "dog/1.jpg"
    with pytest.raises(DatasetError) as caught:
        sources.find(archives.tar(tmp_path / "val.tar", _pixels(flat, deep)))
    assert_says(caught, "1 images in", "lie deeper than others", deep)


def test_an_archive_that_changes_after_it_was_listed_is_not_read(tmp_path: Path) -> None:
    path = archives.tar(tmp_path / "val.tar", _pixels("a.jpg", "b.jpg"))
    found = sources.find(path)
    archives.tar(path, _pixels("a.jpg"))
    with pytest.raises(DatasetError) as caught:
        found.read("a.jpg")
    assert_says(caught, f"{path} was changed since", "run the command again")
    path.unlink()
    with pytest.raises(DatasetError) as caught:
        found.read("a.jpg")
    assert_says(caught, f"cannot read {path}", "No such file")


def test_a_folder_with_images_is_read_as_one_though_an_archive_lies_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"loose")
    archives.tar(tmp_path / "val.tar", _pixels("b.jpg"))
    found = sources.find(tmp_path)
    assert (found.names, found.skipped) == (("a.jpg",), ("val.tar",))


def test_a_path_where_nothing_lies_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        sources.find(tmp_path / "val.tar")
    assert_says(caught, f"no folder of images at {tmp_path / 'val.tar'}", "or a .tar of them")
