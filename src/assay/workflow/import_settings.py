"""What a user says of an imported file beside what stands in it: `--set KEY=VALUE`, checked key by key."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping

import msgspec

from assay.errors import UnknownNameError, UsageError
from assay.records import Precision, Record
from assay.records.reported import ReportedPixels


class Settings(Record, frozen=True, kw_only=True):
    """What the user says; None where nothing was said."""

    name: str | None = None
    batch: int | None = None
    dies: int | None = None
    model: str | None = None
    precision: Precision | None = None
    device: str | None = None
    input_side: int | None = None
    pixels: ReportedPixels | None = None
    transfers: bool | None = None
    dataset: str | None = None
    images: int | None = None


def parse_settings(texts: Mapping[str, str]) -> Settings:
    """Reads the settings; raises where a key is unknown or a value is none of its kind."""
    for key in texts:
        if key not in _READ:
            raise UnknownNameError("setting", key, _READ)
    return msgspec.convert({key: _READ[key](key, text) for key, text in texts.items()}, Settings)


def _word(key: str, text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise UsageError(f"--set {key}={text!r}: give a name")
    return text.strip()


def _gate_name(key: str, text: str) -> str:
    # A gate ends the name where its operator begins.
    if any(sign in text for sign in "<>="):
        raise UsageError(f"--set {key}={text!r}: give a name without <, > and =, which end it in a gate")
    return _word(key, text)


def _count(key: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text)):
        raise UsageError(f"--set {key}={text!r}: give a whole number of at least 1")
    return int(text)


def _choice(key: str, text: str, known: tuple[str, ...]) -> str:
    if text not in known:
        raise UsageError(f"--set {key}={text!r}: give {' or '.join(known)}")
    return text


def _flag(key: str, text: str) -> bool:
    return _choice(key, text.lower().replace("true", "yes").replace("false", "no"), ("yes", "no")) == "yes"


_READ: Mapping[str, Callable[[str, str], object]] = {
    "name": _gate_name,
    "batch": _count,
    "dies": _count,
    "model": _word,
    "precision": lambda key, text: _choice(key, text, typing.get_args(Precision)),
    "device": _word,
    "input_side": _count,
    "pixels": lambda key, text: _choice(key, text, typing.get_args(ReportedPixels)),
    "transfers": _flag,
    "dataset": _word,
    "images": _count,
}
