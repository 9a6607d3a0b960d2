from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assay.published import guide
from assay.records import Reference, RunRecord, SpeedCell, SpeedRow, SpeedTable
from assay.records.reported import ReportedResult, ReportedRun
from assay.score.speed_table import speed_table
from tests import factories


def _table(record: RunRecord | ReportedRun, *references: ReportedRun | Reference) -> SpeedTable:
    held = [one if isinstance(one, Reference) else factories.as_reference(one) for one in references]
    name = record.name if isinstance(record, ReportedRun) else "RUN"
    found = speed_table([(name, record)], held, guide.weights_md5)
    assert found is not None
    return found


def _row(table: SpeedTable, batch: int | str) -> SpeedRow:
    (row,) = [row for row in table.rows if row.batch == batch]
    return row


def _values(cells: tuple[SpeedCell | None, ...]) -> list[float | None]:
    return [None if cell is None else cell.value for cell in cells]


def _marked(table: SpeedTable) -> list[tuple[int | str, float, float | None, str | None]]:
    return [
        (row.batch, round(cell.value, 3), cell.printed, cell.printed_by)
        for row in table.rows
        for cell in (*row.throughputs, *row.ratios)
        if cell is not None and cell.value is not None and cell.printed is not None
    ]


def test_the_guides_table_is_computed_and_its_three_slips_are_marked() -> None:
    names = [f"guide:{name}" for name in ("310", "310P", "T4")]
    table = _table(guide.load("guide:310P-tuned"), *(guide.load(name) for name in names))
    assert (table.kind, table.records) == ("interface", ("guide:310P-tuned", *names))
    assert [row.batch for row in table.rows] == [1, 4, 8, 16, 32, 64, "best"]
    assert _values(_row(table, 32).throughputs) == pytest.approx([895.306, 558.380, 410.758, 570.786])
    assert _values(_row(table, "best").throughputs) == pytest.approx([1003.8, 683.86, 410.758, 572.999])
    ratios = [[round(value, 3) for value in _values(row.ratios) if value is not None] for row in table.rows]
    # Over the 310, the untuned 310P and the T4.
    assert ratios == [
        [0.903, 1.758, 1.905],
        [1.504, 2.966, 2.245],
        [1.594, 3.111, 2.081],
        [1.465, 2.460, 1.860],
        [1.603, 2.180, 1.569],
        [1.641, 2.991, 1.437],
        [1.468, 2.444, 1.752],
    ]
    assert _marked(table) == [
        (32, 558.38, 591.376, "the guide"),
        (32, 1.603, 1.785, "the guide"),
        (64, 1.437, 1.436, "the guide"),
    ]


def test_a_run_stands_beside_reported_figures(tmp_path: Path) -> None:
    results = [factories.result(tmp_path), factories.result(tmp_path, 16, calls=factories.steady(0.5))]
    run = factories.run_record(results, model=factories.flagship())
    theirs = factories.reported(factories.reported_speed(1, 25.0), factories.reported_speed(4, 10.0), dies=2)
    table = _table(run, theirs)
    assert table.records == ("RUN", "theirs")
    assert [(row.batch, _values(row.throughputs), _values(row.ratios)) for row in table.rows] == [
        (1, [100.0, 50.0], [2.0]),
        (4, [None, 20.0], [None]),
        (16, [200.0, None], [None]),
        ("best", [200.0, 50.0], [4.0]),
    ]


@pytest.mark.parametrize(
    ("change", "said", "theirs"),
    [
        ({"model": "resnet50"}, "another model", 50.0),
        ({"model": None}, "the model of theirs is unknown", 50.0),
        ({"input_side": 299}, "another input size", 50.0),
        ({"dies": None}, "the dies a card of theirs are unknown", None),
    ],
)
def test_a_blocked_ratio_is_no_number_and_says_why(change: dict[str, Any], said: str, theirs: float | None) -> None:
    ours = factories.reported(factories.reported_speed(1, 100.0), name="ours")
    table = _table(ours, factories.reported(factories.reported_speed(1, 50.0), **change))
    for row in table.rows:
        assert _values(row.throughputs) == [100.0, theirs]
        (ratio,) = row.ratios
        assert ratio is not None
        assert ratio.value is None
        assert ratio.obstacle is not None
        assert ratio.obstacle.startswith(said)


def test_another_kind_of_figure_stands_in_no_column() -> None:
    ours = factories.reported(factories.reported_speed(1, 100.0), name="ours")
    table = _table(ours, factories.reported(ReportedResult(batch=1, throughput={"scenario": 50.0})))
    for cell in (_row(table, 1).throughputs[1], _row(table, 1).ratios[0]):
        assert cell is not None
        assert cell.value is None
        assert "another kind of figure" in (cell.obstacle or "")


def test_the_table_is_of_the_kind_that_its_subject_has() -> None:
    ours = factories.reported(ReportedResult(batch=1, throughput={"scenario": 60.0}), name="ours")
    table = _table(ours, factories.reported(ReportedResult(batch=1, throughput={"scenario": 50.0})))
    assert (table.kind, _values(_row(table, "best").ratios)) == ("scenario", [1.2])


def test_an_unknown_batch_size_has_its_row_and_no_ratio_but_the_best() -> None:
    ours = factories.reported(factories.reported_speed(None, 100.0), name="ours")
    table = _table(ours, factories.reported(factories.reported_speed(None, 50.0)))
    assert [row.batch for row in table.rows] == ["unknown", "best"]
    (ratio,) = _row(table, "unknown").ratios
    assert ratio is not None
    assert (ratio.value, ratio.obstacle) == (
        None,
        "the batch size of ours is unknown; import it again with batch=…",
    )
    assert _values(_row(table, "best").ratios) == [2.0]


@pytest.mark.parametrize(
    ("printed", "marked"),
    [({}, False), ({"throughput": 100.0}, False), ({"throughput": 100.0004}, False), ({"throughput": 100.001}, True)],
)
def test_a_figure_is_marked_where_its_source_printed_another_one(printed: dict[str, float], marked: bool) -> None:
    table = _table(factories.reported(factories.reported_speed(1, 100.0, printed=printed), printed=printed))
    assert [mark[3] for mark in _marked(table)] == (["theirs.log"] * 2 if marked else [])


def test_there_is_no_table_without_speeds(tmp_path: Path) -> None:
    accuracy = factories.reported(ReportedResult(batch=1, top={1: 70.0}))
    assert speed_table([("theirs", accuracy)], []) is None
    run = factories.run_record([factories.result(tmp_path)])
    given = Reference(name="given", described="given", top1=47.0)
    assert speed_table([("RUN", run)], [given, factories.as_reference(accuracy)]) is None
