"""Tar headers: what `tarfile` writes is found where `tarfile` finds it, and what lies is refused."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.data.sources import tar_headers
from assay.errors import DatasetError
from tests.messages import assert_says

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=140)
FORMS = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


def _members(content: bytes) -> list[tar_headers.Member]:
    def read_at(offset: int, size: int) -> bytes:
        return content[offset : offset + size]

    return list(tar_headers.members(read_at, len(content), "val.tar"))


def _written(files: list[tuple[str, bytes]], form: int, headers: dict[str, str] | None = None) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=form) as archive:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size, info.pax_headers = len(content), dict(headers or {})
            archive.addfile(info, io.BytesIO(content))
    return written.getvalue()


@settings(max_examples=60, deadline=None)
@given(
    files=st.lists(st.tuples(PATHS, st.binary(max_size=1100)), min_size=1, max_size=4),
    form=FORMS,
)
def test_members_are_those_that_tarfile_finds(files: list[tuple[str, bytes]], form: int) -> None:
    content = _written(files, form)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        expected = [(info.name, info.offset_data, info.size) for info in archive]
    found = _members(content)
    # tarfile takes the last slash of a name away; ours are of names with none.
    assert [(one.name.rstrip("/"), one.offset, one.size) for one in found] == expected
    assert [content[one.offset :][: one.size] for one in found] == [data for _, data in files]


def test_a_long_name_split_as_ustar_has_it_is_put_together() -> None:
    name = f"{'folder' * 20}/{'file' * 20}.jpg"
    assert [one.name for one in _members(_written([(name, b"x")], tarfile.USTAR_FORMAT))] == [name]


def _are_members_or_one_error(content: bytes) -> bool:
    try:
        return all(one.offset + one.size <= len(content) for one in _members(content))
    except DatasetError as error:
        return "val.tar" in error.message and "\n" not in error.message


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes_are_members_or_one_error(content: bytes) -> None:
    assert _are_members_or_one_error(content)


@settings(max_examples=200, deadline=None)
@given(
    place=st.integers(0, 4095),
    value=st.integers(0, 255),
    form=FORMS,
)
def test_one_byte_that_is_another_is_members_or_one_error(place: int, value: int, form: int) -> None:
    content = bytearray(_written([("ü.jpg", b"one"), ("b.jpg", b"two")], form))
    content[place] = value
    assert _are_members_or_one_error(bytes(content))


def _second_header_damaged() -> bytes:
    content = bytearray(_written([("a.jpg", b"x"), ("b.jpg", b"x")], tarfile.GNU_FORMAT))
    content[1024 + 3] ^= 1
    return bytes(content)


def test_a_damaged_header_in_the_middle_is_not_taken_for_the_end() -> None:
    content = _second_header_damaged()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == ["a.jpg"]
    with pytest.raises(DatasetError) as caught:
        _members(content)
    assert_says(caught, "val.tar is damaged at byte 1024", "sum is wrong", "fetch or make it again")


THREE = _written([(f"{name}.jpg", name.encode() * 3000) for name in "abc"], tarfile.GNU_FORMAT)
"""Each member takes 3,584 bytes: its header and six blocks."""


def _with_zeros(content: bytes, begin: int, end: int) -> bytes:
    return content[:begin] + bytes(end - begin) + content[end:]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        # tarfile finds one member in each, and says nothing.
        (_with_zeros(THREE, 3584, 3584 + 512), "val.tar is damaged at byte 3584: zeros stand where the next member"),
        (_with_zeros(THREE, 3584, 2 * 3584), "val.tar goes on behind an end mark, with more members from byte 7168"),
        (_with_zeros(THREE, 3584, 7168 + 600), "val.tar is damaged at byte 3584: zeros stand where the next member"),
        (THREE[:3584] + bytes(512), "val.tar is damaged at byte 3584: zeros stand where the next member"),
        (THREE + THREE, f"goes on behind an end mark, with more members from byte {len(THREE)}"),
        (THREE[: 3 * 3584] + bytes(1024) + b"more", "val.tar is damaged at byte 10752"),
    ],
)
def test_zeros_that_do_not_end_the_archive_are_no_end(content: bytes, said: str) -> None:
    with pytest.raises(DatasetError) as caught:
        _members(content)
    assert_says(caught, said)


def test_archives_put_behind_each_other_say_how_to_join_them() -> None:
    with pytest.raises(DatasetError) as caught:
        _members(THREE + THREE)
    assert_says(caught, "archives put behind each other, or damaged", "tar --concatenate, or give their folder")


@pytest.mark.parametrize("content", [bytes(10240), bytes(2 << 20)])
def test_an_archive_that_was_never_filled_is_refused(content: bytes) -> None:
    with pytest.raises(DatasetError) as caught:
        _members(content)
    assert_says(caught, "val.tar is damaged: it holds no member", "fetch or make it again")


@pytest.mark.parametrize("first", [3584, 5000])
def test_an_archive_whose_rest_was_never_filled_is_refused(first: int) -> None:
    size = first + (2 << 20 if first == 3584 else 16 << 10)
    with pytest.raises(DatasetError) as caught:
        _members(THREE[:first] + bytes(size - first))
    assert_says(caught, "val.tar is damaged at byte", "zeros stand from there on, many more than an end mark takes")


@pytest.mark.parametrize("record", [512, 10240, 64 << 10, 1 << 20])
def test_an_archive_may_end_in_a_long_record(record: int) -> None:
    content = THREE[: 3 * 3584] + bytes(1024)
    content += bytes(-len(content) % record)
    assert [one.name for one in _members(content)] == ["a.jpg", "b.jpg", "c.jpg"]


def test_an_end_without_end_is_read_once_and_not_whole() -> None:
    reads: list[int] = []

    def read_at(offset: int, size: int) -> bytes:
        reads.append(size)
        found = THREE[offset : offset + size]
        return found + bytes(size - len(found))

    with pytest.raises(DatasetError):
        list(tar_headers.members(read_at, 1 << 50, "val.tar"))
    assert sum(reads) < 2 << 20


@pytest.mark.parametrize("kept", [1024, 1024 + 200])
def test_an_archive_that_was_cut_off_is_refused(kept: int) -> None:
    with pytest.raises(DatasetError) as caught:
        _members(_written([("a.jpg", b"x"), ("b.jpg", b"x")], tarfile.GNU_FORMAT)[:kept])
    assert_says(caught, "val.tar is damaged at byte 1024", "ends without its end mark")


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"size": "99999999"}, "member 'a.jpg' claims 99999999 bytes, more than are left"),
        ({"size": "-5"}, "b'-5' is not a number of a pax header"),
        ({"size": "9" * 5000}, "is not a number of a pax header"),
        ({"size": ""}, "b'' is not a number of a pax header"),
    ],
)
def test_a_pax_header_that_lies_about_the_size_is_refused(headers: dict[str, str], said: str) -> None:
    with pytest.raises(DatasetError) as caught:
        _members(_written([("a.jpg", b"x")], tarfile.PAX_FORMAT, headers))
    assert_says(caught, "val.tar is damaged", said, "fetch or make it again")


def test_a_pax_header_for_all_members_names_none() -> None:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"path": "all.jpg"}):
        pass
    with pytest.raises(DatasetError) as caught:
        _members(written.getvalue())
    assert_says(caught, "val.tar", "gives all members one name or size")


def test_a_pax_header_for_all_members_may_hold_a_comment() -> None:
    written = io.BytesIO()
    with tarfile.open(
        fileobj=written, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "a commit"}
    ) as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))
    assert [one.name for one in _members(written.getvalue())] == ["a.jpg"]


@pytest.mark.parametrize("kind", [b"x", b"L"])
def test_an_extension_as_large_as_a_film_is_not_read(kind: bytes) -> None:
    info = tarfile.TarInfo("long")
    info.type, info.size = kind, 1 << 34
    reads: list[int] = []

    def read_at(offset: int, size: int) -> bytes:
        reads.append(size)
        return info.tobuf(tarfile.GNU_FORMAT) if offset == 0 else bytes(size)

    with pytest.raises(DatasetError) as caught:
        list(tar_headers.members(read_at, 1 << 40, "val.tar"))
    assert_says(caught, "extension claims 17179869184 bytes")
    assert reads == [512]


def test_a_sparse_file_of_the_pax_kind_is_told_from_others() -> None:
    headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "comment": "x"}
    (found,) = _members(_written([("a.jpg", b"x")], tarfile.PAX_FORMAT, headers))
    assert found.kind == "sparse file"


def test_a_member_that_was_cut_off_is_named() -> None:
    with pytest.raises(DatasetError) as caught:
        _members(_written([("a.jpg", bytes(3000))], tarfile.GNU_FORMAT)[:2000])
    assert_says(caught, "val.tar is damaged or was cut off", "'a.jpg' claims 3000 bytes")
