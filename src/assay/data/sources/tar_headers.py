"""The headers of a tar file, walked without reading its members.

`tarfile` would do for sound archives. It takes more than twice as long over 50,000 members, reads an extended header of
any length into memory, and takes a damaged header or a hole of zeros for the end, which would lose the images behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from assay.errors import DatasetError

BLOCK = 512
REGULAR, FOLDER = "file", "folder"

_KINDS = {
    b"0": REGULAR,
    b"\0": REGULAR,
    b"7": REGULAR,
    b"1": "hard link",
    b"2": "symbolic link",
    b"3": "character device",
    b"4": "block device",
    b"5": FOLDER,
    b"6": "pipe",
}
_WITHOUT_CONTENT = frozenset(_KINDS.values()) - {REGULAR}
_SPARSE = b"GNU.sparse."
_PAX, _PAX_OF_ALL, _LONG_NAME, _LONG_LINK = b"x", b"g", b"L", b"K"
_LARGEST_EXTENSION = 1 << 20
"""Bytes of a header's extension: a name, and attributes that somebody kept."""
_EMPTY = bytes(BLOCK)
_END = 2 * BLOCK
"""Bytes of the end mark: zeros, which the archive's last record is filled with too."""
_USUAL_END, _LARGEST_END = _END + 20 * BLOCK, _END + (1 << 20)
"""Bytes of the end mark and what fills the last record: as `tar` makes them unasked, and with a tape's records."""

ReadAt = Callable[[int, int], bytes]
"""The bytes from an offset on, so many or as many as there are."""


class Member(NamedTuple):
    """A member of the archive, and where its bytes lie."""

    name: str
    """Not UTF-8 where it holds surrogates."""
    kind: str
    offset: int
    size: int


def members(read_at: ReadAt, length: int, called: str) -> Iterator[Member]:
    """The members in their order; raises `DatasetError` with where the archive `called` so is none, or is damaged."""
    place = 0
    any_member = False
    extensions: dict[bytes, bytes] = {}
    while (block := read_at(place, BLOCK)) != _EMPTY:
        if len(block) < BLOCK:
            raise _damaged(called, place, "the archive ends without its end mark")
        try:
            kind, size = block[156:157], _number(block[124:136])
            if not _sums_up(block):
                raise ValueError("the header's sum is wrong")
            if kind in (_PAX, _PAX_OF_ALL, _LONG_NAME, _LONG_LINK):
                if not 0 < size <= _LARGEST_EXTENSION:
                    raise ValueError(f"the header's extension claims {size} bytes")
                content = read_at(place + BLOCK, size)
                if len(content) < size:
                    raise ValueError("the archive ends in the extension of a header")
                extensions |= _extension(kind, content)
                place += BLOCK + _padded(size)
                continue
            member = _member(block, extensions, place + BLOCK, size)
        except ValueError as error:
            raise _damaged(called, place, str(error)) from error
        if member.size > length - member.offset:
            raise DatasetError(
                f"{called} is damaged or was cut off: its member {member.name!r} claims {member.size} bytes, more than "
                "are left of the archive; fetch or make it again"
            )
        yield member
        any_member = True
        extensions = {}
        # What is no file has nothing behind its header, whatever its size says.
        place = member.offset + (_padded(member.size) if member.kind not in _WITHOUT_CONTENT else 0)
    _require_end(read_at, place, length, called, any_member)


def _require_end(read_at: ReadAt, place: int, length: int, called: str, any_member: bool) -> None:
    """Raises where zeros do not end the archive, but are a hole in it; one read, however long it is."""
    zeros = read_at(place, min(length - place, _LARGEST_END + 1))
    behind = zeros.lstrip(b"\0")
    size = len(zeros) - len(behind)
    if behind and _is_header(read_at(place + size, BLOCK)) and size >= _END:
        raise DatasetError(
            f"{called} goes on behind an end mark, with more members from byte {place + size}: it is several archives "
            "put behind each other, or damaged; join archives with tar --concatenate, or give their folder"
        )
    if behind or size < _END:
        raise _damaged(called, place, "zeros stand where the next member should, and they are no end mark")
    if not any_member:
        raise DatasetError(f"{called} is damaged: it holds no member; fetch or make it again")
    # A file that was only fetched in part may have its full length: what is missing are zeros, from within a member on.
    from_within = size > _USUAL_END and read_at(place - BLOCK, BLOCK) == _EMPTY
    if from_within or size > _LARGEST_END:
        raise _damaged(called, place, "zeros stand from there on, many more than an end mark takes")


def _member(block: bytes, extensions: Mapping[bytes, bytes], offset: int, size: int) -> Member:
    kind = block[156:157]
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0" and block[345] != 0:
        name = block[345:500].partition(b"\0")[0] + b"/" + name
    name = extensions.get(b"path", name)
    if b"size" in extensions:
        size = _decimal(extensions[b"size"])
    called = _KINDS.get(kind, f"member of type {kind!r}")
    if _SPARSE in extensions:
        called = "sparse file"
    if kind == b"\0" and name.endswith(b"/"):
        called = FOLDER
    return Member(name.decode("utf-8", "surrogateescape"), called, offset, size)


def _extension(kind: bytes, content: bytes) -> dict[bytes, bytes]:
    """What an extended header says of the member that follows it."""
    if kind == _LONG_LINK:
        return {}
    if kind == _LONG_NAME:
        return {b"path": content.partition(b"\0")[0]}
    fields: dict[bytes, bytes] = {}
    place = 0
    while place < len(content):
        figures = content[place : place + 9].partition(b" ")[0]
        end = place + _decimal(figures)
        key, equals, value = content[place + len(figures) + 1 : end - 1].partition(b"=")
        if not equals or content[end - 1 : end] != b"\n":
            raise ValueError("a pax header whose lines have other lengths than they say")
        if key in (b"path", b"size"):
            fields[key] = value
        elif key.startswith(_SPARSE):
            fields[_SPARSE] = b""
        place = end
    if kind == _PAX:
        return fields
    if b"path" in fields or b"size" in fields:
        raise ValueError("a pax header gives all members one name or size")
    return {}


def _number(field: bytes) -> int:
    """Octal figures, or GNU's binary form behind a first byte of 128."""
    if field[0] == 128:
        return int.from_bytes(field[1:], "big")
    figures = field.partition(b"\0")[0].strip(b" ")
    if figures and not figures.isdigit():
        raise ValueError(f"{field!r} is not a number of a header")
    return int(figures or b"0", 8)


def _decimal(figures: bytes) -> int:
    if not figures.isdigit() or len(figures) > 18:
        raise ValueError(f"{figures[:20]!r} is not a number of a pax header")
    return int(figures)


def _sums_up(block: bytes) -> bool:
    """Whether the header's bytes add up to what it says; early programs took them as signed."""
    told = _number(block[148:156])
    counted = block[:148] + block[156:]
    total = sum(counted) + 8 * ord(" ")
    return told in (total, total - 256 * sum(byte > 127 for byte in counted)) if told != total else True


def _is_header(block: bytes) -> bool:
    try:
        return len(block) == BLOCK and _sums_up(block)
    except ValueError:
        return False


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _damaged(called: str, place: int, reason: str) -> DatasetError:
    if place == 0:
        return DatasetError(
            f"{called} is no tar archive ({reason}); give a folder of images, or a .tar of them that is not compressed"
        )
    return DatasetError(f"{called} is damaged at byte {place}: {reason}; fetch or make it again")
