from __future__ import annotations

from pathlib import Path

import pytest

from assay.cli.main import main
from assay.measure import machine
from assay.progress import Progress, Silent
from assay.records import (
    BatchResult,
    DeviceUser,
    Machine,
    MachineState,
    OnnxModel,
    PreparedDataset,
    Runnable,
    RunRecord,
    WarmUp,
)
from assay.score import figures
from assay.steps.artifact import compile_into
from assay.steps.bench import bench_each, record_of
from assay.steps.build_options import BuildRequest
from assay.steps.measurement import Length, Measuring
from tests import factories

IDLE = MachineState(seconds=0.3, busy_share=0.02)
BUSY = MachineState(seconds=5.0, busy_share=0.3, steal_share=0.1)
BUILDER = DeviceUser(device="cpu", process=7, name="builder", share=0.28)


def record(*results: BatchResult) -> RunRecord:
    return record_of(factories.model(), None, results)


def test_a_run_on_a_busy_machine_is_marked_with_who_was_there(tmp_path: Path) -> None:
    quiet = factories.result(tmp_path, batch=1, machine=Machine(before=IDLE, during=IDLE, after=IDLE, users=(BUILDER,)))
    loud = factories.result(tmp_path, batch=16, machine=Machine(before=IDLE, during=BUSY, after=IDLE, users=(BUILDER,)))
    assert record(quiet).warnings == ()
    assert record(quiet, loud).warnings == (
        "the machine was busy while measuring (batch 16: 40 %) with builder (7) 28 %",
    )


def test_no_name_is_made_up_for_whom_nobody_sees(tmp_path: Path) -> None:
    loud = factories.result(tmp_path, machine=Machine(before=BUSY))
    assert record(loud).warnings == (
        "the machine was busy while measuring (batch 1: 40 %) with no process that can be seen from here",
    )


def test_a_warm_up_that_never_was_steady_is_marked(tmp_path: Path) -> None:
    changing = factories.result(tmp_path, batch=16, warm_up=WarmUp(calls=90, seconds=20.04, steady=False))
    assert record(changing).warnings == ("batch 16: batch times were still changing after 20.0 s of warm-up",)


def test_the_record_holds_what_this_machine_makes_of_reference_images(tmp_path: Path) -> None:
    found = record(factories.result(tmp_path)).environment.transform_fingerprint
    assert found is not None
    assert len(found) == 64


class Noting(machine.Patience):
    """Looks at the machine as it is, and counts."""

    looks = 0

    def look(self, device: str, progress: Progress = Silent()) -> Machine:
        self.looks += 1
        return Machine(before=IDLE)


def test_patience_is_one_for_all_measurements(demo_model: OnnxModel, tmp_path: Path) -> None:
    options, run_settings = BuildRequest(backend="null").options(1)
    runnable = Runnable(compile_into(demo_model, options, tmp_path / "compiled")[0], run_settings)
    patience = Noting(60)
    bench_each([runnable, runnable], None, tmp_path, Measuring(length=Length(batches=2), patience=patience))
    assert patience.looks == 2


def test_an_artifact_is_measured_by_several_processes_and_scored_by_the_first(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    options, settings = BuildRequest(backend="onnxruntime").options(16)
    compiled, _ = compile_into(demo_model, options, tmp_path / "compiled")
    measuring = Measuring(length=Length(at_least=0.3, warm_up=0.1), reuse=True, repeats=3)
    (result,), _ = bench_each([Runnable(compiled, settings)], demo_data, tmp_path / "bench", measuring)
    assert result.accuracy is not None
    assert result.accuracy.correct_at[0] == 222
    first, *others = result.performance.processes
    assert len(others) == 2
    for performance in (first, *others):
        assert performance.images > 240
        assert performance.wall_seconds >= 0.3
    assert len({performance.batch_seconds.file.sha256 for performance in (first, *others)}) == 3
    rates = [performance.interface_throughput for performance in (first, *others)]
    estimate = figures.interface_throughput(result.performance)
    assert estimate.value == pytest.approx(sum(rates) / 3)
    assert estimate.interval is not None
    # Asked again, they are kept.
    (again,), _ = bench_each([Runnable(compiled, settings)], demo_data, tmp_path / "bench", measuring)
    assert again == result


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--repeat", "0", "--synthetic"], "give a --repeat of 1 or more"),
        (["--repeat", "2", "--synthetic", "--interleave"], "leave --repeat or --interleave away"),
        (["--repeat", "2", "--synthetic", "--scenario", "offline"], "leave --repeat or --scenario away"),
        (["--repeat", "2", "--images", "x", "--cluster", "local"], "leave --repeat or --cluster away"),
    ],
)
def test_what_repeats_exclude_is_usage(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "model.onnx", *words, "-o", "out"]) == 2
    assert told in capsys.readouterr().err
