"""A comparison as Markdown, for a pull request's summary."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from assay.records import Check, Comparison, SpeedTable
from assay.render.paired import sentence
from assay.render.speed import speed_cells
from assay.units import visible

_SIGNS = {"PASS": "✅", "FAIL": "❌", "INCONCLUSIVE": "❔", "NOT COMPARABLE": "⚪"}


def markdown(compared: Comparison) -> str:
    """The verdicts with their gates, then the table of speeds, then the pairs of predictions."""
    parts = []
    for name, verdict, word in zip(compared.records, compared.verdicts, compared.words, strict=True):
        parts.append(f"### {_escaped(name)}: {f'{_SIGNS[word]} {word}' if word else 'nothing to judge'}")
        if verdict.checks:
            parts.append(_table(["verdict", "gate", "found"], [_gate(check) for check in verdict.checks]))
        if verdict.warnings:
            parts.append("\n".join(f"- ⚠️ warning: {_escaped(warning)}" for warning in verdict.warnings))
    if compared.table is not None:
        parts.append(_speed(compared.table, compared.gated))
    if compared.paired:
        rows = [[one.record, str(one.batch), one.accuracy.reference, sentence(one.accuracy)] for one in compared.paired]
        parts.append(_table(["record", "batch", "beside", "image by image"], rows))
    return "\n\n".join(parts)


def _gate(check: Check) -> list[str]:
    reasons = (check.reason, check.detail, *(f"noted: {noted}" for noted in check.differences))
    return [f"{_SIGNS[check.verdict]} {check.verdict}", check.gate.text, "; ".join(part for part in reasons if part)]


def _speed(table: SpeedTable, gated: Collection[tuple[str, str | None]]) -> str:
    headers, rows, notes = speed_cells(table, gated)
    return "\n\n".join([f"{table.kind} throughput of the card, images/s", _table(headers, rows), *map(_escaped, notes)])


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines)


def _escaped(text: str) -> str:
    """What a record calls itself or an image may hold any character: none of them is markup."""
    for character in "\\`*_[]<>|#":
        text = text.replace(character, f"\\{character}") if character != "<" else text.replace("<", "&lt;")
    return visible(" ".join(text.split()))
