"""The guide's command lines as they stand in it."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from pathlib import Path

import pytest

from assay import demo, store, workflow
from assay.backends import registry
from assay.cli.main import main
from assay.records import CompiledModel
from assay.workflow.tuning import attempt

ATC = (
    "atc --framework=5 --model=demo.onnx --output=demo_bs16 --input_format=NCHW "
    '--input_shape="image:16,3,64,64" --log=debug --soc_version=Ascend310'
)
AOE = 'aoe --framewor=5 --model=demo.onnx --job_type=2 --output=demo_aoe --input_shape "image:1,3,64,64" --log=error'
BENCHMARK = (
    "./benchmark.x86_64 -model_type=vision -device_id=0 -batch_size=16 -om_path=demo_bs16.om "
    "-input_text_path=./demo_prep_bin.info -input_width=64 -input_height=64 -output_binary=False -useDvpp=False"
)


def guide(line: str) -> int:
    """Runs a command line as a shell would read it."""
    return main(["guide", *shlex.split(line)])


@pytest.fixture(scope="module")
def whole_way(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every step of the guide was run, on the demo."""
    folder = tmp_path_factory.mktemp("guide")
    before = Path.cwd()
    os.chdir(folder)
    try:
        for line in (
            f"python3.7 wrn101_2_pth2onnx.py {demo.CHECKPOINT} demo.onnx",
            "source /usr/local/Ascend/ascend-toolkit/set_env.sh",
            ATC,
            f"python3.7 imagenet_torch_preprocess.py demo {demo.IMAGES} ./prep_dataset",
            "python3.7 gen_dataset_info.py bin ./prep_dataset ./demo_prep_bin.info 64 64",
            BENCHMARK,
            "./benchmark.x86_64 -round=20 -om_path=demo_bs16.om -device_id=0 -batch_size=16",
            f"python3.7 imagenet_acc_eval.py result/dumpOutput_device0/ {demo.LABELS} ./ result.json",
        ):
            assert guide(line) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def there(whole_way: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, in which the test runs."""
    folder = tmp_path / "guide"
    shutil.copytree(whole_way, folder)
    monkeypatch.chdir(folder)
    return folder


def test_every_step_leaves_the_guides_files(whole_way: Path) -> None:
    assert {path.name for path in whole_way.iterdir()} == {
        "demo.onnx",
        "demo.json",
        "demo_bs16.om",
        "demo_bs16.om.json",
        "prep_dataset",
        "demo_prep_bin.info",
        "result",
        "result.json",
    }
    assert {path.name for path in (whole_way / "result").iterdir() if not path.name.startswith("assay_")} == {
        "dumpOutput_device0",
        "perf_vision_batchsize_16_device_0.txt",
        "PureInfer_perf_of_demo_bs16_in_device_0.txt",
    }
    assert '{"key": "Top1 accuracy", "value": "92.5%"}' in (whole_way / "result.json").read_text()


def test_a_processor_that_is_not_this_machine_is_said_once_and_kept(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guide(ATC.replace("demo_bs16", "again").replace("310", "710")) == 0
    assert capsys.readouterr().err.count("Ascend710") == 2  # the flag, and what it was compiled for
    assert "Ascend710" in store.read(there / "again.om.json", CompiledModel).notes[0]


def test_flags_without_effect_are_named_in_one_line(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert guide(f"{ATC} --op_select_implmode=high_performance --buffer_optimize=off_optimize") == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if "without effect" in line]
    assert len(notes) == 1
    for flag in ("--log=debug", "--op_select_implmode=high_performance", "--buffer_optimize=off_optimize"):
        assert flag in notes[0]


def test_another_backend_compiles_it(there: Path) -> None:
    assert main(["guide", "--backend", "null", *shlex.split(ATC.replace("demo_bs16", "null_bs16"))]) == 0
    assert store.read(there / "null_bs16.om.json", CompiledModel).options.backend == "null"


def test_the_tuner_writes_an_artifact_that_the_benchmark_runs_as_it_was_tuned(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna", reason="needs the extra `tune`")
    words = ["guide", "--backend", "onnxruntime", "--budget", "15s", *shlex.split(AOE)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "after: onnxruntime, batch 1" in printed
    assert "Interface throughputRate: " in printed
    made = store.read(there / "demo_aoe.om.json", CompiledModel)
    assert (made.options.batch, made.options.input_kind) == (1, "float32")
    search = workflow.load_tuning(there / "demo_aoe.om.tuning")
    assert search.best is not None
    best = next(one for one in search.trials if one.number == search.best)
    assert made.run_settings == best.candidate.run
    assert guide("./benchmark.x86_64 -round=20 -om_path=demo_aoe.om -device_id=0 -batch_size=1") == 0
    measured = workflow.load_run(there / "result/assay_device_0/pure_batchsize_1").results[0].performance
    assert measured.run_settings == best.candidate.run
    # What was found is not searched again.
    assert main(words) == 0
    assert workflow.load_tuning(there / "demo_aoe.om.tuning") == search


def test_where_nothing_tuned_is_right_the_artifact_is_untuned_and_that_is_said(
    there: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna", reason="needs the extra `tune`")
    monkeypatch.setattr(attempt, "_drop", lambda _: 100.0)
    assert main(["guide", "--backend", "onnxruntime", "--budget", "15s", *shlex.split(AOE)]) == 3
    assert "nothing tuned was right within 1.00 points: demo_aoe.om is untuned" in capsys.readouterr().out
    made = store.read(there / "demo_aoe.om.json", CompiledModel)
    assert (made.options.batch, made.options.input_kind, made.run_settings) == (1, "float32", {})


def test_binary_dumps_are_written_and_read(there: Path) -> None:
    shutil.rmtree("result")
    assert guide(BENCHMARK.replace("binary=False", "binary=True")) == 0
    names = {path.suffix for path in Path("result/dumpOutput_device0").iterdir()}
    assert names == {".bin"}
    assert guide(f"imagenet_acc_eval.py result/dumpOutput_device0/ {demo.LABELS} ./ binary.json") == 0
    assert (there / "binary.json").read_bytes() == (there / "result.json").read_bytes()


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        (BENCHMARK.replace("Dvpp=False", "Dvpp=True"), 2, "pixels differ from Pillow's"),
        (BENCHMARK.replace("-input_width=64 ", ""), 2, "-input_width missing"),
        (BENCHMARK.replace("batch_size=16", "batch_size=8"), 2, "compiled for 16"),
        (BENCHMARK.replace("device_id=0", "device_id=3"), 1, "unknown -device_id"),
        (BENCHMARK.replace("demo_bs16.om", "gone.om"), 1, "no artifact at gone.om"),
        (ATC.replace("--model=demo.onnx", "--model=gone.onnx"), 1, "gone.onnx"),
        (ATC.replace("64,64", "224,224"), 2, "64×64"),
        ("gen_dataset_info.py bin ./prep_dataset ./x.info", 2, "width and height"),
        ("gen_dataset_info.py bin ./prep_dataset ./x.info 224 224", 1, "602112"),
        ("imagenet_acc_eval.py none labels.txt ./ r.json", 1, "labels.txt"),
        (AOE.replace("3,64,64", "3,224,224"), 2, "demo.onnx takes 64×64"),
        (AOE.replace("image:", "picture:"), 2, "the input of demo.onnx is 'image'"),
        ("python3 train.py", 1, "known: "),
        ("", 2, "give a command line"),
        ("npu-smi", 2, "npu-smi info"),
        ("source script.sh", 2, "set_env.sh"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    line: str, status: int, said: str, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guide(line) == status
    message = [text for text in capsys.readouterr().err.splitlines() if text.startswith("assay: ")]
    assert len(message) == 1
    assert said in message[0]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{ATC} --colour=red", "--colour=red"),
        (f"{BENCHMARK} -colour=red", "-colour=red"),
        (ATC.replace("framework=5", "framework=3"), "--framework"),
        (ATC.replace("NCHW", "NHWC"), "--input_format"),
        (ATC.replace("image:16,3,64,64", "image:16,3,64"), "one input and its shape"),
        (ATC.replace("64,64", "64,64;mask:16,1,1,1"), "one input and its shape"),
        (ATC.replace("debug", "loud"), "--log"),
        (ATC.replace("Ascend310", "Banana"), "no processor"),
        (f"{ATC} --insert_op_conf=aipp.cfg", "--input uint8"),
        (f"{ATC} --dynamic_batch_size=1,16", "one batch size"),
        (AOE.replace("job_type=2", "job_type=1"), "tunes subgraphs"),
        (AOE.replace("job_type=2", "job_type=3"), "--job_type"),
        (BENCHMARK.replace("binary=False", "binary=Maybe"), "True nor False"),
        (BENCHMARK.replace("vision", "nmt"), "vision"),
        ("imagenet_torch_preprocess.py resnext a b", "inceptionv4"),
        ("wrn101_2_pth2onnx.py a.pth", "MODEL.onnx"),
    ],
)
def test_unknown_and_wrong_flags_are_usage_errors(
    line: str, said: str, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        guide(line)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_npu_smi_shows_what_doctor_shows(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BACKENDS", {"onnxruntime": registry.BACKENDS["onnxruntime"]})
    assert guide("npu-smi info") == 0
    assert "onnxruntime" in capsys.readouterr().out


def test_trtexec_is_run_where_it_is_and_else_says_what_would_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    line = "trtexec --onnx=wrn101_2_pth.onnx --fp16 --shapes=image:64x3x224x224 --threads"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert guide(line) == 1
    assert "assay bench wrn101_2_pth.onnx --batch 64 --synthetic" in capfd.readouterr().err
    program = tmp_path / "trtexec"
    program.write_text('#!/bin/sh\necho "ran $*"\nexit 7\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert guide(f"{line} --iterations=3") == 7
    assert (
        "ran --onnx=wrn101_2_pth.onnx --fp16 --shapes=image:64x3x224x224 --threads --iterations=3"
        in capfd.readouterr().out
    )


def test_json_prints_the_record_where_there_is_one(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["guide", "--json", *shlex.split(BENCHMARK)]) == 0
    assert '"BenchOutcome"' in capsys.readouterr().out
    assert main(["guide", "--json", "source", "set_env.sh"]) == 2
    assert main(["guide", "--json", "imagenet_torch_preprocess.py", "demo", str(demo.IMAGES), "other"]) == 2
    assert not Path("other").exists()


def test_flags_of_a_data_set_beside_round_are_named(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "./benchmark.x86_64 -round=2 -om_path=demo_bs16.om -batch_size=16 -output_binary=True -input_width=7"
    assert guide(line) == 0
    assert "without effect beside -round: -input_width=7, -output_binary=True" in capsys.readouterr().err
