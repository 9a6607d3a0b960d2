"""predictions ─evaluate→ accuracy, and accuracy and performance ─compare→ verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from pathlib import Path

from assay import units
from assay.errors import Option, Remedy, UsageError
from assay.published import guide
from assay.records import (
    Comparison,
    Figures,
    Gate,
    Pairing,
    Reference,
    RunRecord,
    SpeedTable,
    Verdict,
)
from assay.records.reported import ReportedReference, ReportedRun
from assay.score import compare as score_compare
from assay.score import figures as score_figures
from assay.score import gates as score_gates
from assay.score import paired as score_paired
from assay.score import speed_table as score_speed
from assay.steps import results
from assay.steps.keywords import StrPath, record_paths, several, some_records, takes
from assay.storage import store

DEFAULT_MAX_DROP = 1.0

_REFERENCE = Remedy("give {}", Option("reference", "top1=47.0[,top5=78.0]"))
PUBLISHED = "published"
"""What a gate calls the figures that are published of a model."""


def gates_of(
    texts: Sequence[str],
    max_drop: float | None,
    references: Sequence[Reference],
    subject: RunRecord | ReportedRun | None = None,
) -> list[Gate]:
    """The gates of a command; raises where one is not understood or names an unknown reference.

    The default gate is `top1-drop`: against each reference that has an accuracy, where it counts as asked for, or
    against what is published of the model, where it does not. What is of speed alone gets none, and reported figures
    that have nothing to be held against.
    """
    if max_drop is not None:
        _require_drop(max_drop)
    gates = [score_gates.parse(text) for text in texts]
    for gate in gates:
        published = [PUBLISHED] if gate.metric in score_gates.DROPS else []
        score_gates.check(gate, [*(reference.name for reference in references), *published])
    # A gate on top-1 that names a batch size or a reference says nothing of the others.
    if max_drop is None and any(
        gate.metric == "top1-drop" and gate.batch is None and gate.reference is None for gate in gates
    ):
        return gates
    bound = DEFAULT_MAX_DROP if max_drop is None else max_drop
    with_accuracy = [reference for reference in references if _has_accuracy(reference)]
    if max_drop is None and subject is not None and _is_of_speed_alone(subject):
        return gates
    if max_drop is None and isinstance(subject, ReportedRun) and not with_accuracy:
        return gates
    if not with_accuracy:
        return [score_gates.parse(f"top1-drop<={units.plain(bound)}", asked=max_drop is not None), *gates]
    return [
        *(score_gates.parse(f"top1-drop/{reference.name}<={units.plain(bound)}") for reference in with_accuracy),
        *gates,
    ]


def _require_drop(max_drop: object) -> None:
    """Raises `UsageError` if points that top-1 may fall are none from 0 to 100."""
    option = Option("max_drop")
    if not isinstance(max_drop, Real) or isinstance(max_drop, bool):
        raise UsageError(f"max_drop is {max_drop!r}", remedy=Remedy("give a number of points as {}", option))
    points = float(max_drop)
    if not 0 <= points <= 100:
        limit = "100 or less" if points > 100 else "0 or more"
        raise UsageError(f"the allowed drop is {points:g} points", remedy=Remedy("give a {} of {}", option, limit))


def _has_accuracy(reference: Reference) -> bool:
    """Whether a run can be held to the reference's accuracy; a synthetic bench has none."""
    if isinstance(reference, ReportedReference):
        return _has_top1(reference.reported)
    if reference.run is None:
        return reference.top1 is not None
    return any(result.accuracy is not None for result in reference.run.results)


def _is_of_speed_alone(record: RunRecord | ReportedRun) -> bool:
    return record.is_of_speed_alone if isinstance(record, RunRecord) else not _has_top1(record)


def _has_top1(reported: ReportedRun) -> bool:
    return any(1 in result.top for result in reported.results)


def judge(record: RunRecord | ReportedRun, gates: Sequence[Gate], references: Sequence[Reference]) -> Verdict:
    """Judges a run or reported figures by gates, against references and what is published of a run's model."""
    published = _published_reference(record) if isinstance(record, RunRecord) else []
    return score_compare.judge(record, gates, [*references, *published], guide.weights_md5)


def figures(record: RunRecord) -> tuple[Figures, ...]:
    """What is derived of each result of a run."""
    return tuple(score_figures.figures(result) for result in record.results)


def speed_table(
    records: Sequence[tuple[str, RunRecord | ReportedRun]], references: Sequence[Reference]
) -> SpeedTable | None:
    """The records' throughputs beside those of their references; None where there are none to compare."""
    return score_speed.speed_table(records, references, guide.weights_md5)


def paired(run: RunRecord, name: str, reference: Reference) -> tuple[Pairing, ...]:
    """A run's first classes beside another run's of the same images, for each batch size that both scored.

    Where the other has none of a batch size, its first predictions stand in: a batch size should not alter them.
    """
    other = reference.run
    theirs = {one.batch: one.predictions for one in other.results if one.predictions is not None} if other else {}
    labels = run.dataset.labels if run.dataset else None
    pairings = []
    for result in run.results:
        held = theirs.get(result.batch) or next(iter(theirs.values()), None)
        if result.predictions is not None and held is not None and score_paired.comparable(result.predictions, held):
            for predictions in (result.predictions, held):
                store.verified(predictions.scores.file)
            accuracy = score_paired.compare(result.predictions, held, labels, reference.described)
            pairings.append(Pairing(record=name, batch=result.batch, accuracy=accuracy))
    return tuple(pairings)


