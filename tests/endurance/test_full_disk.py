"""A disk that fills in each step: one line with the file and the fault, and the next run goes on from what is whole."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay import demo
from assay.records import RunRecord
from tests.endurance import commands, filling

pytest.importorskip("resource", reason="this system has no limit for the size of files")

RUN = (*commands.RUN, "--batch", "16", "--no-images")
SIZE = "16m"
VENDOR_ROOM = 1_300_000
"""For the graph that a vendor is handed, and half of the artifact that it writes."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A small disk; where only root can make one, a folder, in which the size of files is limited."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    small = ["-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(tmp_path)]
    if mount is None or umount is None or subprocess.run([mount, *small], capture_output=True).returncode != 0:
        yield tmp_path
        return
    try:
        yield tmp_path
    finally:
        subprocess.run([umount, "--lazy", str(tmp_path)], check=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp("full disk") / "RUN"
    status, said = commands.done([*RUN, "-o", str(out)])
    assert status == 0, said
    return commands.load(out)


def fails(place: Path, moment: str, room: int, words: list[str]) -> str:
    """What a command says, in one line, whose disk fills at a moment."""
    status, said = commands.finish([str(place), moment, str(room), *words], "tests.endurance.filling")
    assert status == 1, said
    assert "Traceback" not in said
    assert said.count("assay: ") == 1
    line = said.splitlines()[-1]
    assert re.match(r"assay: cannot write (to )?\S+: (No space left on device|File too large)\b", line), said
    return line


@pytest.mark.parametrize(
    ("moment", "room", "file"),
    [
        pytest.param("at once", 0, "", marks=pytest.mark.long),
        pytest.param("at once", 200_000, "model.onnx", marks=pytest.mark.long),
        ("a shard is whole", 0, "prepared/images-00001.npy"),
        pytest.param("prepare ends", 0, "fused.onnx", marks=pytest.mark.long),
        pytest.param("bench 16 begins", 0, "scores.npy", marks=pytest.mark.long),
        pytest.param("bench ends", 0, "run.json", marks=pytest.mark.long),
    ],
)
def test_in_each_step_of_a_run(moment: str, room: int, file: str, place: Path, whole: RunRecord) -> None:
    out = place / "RUN"
    line = fails(place, moment, room, [*RUN, "-o", str(out)])
    assert file in line
    assert not (out / "verdict.json").exists()
    before = commands.whole_steps(out)
    assert (not before) == (moment == "at once")
    (place / filling.BALLAST).unlink(missing_ok=True)
    status, said = commands.done([*RUN, "-o", str(out)])
    assert status == 0, said
    commands.assert_same_result(commands.load(out), whole)
    assert before.items() <= commands.whole_steps(out).items()
    assert not list(out.rglob("*.assay-partial"))


@pytest.mark.long
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino", "mnn"])
def test_while_a_vendor_writes_its_artifact(backend: str, place: Path) -> None:
    pytest.importorskip({"mnn": "MNN"}.get(backend, backend))
    if not place.is_mount():
        pytest.skip("a limit on files that lets the graph through lets its artifact through as well")
    words = ["compile", str(demo.ONNX), "--backend", backend, *commands.TRANSFORM, "-o", str(place / "artifact")]
    line = fails(place, "at once", VENDOR_ROOM, words)
    assert line.startswith(f"assay: cannot write {place}/artifact: No space left on device (")
    assert backend in line
    assert sorted(path.name for path in place.iterdir()) == [filling.BALLAST]
    (place / filling.BALLAST).unlink()
    assert commands.done(words)[0] == 0


@pytest.mark.long
def test_a_limit_on_files_that_only_the_artifact_exceeds(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    words = ["compile", str(demo.ONNX), "--backend", "openvino", *commands.TRANSFORM, "-o", str(tmp_path / "artifact")]
    line = fails(tmp_path, "at once", 850_000, words)
    assert f"{tmp_path}/artifact: File too large (openvino could not compile demo" in line


@pytest.mark.long
@pytest.mark.parametrize("moment", ["offline performance begins", "offline accuracy begins"])
def test_while_loadgen_writes_its_logs(moment: str, place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    pytest.importorskip("mlperf_loadgen", reason="LoadGen has no wheel for this Python")
    folder = tmp_path_factory.mktemp("loadgen")
    artifact, prepared = str(folder / "artifact.json"), str(folder / "P")
    compiling = ["compile", str(demo.ONNX), "--backend", "null", "--batch", "16", *commands.TRANSFORM, "-o", artifact]
    for words in (compiling, ["prepare", str(demo.IMAGES), *commands.TRANSFORM, "-o", prepared]):
        status, said = commands.done(words)
        assert status == 0, said
    words = ["bench", artifact, "--data", prepared, "--scenario", "offline", "--mlperf", "--duration", "0.2"]
    words += ["-o", str(place / "S")]
    line = fails(place, moment, 20_000, words)
    assert line.startswith(f"assay: cannot write {place}/S: ")
    (place / filling.BALLAST).unlink(missing_ok=True)
    status, said = commands.done(words)
    assert status in (0, 3), said


@pytest.mark.long
def test_while_a_model_is_quantized(place: Path) -> None:
    words = ["quantize", str(demo.ONNX), "--calibration", str(demo.IMAGES), *commands.TRANSFORM]
    line = fails(place, "at once", 100_000, [*words, "-o", str(place / "model.int8.onnx")])
    assert "model.int8.onnx" in line or "float32-" in line


@pytest.mark.long
def test_while_a_page_is_written(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.mktemp("measured") / "RUN"
    bench = ["bench", str(demo.ONNX), "--synthetic", "--iterations", "20", *commands.TRANSFORM, "-o", str(out)]
    assert commands.done(bench)[0] == 0
    words = ["report", str(out), "-o", str(place / "page.html")]
    assert f"{place}/page.html: " in fails(place, "at once", 1000, words)
    assert not (place / "page.html").exists()
    (place / filling.BALLAST).unlink(missing_ok=True)
    assert commands.done(words)[0] == 0


@pytest.mark.long
def test_while_a_search_keeps_its_trials(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    pytest.importorskip("optuna", reason="needs the extra `tune`")
    prepared = str(tmp_path_factory.mktemp("data") / "P")
    assert commands.done(["prepare", str(demo.IMAGES), *commands.TRANSFORM, "-o", prepared])[0] == 0
    words = ["tune", str(demo.ONNX), "--data", prepared, *commands.TRANSFORM, "--backends", "onnxruntime"]
    words += ["--no-int8", "--batch", "1,16", "--budget", "10m", "-o", str(place / "T")]
    fails(place, "trial 2 begins", 0, words)
    (place / filling.BALLAST).unlink(missing_ok=True)
    # What was tried before the disk was full is in the study, and is not tried again.
    with commands.start(words) as process:
        assert not any("trial 1:" in line for line in commands.said_until(process, "trial 2:"))


@pytest.mark.long
@pytest.mark.torch
@pytest.mark.parametrize("room", [2_000_000, 6_000_000])
def test_while_a_checkpoint_is_exported(room: int, place: Path) -> None:
    pytest.importorskip("torch")
    words = ["export", "--random-weights", "--arch", "squeezenet1_0", "--pt2", "-o", str(place / "model.onnx")]
    line = fails(place, "at once", room, words)
    assert f"{place}/model.{'onnx' if room == 2_000_000 else 'pt2'}: " in line
    assert not [path for path in place.iterdir() if path.name != filling.BALLAST]
