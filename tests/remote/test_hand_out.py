"""Shards handed out to workers that may die."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from assay.errors import BackendError, DatasetError
from assay.records import WarmUp
from assay.remote.hand_out import WorkerLostError, divided, hand_out, shard_images
from assay.remote.worker import Answer, Introduction, Shard
from assay.steps.pixel_sources import Content
from tests.messages import assert_says

READY = Introduction("node", "none", "processor", "0" * 64, 1, False, WarmUp(calls=2, seconds=0.1, steady=True))


@dataclass
class Crew:
    """Workers that answer at once, in the order in which they were asked, and die when they are told to."""

    dies_with: dict[str, int] = field(default_factory=dict)
    """The worker and the first image of the shard that it dies with; the name `any` is every worker."""
    spare: int = 0
    dead: set[str] = field(default_factory=set)
    asked: deque[tuple[str, int, int]] = field(default_factory=deque)
    most_out: int = 0

    def gather(self) -> dict[str, Introduction]:
        return {}

    def hand(self, worker: str, first: int, names: Sequence[str], content: Content) -> Hashable:
        assert int(names[0]) == first
        ticket = worker, first, len(names)
        self.asked.append(ticket)
        self.most_out = max(self.most_out, len(self.asked))
        return ticket

    def finished(self, tickets: Sequence[Hashable]) -> Sequence[Hashable]:
        return (self.asked.popleft(),)

    def answer(self, ticket: Hashable) -> Answer:
        assert isinstance(ticket, tuple)
        worker, first, images = ticket
        if first in (self.dies_with.get(worker), self.dies_with.get("any")) or worker in self.dead:
            self.dead.add(worker)
            raise WorkerLostError("it died")
        scores = np.full((images, 1), first, np.float32)
        return Answer(scores, np.zeros((1, 2)), (), (), ())

    def replaced(self, worker: str) -> dict[str, Introduction]:
        if not self.spare:
            return {}
        self.spare -= 1
        return {f"{worker}+": READY}

    def close(self) -> None:
        pass


@dataclass
class Taken:
    """What came back."""

    shards: list[Shard] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    names: Sequence[str] = ()

    def load(self, shard: Shard, worker: str) -> Content:
        return [b""] * shard.images

    def take(self, shard: Shard, worker: str, answer: Answer) -> None:
        assert answer.scores[0, 0] == shard.first
        self.shards.append(shard)

    def joined(self, workers: Mapping[str, Introduction]) -> None:
        pass

    def lose(self, worker: str) -> None:
        self.lost.append(worker)

    def run(self, crew: Crew, images: int, size: int, workers: Sequence[str]) -> None:
        self.names = [str(number) for number in range(images)]
        hand_out(divided([Shard(0, images)], size), workers, crew, self)


def once_each(shards: Sequence[Shard], images: int) -> bool:
    numbers = [number for shard in shards for number in range(shard.first, shard.first + shard.images)]
    return sorted(numbers) == list(range(images))


def test_every_image_is_in_one_shard_and_every_shard_is_taken_once() -> None:
    taken = Taken()
    taken.run(Crew(), 100, 16, ["a", "b"])
    assert once_each(taken.shards, 100)
    assert not taken.lost


def test_what_a_dead_worker_had_is_done_by_the_others() -> None:
    taken = Taken()
    taken.run(Crew(dies_with={"a": 32}), 200, 16, ["a", "b"])
    assert once_each(taken.shards, 200)
    assert taken.lost == ["a"]


def test_a_worker_that_died_is_replaced_where_it_can_be() -> None:
    taken = Taken()
    taken.run(Crew(dies_with={"a": 32}, spare=1), 200, 16, ["a"])
    assert once_each(taken.shards, 200)


def test_without_a_worker_left_it_says_how_much_is_not_done() -> None:
    taken = Taken()
    with pytest.raises(BackendError) as caught:
        taken.run(Crew(dies_with={"a": 32}), 200, 16, ["a"])
    assert_says(caught, "no worker is left", "shards are not done", "run it again")
    assert {shard.first for shard in taken.shards} == {0, 16}


def test_a_shard_that_is_the_death_of_several_is_named() -> None:
    with pytest.raises(BackendError) as caught:
        Taken().run(Crew(dies_with={"any": 32}, spare=9), 200, 16, ["a"])
    assert_says(caught, "3 workers died with the images from 32 on")


def test_a_shard_that_only_waited_where_workers_died_is_not_blamed() -> None:
    """Three workers die, each with another shard, and the shard from 16 on waits at each of them."""
    taken = Taken()
    taken.run(Crew(dies_with={"a": 0, "a+": 32, "a++": 48}, spare=3), 64, 16, ["a"])
    assert taken.lost == ["a", "a+", "a++"]
    assert once_each(taken.shards, 64)


def test_what_a_worker_raises_ends_it() -> None:
    class Refusing(Crew):
        def answer(self, ticket: Hashable) -> Answer:
            raise DatasetError("image 7 cannot be used")

    with pytest.raises(DatasetError, match="image 7"):
        Taken().run(Refusing(), 100, 16, ["a"])


def test_what_cannot_be_kept_ends_it() -> None:
    class Full(Taken):
        def take(self, shard: Shard, worker: str, answer: Answer) -> None:
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        Full().run(Crew(), 100, 16, ["a"])


def test_a_thousand_workers_share_the_validation_set_with_bounded_memory_out() -> None:
    images, workers, pixels = 50_000, 1_000, 224 * 224 * 3
    size = shard_images(images, 1, workers, 128)
    assert images / size >= 4 * workers * 0.9
    whole = np.broadcast_to(np.uint8(0), (size, 224, 224, 3))

    class Large(Taken):
        def load(self, shard: Shard, worker: str) -> Content:
            return whole

    crew, taken = Crew(), Large()
    taken.run(crew, images, size, [str(number) for number in range(workers)])
    assert once_each(taken.shards, images)
    assert crew.most_out * size * pixels <= (2 << 30) + size * pixels


@pytest.mark.parametrize(
    ("images", "batch", "workers", "expected"),
    [(50_000, 16, 1, 128), (50_000, 16, 200, 48), (50_000, 64, 1000, 0), (240, 24, 1, 48), (200, 1, 2, 25)],
)
def test_a_shard_is_of_whole_batches_and_smaller_for_many_workers(
    images: int, batch: int, workers: int, expected: int
) -> None:
    assert shard_images(images, batch, workers, 128) == (expected or batch)
