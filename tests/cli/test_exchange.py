"""`assay import` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.cli.main import main
from tests.reports import BATCH_16, RESULT, SAMPLES, TRTEXEC


@pytest.fixture
def perf(tmp_path: Path) -> Path:
    path = tmp_path / "perf_vision_batchsize_16_device_0.txt"
    path.write_text(BATCH_16, encoding="utf-8")
    return path


def test_an_import_shows_the_figures_and_what_is_still_unknown(perf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(perf), "--set", "model=wide_resnet101_2"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"Ascend benchmark · {perf} · {perf}.assay.json"
    assert shown[2] == "batch 16 · interface 171.0 /s · end-to-end 119.4 /s"
    assert shown[-1] == "unknown: dies, precision, device, input_side; give them with --set"
    assert Path(f"{perf}.assay.json").is_file()


def test_several_files_and_settings_become_one_record(
    perf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result, out = tmp_path / "result.json", tmp_path / "310.json"
    result.write_text(RESULT, encoding="utf-8")
    settings = [
        "model=wide_resnet101_2",
        "dies=4",
        "name=310",
        "precision=fp16",
        "device=Ascend 310",
        "input_side=224",
        "dataset=ImageNet",
    ]
    options = [word for text in settings for word in ("--set", text)]
    assert main(["import", str(perf), str(result), *options, "-o", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "top-1 78.85 % · top-5 94.29 %" in shown
    assert "unknown" not in shown
    assert json.loads(out.read_text(encoding="utf-8"))["body"]["dies"] == 4


def test_json_is_the_record_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "t4.log"
    log.write_text(TRTEXEC, encoding="utf-8")
    assert main(["import", str(log), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["record"] == "ReportedRun"
    assert shown["body"]["results"][0]["queries"] == 250.5


def test_a_scenario_and_a_verdict_of_loadgen_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(SAMPLES / "loadgen_Offline.txt"), "-o", str(tmp_path / "out.json")]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("LoadGen Offline · ")
    assert "batch unknown · scenario 9,700 /s" in shown
    assert "note: LoadGen calls the run INVALID: not satisfied min duration" in shown


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--set", "die=4"], 2, "unknown setting 'die'; known: dies"),
        (["--set", "dies=some"], 2, "whole number"),
        (["--set", "dies=1", "--set", "dies=4"], 2, "--set dies is given twice"),
        (["--set", "batch=8"], 1, "the setting says batch 8, but its rates say 16"),
        (["--set", "transfers=yes"], 1, "says transfers no and the setting says transfers yes"),
    ],
)
def test_a_fault_is_one_line_and_writes_nothing(
    options: list[str], status: int, said: str, perf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(perf), *options]) == status
    error = capsys.readouterr().err
    assert error.startswith("assay: ")
    assert error.count("\n") == 1
    assert said in error
    assert list(perf.parent.iterdir()) == [perf]
