"""The file around a record: its type, its schema version, what it was made from, and a hash over all of that.

The hash is over the JSON without the white space between its parts, so a file that was only laid out anew is whole.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from assay import units
from assay.errors import RecordError, Remedy
from assay.storage import files

SCHEMA = 3
"""Raised when a record's fields or its file change their meaning, so that older files can be told apart."""
_MARKS = (b'"record"', b'"schema"', b'"made_from"', b'"sha256"', b'"body"')

_MARKED = 3

_HEAD = 1024
"""Bytes in which all of the marks stand."""

LARGEST = 1 << 30
"""Bytes: the record of a million images' names and hashes has a fifth of it."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A record's file, read and whole; the body is the record's JSON as it stands there."""

    record: str
    schema: int
    made_from: str
    sha256: str = ""
    body: msgspec.Raw


def seal(record: str, made_from: str, body: bytes) -> bytes:
    """The file of a record, given as JSON."""
    envelope = Envelope(
        record=record,
        schema=SCHEMA,
        made_from=made_from,
        sha256=_hash(record, SCHEMA, made_from, body),
        body=msgspec.Raw(body),
    )
    return msgspec.json.format(msgspec.json.encode(envelope), indent=1) + b"\n"


def is_ours(content: bytes) -> bool:
    """Whether what cannot be read was a record of assay's, whatever befell it, and not a user's own file."""
    return sum(mark in content[:_HEAD] for mark in _MARKS) >= _MARKED


def read(path: Path) -> Envelope:
    """A record's file; raises `RecordError` where it is none, is damaged, or is of another version of assay."""
    try:
        content = files.read(path, LARGEST)
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}; give a record that assay wrote") from error
    if len(content) > LARGEST:
        raise RecordError(f"{path} has more than {units.memory(LARGEST)}, which no record has; give one of assay's")
    try:
        envelope = msgspec.json.decode(content, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if is_ours(content) or not content:
            raise RecordError.damaged(path, str(error)) from error
        raise RecordError(
            f"{path} is no assay record: {error}; give one, read another tool's file with assay import, or "
            "move it out of the way"
        ) from error
    if envelope.schema > SCHEMA:
        raise RecordError(
            f"{path} was made by a newer assay (schema version {envelope.schema}; this one knows {SCHEMA})",
            remedy=Remedy(f"update assay, or {RecordError.AGAIN.text}", *RecordError.AGAIN.values),
        )
    if 0 < envelope.schema < SCHEMA:
        raise RecordError(
            f"{path} is of an earlier assay (schema version {envelope.schema}; this one knows {SCHEMA}) and cannot be "
            "read any more",
            remedy=RecordError.AGAIN,
        )
    if envelope.schema < 1 or not _is_whole(envelope):
        raise RecordError.damaged(path, "its content is not what was written (the sha256 differs)")
    return envelope


def _is_whole(envelope: Envelope) -> bool:
    try:
        compact = msgspec.json.format(bytes(envelope.body), indent=-1)
    except (msgspec.DecodeError, RecursionError):
        return False
    return envelope.sha256 == _hash(envelope.record, envelope.schema, envelope.made_from, compact)


def _hash(record: str, schema: int, made_from: str, compact: bytes) -> str:
    head = msgspec.json.encode([record, schema, made_from])
    return hashlib.sha256(head + compact).hexdigest()
