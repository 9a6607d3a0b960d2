"""`assay compare` with the guide's and other tools' figures, as a user meets it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assay.cli.main import main
from assay.records.reported import ReportedResult
from assay.storage import envelope, store
from tests import factories

TABLE_7_4 = """\
  interface throughput of the card in images/s, and that of guide:310P-tuned over the others
  batch  guide:310P-tuned  guide:310  guide:T4  / guide:310  / guide:T4
      1           465.954    516.072   244.615        0.903       1.905
      4           946.034    628.992   421.312        1.504       2.245
      8          1003.800    629.736   482.410        1.594       2.081
     16          1001.670    683.860   538.522        1.465       1.860
     32           895.306   *558.380   570.786       *1.603       1.569
     64           823.149    501.656   572.999        1.641      *1.437
   best          1003.800    683.860   572.999        1.468       1.752
  * the guide printed 591.376 (guide:310, batch 32)
  * the guide printed 1.785 (guide:310P-tuned / guide:310, batch 32)
  * the guide printed 1.436 (guide:310P-tuned / guide:T4, batch 64)

PASS   throughput 1.468 × guide:310, asked >= 1.200
       1,004 /s over 683.9 /s, batch 8 over batch 16
       noted: device Ascend 310P against Ascend 310
       noted: dies a card 1 against 4
       noted: interval missing (figures without samples: the point decides)
PASS   throughput 1.752 × guide:T4, asked >= 1.600
       1,004 /s over 573.0 /s, batch 8 over batch 64
       noted: tool Ascend benchmark against trtexec
       noted: device Ascend 310P against NVIDIA T4
       noted: pixels of a data set against synthetic
       noted: transfers not counted against unknown
       noted: interval missing (figures without samples: the point decides)
