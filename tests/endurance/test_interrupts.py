"""Ctrl-C: the command ends whatever it is at, with exit status 130; what was whole stays."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from assay import demo
from assay.steps.results import load_run
from assay.tuning.tune import load_tuning
from tests.endurance import commands, stuck

NAMES = [line.split()[0] for line in demo.LABELS.read_text().splitlines()]


@pytest.fixture
def reached(tmp_path: Path) -> Path:
    """The file that is made once a command hangs."""
    return tmp_path / "reached"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interrupts") / "prepared"
    words = ["prepare", str(demo.IMAGES), "--labels", str(demo.LABELS), *commands.TRANSFORM, "-o", str(folder)]
    assert commands.done(words)[0] == 0
    return folder


def interrupt(process: subprocess.Popen[str]) -> str:
    """Presses Ctrl-C, once; what the command said in all."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=commands.HANGS_SECONDS)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "assay: interrupted; what was finished is kept"
    # What dies is gone a moment after its parent.
    assert not psutil.wait_procs(children, timeout=commands.HANGS_SECONDS)[1]
    return said


@pytest.mark.parametrize(
    "backend",
    [*(pytest.param(name, marks=pytest.mark.long) for name in ("compiling", "opening", "warming")), "inferring"],
)
def test_a_vendors_call_does_not_hold_it_up(backend: str, reached: Path, tmp_path: Path) -> None:
    run = [*commands.RUN, "--backend", backend, "--batch", "16", "-o", str(tmp_path / "RUN")]
    with commands.start(run, "tests.endurance.stuck", {stuck.REACHED: str(reached)}) as process:
        commands.wait_until(reached.exists, process)
        interrupt(process)
    assert not list((tmp_path / "RUN").rglob("*.assay-partial"))
    if backend != "inferring":
        return
    # The folder is free, and what was whole is not made again.
    status, said = commands.done([*commands.RUN, "--batch", "16", "-o", str(tmp_path / "RUN")])
    assert status == 0, said
    assert next(line for line in said.splitlines() if line.startswith("prepare")).endswith("kept")


def test_decoding_stops_and_whole_shards_stay(reached: Path, tmp_path: Path) -> None:
    words = ["prepare", str(demo.IMAGES), *commands.TRANSFORM, "-o", str(tmp_path / "P")]
    where = {stuck.REACHED: str(reached), stuck.IMAGE: str(demo.IMAGES / NAMES[200])}
    first = tmp_path / "P" / "images-00000.npy"
    with commands.start(words, "tests.endurance.stuck", where) as process:
        commands.wait_until(lambda: reached.exists() and first.with_suffix(".shard.json").exists(), process)
        interrupt(process)
    before = first.stat()
    assert commands.done(words)[0] == 0
    assert first.stat().st_ino == before.st_ino


@pytest.mark.long
def test_a_search_stops_in_the_middle_of_a_trial(reached: Path, prepared: Path, tmp_path: Path) -> None:
    tune = ["tune", str(demo.ONNX), "--data", str(prepared), "--backends", "compiling", "--no-int8", "--batch", "16"]
    words = [*tune, *commands.TRANSFORM, "--budget", "5m", "-o", str(tmp_path / "T")]
    with commands.start(words, "tests.endurance.stuck", {stuck.REACHED: str(reached)}) as process:
        commands.wait_until(reached.exists, process)
        interrupt(process)


def search(prepared: Path, out: Path) -> list[str]:
    tune = ["tune", str(demo.ONNX), "--data", str(prepared), "--backends", "onnxruntime", "--no-int8", "--batch", "16"]
    return [*tune, *commands.TRANSFORM, "--budget", "100s", "-o", str(out)]


@pytest.mark.long
def test_a_search_that_found_something_ends_and_keeps_the_best(prepared: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="needs the extra `tune`")
    with commands.start(search(prepared, tmp_path / "T")) as process:
        commands.said_until(process, "trial 1:")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=commands.HANGS_SECONDS)
    assert process.returncode == 0, said
    assert "interrupted: what was found is measured now" in said
    found = load_tuning(tmp_path / "T")
    assert found.stopped == "it was interrupted"
    assert found.best is not None
    assert found.tuned is not None
    assert found.commands
    assert load_run(tmp_path / "T").results[0] == found.tuned
    assert (tmp_path / "T" / "report.html").is_file()


@pytest.mark.long
def test_a_run_goes_on_with_what_an_interrupted_search_found(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="needs the extra `tune`")
    words = [*commands.RUN, "--tune", "100s", "--backend", "onnxruntime", "--batch", "16", "-o", str(tmp_path / "R")]
    with commands.start(words) as process:
        commands.said_until(process, "trial 1:")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=commands.HANGS_SECONDS)
    assert process.returncode == 0, said
    tuned = load_tuning(tmp_path / "R" / "tune").compiled
    assert tuned is not None
    assert [one.compiled.key for one in load_run(tmp_path / "R").results] == [tuned.key]


@pytest.mark.long
def test_a_second_one_ends_the_measuring_of_what_a_search_found(prepared: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="needs the extra `tune`")
    with commands.start(search(prepared, tmp_path / "T")) as process:
        commands.said_until(process, "trial 1:")
        process.send_signal(signal.SIGINT)
        commands.said_until(process, "a second Ctrl-C")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=commands.HANGS_SECONDS)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "assay: interrupted; what was finished is kept"
    found = load_tuning(tmp_path / "T")
    assert found.best is not None
    assert found.compiled is not None
    assert found.compiled.file.path.is_file()
    assert found.tuned is None


def interrupted_at(words: Sequence[str], at: Callable[[subprocess.Popen[str]], object]) -> None:
    with commands.start(words) as process:
        commands.wait_until(lambda: at(process), process)
        interrupt(process)


@pytest.mark.long
def test_quantizing_stops(prepared: Path, tmp_path: Path) -> None:
    words = ["quantize", str(demo.ONNX), "--calibration", str(prepared), "--calibrator", "entropy"]

    def calibrates(process: subprocess.Popen[str]) -> bool:
        return bool(list(tmp_path.glob(".model.int8.onnx*")))

    interrupted_at([*words, *commands.TRANSFORM, "-o", str(tmp_path / "model.int8.onnx")], calibrates)
    assert not (tmp_path / "model.int8.onnx").exists()


@pytest.mark.long
@pytest.mark.torch
def test_an_export_stops(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    words = ["export", "--random-weights", "--arch", "resnet18", "-o", str(tmp_path / "model.onnx")]

    def exports(process: subprocess.Popen[str]) -> bool:
        return bool(list(tmp_path.glob(".model.onnx*")))

    def imports(process: subprocess.Popen[str]) -> bool:
        return "libtorch" in Path(f"/proc/{process.pid}/maps").read_text()

    for moment in (imports, exports):
        interrupted_at(words, moment)
        assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_a_second_one_does_not_wait(reached: Path, tmp_path: Path) -> None:
    run = [*commands.RUN, "--backend", "inferring", "--batch", "16", "-o", str(tmp_path / "RUN")]
    with commands.start(run, "tests.endurance.stuck", {stuck.REACHED: str(reached)}) as process:
        commands.wait_until(reached.exists, process)
        process.send_signal(signal.SIGINT)
        interrupt(process)
