from __future__ import annotations

import pytest

from assay.backends import registry
from assay.render import table
from assay.steps import doctor
from assay.steps import doctor as doctor_step
from tests.backends import faulty


def test_each_backend_runs_a_tiny_model_or_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**registry.BACKENDS, **faulty.TABLE}
    names = ("onnxruntime", "null", "crashing", "absent", "hanging", "wrong")
    monkeypatch.setattr(registry, "BACKENDS", {name: known[name] for name in names})
    monkeypatch.setattr(doctor, "PROOF_SECONDS", 4.0)
    found = doctor_step.doctor()
    states = {state.name: state for state in found.backends}
    proved = states["onnxruntime"]
    assert proved.problem is None
    assert proved.parity is not None
    assert proved.parity.holds
    assert states["null"].problem is None
    assert not states["absent"].installed
    assert "pip install 'assay-inference[absent]'" in (states["absent"].problem or "")
    assert (states["crashing"].problem or "").startswith("backend crashing crashed (SIGSEGV) while running a tiny")
    assert "did not end within 4 s" in (states["hanging"].problem or "")
    assert "changed the scores" in (states["wrong"].problem or "")
    assert states["wrong"].version == proved.version
    text = table.diagnosis(found)
    assert "ready, parity " in text
    assert "crashed (SIGSEGV)" in text


@pytest.mark.torch
@pytest.mark.long
def test_a_backend_that_starts_from_an_exported_program_is_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="needs the extra `torch`")
    monkeypatch.setattr(registry, "BACKENDS", {"torch": registry.BACKENDS["torch"]})
    (state,) = doctor_step.doctor().backends
    assert state.problem is None
    assert state.parity is not None
    assert state.parity.holds
