"""The command line as a user meets it: output, messages, exit status."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from assay import demo
from assay.backends import registry
from assay.cli.main import main
from assay.measure import machine
from assay.records import DeviceUser, Machine, MachineState

TRANSFORM = ["--resize", "72", "--crop", "64", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]
RUN = ["run", str(demo.ONNX), "--images", str(demo.IMAGES), "--labels", str(demo.LABELS), *TRANSFORM]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the demo's ONNX file."""
    out = tmp_path_factory.mktemp("cli") / "RUN"
    assert main([*RUN, "--reference", "top1=92.5,top5=99.58", "-o", str(out)]) == 0
    return out


def test_a_run_ends_with_the_table_and_the_verdict(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "--reference", "top1=92.5", "-o", str(finished)]) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[-1].startswith("verdict PASS · model ")
    assert lines[-3].startswith("PASS   top-1 drop 0.00 points (0.00 % relative) at batch 1, 16")
    assert any(line.split()[:2] == ["batch", "end-to-end"] for line in lines)
    assert shown.err.count("kept") == 4


@pytest.mark.parametrize(
    ("options", "status", "word"),
    [
        (["--reference", "top1=92.5"], 0, "PASS"),
        (["--reference", "top1=93.5"], 0, "PASS"),
        (["--reference", "top1=93.6"], 3, "FAIL"),
        (["--reference", "top1=47"], 0, "warning  top-1 is 45.50 points above its reference of 47.00 %"),
        (["--reference", "top1=93.6", "--max-drop", "2"], 0, "PASS"),
        ([], 0, "NOT COMPARABLE"),
        (["--max-drop", "1"], 3, "NOT COMPARABLE"),
        (["--reference", "top1=92.5", "--gate", "latency.p99@7<=1s"], 3, "NOT COMPARABLE"),
    ],
)
def test_the_exit_status_says_what_the_gates_found(
    options: list[str], status: int, word: str, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(finished), *options]) == status
    assert word in capsys.readouterr().out


def test_two_runs_of_one_model_are_compared_image_by_image(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gates = ["--gate", f"throughput/{finished}>=0.01", "--gate", f"latency.p50@16/{finished}<=9.0"]
    status = main(["compare", str(finished), "--against", str(finished), *gates, "--allow-inconclusive"])
    shown = capsys.readouterr().out
    assert status == 0
    # 15 calls are too few for an interval.
    assert "latency.p50 1.000 × " in shown
    assert f"batch 16 beside {finished}: the same first class in 100 % of 240 images" in shown
    assert "0 right to wrong, 0 wrong to right (McNemar mid-p = 1.000)" in shown


def test_every_reference_is_judged(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(finished), "--reference", "top1=99.0", "--against", str(finished)]) == 3
    shown = capsys.readouterr().out
    assert "FAIL   top-1 drop 6.50 points" in shown
    assert "PASS   top-1 drop 0.00 points" in shown


def test_speeds_without_accuracy_can_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = ["bench", str(demo.ONNX), "--batch", "1", "--synthetic", "--iterations", "20", *TRANSFORM]
    for name in ("A", "B"):
        assert main([*bench, "-o", str(tmp_path / name)]) == 0
    gate = f"throughput/{tmp_path}/B/>=0.01"
    compared = ["compare", str(tmp_path / "A"), "--against", f"{tmp_path}/B/", "--gate", gate]
    assert main([*compared, "--allow-inconclusive"]) == 0
    assert "throughput " in capsys.readouterr().out


def test_an_option_that_cannot_apply_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    artifact = str(tmp_path / "a.onnx")
    assert main(["compile", str(demo.ONNX), "--batch", "2", "-o", artifact, *TRANSFORM]) == 0
    wrong = ["bench", artifact, "--synthetic", "--batch", "1", "--input", "float32", "-o", str(tmp_path / "B")]
    assert main(wrong) == 2
    assert "is compiled already; leave --batch, --input away" in capsys.readouterr().err


def test_two_names_of_a_transform_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = ["prepare", str(demo.IMAGES), "--like", str(demo.ONNX), "--preset", "resnet", "-o", str(tmp_path / "P")]
    assert main(both) == 2
    assert "two whole transforms are named; give --like or --preset, not both" in capsys.readouterr().err