verdict PASS · guide:310P-tuned
"""
GUIDE = ["guide:310P-tuned", "--against", "guide:310", "--against", "guide:T4"]


def _run(folder: Path, **changes: Any) -> str:
    """A run on disk: 100 images a second at batch 1 and 200 at batch 16."""
    results = [factories.result(folder), factories.result(folder, 16, calls=factories.steady(0.5))]
    record = factories.run_record(results, **{"model": factories.flagship(), **changes})
    store.write(folder / "run.json", record)
    return str(folder)


def _reported(folder: Path, *results: ReportedResult, **changes: Any) -> str:
    place = folder / "imported.json"
    store.write(place, factories.reported(*results, **changes))
    return str(place)


def test_the_guides_table_and_its_two_gates(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--gate", "throughput/guide:310>=1.2", "--gate", "throughput/guide:T4>=1.6"]
    assert main(["compare", *GUIDE, *asked]) == 0
    assert capsys.readouterr().out == TABLE_7_4


def test_a_gate_that_the_guides_figures_miss_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *GUIDE, "--gate", "throughput@1/guide:310>=1.0"]) == 3
    assert "FAIL   throughput 0.903 × guide:310" in capsys.readouterr().out


def test_the_table_is_in_the_json_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *GUIDE, "--json"]) == 0
    body = json.loads(capsys.readouterr().out)["body"]
    assert body["words"] == [None]
    table = body["table"]
    assert table["records"] == ["guide:310P-tuned", "guide:310", "guide:T4"]
    (row,) = [row for row in table["rows"] if row["batch"] == 32]
    assert row["throughputs"][1]["value"] == pytest.approx(558.380)
    assert (row["throughputs"][1]["printed"], row["ratios"][0]["printed"]) == (591.376, 1.785)
    assert body["verdicts"][0]["model_sha256"] is None


def test_the_guides_accuracy_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "guide:offline", "--against", "guide:published"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "PASS   top-1 drop 0.01 points (0.01 % relative) at batch 1"
    assert shown[1] == "       78.84 % against 78.85 % (guide:published), allowed 1.00 points"
    assert shown[-1] == "verdict PASS · guide:offline"
    assert main(["compare", "guide:offline", "--against", "guide:published", "--max-drop", "0.005"]) == 3


def test_a_run_stands_in_the_table_below_its_own_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = _run(tmp_path)
    assert main(["compare", run, "--against", "guide:T4", "--gate", "throughput/guide:T4>=0.3"]) == 0
    shown = capsys.readouterr().out
    lines = [line.split() for line in shown.splitlines()]
    assert [line[0] for line in lines if line].index("batch") == 1
    assert lines.index(["1", "100.000", "±0.0", "%", "244.615", "0.409"]) > lines.index(
        next(line for line in lines if "bottleneck" in line)
    )
    assert ["16", "200.000", "±0.0", "%", "538.522", "0.371"] in lines
    assert ["best", "200.000", "±0.0", "%", "572.999", "0.349"] in lines
    assert "weights" not in shown
    assert "NOT COMPARABLE no published top-1 is known for wrn" in shown
    for noted in ("device cpu against NVIDIA T4", "precision fp32 against fp16", "transfers counted against unknown"):
        assert f"noted: {noted}" in shown
    assert shown.splitlines()[-1].startswith("verdict PASS · model 3c1e0000… · artifacts ")


def _gated(folder: Path, gate: str, *options: str) -> int:
    return main(["compare", _run(folder), "--gate", gate, *options])


@pytest.mark.parametrize(
    ("gate", "status", "word"),
    [("throughput>=199", 0, "PASS"), ("throughput>=201", 3, "FAIL"), ("latency.p99@16<=1s", 0, "PASS")],
)
def test_the_exit_status_says_what_a_gate_on_speed_found(
    gate: str, status: int, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _gated(tmp_path, gate) == status
    assert f"verdict {word}" in capsys.readouterr().out


def test_a_gate_in_doubt_fails_the_command_unless_that_is_allowed(tmp_path: Path) -> None:
    results = [factories.result(tmp_path, calls=factories.steady(calls=3))]
    store.write(tmp_path / "run.json", factories.run_record(results))
    asked = ["compare", str(tmp_path), "--gate", "throughput>=1"]
    assert (main(asked), main([*asked, "--allow-inconclusive"])) == (3, 0)


def test_several_records_stand_in_one_table_the_first_over_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "guide:310P-tuned", "guide:310", "guide:T4", "guide:310P"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["best", "1003.800", "683.860", "572.999", "410.758", "1.468", "1.752", "2.444"] in lines


def test_what_ci_and_a_pull_request_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junit, table = tmp_path / "junit.xml", tmp_path / "speeds.csv"
    asked = ["--gate", "throughput/guide:310>=1.2", "--junit", str(junit), "--csv", str(table), "--markdown"]
    assert main(["compare", *GUIDE, *asked]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("### guide:310P-tuned: ✅ PASS\n")
    assert "| 32 | 895.306 | \\*558.380 | 570.786 | \\*1.603 | 1.569 |" in shown
    assert 'name="throughput/guide:310&gt;=1.2"' in junit.read_text(encoding="utf-8")
    assert "32,guide:310,,558.38,,,591.376," in table.read_text(encoding="utf-8")


def test_a_run_with_random_weights_is_compared_in_speed_and_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _run(tmp_path, model=factories.flagship(sha256=None))
    assert main(["compare", run, "--against", "guide:T4", "--gate", "throughput/guide:T4>=0.3"]) == 0
    shown = capsys.readouterr().out
    assert "NOT COMPARABLE the weights are random" in shown
    assert "noted: weights random against md5 59614359…" in shown


def test_another_model_is_not_comparable_and_shows_no_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _run(tmp_path, model=factories.model("squeezenet1_0"))
    assert main(["compare", run, "--against", "guide:T4", "--gate", "throughput/guide:T4>=0.001"]) == 3
    shown = capsys.readouterr().out
    reason = "another model: squeezenet1_0 against wide_resnet101_2"
    assert f"NOT COMPARABLE {reason}" in shown
    assert f"  {run} / guide:T4: {reason}" in shown
    lines = [line.split() for line in shown.splitlines()]
    assert ["best", "200.000", "±0.0", "%", "572.999", "not", "comparable"] in lines
    assert ["64", "572.999"] in lines


@pytest.mark.parametrize(
    ("result", "change", "said"),
    [
        (factories.reported_speed(), {"dies": None}, "the dies a card of theirs are unknown"),
        (factories.reported_speed(), {"model": None}, "the model of theirs is unknown"),
        (ReportedResult(batch=None, queries=9.0), {}, "the batch size of theirs is unknown"),
    ],
)
def test_a_fact_that_is_missing_is_named_with_what_gives_it(
    tmp_path: Path, result: ReportedResult, change: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = _reported(tmp_path, result, **change)
    assert main(["compare", _run(tmp_path), "--against", theirs, "--gate", "throughput/theirs>=0.001"]) == 3
    shown = capsys.readouterr().out
    assert f"NOT COMPARABLE {said}" in shown
    assert "import it again with " in shown


def test_a_file_of_reported_figures_is_a_record_on_either_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = _reported(tmp_path, ReportedResult(batch=4, queries=250.0))
    assert main(["compare", theirs, "--against", "guide:T4", "--gate", "throughput@4/guide:T4>=2.3"]) == 0
    assert main(["compare", "guide:T4", "--against", theirs, "--gate", "throughput@4/theirs<=0.43"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["4", "1000.000", "421.312", "2.374"] in lines
    assert ["4", "421.312", "1000.000", "0.421"] in lines


def test_a_record_of_speed_alone_is_held_to_no_accuracy_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "guide:T4", "--against", "guide:published"]) == 0
    assert "top-1" not in capsys.readouterr().out
    assert main(["compare", "guide:T4", "--against", "guide:published", "--max-drop", "1"]) == 3
    assert "NOT COMPARABLE guide:T4 has no top-1 figure" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["guide:T5"], 2, "unknown record of the guide 'guide:T5'; known: "),
        (["guide:T4", "--against", "guide:311"], 2, "guide:310, "),
        (
            ["guide:T4", "--against", "guide:310", "--against", "guide:310"],
            2,
            "compare against are called guide:310",
        ),
        (["guide:T4", "--gate", "throughput/guide:310>=1"], 2, "unknown reference 'guide:310' in gate"),
        (["guide:T4", "--gate", "top1>=0.75%"], 2, "less than 1 %; write top1>=75% if a share of 0.75 is meant"),
        (["guide:T4", "--max-drop", "101"], 2, "the allowed drop is 101 points; give a --max-drop of 100 or less"),
        (["{tmp}/verdict.json"], 1, "holds a record of type Verdict, not RunRecord"),
        (["{tmp}/figures.txt"], 1, "is no assay record"),
    ],
)
def test_faults_are_one_line(
    arguments: list[str], status: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "figures.txt").write_text("[e2e] throughputRate: 105.964", encoding="utf-8")
    (tmp_path / "verdict.json").write_bytes(envelope.seal("Verdict", "", b"{}"))
    assert main(["compare", *(part.replace("{tmp}", str(tmp_path)) for part in arguments)]) == status
    shown = capsys.readouterr().err
    assert message in shown
    assert len(shown.splitlines()) == 1


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_is_for_terminals_that_want_it_and_says_nothing_by_itself(
    variables: dict[str, str], coloured: bool
) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    above, below = pty.openpty()
    asked = [sys.executable, "-m", "assay", "compare", *GUIDE, "--gate", "throughput/guide:310>=1.2"]
    done = subprocess.run(
        asked, stdin=subprocess.DEVNULL, stdout=below, env={**environment, "TERM": "xterm", **variables}, check=False
    )
    os.close(below)
    shown = b""
    with contextlib.suppress(OSError):
        while part := os.read(above, 65536):
            shown += part
    os.close(above)
    assert done.returncode == 0
    assert (b"\x1b[1;32mverdict PASS" in shown, b"verdict PASS" in shown) == (coloured, True)


@pytest.mark.parametrize("arguments", [["compare", ""], ["compare", "guide:T4", "--against", " "], ["report", ""]])
def test_an_empty_name_of_a_record_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "an empty name of a record; give its folder" in capsys.readouterr().err
