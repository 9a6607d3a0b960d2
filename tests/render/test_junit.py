"""JUnit XML holds to the format that CI servers read, and says what the gates found."""

from __future__ import annotations

from pathlib import Path

import pytest
import xmlschema
from junitparser import JUnitXml

from assay.records import Comparison, Reference
from assay.render.junit import junit
from assay.score import compare, gates
from tests import factories

SCHEMA = xmlschema.XMLSchema(Path(__file__).parent / "junit.xsd")


def _judged(folder: Path, *texts: str, asked: bool = True, name: str = "RUN") -> Comparison:
    run = factories.run_record([factories.result(folder), factories.result(folder, 4, calls=factories.steady(calls=3))])
    given = [Reference(name="given", described="given", top1=47.0)]
    verdict = compare.judge(run, [gates.parse(text, asked) for text in texts], given)
    return Comparison(records=(name,), verdicts=(verdict,), words=(verdict.word,))


ALL_FOUR = ("top1-drop<=1", "top1>=48%", "throughput@4>=1", "latency.p99@7<=1s")
"""A gate that passes, one that fails, one in doubt, and one of a batch size that was not measured."""


def test_a_test_case_a_gate_valid_by_the_schema(tmp_path: Path) -> None:
    text = junit(_judged(tmp_path, *ALL_FOUR))
    xmlschema.validate(text, schema=SCHEMA)
    (suite,) = JUnitXml.fromstring(text.encode())
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (4, 1, 2, 0)
    outcomes = {case.name: [type(one).__name__ for one in case.result] for case in suite}
    assert outcomes == {
        "top1-drop<=1": [],
        "top1>=48%": ["Failure"],
        "throughput@4>=1": ["Error"],
        "latency.p99@7<=1s": ["Error"],
    }


def test_what_nobody_asked_for_or_may_be_in_doubt_is_skipped(tmp_path: Path) -> None:
    (suite,) = JUnitXml.fromstring(junit(_judged(tmp_path, "throughput@4>=1"), allow_inconclusive=True).encode())
    assert (suite.errors, suite.skipped) == (0, 1)
    (suite,) = JUnitXml.fromstring(junit(_judged(tmp_path, "latency.p99@7<=1s", asked=False)).encode())
    assert (suite.errors, suite.skipped) == (0, 1)


@pytest.mark.parametrize("name", ['a "b" <c> & d', "]]>", "a\x00b\x1b[31m"])
def test_hostile_names_are_text(name: str, tmp_path: Path) -> None:
    text = junit(_judged(tmp_path, "top1>=48%", name=name))
    xmlschema.validate(text, schema=SCHEMA)
    (suite,) = JUnitXml.fromstring(text.encode())
    assert suite.name.replace("�", "") == name.replace("\x00", "").replace("\x1b", "")
