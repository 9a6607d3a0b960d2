from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from assay.backends.slots import SlotPool


def test_no_slot_is_lent_twice_at_a_time_and_all_are_used() -> None:
    pool = SlotPool(3, itertools.count().__next__)
    lent: set[int] = set()
    used: set[int] = set()
    most = 0
    lock = threading.Lock()

    def work(_: int) -> None:
        nonlocal most
        with pool.lend() as slot:
            with lock:
                assert slot not in lent
                lent.add(slot)
                used.add(slot)
                most = max(most, len(lent))
            time.sleep(0.001)
            with lock:
                lent.remove(slot)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(200)))
    assert used == {0, 1, 2}
    assert most == 3


def test_a_slot_comes_back_after_a_failure() -> None:
    pool = SlotPool(1, object)
    with pytest.raises(ValueError, match="a batch that fails"), pool.lend():
        raise ValueError("a batch that fails")
    with pool.lend() as slot:
        assert slot is not None


def test_closing_frees_every_slot_once_and_lends_none_after() -> None:
    freed: list[int] = []
    pool = SlotPool(3, itertools.count().__next__, freed.append)
    with pool.lend() as held:
        pool.close()
        assert sorted([*freed, held]) == [0, 1, 2]
    assert freed[-1] == held
    pool.close()
    assert sorted(freed) == [0, 1, 2]
    with pytest.raises(RuntimeError, match="closed"), pool.lend():
        pass


def test_slots_made_before_one_that_fails_are_freed() -> None:
    freed: list[int] = []
    numbers = iter([0, 1])
    with pytest.raises(StopIteration):
        SlotPool(3, numbers.__next__, freed.append)
    assert freed == [0, 1]
