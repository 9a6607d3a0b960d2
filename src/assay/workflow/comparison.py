"""records ─compare→ verdicts: several beside each other, and each held against its references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from assay.errors import UsageError
from assay.records import Comparison, Reference, RunRecord
from assay.records.reported import ReportedRun
from assay.score import gates as score_gates
from assay.workflow import judgement

Loaded = tuple[str, RunRecord | ReportedRun]
"""A record and what it is called."""


def compare_all(
    places: Sequence[Path],
    *,
    given: str | None = None,
    against: Sequence[Path] = (),
    gates: Sequence[str] = (),
    max_drop: float | None = None,
) -> tuple[Comparison, list[Loaded]]:
    """Loads records by their places, judges each, and sets their speeds and predictions beside each other.

    Where nothing is named to hold them against, the first stands beside the others, and no gate can name one.
    """
    loaded = [_loaded(place) for place in places]
    names = [name for name, _ in loaded]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"{repeated} is given twice; a comparison needs different records")
    references = judgement.references_of(given, against)
    verdicts = tuple(
        judgement.compare(record, judgement.gates_of(gates, max_drop, references, record), references)
        for _, record in loaded
    )
    subjects = loaded if against else loaded[:1]
    beside = references if against else [judgement.record_reference(place) for place in places[1:]]
    found = Comparison(
        records=tuple(names),
        verdicts=verdicts,
        words=tuple(verdict.word for verdict in verdicts),
        table=judgement.speed_table(loaded, references),
        paired=tuple(
            pairing
            for name, record in subjects
            if isinstance(record, RunRecord)
            for reference in beside
            for pairing in judgement.paired(record, name, reference)
        ),
    )
    return found, loaded


def compare_in_turn(records: Mapping[str, RunRecord], gates: Sequence[str]) -> Comparison:
    """The first of several runs that were measured in turn, by their letters, beside the others; judged by gates."""
    (name, subject), *others = records.items()
    references = [Reference(name=letter, described=letter, run=run) for letter, run in others]
    # Speeds alone were measured: there is no accuracy that a default gate could be about.
    asked = [score_gates.parse(text) for text in gates]
    verdict = judgement.compare(subject, asked, references)
    return Comparison(
        records=(name,),
        verdicts=(verdict,),
        words=(verdict.word,),
        table=judgement.speed_table([(name, subject)], references),
    )


def _loaded(place: Path) -> Loaded:
    record = judgement.load_record(place)
    return judgement.name_of(place, record), record
