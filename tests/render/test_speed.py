from __future__ import annotations

from assay.records import SpeedCell, SpeedRow, SpeedTable
from assay.render.speed import speed


def test_a_table_of_speeds_marks_what_was_printed_otherwise_and_says_what_is_blocked() -> None:
    blocked = SpeedCell(value=None, obstacle="another model: a against b")
    rows = (
        SpeedRow(
            batch=1,
            throughputs=(
                SpeedCell(value=1003.8),
                SpeedCell(value=558.38, printed=591.376, printed_by="the guide"),
                None,
            ),
            ratios=(SpeedCell(value=1.7977), None),
        ),
        SpeedRow(
            batch="best",
            throughputs=(SpeedCell(value=1003.8), SpeedCell(value=9.0), SpeedCell(value=None, obstacle="no dies")),
            ratios=(SpeedCell(value=111.533), blocked),
        ),
    )
    lines = speed(
        SpeedTable(
            kind="interface", records=("ours", "old", "new"), pairs=(("ours", "old"), ("ours", "new")), rows=rows
        )
    ).splitlines()
    assert lines == [
        "  interface throughput of the card in images/s, and that of ours over the others",
        "  batch      ours       old      new    / old           / new",
        "      1  1003.800  *558.380             1.798",
        "   best  1003.800     9.000  unknown  111.533  not comparable",
        "  * the guide printed 591.376 (old, batch 1)",
        "  new: no dies",
        "  ours / new: another model: a against b",
    ]


def test_a_record_by_itself_has_no_ratios() -> None:
    row = SpeedRow(batch="best", throughputs=(SpeedCell(value=2.0),), ratios=())
    assert speed(SpeedTable(kind="end-to-end", records=("ours",), pairs=(), rows=(row,))).splitlines() == [
        "  end-to-end throughput of the card in images/s",
        "  batch   ours",
        "   best  2.000",
    ]


def test_a_reason_that_blocks_every_row_is_said_once() -> None:
    rows = [
        SpeedRow(batch=batch, throughputs=(None, None), ratios=(SpeedCell(value=None, obstacle="why"),))
        for batch in (1, 4)
    ]
    shown = speed(SpeedTable(kind="interface", records=("a", "b"), pairs=(("a", "b"),), rows=tuple(rows)))
    assert shown.count("not comparable") == 2
    assert shown.count("a / b: why") == 1