def given_reference(text: object) -> Reference:
    """Reads `top1=47.0[,top5=78.0]`, in percent; raises `UsageError` for anything else, a share of 1 included."""
    if not isinstance(text, str) or not text.strip():
        raise UsageError(
            f"reference {text!r} {'names no figure' if isinstance(text, str) else 'is not text'}", remedy=_REFERENCE
        )
    figures: dict[str, float] = {}
    for part in text.split(","):
        key, _, value = part.strip().partition("=")
        if key in figures:
            raise UsageError(f"reference {text!r} gives {key} twice", remedy=Remedy("give each figure once"))
        figures[key] = _percentage(text, key, value)
    if "top1" not in figures:
        raise UsageError(f"reference {text!r}: top1=… is missing")
    if figures.get("top5", 100.0) < figures["top1"]:
        raise UsageError(f"reference {text!r}: top-5 is never below top-1")
    return Reference(name="given", described="given", top1=figures["top1"], top5=figures.get("top5"))


def _percentage(text: str, key: str, value: str) -> float:
    """One figure of a reference, from 1 to 100: less is a share that was not multiplied by 100."""
    try:
        figure = float(value)
    except ValueError:
        figure = math.nan
    if key not in ("top1", "top5") or not 0 <= figure <= 100:
        raise UsageError(
            f"reference {text!r} is not percentages",
            remedy=_REFERENCE,
        )
    if figure < 1:
        meant = f"{key}={100 * figure:g}" if figure else "top1=47.0"
        raise UsageError(
            f"reference {text!r}: {key} of {figure:g} would be {figure:g} %",
            remedy=Remedy("give a percentage from 1 to 100: {}", Option("reference", meant)),
        )
    return figure


def _published_reference(run: RunRecord) -> list[Reference]:
    """What is published of the run's model, as a reference; empty where nothing is."""
    published = run.model.checkpoint.published if run.model.checkpoint else None
    if published is None:
        return []
    return [
        Reference(
            name="published",
            described=published.source,
            top1=published.top1,
            top5=published.top5,
            published=published,
        )
    ]


def references_of(given: str | None, records: Sequence[Path]) -> list[Reference]:
    """What a command holds its records against: figures as they were given, and other records."""
    references = [results.record_reference(path) for path in records]
    for name in {reference.name for reference in references if isinstance(reference, ReportedReference)}:
        if sum(reference.name == name for reference in references) > 1:
            raise UsageError(
                f"two records to compare against are called {name}, and a gate means one",
                remedy=Remedy("leave one of them away, or import it again with {}", Option("set", "name=…")),
            )
    return [*([given_reference(given)] if given is not None else []), *references]


@dataclass(frozen=True)
class CompareRequest:
    """Records to be judged by gates, against figures or other records."""

    records: StrPath | Sequence[StrPath]
    """Folders or files of runs, files of reported figures, or names such as `guide:T4`."""
    _: KW_ONLY
    against: StrPath | Sequence[StrPath] = ()
    """What they are held against; by default the first is set beside the others."""
    reference: str | None = None
    """Figures on these very images in percent, as `top1=47.0,top5=78.0`."""
    max_drop: float | None = None
    """Points that top-1 may fall."""
    gate: str | Sequence[str] = ()


@takes(CompareRequest)
def compare(request: CompareRequest) -> Comparison:
    """Judges each record, and sets their speeds and predictions beside each other.

    If nothing is named to hold them against, the first stands beside the others, and no gate can name one.
    """
    places, against = some_records(request.records), record_paths(request.against)
    loaded = [_loaded(place) for place in places]
    names = [name for name, _ in loaded]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"{repeated} is given twice; a comparison needs different records")
    references = references_of(request.reference, against)
    gates: list[str] = several(request.gate)
    verdicts = tuple(
        judge(record, gates_of(gates, request.max_drop, references, record), references) for _, record in loaded
    )
    subjects = loaded if against else loaded[:1]
    beside = references if against else [results.record_reference(place) for place in places[1:]]
    return Comparison(
        records=tuple(names),
        verdicts=verdicts,
        words=tuple(verdict.word for verdict in verdicts),
        table=speed_table(loaded, references),
        paired=tuple(
            pairing
            for name, record in subjects
            if isinstance(record, RunRecord)
            for reference in beside
            for pairing in paired(record, name, reference)
        ),
    )


def compare_in_turn(records: Mapping[str, RunRecord], gates: Sequence[Gate]) -> Comparison:
    """The first of several runs that were measured in turn, by their letters, beside the others; judged by gates."""
    (name, subject), *others = records.items()
    references = [Reference(name=letter, described=letter, run=run) for letter, run in others]
    # Speeds alone were measured: there is no accuracy that a default gate could be about.
    verdict = judge(subject, gates, references)
    return Comparison(
        records=(name,),
        verdicts=(verdict,),
        words=(verdict.word,),
        table=speed_table([(name, subject)], references),
    )


def _loaded(place: Path) -> tuple[str, RunRecord | ReportedRun]:
    record = results.load_record(place)
    return results.name_of(place, record), record
