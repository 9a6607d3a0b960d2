"""other tools' results ─import→ one record: the kinds of files that are known, and how several become one."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

import msgspec

from assay import units
from assay.errors import RecordError, UnknownNameError, UsageError
from assay.importers import ais_bench, ascend_benchmark, benchmark_app, loadgen, trtexec
from assay.importers.report_file import ReportFile
from assay.records import Precision, Record
from assay.records.reported import ReportedPixels, ReportedResult, ReportedRun
from assay.steps.keywords import StrPath, path, paths, takes
from assay.storage import files as storage_files
from assay.storage import store

LARGEST_FILE = 64 << 20
"""Bytes; a log of a run is some kilobytes, the times of a million queries some hundred megabytes less than this."""


@dataclass(frozen=True)
class Kind:
    """A kind of file, recognised by what it holds."""

    name: str
    recognises: Callable[[str], bool]
    read: Callable[[ReportFile], ReportedRun]


KINDS = (
    Kind("Ascend benchmark performance file", ascend_benchmark.is_performance, ascend_benchmark.read_performance),
    Kind("Ascend benchmark pure inference", ascend_benchmark.is_pure_inference, ascend_benchmark.read_pure_inference),
    Kind("guide result.json", ascend_benchmark.is_evaluation, ascend_benchmark.read_evaluation),
    Kind("LoadGen summary", loadgen.recognises, loadgen.read),
    Kind("ais_bench summary", ais_bench.recognises, ais_bench.read),
    Kind("trtexec times", trtexec.is_times, trtexec.read_times),
    Kind("trtexec log", trtexec.is_log, trtexec.read_log),
    Kind("benchmark_app report", benchmark_app.is_report, benchmark_app.read_report),
    Kind("benchmark_app log", benchmark_app.is_log, benchmark_app.read_log),
)
"""Every kind that can be imported; the first that recognises a file reads it."""

_EVALUATED = {ascend_benchmark.EVALUATION: (ascend_benchmark.BENCHMARK, ais_bench.TOOL)}
"""A tool that measures no speed, and the tools whose outputs it reads."""

_SHARED = (
    "model",
    "weights_md5",
    "input_side",
    "device",
    "dies",
    "precision",
    "pixels",
    "transfers",
    "dataset",
    "images",
    "scenario",
)
"""What is said once of a whole run, and so must not be said in two ways."""

_OF_ACCURACY = ("dataset", "images")


@dataclass(frozen=True)
class ImportRequest:
    """Other tools' results, to be read into one record."""

    files: StrPath | Sequence[StrPath]
    _: KW_ONLY
    set: Mapping[str, object] = field(default_factory=dict)
    """What the files do not say, by the names of the fields of `Settings`."""
    out: StrPath | None = None
    """By default beside the first file."""


@takes(ImportRequest)
def import_results(request: ImportRequest) -> ReportedRun:
    """Reads other tools' files into one record and writes it, by default beside the first file.

    Raises if a file is none of the known kinds or is damaged, and if two sources say different things; nothing is
    written then.
    """
    files = paths(request.files)
    settings = {key: _word(value) for key, value in request.set.items()}
    said = parse_settings(settings)
    if not files:
        raise UsageError("no file to import; give one or more that a tool wrote")
    target = path(request.out) or default_output(files[0])
    if any(target.resolve() == file.resolve() for file in files):
        raise UsageError(f"{target} is one of the files to import; give another destination")
    read = [_read(file, said.batch) for file in files]
    for run in read:
        _check(run, said)
    whole = _with_settings(_joined(read), said)
    store.write(target, whole, made_from=store.hash_of([store.hash_file(file) for file in files], settings))
    return whole


def default_output(first: Path) -> Path:
    """The record's place where none is given."""
    return first.parent / f"{first.name}.assay.json"


def kind_of(text: str) -> Kind | None:
    """The kind of file that a text is; None of none."""
    return next((kind for kind in KINDS if kind.recognises(text)), None)


def _read(path: Path, batch: int | None) -> ReportedRun:
    """One file's figures, whose sources are the path as it was given."""
    text = _text(path)
    if '"record": "' in text[:100] and '"schema": ' in text[:100]:
        raise RecordError(f"{path} is a record of assay's own, which needs no import; give it to assay compare")
    kind = kind_of(text)
    if kind is None:
        known = ", ".join(kind.name for kind in KINDS)
        raise RecordError(f"{path} is no file that can be imported; known kinds: {known}")
    run = kind.read(ReportFile(name=path.name, text=text, batch=batch, path=str(path)))
    return msgspec.structs.replace(run, name=path.stem, sources=(str(path),))


def _text(path: Path) -> str:
    """A file's text; consoles of Windows write UTF-16, and a log may hold a few bytes of some other encoding."""
    try:
        content = storage_files.read(path, LARGEST_FILE)
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}; give a file that a tool wrote") from error
    if len(content) > LARGEST_FILE:
        raise RecordError(
            f"{path} is larger than {units.memory(LARGEST_FILE)}, which no result is; cut it to the lines of one run"
        )
    if not content.strip():
        raise RecordError(f"{path} is empty; run the tool again, or give the file that it wrote")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    if b"\0" in content:
        raise RecordError(f"{path} is binary; give the text that a tool wrote of its run")
    return content.decode("utf-8-sig", errors="replace")


def _given(said: Settings) -> dict[str, object]:
    """What the user says of the whole run."""
    values = msgspec.structs.asdict(said)
    return {name: value for name, value in values.items() if value is not None and name != "batch"}


