"""records ─report→ page: gathers what a page shows, from files alone; no backend takes part."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import numpy as np

from assay import units
from assay.backends import opening
from assay.errors import RecordError
from assay.measure import processes
from assay.page import images as page_images
from assay.page.content import AccuracyLine, ComparedRecord, ComparisonReport, Histogram, RunReport
from assay.progress import Progress, Silent, Stopwatch
from assay.records import BatchResult, Check, Estimate, FileReference, Performance, RunRecord, Verdict
from assay.records.reported import ReportedRun
from assay.score import accuracy as score_accuracy
from assay.score import figures as score_figures
from assay.steps import compare
from assay.steps import results as results_step
from assay.steps.keywords import StrPath, path, some_records, takes
from assay.storage import store
from assay.tuning import page_section

PAGE = "report.html"

_RECIPE = 3
"""Raised when the same records give another page than before."""
_MADE_FROM = b'<meta name="assay-made-from" content="%s">'
_BEGINNING = 4096
"""Bytes of a page within which it says what it was made from."""
_HASH = b"<!-- sha256 of all above: %s -->\n"
_MOST_BINS = 48
_TAIL = 4
"""A histogram ends so many times as far above its p95 as that is above the median: few long calls would press all
others together."""


@dataclass(frozen=True)
class ReportRequest:
    """A page of a run, or of several records beside each other."""

    records: StrPath | Sequence[StrPath]
    """Folders or records of runs, files of reported figures, or names such as `guide:T4`."""
    _: KW_ONLY
    out: StrPath | None = None
    """By default `report.html` in the folder of one run, or here."""
    no_images: bool = False
    """Whether to leave out pictures of the images."""
    progress: Progress = Silent()


@takes(ReportRequest)
def report(request: ReportRequest) -> FileReference:
    """Writes the page of a run, or of several records beside each other, and returns its file."""
    return write_report(request)


def write_report(request: ReportRequest, reuse: bool = False) -> FileReference:
    """Writes the page, as `report` does; `reuse` keeps one that was made from these very records."""
    watch = Stopwatch()
    places, images = some_records(request.records), not request.no_images
    target = path(request.out) or _usual_place(places)
    made_from = store.hash_of("report", _RECIPE, [_identity(place) for place in places], images)
    kept = reuse and _is_made_from(target, made_from)
    if not kept:
        content = _page(places, images, made_from).encode()
        store.write_bytes(target, content + _hash_line(content))
    written = store.reference(target)
    request.progress.finish("report", target.name, units.memory(written.size), None if kept else watch.seconds)
    return written


def _page(places: Sequence[Path], images: bool, made_from: str) -> str:
    # What draws is loaded where there is something to draw: a page that is kept needs none of it.
    from assay.page import page

    if len(places) == 1 and (search := page_section.alone(places[0])) is not None:
        return page.search_page(search, made_from)
    records = [(place, results_step.load_record(place)) for place in places]
    place, record = records[0]
    if len(records) == 1 and isinstance(record, RunRecord):
        return page.run_page(run_report(record, place, images=images), made_from)
    return page.comparison_page(_comparison(records), made_from)


def run_report(record: RunRecord, place: Path, *, images: bool = True) -> RunReport:
    """What the page of one run shows; `place` is the run's folder or its record."""
    verdict = _verdict(place, record)
    galleries, notes = page_images.galleries(record, _folder(place)) if images else ((), ())
    search, search_notes = page_section.search(record, _folder(place))
    return RunReport(
        record=record,
        figures=compare.figures(record),
        verdict=verdict,
        shares=shares(record),
        histograms=tuple(histogram(result.performance) for result in record.results),
        accuracies=_accuracies(record, verdict),
        galleries=galleries,
        commands=_commands(record),
        users=processes.merged(user for result in record.results for user in result.performance.machine.users),
        notes=(*notes, *search_notes),
        search=search,
    )


def shares(record: RunRecord) -> tuple[Estimate, ...]:
    """Of each result, end-to-end throughput over interface throughput."""
    return tuple(score_figures.share(result.performance, "end-to-end", of="interface") for result in record.results)


