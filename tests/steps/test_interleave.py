from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assay.backends.null import NullSession
from assay.backends.onnxruntime import OnnxRuntimeSession
from assay.errors import UsageError
from assay.measure import stages
from assay.records import OnnxModel, PreparedDataset, Runnable, RunRecord
from assay.steps.artifact import compile_into
from assay.steps.build_options import BuildRequest
from assay.steps.interleave import Turns, bench_interleaved
from assay.steps.measurement import Length, Measuring, Passage
from assay.steps.results import load_record
from assay.storage import store


@pytest.fixture(scope="module")
def pair(demo_model: OnnxModel, tmp_path_factory: pytest.TempPathFactory) -> list[Runnable]:
    """The same model at two batch sizes."""
    folder = tmp_path_factory.mktemp("compiled")
    found: list[Runnable] = []
    for batch in (1, 4):
        options, run_settings = BuildRequest(backend="onnxruntime").options(batch)
        found.append(Runnable(compile_into(demo_model, options, folder)[0], run_settings))
    return found


def _slowly(infer: Any) -> Any:
    def slow(session: OnnxRuntimeSession, batch: Any) -> Any:
        time.sleep(0.02)
        return infer(session, batch)

    return slow


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batch sizes of the passes through the pipeline, in their order."""
    seen: list[int] = []
    run = Passage.run

    def noted(self: Passage, *arguments: object) -> object:
        seen.append(self.batch)
        return run(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Passage, "run", noted)
    return seen


def test_each_artifact_gets_a_record_of_its_own_with_the_blocks_of_one_interleaving(
    pair: list[Runnable], tmp_path: Path
) -> None:
    records = bench_interleaved(pair, None, tmp_path, Measuring(length=Length(seconds=0.6)))
    assert list(records) == ["A", "B"]
    for letter, record in records.items():
        assert store.read(tmp_path / letter / "run.json", RunRecord) == record
        assert load_record(tmp_path / letter) == record
    blocks = [record.results[0].performance.blocks for record in records.values()]
    assert all(found is not None for found in blocks)
    one, other = (found for found in blocks if found is not None)
    assert one.interleaving == other.interleaving
    assert len(one.calls) == len(other.calls) >= 20
    assert len(one.calls) % 2 == 0
    # As many images in each block of both: those of batch 1 have four times the calls.
    assert len(set(one.calls)) == len(set(other.calls)) == 1
    assert one.calls[0] == 4 * other.calls[0]
    assert records["A"].results[0].performance.images == records["B"].results[0].performance.images


@pytest.mark.parametrize("length", [Length(seconds=0.2), Length(batches=9)])
def test_a_block_of_long_calls_has_as_many_as_may_be_in_flight(
    demo_model: OnnxModel, length: Length, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(session: NullSession, batch: Any) -> Any:
        time.sleep(0.1)
        return infer(session, batch)

    infer = NullSession.infer
    monkeypatch.setattr(NullSession, "infer", slow)
    options, _ = BuildRequest(backend="null").options(4)
    compiled = compile_into(demo_model, options, tmp_path)[0]
    records = bench_interleaved(
        [Runnable(compiled, {"slots": 2}), Runnable(compiled, {"slots": 1})],
        None,
        tmp_path / "bench",
        Measuring(length=length),
    )
    two, one = (record.results[0].performance for record in records.values())
    assert two.blocks is not None
    assert min(two.blocks.calls) >= 2
    assert two.interface_throughput > 1.6 * one.interface_throughput


def test_the_calls_of_an_artifact_lie_one_block_after_the_other(pair: list[Runnable], tmp_path: Path) -> None:
    records = bench_interleaved(pair, None, tmp_path, Measuring(length=Length(batches=45)))
    for batch, record in zip((1, 4), records.values(), strict=True):
        performance = record.results[0].performance
        assert performance.blocks is not None
        assert sum(performance.blocks.calls) == 45
        assert len(performance.blocks.calls) >= 20
        assert performance.images == 45 * batch
        assert performance.wall_seconds == pytest.approx(sum(performance.blocks.wall_seconds))
        times = performance.batch_seconds.load()
        assert times.shape == (45, 2)
        assert np.all(np.diff(times[:, 1]) > 0)
        assert times[-1, 1] <= performance.wall_seconds
        ends = np.cumsum(performance.blocks.wall_seconds)
        last = times[np.cumsum(performance.blocks.calls) - 1, 1]
        assert np.all(last <= ends + 1e-9)
        assert performance.peak_memory_bytes is None
        (stage,) = performance.stages
        assert stage.items == performance.images
        assert stage.run_seconds == pytest.approx(performance.wall_seconds)


def test_the_order_is_drawn_by_lot_and_turns_around(pair: list[Runnable], tmp_path: Path, order: list[int]) -> None:
    bench_interleaved(pair, None, tmp_path, Measuring(length=Length(batches=120)), turns=Turns())
    # Before the rounds, each fills a block once, to count its images a second.
    assert order[:2] == [1, 4]
    rounds = [tuple(order[place : place + 2]) for place in range(2, len(order), 2)]
    assert all(one == other[::-1] for one, other in zip(rounds[::2], rounds[1::2], strict=True))
    # Of ten and more draws, all alike or all in turn are less likely than 1 in 200.
    assert len(rounds) >= 20
    assert set(rounds) == {(1, 4), (4, 1)}


@pytest.mark.parametrize(
    ("batches", "images"),
    [((1, 4), 4), ((4, 4), 4), ((4, 6), 12), ((1, 16), 16)],
)
def test_blocks_have_a_number_of_images_that_every_batch_size_divides(
    batches: tuple[int, int], images: int, demo_model: OnnxModel, tmp_path: Path
) -> None:
    runnables = []
    for batch in batches:
        options, run_settings = BuildRequest(backend="null").options(batch)
        runnables.append(Runnable(compile_into(demo_model, options, tmp_path)[0], run_settings))
    records = bench_interleaved(runnables, None, tmp_path / "bench", Measuring(length=Length(seconds=0.2)))
    counted = {
        batch * calls
        for batch, record in zip(batches, records.values(), strict=True)
        for calls in (record.results[0].performance.blocks or pytest.fail("no blocks")).calls
    }
    (found,) = counted
    assert found % images == 0


def test_over_data_blocks_go_on_where_the_last_one_ended(
    pair: list[Runnable], demo_data: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    firsts: list[int] = []
    repeated = stages.repeated

    def noted(*arguments: Any, **options: Any) -> object:
        jobs = list(repeated(*arguments, **options))
        firsts.extend(job.first for job in jobs if job.items == 4)
        return iter(jobs)

    monkeypatch.setattr(stages, "repeated", noted)
    monkeypatch.setattr(stages, "for_seconds", lambda seconds: lambda jobs: jobs >= 3)
    records = bench_interleaved(pair, demo_data, tmp_path, Measuring(length=Length(batches=10)))
    performance = records["B"].results[0].performance
    assert performance.source == "prepared"
    assert [stage.name for stage in performance.stages] == ["read", "preprocess", "infer", "post"]
    assert all(stage.items == 40 for stage in performance.stages)
    assert firsts[-10:] == [4 * number for number in range(10)]
    assert records["B"].results[0].predictions is None
    assert records["B"].dataset is None


def test_the_same_artifact_may_stand_on_both_sides(pair: list[Runnable], tmp_path: Path) -> None:
    records = bench_interleaved([pair[0], pair[0], pair[0]], None, tmp_path, Measuring(length=Length(batches=4)))
    assert list(records) == ["A", "B", "C"]


def test_a_second_interleaving_stands_beside_the_first(pair: list[Runnable], tmp_path: Path) -> None:
    first = bench_interleaved(pair, None, tmp_path, Measuring(length=Length(batches=2)))
    second = bench_interleaved(pair, None, tmp_path, Measuring(length=Length(batches=2)))
    files = [record["A"].results[0].performance.batch_seconds.file.path for record in (first, second)]
    assert files[0] != files[1]
    assert all(path.is_file() for path in files)


def test_a_single_artifact_is_refused(pair: list[Runnable], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 to 26 artifacts are measured in turn, and here are 1"):
        bench_interleaved(pair[:1], None, tmp_path)


def test_blocks_are_half_a_second_or_a_twentieth(
    pair: list[Runnable], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[float] = []
    for_seconds = stages.for_seconds

    def noted(seconds: float) -> object:
        asked.append(seconds)
        return for_seconds(0.01)

    monkeypatch.setattr(stages, "for_seconds", noted)
    for number, length in enumerate((Length(), Length(seconds=60), Length(seconds=4))):
        turns = Turns(enough=lambda ratios: True)
        bench_interleaved(pair, None, tmp_path / str(number), Measuring(length=length), turns=turns)
    assert asked == [0.5, 0.5, 0.5, 0.5, 0.2, 0.2]


def test_it_ends_where_there_is_enough_to_tell(pair: list[Runnable], tmp_path: Path) -> None:
    seen: list[int] = []

    def enough(ratios: Any) -> bool:
        seen.append(len(ratios))
        return len(ratios) == 4

    records = bench_interleaved(pair, None, tmp_path, Measuring(length=Length(seconds=60)), turns=Turns(enough=enough))
    assert seen == [2, 4]
    for record in records.values():
        blocks = record.results[0].performance.blocks
        assert blocks is not None
        assert len(blocks.calls) == 4


def test_blocks_can_be_few_and_long(pair: list[Runnable], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Calls that take the same time on any machine, busy or not.
    monkeypatch.setattr(OnnxRuntimeSession, "infer", _slowly(OnnxRuntimeSession.infer))
    records = bench_interleaved(pair, None, tmp_path, Measuring(length=Length(seconds=0.8)), turns=Turns(blocks=4))
    for record in records.values():
        blocks = record.results[0].performance.blocks
        assert blocks is not None
        assert 4 <= len(blocks.calls) < 12
