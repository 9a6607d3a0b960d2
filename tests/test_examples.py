"""The examples run as their files say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def environment() -> dict[str, str]:
    """A PATH on which `assay` and `python3` are those of the tests."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.mark.long
def test_the_guide_runs_from_top_to_bottom(environment: dict[str, str], tmp_path: Path) -> None:
    # A folder relative to where the script is started, which it leaves.
    environment |= {"GUIDE_FOLDER": "work", "GUIDE_BATCHES": "1 16", "AOE_BUDGET": "30s"}
    done = subprocess.run(
        [EXAMPLES / "guide.sh"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    tmp_path /= "work"
    for batch in (1, 16):
        assert '"Top1 accuracy", "value": "92.5%"' in (tmp_path / f"result_bs{batch}.json").read_text()
        assert (tmp_path / f"result/perf_vision_batchsize_{batch}_device_0.txt").read_text().startswith("[e2e] ")
    assert "558.380" in done.stdout
    assert done.stdout.count("PASS") >= 3
    assert (tmp_path / "wrn101_2_bs1_aoe.om").is_file()
    assert (tmp_path / "result/PureInfer_perf_of_wrn101_2_bs1_aoe_in_device_0.txt").is_file()


def test_the_guides_programs_are_found_by_their_names(environment: dict[str, str], tmp_path: Path) -> None:
    folder = EXAMPLES / "guide"
    environment["PATH"] = f"{folder}:{environment['PATH']}"
    (tmp_path / "labels.txt").write_text("a.JPEG 1\n")
    (tmp_path / "dumps").mkdir()
    (tmp_path / "dumps" / "a_1.txt").write_text("1.000000 2.000000 \n")
    line = f"python3.7 imagenet_acc_eval.py {tmp_path}/dumps {tmp_path}/labels.txt {tmp_path} r.json && atc --help"
    done = subprocess.run(
        ["/bin/sh", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '"value": "100.0%"' in (tmp_path / "r.json").read_text()
    assert "assay guide atc" in done.stdout
    assert {path.name for path in folder.iterdir()} >= {
        "wrn101_2_pth2onnx.py",
        "imagenet_torch_preprocess.py",
        "gen_dataset_info.py",
        "imagenet_acc_eval.py",
        "benchmark.x86_64",
        "atc",
        "aoe",
    }


@pytest.mark.parametrize("spelled", ["{folder}", "{folder}/", "{folder}/../guide", "."])
def test_trtexec_never_calls_itself(spelled: str, environment: dict[str, str], tmp_path: Path) -> None:
    folder = EXAMPLES / "guide"
    environment["PATH"] = f"{spelled.format(folder=folder)}:{environment['PATH']}"

    def run() -> tuple[int, str]:
        """Runs the guide's line, and ends it and all that it started where it goes on for too long."""
        line = [f"{folder}/trtexec", "--onnx=wrn101_2_pth.onnx", "--fp16", "--shapes=image:64x3x224x224", "--threads"]
        with subprocess.Popen(
            line,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as started:
            try:
                said, _ = started.communicate(timeout=300)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(started.pid, signal.SIGKILL)
        return started.returncode, said

    status, said = run()
    assert (status, said.count("trtexec is not on the PATH")) == (1, 1)
    program = tmp_path / "trtexec"
    program.write_text('#!/bin/sh\necho "ran $1"\nexit 7\n')
    program.chmod(0o755)
    environment["PATH"] += f":{tmp_path}"
    assert run() == (7, "ran --onnx=wrn101_2_pth.onnx\n")
