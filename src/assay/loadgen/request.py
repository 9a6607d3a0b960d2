"""What is asked of a scenario, checked, and the verdict on what LoadGen found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.loadgen import driver, scenarios
from assay.loadgen.records import ScenarioRecord
from assay.loadgen.scenarios import Load
from assay.records import Check, Gate, Verdict
from assay.records.reported import ReportedRun
from assay.score import gates as score_gates
from assay.steps import compare

VALID = "valid"
"""The gate that holds where LoadGen calls the run valid."""
_VALIDITY = Gate(text=VALID, metric=VALID, batch=None, reference=None, operator=">=", bound=1.0, asked=True)


@dataclass(frozen=True)
class ScenarioRequest:
    """What is asked of LoadGen, and of what it finds."""

    scenario: str
    official: bool = False
    """Whether MLPerf's own durations and counts are taken, and the accuracy mode is run too."""
    seconds: float | None = None
    """None for the official ten minutes, or for what is usual of a short test."""
    target_qps: float | None = None
    latency_bound: float | None = None
    gates: Sequence[str] = ()

    @property
    def load(self) -> Load:
        """What LoadGen is to send; raises where the scenario is unknown, or something cannot be asked of it."""
        seconds = self.seconds if self.official else self.seconds or scenarios.SHORT_SECONDS
        load = Load(
            scenario=scenarios.named(self.scenario),
            seconds=seconds,
            official_counts=self.official,
            target_qps=self.target_qps,
            latency_bound=self.latency_bound,
        )
        load.check()
        return load

    def check(self) -> None:
        """Raises where the request cannot be met, so that nobody waits for a compile to learn it."""
        _ = self.load
        for gate in self._speeds():
            score_gates.check(gate, [])
        driver.require()

    def _speeds(self) -> list[Gate]:
        return [score_gates.parse(text) for text in self.gates if text.strip() != VALID]

    def verdict(self, record: ScenarioRecord, reported: ReportedRun) -> Verdict:
        """LoadGen's own result where it is asked for, and then the other gates."""
        asked = self.official or any(text.strip() == VALID for text in self.gates)
        judged = compare.judge(reported, self._speeds(), [])
        return Verdict(
            artifact_sha256=(record.compiled.file.sha256,),
            model_sha256=record.compiled.model.sha256,
            dataset_fingerprint=record.dataset.fingerprint if record.dataset else None,
            checks=(*([_validity(record, reported)] if asked else []), *judged.checks),
        )


def _validity(record: ScenarioRecord, reported: ReportedRun) -> Check:
    """LoadGen's result as the answer to a gate; a test with errors in its log counts for nothing."""
    errors = [error for test in (record.performance, record.accuracy_test) if test is not None for error in test.errors]
    valid = record.performance.result == "VALID" and not errors
    counted = f"; {len(errors)} errors in LoadGen's log" if errors else ""
    return Check(
        gate=_VALIDITY,
        verdict="PASS" if valid else "FAIL",
        measured=float(valid),
        low=None,
        high=None,
        reference=None,
        reason=f"{reported.notes[0]}{counted}",
        detail=" ".join([*record.performance.reasons, *errors]),
        differences=tuple(f"not official: {departure}" for departure in record.departures),
    )
