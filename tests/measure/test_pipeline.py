from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from assay.errors import StalledError
from assay.measure import pipeline
from assay.measure.pipeline import Job, Limit, Stage
from assay.processes import workers
from tests.messages import assert_says

JOBS = 40


def jobs(count: int = JOBS, items: int = 3) -> Iterator[Job]:
    return (Job(index, index * items, items) for index in range(count))


def nothing(job: Job, slot: dict[str, int]) -> None:
    pass


def slots(count: int) -> list[dict[str, int]]:
    return [{} for _ in range(count)]


@pytest.mark.parametrize("workers", [1, 3])
def test_every_job_passes_every_stage_once_and_in_turn(workers: int) -> None:
    seen: dict[str, list[int]] = {"first": [], "second": [], "third": []}
    lock = threading.Lock()

    def stage(name: str, before: str | None) -> Stage[dict[str, int]]:
        def work(job: Job, slot: dict[str, int]) -> None:
            with lock:
                assert before is None or job.index in seen[before]
                seen[name].append(job.index)

        return Stage(name, work, workers)

    outcome = pipeline.run(
        jobs(), [stage("first", None), stage("second", "first"), stage("third", "second")], slots(5), "second"
    )
    assert all(sorted(indices) == list(range(JOBS)) for indices in seen.values())
    assert outcome.items == JOBS * 3
    assert [time.items for time in outcome.stages] == [JOBS * 3] * 3


def test_a_slot_belongs_to_one_job_at_a_time_and_no_more_are_in_flight_than_there_are_slots() -> None:
    held: set[int] = set()
    most = 0
    lock = threading.Lock()

    def take(job: Job, slot: dict[str, int]) -> None:
        nonlocal most
        with lock:
            assert id(slot) not in held
            held.add(id(slot))
            most = max(most, len(held))
        slot["job"] = job.index

    def give_back(job: Job, slot: dict[str, int]) -> None:
        assert slot["job"] == job.index
        with lock:
            held.remove(id(slot))

    pipeline.run(
        jobs(200), [Stage("take", take, 3), Stage("between", nothing), Stage("give", give_back)], slots(4), "take"
    )
    assert 1 <= most <= 4
    assert held == set()


def test_the_timed_stage_has_an_interval_a_job_in_the_order_of_the_jobs() -> None:
    outcome = pipeline.run(jobs(), [Stage("read", nothing), Stage("infer", nothing, 2)], slots(4), "infer")
    assert outcome.intervals.shape == (JOBS, 2)
    assert (outcome.intervals[:, 1] >= outcome.intervals[:, 0]).all()
    assert (outcome.intervals >= 0).all()
    assert outcome.intervals.max() <= outcome.wall_seconds + 1e-9


def test_the_stage_that_works_longest_has_the_largest_busy_share() -> None:
    def slow(job: Job, slot: dict[str, int]) -> None:
        np.random.default_rng(0).standard_normal(200_000).sort()

    outcome = pipeline.run(
        jobs(20), [Stage("read", nothing), Stage("slow", slow), Stage("post", nothing)], slots(4), "slow"
    )
    shares = {time.name: time.busy_share for time in outcome.stages}
    assert max(shares, key=shares.__getitem__) == "slow"
    by_name = {time.name: time for time in outcome.stages}
    assert by_name["post"].waiting_in_share > by_name["post"].busy_share
    assert by_name["read"].waiting_out_seconds + by_name["read"].waiting_in_seconds > by_name["read"].busy_seconds


@pytest.mark.parametrize("failing", ["read", "infer", "post"])
def test_a_failure_in_any_stage_stops_all_of_them_and_is_raised_as_it_was(failing: str) -> None:
    done: list[int] = []

    def stage(name: str) -> Stage[dict[str, int]]:
        def work(job: Job, slot: dict[str, int]) -> None:
            if name == failing and job.index == 7:
                raise KeyError("the seventh")
            if name == "post":
                done.append(job.index)

        return Stage(name, work, 2)

    before = threading.active_count()
    with pytest.raises(KeyError, match="the seventh"):
        pipeline.run(jobs(10_000), [stage("read"), stage("infer"), stage("post")], slots(6), "infer")
    assert len(done) < 10_000
    assert threading.active_count() == before


def test_a_failure_of_the_plan_itself_is_raised() -> None:
    def plan() -> Iterator[Job]:
        yield Job(0, 0, 1)
        raise OSError("the list of images is gone")

    with pytest.raises(OSError, match="the list of images is gone"):
        pipeline.run(plan(), [Stage("read", nothing), Stage("infer", nothing)], slots(3), "infer")


def test_one_slot_and_one_stage_are_enough() -> None:
    assert pipeline.run(jobs(5), [Stage("infer", nothing)], slots(1), "infer").items == 15


@pytest.mark.parametrize(
    ("count", "workers", "ring"), [(0, 1, 1), (3, 0, 1), (3, 1, 0)], ids=["no job", "no worker", "no slot"]
)
def test_a_pipeline_of_nothing_is_refused(count: int, workers: int, ring: int) -> None:
    with pytest.raises(ValueError, match="a pipeline needs at least one"):
        pipeline.run(jobs(count), [Stage("infer", nothing, workers)], slots(ring), "infer")


def end(freed: threading.Event) -> None:
    """Lets what hangs go, and waits until it has gone."""
    freed.set()
    while workers.at_work():
        time.sleep(0.01)


@pytest.mark.parametrize("hanging", ["read", "infer", "post"])
def test_a_stage_that_holds_a_job_for_too_long_is_named_with_it(hanging: str) -> None:
    freed = threading.Event()

    def stage(name: str) -> Stage[dict[str, int]]:
        def work(job: Job, slot: dict[str, int]) -> None:
            slot["job"] = job.index
            if name == hanging and job.index == 7:
                freed.wait()

        return Stage(name, work, 2)

    limit = Limit[dict[str, int]](0.5, lambda job, slot: f"job {job.index} in the slot of {slot['job']}")
    try:
        with pytest.raises(StalledError) as caught:
            pipeline.run(jobs(10_000), [stage("read"), stage("infer"), stage("post")], slots(6), "infer", limit)
        assert_says(
            caught, f"{hanging} has been at job 7 in the slot of 7 for more than 0.5 s", "give a longer timeout"
        )
    finally:
        end(freed)


def test_a_run_that_takes_longer_than_any_job_may_is_none_that_hangs() -> None:
    def slow(job: Job, slot: dict[str, int]) -> None:
        time.sleep(0.02)

    limit = Limit[dict[str, int]](1.0, lambda job, slot: "")
    outcome = pipeline.run(jobs(75), [Stage("read", nothing), Stage("infer", slow)], slots(3), "infer", limit)
    assert outcome.items == 75 * 3
    assert outcome.wall_seconds > 1.0


def test_a_failure_beside_a_stage_that_hangs_is_what_is_raised() -> None:
    freed = threading.Event()

    def work(job: Job, slot: dict[str, int]) -> None:
        if job.index == 1:
            raise KeyError("the first")
        freed.wait()

    limit = Limit[dict[str, int]](0.5, lambda job, slot: "")
    try:
        with pytest.raises(KeyError, match="the first"):
            pipeline.run(jobs(2), [Stage("infer", work, 2)], slots(2), "infer", limit)
    finally:
        end(freed)
