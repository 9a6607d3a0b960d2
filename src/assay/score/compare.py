"""Judging a record by gates, against figures and other records: each gate goes to where its subject is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assay.records import Check, Gate, Reference, RunRecord, Verdict
from assay.records.reported import ReportedRun
from assay.score import accuracy_gates, speed_gates
from assay.score.checks import batches, not_comparable
from assay.score.gates import ACCURACIES, DROPS, THROUGHPUTS, check
from assay.score.points import WeightsMd5, nobody_knows, unknown_batch
from assay.score.sides import SUBJECT, Side, of, of_reference


def judge(
    record: RunRecord | ReportedRun,
    gates: Sequence[Gate],
    references: Sequence[Reference],
    weights_md5: WeightsMd5 = nobody_knows,
) -> Verdict:
    """The verdict on a run or on reported figures: every gate, accuracy first."""
    for gate in gates:
        check(gate, [reference.name for reference in references])
    ordered = sorted(gates, key=lambda gate: gate.metric not in DROPS and gate.metric not in ACCURACIES)
    run = record if isinstance(record, RunRecord) else None
    name = SUBJECT if isinstance(record, RunRecord) else record.name
    subject = of(record, name, name, weights_md5)
    sides = {reference.name: of_reference(reference, weights_md5) for reference in references}
    checks = tuple(_check(gate, subject, references, sides) for gate in ordered)
    return Verdict(
        artifact_sha256=tuple(result.compiled.file.sha256 for result in run.results) if run else (),
        model_sha256=run.model.sha256 if run else None,
        dataset_fingerprint=run.dataset.fingerprint if run and run.dataset else None,
        checks=checks,
        warnings=(*(run.warnings if run else ()), *dict.fromkeys(filter(None, map(accuracy_gates.suspicion, checks)))),
    )


def _check(gate: Gate, whole: Side, references: Sequence[Reference], sides: Mapping[str, Side | None]) -> Check:
    subject = whole.at(gate.batch)
    if gate.batch is not None and not subject.points:
        sizes = [point.batch for point in whole.points]
        if None in sizes:
            return not_comparable(gate, unknown_batch(whole.said).reason)
        measured = batches(sizes).removeprefix("batch ")
        return not_comparable(gate, f"batch {gate.batch} was not measured; measured: {measured}")
    if gate.metric in ACCURACIES:
        return accuracy_gates.by_itself(gate, subject)
    if gate.metric in DROPS:
        held = [one for one in references if gate.reference in (None, one.name)]
        if gate.reference is None:
            # A gate that names nothing is not about figures of speed.
            held = [one for one in held if (side := sides[one.name]) is None or side.has_accuracy]
        return accuracy_gates.drop(gate, subject, held[0] if held else None, sides[held[0].name] if held else None)
    reference = next((one for one in references if one.name == gate.reference), None)
    if reference is None or gate.reference in THROUGHPUTS:
        return speed_gates.by_itself(gate, subject)
    other = sides[reference.name]
    if other is None:
        return not_comparable(gate, f"{reference.described} has no speed")
    return speed_gates.against(gate, subject, other)