def histogram(performance: Performance) -> Histogram:
    """How many calls took how long, in bins of one width."""
    calls = performance.call_seconds
    low, high = float(calls.min()), float(calls.max())
    median, p95 = np.quantile(calls, [0.5, 0.95])
    end = min(high, float(p95 + _TAIL * (p95 - median)))
    # Calls of one length all, as made-up ones are, still need a bin of some width.
    end = end if end > low else low * 1.01 + 1e-9
    bins = min(_MOST_BINS, 2 * math.ceil(math.sqrt(len(calls))))
    counts, edges = np.histogram(calls, bins=bins, range=(low, end))
    return Histogram(
        batch=performance.batch,
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
        beyond=len(calls) - int(counts.sum()),
        longest=high,
    )


def _usual_place(places: Sequence[Path]) -> Path:
    """Beside the record of one run or search; of several records, and of reported figures, here."""
    record = places[0] / results_step.RUN_RECORD if places[0].is_dir() else places[0]
    is_run = record.is_file() and store.kind_of(record) == RunRecord.__name__
    has_folder = is_run or bool(places[0].is_dir() and page_section.records(places[0]))
    return record.parent / PAGE if len(places) == 1 and has_folder else Path(PAGE)


def _folder(place: Path) -> Path:
    return place if place.is_dir() else place.parent


def _identity(place: Path) -> list[str]:
    """What tells whether a page of this place is still that of its records; the guide's have their name alone."""
    record = place / results_step.RUN_RECORD if place.is_dir() else place
    folder = _folder(place)
    files = [file for file in (record, folder / results_step.VERDICT_RECORD) if file.is_file()]
    return [str(place), *(store.hash_file(file) for file in (*files, *page_section.records(folder)))]


def _is_made_from(page: Path, made_from: str) -> bool:
    """Whether a page is of these records, and whole: one that is not is drawn again, since nothing is made of it."""
    try:
        content = page.read_bytes()
    except OSError:
        return False
    length = len(_hash_line(b""))
    is_whole = content[-length:] == _hash_line(content[:-length])
    return is_whole and _MADE_FROM % made_from.encode() in content[:_BEGINNING]


def _hash_line(content: bytes) -> bytes:
    return _HASH % hashlib.sha256(content).hexdigest().encode()


def _verdict(place: Path, record: RunRecord | ReportedRun) -> Verdict | None:
    """The verdict beside a run's record; None where there is none, or where it is not certain to be its own."""
    file = _folder(place) / results_step.VERDICT_RECORD
    if isinstance(record, ReportedRun) or not file.is_file() or results_step.holds_both(file.parent):
        return None
    verdict = store.read(file, Verdict)
    measured = tuple(result.compiled.file.sha256 for result in record.results)
    return verdict if verdict.artifact_sha256 == measured else None


def _accuracies(record: RunRecord, verdict: Verdict | None) -> tuple[AccuracyLine, ...]:
    """What was measured, batch sizes of one accuracy together, and then what it is held against."""
    measured: dict[tuple[int, ...], list[BatchResult]] = {}
    for result in record.results:
        if result.accuracy is not None:
            measured.setdefault(result.accuracy.correct_at, []).append(result)
    if not measured:
        return ()
    lines = [
        AccuracyLine(
            name=f"batch {', '.join(dict.fromkeys(str(result.batch) for result in results))}",
            top=dict(enumerate(score_figures.accuracies(results[0].accuracy), 1)),
            accuracy=results[0].accuracy,
        )
        for results in measured.values()
        if results[0].accuracy is not None
    ]
    return (*lines, *_of_float32(record), *_given(verdict))


def _of_float32(record: RunRecord) -> tuple[AccuracyLine, ...]:
    """The accuracy of the ONNX model in float32 on the same images, where its predictions are kept."""
    if record.reference is None or record.dataset is None or record.dataset.labels is None:
        return ()
    try:
        counted = score_accuracy.evaluate(record.reference, record.dataset.labels)
    except RecordError:  # an old run whose arrays were thrown away is still worth its page
        return ()
    top = dict(enumerate(score_figures.accuracies(counted), 1))
    return (AccuracyLine(name="ONNX model, float32", top=top, accuracy=counted, is_reference=True),)


