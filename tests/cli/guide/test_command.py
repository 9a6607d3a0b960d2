"""The guide's command lines as they stand in it."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from pathlib import Path

import pytest

from assay import demo
from assay.backends import registry
from assay.cli.main import main
from assay.records import CompiledModel
from assay.steps.results import load_run
from assay.storage import store
from assay.tuning import trial
from assay.tuning.tune import load_tuning

pytestmark = pytest.mark.xdist_group("the guide's way")

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


@pytest.mark.parametrize(
    "flag",
    [
        "--mode=0",
        "--virtual_type=0",
        "--host_env_os=linux",
        "--host_env_cpu=x86_64",
        "--save_original_model=false",
        "--op_precision_mode=op.ini",
        "--keep_dtype=keep.cfg",
        "--is_input_adjust_hw_layout=false",
        "--dump_mode=0",
        "--enable_compress_weight=False",
        "--output_type=FP32",
        "--precision_mode=must_keep_origin_dtype",
    ],
)
def test_flags_that_ask_for_what_is_done_anyway_are_taken_and_named(
    flag: str, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guide(f"{ATC} {flag}") == 0
    assert f"without effect here: --log=debug, {flag}" in capsys.readouterr().err


def test_the_tuner_takes_its_own_flags(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The sides are wrong, so that nothing is searched once the flags are read.
    pytest.importorskip("optuna", reason="needs the extra `tune`")
    line = AOE.replace("3,64,64", "3,224,224")
    assert guide(f"{line} --input_format=NCHW --device=0 --virtual_type=0") == 2
    said = capsys.readouterr().err
    assert "without effect here: --log=error, --device=0, --virtual_type=0" in said
    assert "demo.onnx takes 64×64" in said


def test_the_benchmarks_own_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        guide("./benchmark.x86_64 -help")
    assert caught.value.code == 0
    assert "-om_path" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["named.v1", "folder/named", "./named"])
def test_the_suffix_is_added_to_whatever_name_is_given(name: str, there: Path) -> None:
    assert guide(ATC.replace("demo_bs16", name)) == 0
    assert Path(f"{name}.om").is_file()
    assert Path(f"{name}.om.json").is_file()


def test_another_backend_compiles_it(there: Path) -> None:
    assert main(["guide", "--backend", "null", *shlex.split(ATC.replace("demo_bs16", "null_bs16"))]) == 0
    assert store.read(there / "null_bs16.om.json", CompiledModel).options.backend == "null"


@pytest.mark.long
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
    search = load_tuning(there / "demo_aoe.om.tuning")
    assert search.best is not None
    best = next(one for one in search.trials if one.number == search.best)
    assert made.run_settings == best.candidate.run
    assert guide("./benchmark.x86_64 -round=20 -om_path=demo_aoe.om -device_id=0 -batch_size=1") == 0
    measured = load_run(there / "result/assay_device_0/pure_batchsize_1").results[0].performance
    assert measured.run_settings == best.candidate.run
    # What was found is not searched again.
    assert main(words) == 0
    assert load_tuning(there / "demo_aoe.om.tuning") == search


@pytest.mark.long
def test_where_nothing_tuned_is_right_the_artifact_is_untuned_and_that_is_said(
    there: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna", reason="needs the extra `tune`")
    monkeypatch.setattr(trial, "_drop", lambda _: 100.0)
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
        (BENCHMARK.replace("device_id=0", "device_id=3"), 2, "unknown -device_id"),
        (BENCHMARK.replace("demo_bs16.om", "gone.om"), 1, "no artifact at gone.om"),
        (ATC.replace("--model=demo.onnx", "--model=gone.onnx"), 1, "gone.onnx"),
        (ATC.replace("64,64", "224,224"), 2, "64×64"),
        ("gen_dataset_info.py bin ./prep_dataset ./x.info", 2, "width and height"),
        ("gen_dataset_info.py bin ./prep_dataset ./x.info 224 224", 1, "602112"),
        ("imagenet_acc_eval.py none labels.txt ./ r.json", 1, "labels.txt"),
        (AOE.replace("3,64,64", "3,224,224"), 2, "demo.onnx takes 64×64"),
        (AOE.replace("image:", "picture:"), 2, "the input of demo.onnx is 'image'"),
        ("python3 train.py", 2, "known: "),
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
        (f"{ATC} --mode=1", "--mode=1: a model is made into an artifact here"),
        (f"{ATC} --enable_compress_weight=true", "the weights stay"),
        (f"{ATC} --output_type=FP16", "scores are float32"),
        (f"{ATC} --device=0", "--device=0"),
        (f"{AOE} --mode=0", "--mode=0"),
        *(
            (line.replace(name, wrong), f"argument --output: {wrong!r} ends in no name of an artifact")
            for line, name in ((ATC, "demo_bs16"), (AOE, "demo_aoe"))
            for wrong in (".", "/", "", "./d/", "d/..")
        ),
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


@pytest.fixture
def broken(there: Path) -> Path:
    """The folder of the whole way, with files in it that cannot be used."""
    (there / "labels.txt").write_text("a.JPEG tench\n")
    shutil.copy("demo_bs16.om", "ren.om")
    shutil.copy("demo_bs16.om.json", "ren.om.json")
    Path("bare.onnx").write_bytes(Path("demo.onnx").read_bytes())
    with Path("demo_bs16.om").open("r+b") as file:
        file.write(b"damage")
    return there


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("imagenet_acc_eval.py result/dumpOutput_device0/ labels.txt ./ r.json", "write the numbers of the classes"),
        (BENCHMARK, "remove it, and run the guide's line that made it again"),
        (ATC, "remove it, and run the guide's line that made it again"),
        ("wrn101_2_pth2onnx.py gone.pth out.onnx", "no checkpoint at gone.pth; give the file of the weights"),
        (BENCHMARK.replace("demo_bs16.om", "ren.om"), "ren.om.json is the record of demo_bs16.om, not of ren.om"),
        (ATC.replace("demo.onnx", "gone.onnx"), "no model at gone.onnx; give the .onnx file that wrn101_2"),
        (
            ATC.replace("demo.onnx", "bare.onnx").replace("64,64", "224,224"),
            "64×64 pixels; give 64,64 in --input_shape",
        ),
        (ATC.replace("demo.onnx", "bare.onnx").replace("64,64", "32,32"), "crops to 32; give 64,64 in --input_shape"),
    ],
)
def test_messages_name_nothing_that_the_guides_programs_lack(
    line: str, said: str, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = guide(line)
    shown = capsys.readouterr().err
    assert said in shown
    assert status == (2 if "--input_shape" in said else 1)
    for option in ("--class-list", "--repair", "--weights", "--arch", "--preset", "--resize"):
        assert option not in shown


def test_what_a_message_advises_mends_a_damaged_artifact(broken: Path) -> None:
    Path("demo_bs16.om").unlink()
    assert guide(ATC) == 0
    assert guide(BENCHMARK) == 0


def test_weights_of_another_model_are_answered_with_what_exports_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra `torch`")
    from assay.models import architectures

    # Which it looks like is told by all that there are, and takes long.
    monkeypatch.setattr(architectures, "look_alikes", lambda _: ["squeezenet1_0"])
    torch.save(architectures.build("squeezenet1_0").state_dict(), tmp_path / "s.pth")
    assert guide(f"wrn101_2_pth2onnx.py {tmp_path}/s.pth {tmp_path}/s.onnx") == 1
    said = capsys.readouterr().err
    assert "it looks like squeezenet1_0" in said
    assert "and assay export WEIGHTS --arch squeezenet1_0 exports that one" in said


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


def test_an_engine_of_trtexecs_is_answered_with_what_would_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for line in ("trtexec --loadEngine=x.engine", "trtexec --loadEngine=x --shapes=a:1x2,b:3"):
        assert guide(line) == 1
        assert "assay bench MODEL.onnx --batch 1 --synthetic" in capsys.readouterr().err


def test_sides_beside_a_list_of_jpegs_are_named(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("jpegs").mkdir()
    shutil.copy(next(demo.IMAGES.glob("*.JPEG")), "jpegs")
    assert guide("gen_dataset_info.py jpg jpegs x.info 3 4") == 0
    said = capsys.readouterr()
    assert "without effect beside jpg, whose sides are read from the images: 3 4" in said.err
    assert said.out == "1 lines · x.info\n"


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
