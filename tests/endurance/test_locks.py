"""Two commands in one folder: the second says who holds it; the folder of a dead one is free."""

from __future__ import annotations

import importlib.util
import re
import signal
from pathlib import Path

from assay import demo
from tests.endurance import commands, stuck


def test_the_second_run_says_who_holds_the_folder_and_changes_nothing_in_it(tmp_path: Path) -> None:
    out, reached = tmp_path / "RUN", tmp_path / "reached"
    run = [*commands.RUN, "--batch", "16", "--no-images", "-o", str(out)]
    first = [*run, "--backend", "inferring"]
    with commands.start(first, "tests.endurance.stuck", {stuck.REACHED: str(reached)}) as holder:
        commands.wait_until(reached.exists, holder)
        before = _seen(out)
        for second in _others(out):
            status, said = commands.done(second)
            assert status == 1, said
            assert f"assay: {out} is in use by another assay (process {holder.pid} " in said
            assert _seen(out) == before
        status, said = commands.done(run)
        assert status == 1
        assert re.fullmatch(
            rf"assay: {re.escape(str(out))} is in use by another assay \(process {holder.pid} since "
            r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}: \S+ -m tests\.endurance\.stuck run .*\); "
            r"wait for it or choose another folder\n",
            said,
        )
        assert _seen(out) == before
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    # Its words are still there, and nobody holds the folder.
    assert (out / ".lock.holder").exists()
    status, said = commands.done(run)
    assert status == 0, said
    assert next(line for line in said.splitlines() if line.startswith("prepare")).endswith("kept")


def _seen(out: Path) -> dict[Path, int]:
    """All of a folder but the scores that the holder of it is writing."""
    return {path: path.stat().st_mtime_ns for path in out.rglob("*") if "assay-partial" not in path.name}


def _others(out: Path) -> list[list[str]]:
    """Commands of every kind that take a folder, each of which would have something to make there."""
    prepared, model = str(out / "prepared"), [str(demo.ONNX), *commands.TRANSFORM]
    bench = ["bench", *model, "--batch", "4", "-o", str(out)]
    short = ["--duration", "0.1"]
    found = [
        [*bench, "--data", prepared, *short],
        [*bench, "--data", prepared, *short, "--repair"],
        ["bench", *model, "--batch", "1,4", "--data", prepared, *short, "--interleave", "-o", str(out)],
        ["prepare", str(demo.IMAGES), *commands.TRANSFORM, "-o", str(out)],
    ]
    if importlib.util.find_spec("optuna") is not None:
        found.append(["tune", *model, "--data", prepared, "-o", str(out)])
    if importlib.util.find_spec("mlperf_loadgen") is not None:
        found.append([*bench, "--images", str(demo.IMAGES), *short, "--scenario", "offline"])
    return found