def _given(verdict: Verdict | None) -> tuple[AccuracyLine, ...]:
    """The figures that gates held the accuracy against."""
    given: dict[str, dict[int, Estimate]] = {}
    for check in verdict.checks if verdict is not None else ():
        k = {"top1-drop": 1, "top5-drop": 5}.get(check.gate.metric)
        if k is not None and check.reference is not None and check.verdict != "NOT COMPARABLE":
            given.setdefault(_called(check), {})[k] = Estimate(value=check.reference)
    return tuple(AccuracyLine(name=name, top=top, is_reference=True) for name, top in given.items())


def _called(check: Check) -> str:
    return check.gate.reference or "reference"


def _commands(record: RunRecord) -> tuple[tuple[str, str], ...]:
    """The command lines that make the run, and each of its artifacts, again."""
    whole = [("The whole run", record.command)] if record.command is not None else []
    return (
        *whole,
        *((f"The artifact of batch {result.batch}", opening.command(result.compiled)) for result in record.results),
    )


def _comparison(records: Sequence[tuple[Path, RunRecord | ReportedRun]]) -> ComparisonReport:
    verdicts = {results_step.name_of(place, record): _verdict(place, record) for place, record in records}
    return ComparisonReport(
        table=compare.speed_table([(results_step.name_of(place, record), record) for place, record in records], ()),
        records=tuple(_compared(place, record) for place, record in records),
        verdicts={name: verdict for name, verdict in verdicts.items() if verdict is not None},
        in_turn=_in_turn(records),
    )


def _in_turn(records: Sequence[tuple[Path, RunRecord | ReportedRun]]) -> tuple[tuple[str, ...], ...]:
    """The names of the records of each interleaving that more than one of them is of."""
    turns: dict[str, list[str]] = {}
    for place, record in records:
        results = record.results if isinstance(record, RunRecord) else ()
        blocks = {one.performance.blocks.interleaving for one in results if one.performance.blocks is not None}
        for interleaving in sorted(blocks):
            turns.setdefault(interleaving, []).append(results_step.name_of(place, record))
    return tuple(tuple(names) for names in turns.values() if len(names) > 1)


def _compared(place: Path, record: RunRecord | ReportedRun) -> ComparedRecord:
    name = results_step.name_of(place, record)
    if isinstance(record, ReportedRun):
        return ComparedRecord(name, _reported_facts(record), record.notes)
    return ComparedRecord(name, _run_facts(record), record.warnings)


def _run_facts(record: RunRecord) -> dict[str, str]:
    checkpoint, lowest = record.model.checkpoint, record.top(1)
    kinds = [
        f"{result.compiled.options.backend} · {result.performance.device} · {result.compiled.options.precision}"
        for result in record.results
    ]
    images = f"{units.count(len(record.dataset.names))}" if record.dataset is not None else "made up"
    return {
        "model": f"{record.model.full_name}{f' ({checkpoint.architecture})' if checkpoint is not None else ''}",
        "model sha256": record.model.sha256,
        "measured on": ", ".join(dict.fromkeys(kinds)),
        "images": images,
        "top-1": units.percent(lowest) if lowest is not None else "",
        "data fingerprint": record.dataset.fingerprint if record.dataset is not None else "",
        "processor": f"{record.environment.processor}, {record.environment.cores} cores",
        "assay": record.environment.assay,
    }


def _reported_facts(record: ReportedRun) -> dict[str, str]:
    tops = [f"top-{k} {units.percent(value)}" for result in record.results for k, value in result.top.items()]
    return {
        "reported by": f"{record.tool}, {', '.join(record.sources)}",
        "model": record.model or "unknown",
        "measured on": record.device or "unknown",
        "dies": str(record.dies) if record.dies is not None else "unknown",
        "precision": record.precision or "unknown",
        "accuracy": ", ".join(dict.fromkeys(tops)),
    }
