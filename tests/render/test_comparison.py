from __future__ import annotations

import csv
import io
from pathlib import Path

from assay.published import guide
from assay.records import Comparison, PairedAccuracy, Pairing
from assay.render.comparison import comparison, comparison_csv
from assay.render.markdown import markdown
from assay.render.paired import sentence
from assay.score import compare, gates
from assay.score.speed_table import speed_table
from tests import factories


def _paired(**changes: object) -> PairedAccuracy:
    usual = {
        "reference": "ONNX Runtime float32",
        "images": 5000,
        "agreement": 0.9996,
        "largest_score_change": 0.02,
        "largest_score": 10.0,
        "right_to_wrong": ("a.png",),
        "wrong_to_right": ("b.png",),
        "p_value": 0.5,
        "exact_p_value": 1.0,
        "drop_low": -0.0963,
        "drop_high": 0.0963,
    }
    return PairedAccuracy(**{**usual, **changes})  # type: ignore[arg-type]


def _compared(folder: Path, name: str = "RUN") -> Comparison:
    run = factories.run_record([factories.result(folder)])
    verdict = compare.judge(run, [gates.parse("throughput>=1")], [])
    theirs = guide.load("guide:T4")
    return Comparison(
        records=(name,),
        verdicts=(verdict,),
        words=(verdict.word,),
        table=speed_table([(name, run), (theirs.name, theirs)], []),
        paired=(Pairing(record=name, batch=1, accuracy=_paired()),),
    )


def test_pairs_are_told_in_a_sentence() -> None:
    assert sentence(_paired()) == (
        "the same first class in 99.96 % of 5,000 images · 1 right to wrong, 1 wrong to right "
        "(McNemar mid-p = 0.500) · top-1 drop 0.00 points (-0.10 points to 0.10 points) · "
        "largest score change 2.0e-03 of the largest score"
    )
    assert "McNemar mid-p < 0.001" in sentence(_paired(p_value=1e-9))
    without = sentence(_paired(right_to_wrong=None, wrong_to_right=None, p_value=None))
    assert "right to wrong" not in without
    assert "drop" not in without
    # A record of an older version has no interval.
    assert "top-1 drop" not in sentence(_paired(drop_low=None, drop_high=None))


def test_one_image_of_very_many_is_not_rounded_away() -> None:
    assert "99.99 % of 1,000,000 images" in sentence(_paired(agreement=1 - 1e-6, images=1_000_000))


def test_a_comparison_ends_with_the_verdict(tmp_path: Path) -> None:
    shown = comparison(_compared(tmp_path), {"RUN": "its own results"})
    assert shown.startswith("RUN\n\nits own results\n\n")
    assert "batch 1 beside ONNX Runtime float32: the same first class" in shown
    assert shown.splitlines()[-1].startswith("verdict PASS")


def test_markdown_holds_no_markup_of_a_name(tmp_path: Path) -> None:
    shown = markdown(_compared(tmp_path, name="a|b <script>*x*"))
    assert "<script>" not in shown
    assert shown.startswith("### a\\|b &lt;script\\>\\*x\\*: ✅ PASS")
    tables = [block.splitlines() for block in shown.split("\n\n") if block.startswith("|")]
    for lines in tables:
        assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_the_table_for_a_spreadsheet_has_a_line_a_figure(tmp_path: Path) -> None:
    found = _compared(tmp_path).table
    assert found is not None
    rows = list(csv.DictReader(io.StringIO(comparison_csv(found))))
    figure = next(row for row in rows if row["record"] == "RUN" and row["batch"] == "1" and not row["over"])
    assert float(figure["interface"]) == 100.0
    assert float(figure["low"]) <= 100.0 <= float(figure["high"])
    ratio = next(row for row in rows if row["over"] == "guide:T4" and row["batch"] == "best")
    assert (ratio["interface"], ratio["obstacle"]) == ("", "another model: net against wide_resnet101_2")
