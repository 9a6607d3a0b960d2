"""LoadGen's `mlperf_log_detail.txt` and `mlperf_log_accuracy.json`, as mlcommons-loadgen 6.0.17 writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from assay.errors import RecordError
from assay.loadgen.records import Validity
from assay.records import Setting

_PREFIX = ":::MLLOG "
_EFFECTIVE = "effective_"
_LATENCY = re.compile(r"result_(?:(min|max|mean)|(\d\d)\.(\d)0_percentile)_latency_ns", re.ASCII)
_MOST_MESSAGES = 20


@dataclass(frozen=True)
class Detail:
    """What LoadGen wrote of one test."""

    version: str
    result: Validity | None
    reasons: tuple[str, ...]
    """Of an invalid result: what LoadGen recommends, and why it would not stop early."""
    settings: dict[str, Setting]
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    latency: dict[str, float]
    """Seconds, by `min`, `mean`, `max` and `p50` to `p99.9`."""


class _Metadata(msgspec.Struct, frozen=True):
    is_error: bool = False
    is_warning: bool = False


class _Line(msgspec.Struct, frozen=True):
    key: str
    value: Any = None
    metadata: _Metadata = _Metadata()


def read(path: Path) -> Detail:
    """The detail log of one whole test."""
    lines = list(_lines(path))
    values = {line.key: line.value for line in lines}
    # Of a test that asks for the answers alone there are no results, with which the others end.
    last = "power_end" if values.get("effective_test_mode") == "AccuracyOnly" else "num_errors"
    if last not in values or "loadgen_version" not in values:
        raise RecordError(f"{path}: expected LoadGen's log of a whole test; run it again")
    result = values.get("result_validity")
    said = [_words(values.get(key)) for key in ("result_invalid_reason", "early_stopping_result")]
    reasons = [reason.strip() for words in said for reason in words.split("* ")]
    return Detail(
        version=_words(values.get("loadgen_version")),
        result=result if result in ("VALID", "INVALID") else None,
        reasons=tuple(reason for reason in reasons if reason) if result == "INVALID" else (),
        settings={
            key.removeprefix(_EFFECTIVE): value
            for key, value in values.items()
            if key.startswith(_EFFECTIVE) and isinstance(value, (bool, int, float, str))
        },
        errors=_messages(lines, errors=True),
        warnings=_messages(lines, errors=False),
        latency={
            _name(named): value / 1e9
            for key, value in values.items()
            if (named := _LATENCY.fullmatch(key)) and isinstance(value, (int, float))
        },
    )


def answers(path: Path, images: int, classes: int) -> npt.NDArray[np.float32]:
    """The scores that LoadGen logged, float32 [images, classes] in the library's order: of each image exactly once."""
    scores = np.empty((images, classes), np.float32)
    seen = np.zeros(images, bool)
    for number, index, data in _answers(path):
        if not 0 <= index < images or seen[index] or len(data) != scores[index].nbytes:
            raise RecordError(
                f"{path}, line {number}: expected {classes} scores of each of {images} images once; run the test again"
            )
        scores[index], seen[index] = np.frombuffer(data, "<f4"), True
    if not seen.all():
        raise RecordError(f"{path}: {int((~seen).sum())} of {images} images have no answer; run the test again")
    return scores


class _Answer(msgspec.Struct, frozen=True):
    qsl_idx: int
    data: str


def _answers(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """The line, the image and the bytes of every answer; of 50,000 images they are too many to hold at once."""
    decoder = msgspec.json.Decoder(_Answer)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                text = line.strip().rstrip(b",")
                if text in (b"[", b"]", b""):
                    continue
                answer = decoder.decode(text)
                yield number, answer.qsl_idx, bytes.fromhex(answer.data)
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}; run the test again") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise RecordError(f"{path}: expected a line of LoadGen's for each answer ({error}); run it again") from error


def _lines(path: Path) -> Iterator[_Line]:
    decoder = msgspec.json.Decoder(_Line)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
            if line.startswith(_PREFIX):
                yield decoder.decode(line.removeprefix(_PREFIX).encode())
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}; run the test again") from error
    except msgspec.DecodeError as error:
        raise RecordError(f"{path}: expected lines of LoadGen's log ({error}); run the test again") from error


def _messages(lines: list[_Line], *, errors: bool) -> tuple[str, ...]:
    """What was marked as an error or a warning; of many, the first."""
    messages = [line for line in lines if (line.metadata.is_error if errors else line.metadata.is_warning)]
    texts = [f"{line.key}: {_words(line.value)}" for line in messages[:_MOST_MESSAGES]]
    more = len(messages) - len(texts)
    return (*texts, *([f"… and {more} more"] if more > 0 else []))


def _words(value: object) -> str:
    """Text of several lines as one."""
    return " ".join(str(value).split()) if value is not None else ""


def _name(match: re.Match[str]) -> str:
    if match[1]:
        return match[1]
    return f"p{match[2]}" if match[3] == "0" else f"p{match[2]}.{match[3]}"