def test_a_file_of_one_accuracy_says_of_which_batch_size(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tmp_path / "result.json"
    assert main(["evaluate", str(finished), "--labels", str(demo.LABELS), "-o", str(result)]) == 0
    assert f"{result} (of batch 1)" in capsys.readouterr().out


def test_json_is_the_record_alone_on_standard_output(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(finished), "--reference", "top1=92.5", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["record"] == "Comparison"
    assert record["body"]["words"] == ["PASS"]
    assert record["body"]["verdicts"][0]["checks"][0]["verdict"] == "PASS"


def test_evaluate_writes_the_guides_result_and_a_table(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["-o", str(tmp_path / "result.json"), "--csv", str(tmp_path / "top5.csv")]
    assert main(["evaluate", str(finished), "--labels", str(demo.LABELS), *files]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["value"][:3] == [
        {"key": "Number of images", "value": "240"},
        {"key": "Number of classes", "value": "10"},
        {"key": "Top1 accuracy", "value": "92.5%"},
    ]
    header, first, *others = (tmp_path / "top5.csv").read_text().splitlines()
    assert header == "name,label,class1,class2,class3,class4,class5,score1,score2,score3,score4,score5"
    assert first.startswith("demo_val_00000001.JPEG,")
    assert len(others) == 239
    assert "92.50 % (222)" in capsys.readouterr().out


def test_step_by_step_gives_what_the_whole_run_gives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, artifact, prepared, bench = (str(tmp_path / name) for name in ("m.onnx", "a.onnx", "prepared", "bench"))
    shutil.copy(demo.ONNX, model)
    assert main(["compile", model, "--batch", "8", "-o", artifact, *TRANSFORM]) == 0
    assert main(["prepare", str(demo.IMAGES), "--labels", str(demo.LABELS), "-o", prepared, *TRANSFORM]) == 0
    assert main(["bench", artifact, "--data", prepared, "-o", bench]) == 0
    shown = capsys.readouterr().out
    for part in ("end-to-end", "interface", "p50", "waits", "bottleneck"):
        assert part in shown
    assert main(["compare", bench, "--reference", "top1=92.5"]) == 0


@pytest.mark.parametrize("length", [["--duration", "0.2"], ["--iterations", "3"]])
def test_bench_compiles_a_model_at_several_batch_sizes(
    length: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["bench", str(demo.ONNX), "--batch", "1,4", "--synthetic", *length, "-o", str(tmp_path), *TRANSFORM]
    assert main([*arguments, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [figures["batch"] for figures in record["body"]["figures"]] == [1, 4]
    assert all(figures["interface_throughput"]["value"] > 0 for figures in record["body"]["figures"])


def test_artifacts_that_are_interleaved_are_shown_each_and_can_be_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = ["bench", str(demo.ONNX), "--batch", "1,4", "--synthetic", "--iterations", "40", "--interleave"]
    assert main([*bench, *TRANSFORM, "-o", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "A  demo · " in shown
    assert "B  demo · " in shown
    assert "batch 4 · onnxruntime" in shown
    assert shown.splitlines()[-1] == f"{tmp_path}/A/run.json · {tmp_path}/B/run.json"
    gate = f"throughput/{tmp_path}/B>=0.01"
    assert main(["compare", f"{tmp_path}/A", "--against", f"{tmp_path}/B", "--gate", gate]) == 0
    assert main([*bench, *TRANSFORM, "-o", str(tmp_path), "--json"]) == 0
    body = json.loads(capsys.readouterr().out.partition("verdict PASS")[2].partition("\n")[2])["body"]
    assert [outcome["run"]["results"][0]["performance"]["batch"] for outcome in body["outcomes"].values()] == [1, 4]


def test_a_profile_is_a_table_of_the_costliest_nodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = ["bench", str(demo.ONNX), "--batch", "2", "--synthetic", "--iterations", "3", "--profile"]
    assert main([*bench, *TRANSFORM, "-o", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert "batch 2 · costliest nodes" in shown.out
    assert "GFLOP/s" in shown.out
    assert "inference calls" in shown.err


def test_a_machine_that_never_is_idle_is_measured_and_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    user = DeviceUser(device="cpu", process=7, name="builder", share=0.9)
    busy = Machine(before=MachineState(seconds=0.1, busy_share=0.9), users=(user,))
    monkeypatch.setattr(machine, "look", lambda *_: busy)
    bench = ["bench", str(demo.ONNX), "--batch", "1", "--synthetic", "--iterations", "3", "--wait-idle", "0.01"]
    assert main([*bench, *TRANSFORM, "-o", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert "the machine was not idle in 0.0 s (90 %: builder (7) 90 %); it is measured all the same" in shown.err
    assert "warning  the machine was busy while measuring (batch 1: " in shown.out
    assert "builder (7) 90 %" in shown.out


def test_predict_prints_class_and_score(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(demo.ONNX), str(demo.IMAGES / "demo_val_00000001.JPEG"), *TRANSFORM]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "demo_val_00000001.JPEG"
    assert shown[1].split() == ["class", "name", "score"]
    assert len(shown) == 7


def test_doctor_lists_the_backends(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("onnxruntime", "null")  # the others take a minute
    monkeypatch.setattr(registry, "BACKENDS", {name: registry.BACKENDS[name] for name in names})
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "onnxruntime" in shown
    assert "null" in shown
    assert "cores" in shown


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["compare", "nowhere"], 1, "no run at nowhere: run.json is missing"),
        (
            ["compare", "{run}", "--gate", "top1drop<=1"],
            2,
            "unknown metric 'top1drop' in gate 'top1drop<=1'; known: top1-drop",
        ),
        (["compare", "{run}", "--gate", "latency.p99@1<=250"], 2, "a latency needs ms or s"),
        (["compare", "{run}", "--gate", "throughput/other>=1.2"], 2, "unknown reference 'other' in gate"),
        (["compare", "{run}", "--reference", "top1=147"], 2, "is not percentages; give --reference top1=47.0"),
        (["compare", "{run}", "--reference", ""], 2, "reference '' names no figure; give --reference top1=47.0"),
        (["compare", "{run}", "--reference", "top1=0.925"], 2, "top1 of 0.925 would be 0.925 %; give a percentage"),
        (["compare", "{run}", "--reference", "top1=92,top1=10"], 2, "gives top1 twice; give each figure once"),
        (["compare", "{run}", "--reference", "top1=92,top5=90"], 2, "top-5 is never below top-1"),
        (["compare", "{run}", "--gate", "top1>0.5"], 2, "the unit is missing; top1 needs %, as in top1>75%"),
        (["evaluate", "{run}", "--labels", "absent.txt"], 1, "cannot read the labels absent.txt"),
        (["bench", "absent.onnx", "--synthetic", "-o", "{tmp}"], 1, "no model at absent.onnx"),
        (["bench", "{run}", "--synthetic", "--repeat", "0", "-o", "{tmp}"], 2, "repeat is 0; give a --repeat of 1"),
        (["bench", "{run}", "--synthetic", "--duration", "0", "-o", "{tmp}"], 2, "give a --duration of more than 0"),
        (["export", "--arch", "squeezenet1_0", "-o", "{tmp}/m.onnx"], 2, "give a CHECKPOINT, or --random-weights"),
        (["prepare", "{tmp}", "--preset", "resnext", "-o", "{tmp}/p"], 2, "unknown preset 'resnext'; known: resnet"),
        (["compile", str(demo.ONNX), "--set", "threads=2", "-o", "{tmp}/a"], 2, "threads: alters no artifact"),
    ],
)
def test_a_fault_is_one_line_on_standard_error(
    arguments: list[str],
    status: int,
    message: str,
    finished: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    filled = [part.replace("{run}", str(finished)).replace("{tmp}", str(tmp_path)) for part in arguments]
    assert main(filled) == status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.splitlines()[-1].startswith("assay: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["bench", "m", "--synthetic", "--wait-idle", "soon", "-o", "x"],
        [],
        ["nonsense"],
        ["run"],
        ["bench", "m.onnx", "-o", "x"],
        ["run", "m", "--batch", "0"],
    ],
)
def test_usage_is_exit_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: assay" in capsys.readouterr().err


def test_an_interrupt_is_exit_status_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("assay.steps.doctor.doctor", interrupted)
    assert main(["doctor"]) == 130
    assert "interrupted; what was finished is kept" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("assay.steps.doctor.doctor", broken)
    with pytest.raises(ZeroDivisionError):
        main(["doctor"])


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "9" * 400])
@pytest.mark.parametrize(
    "words",
    [
        ["bench", "model.onnx", "--synthetic", "--duration"],
        ["bench", "model.onnx", "--scenario", "server", "--target-qps"],
        ["bench", "model.onnx", "--synthetic", "--wait-idle"],
        ["run", "model.onnx", "--images", "images", "--timeout"],
        ["run", "model.onnx", "--images", "images", "--max-drop"],
        ["run", "model.onnx", "--images", "images", "--mean", "0.5,0.5,0.5", "--std"],
        ["tune", "model.onnx", "--images", "images", "--budget"],
        ["tune", "model.onnx", "--images", "images", "--max-drop"],
    ],
    ids=lambda words: f"{words[0]} {words[-1]}",
)
def test_a_number_that_is_none_or_has_no_end_is_usage(
    words: list[str], value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = f"{value},{value},{value}" if words[-1] == "--std" else value
    with pytest.raises(SystemExit) as ended:
        main([*words[:-1], f"{words[-1]}={given}", "-o", "RUN"])
    assert ended.value.code == 2
    assert f"argument {words[-1]}: '{given}" in capsys.readouterr().err
