"""What lies in a file's place where fetching it failed: a Git LFS pointer, or the page of a server."""

from __future__ import annotations

STAND_IN_BYTES = 512
"""So many bytes of a file's beginning tell."""

_POINTER = b"version https://git-lfs.github.com/"
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<?xml", b"<error")


def stand_in(beginning: bytes) -> str | None:
    """What a file is that begins so, and what to do, for a message; None for any other file."""
    if beginning.startswith(_POINTER):
        return "a Git LFS pointer, not the file that it stands for; run git lfs pull"
    text = beginning.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_PAGES):
        return "an HTML or XML page, which a server sends in place of a file; download it again"
    return None
