"""Verdicts as JUnit XML, which CI servers show: a test suite a record, a test case a gate."""

from __future__ import annotations

from xml.etree import ElementTree

from assay.records import Check, Comparison
from assay.render.text import printable

_OUTCOMES = {"FAIL": "failure", "INCONCLUSIVE": "error", "NOT COMPARABLE": "error"}


def junit(compared: Comparison, allow_inconclusive: bool = False) -> str:
    """The XML; a gate that nobody asked for, or that may be inconclusive, is skipped and not an error."""
    root = ElementTree.Element("testsuites", name="assay")
    for name, verdict in zip(compared.records, compared.verdicts, strict=True):
        outcomes = [_outcome(check, allow_inconclusive) for check in verdict.checks]
        counts = {
            "tests": len(outcomes),
            "failures": outcomes.count("failure"),
            "errors": outcomes.count("error"),
            "skipped": outcomes.count("skipped"),
        }
        suite = _below(root, "testsuite", name=name, **{key: str(count) for key, count in counts.items()})
        for check, outcome in zip(verdict.checks, outcomes, strict=True):
            case = _below(suite, "testcase", name=check.gate.text, classname=name)
            if outcome is None:
                _below(case, "system-out", _text(check))
            else:
                _below(case, outcome, _text(check), message=check.reason, type=check.verdict)
        if verdict.warnings:
            _below(suite, "system-out", "\n".join(f"warning {warning}" for warning in verdict.warnings))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _below(parent: ElementTree.Element, tag: str, text: str | None = None, **attributes: str) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, tag, {key: printable(value) for key, value in attributes.items()})
    element.text = None if text is None else printable(text)
    return element


def _outcome(check: Check, allow_inconclusive: bool) -> str | None:
    """The element of a test case that did not pass."""
    if check.verdict == "PASS":
        return None
    allowed = allow_inconclusive and check.verdict == "INCONCLUSIVE"
    return "skipped" if allowed or (not check.gate.asked and check.verdict != "FAIL") else _OUTCOMES[check.verdict]


def _text(check: Check) -> str:
    lines = [f"{check.verdict} {check.reason}", check.detail, *(f"noted: {noted}" for noted in check.differences)]
    return "\n".join(line for line in lines if line)