def _check(run: ReportedRun, said: Settings) -> None:
    """Raises where a file says otherwise than the user."""
    pairs: list[tuple[str, object, object]] = [("batch", result.batch, said.batch) for result in run.results]
    pairs += [(name, getattr(run, name), value) for name, value in _given(said).items() if name != "name"]
    for name, stated, value in pairs:
        if None not in (stated, value) and stated != value:
            raise RecordError(
                f"{run.sources[0]} says {name} {_word(stated)} and the setting says {name} {_word(value)}; "
                "leave out one of them"
            )


def _joined(runs: Sequence[ReportedRun]) -> ReportedRun:
    """Several files' figures as one run of one tool, the smallest batch size first."""
    speed = [run for run in runs if run.tool not in _EVALUATED] or list(runs)
    first = speed[0]
    for run in runs:
        if run.tool != first.tool and first.tool not in _EVALUATED.get(run.tool, ()):
            raise RecordError(
                f"{first.sources[0]} is of {first.tool} and {run.sources[0]} of {run.tool}; import them one by one"
            )
    shared = {name: _agreed(runs, speed, name) for name in _SHARED}
    # What only some files say is said of those.
    common = [note for note in first.notes if all(note in run.notes for run in runs)]
    own = [f"{run.name}: {note}" if len(runs) > 1 else note for run in runs for note in run.notes if note not in common]
    return msgspec.structs.replace(
        first,
        name=runs[0].name,
        sources=tuple(source for run in runs for source in run.sources),
        notes=tuple(dict.fromkeys([*common, *own])),
        results=_results(runs),
        **shared,
    )


def _agreed(runs: Sequence[ReportedRun], speed: Sequence[ReportedRun], name: str) -> object:
    """The one value that the files say; None where none says any, or where one that measured leaves it open."""
    saying = [run for run in runs if getattr(run, name) is not None]
    for run in saying[1:]:
        if getattr(run, name) != getattr(saying[0], name):
            raise RecordError(
                f"{saying[0].sources[0]} says {name} {_word(getattr(saying[0], name))} and {run.sources[0]} "
                f"{_word(getattr(run, name))}; import them one by one"
            )
    # How one file was measured says nothing of another; how many images were scored, no measurement can say.
    silent = name not in _OF_ACCURACY and any(getattr(run, name) is None for run in speed)
    return getattr(saying[0], name) if saying and not silent else None


def _results(runs: Sequence[ReportedRun]) -> tuple[ReportedResult, ...]:
    """A result for each batch size; an accuracy beside one batch size alone is of that."""
    pairs = [(run.sources[0], result) for run in runs for result in run.results]
    sizes = {result.batch for _, result in pairs if result.batch is not None}
    alone = sizes.pop() if len(sizes) == 1 else None
    by_batch: dict[int | None, tuple[str, ReportedResult]] = {}
    for source, result in pairs:
        batch = alone if result.batch is None and _holds(result) == {"top"} else result.batch
        if batch not in by_batch:
            by_batch[batch] = source, msgspec.structs.replace(result, batch=batch)
            continue
        other, kept = by_batch[batch]
        if _holds(kept) & _holds(result):
            size = f"batch {batch}" if batch is not None else "a batch size that they do not say"
            raise RecordError(f"{other} and {source} are both of {size}; import them one by one")
        values = {name: getattr(result, name) for name in _holds(result)}
        by_batch[batch] = f"{other} and {source}", msgspec.structs.replace(kept, **values)
    return tuple(by_batch[batch][1] for batch in sorted(by_batch, key=lambda size: (size is None, size or 0)))


def _holds(result: ReportedResult) -> set[str]:
    """The fields that hold a figure."""
    return {name for name, value in msgspec.structs.asdict(result).items() if name != "batch" and value}


def _with_settings(run: ReportedRun, said: Settings) -> ReportedRun:
    """The run with what the user says of what is open."""
    results = [
        msgspec.structs.replace(result, batch=said.batch if result.batch is None else result.batch)
        for result in run.results
    ]
    return msgspec.structs.replace(run, results=tuple(results), **_given(said))


def _word(value: object) -> str:
    """A value as a setting is given."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


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


def _printable(key: str, text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise UsageError(f"setting {key}={text!r}: give a name")
    return text.strip()


def _gate_name(key: str, text: str) -> str:
    # A gate ends the name where its operator begins.
    if any(sign in text for sign in "<>="):
        raise UsageError(f"setting {key}={text!r}: give a name without <, > and =, which end it in a gate")
    return _printable(key, text)


def _count(key: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text)):
        raise UsageError(f"setting {key}={text!r}: give a whole number of at least 1")
    return int(text)


def _choice(key: str, text: str, known: tuple[str, ...]) -> str:
    if text not in known:
        raise UsageError(f"setting {key}={text!r}: give {' or '.join(known)}")
    return text


def _flag(key: str, text: str) -> bool:
    return _choice(key, text.lower().replace("true", "yes").replace("false", "no"), ("yes", "no")) == "yes"


_READ: Mapping[str, Callable[[str, str], object]] = {
    "name": _gate_name,
    "batch": _count,
    "dies": _count,
    "model": _printable,
    "precision": lambda key, text: _choice(key, text, typing.get_args(Precision)),
    "device": _printable,
    "input_side": _count,
    "pixels": lambda key, text: _choice(key, text, typing.get_args(ReportedPixels)),
    "transfers": _flag,
    "dataset": _printable,
    "images": _count,
}
