from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from assay.measure import processes
from assay.measure.processes import Account, Key, Process
from assay.records import DeviceUser

US = Key(os.getpid(), 1.0)


def at_work(seconds: float, name: str = "other", parent: int = 1, ended_children: float = 0.0) -> Process:
    return Process(name=name, parent=parent, seconds=seconds, ended_children=ended_children)


@contextmanager
def running(*words: str) -> Iterator[Key]:
    """A process of these words, that has begun."""
    child = subprocess.Popen([*words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        yield Key(child.pid, psutil.Process(child.pid).create_time())
    finally:
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            assert stream is not None
            stream.close()


def test_every_process_that_can_be_seen_has_a_name_and_its_time() -> None:
    found = processes.everyone()
    ours = [process for key, process in found.items() if key.process == os.getpid()]
    assert len(ours) == 1
    assert ours[0].seconds > 0
    assert ours[0].name == psutil.Process().name()
    assert ours[0].parent == os.getppid()


def test_children_and_theirs_are_of_the_family() -> None:
    child, grandchild, stranger = Key(10, 1.0), Key(11, 1.0), Key(12, 1.0)
    everyone = {
        grandchild: at_work(1.0, parent=10),
        child: at_work(1.0, parent=os.getpid()),
        stranger: at_work(1.0),
        US: at_work(1.0),
    }
    assert processes.family(everyone, os.getpid()) == {US, child, grandchild}


def test_own_time_is_that_of_the_family_with_its_ended_children() -> None:
    everyone = {US: at_work(2.0, ended_children=3.0), Key(10, 1.0): at_work(0.5, parent=os.getpid())}
    assert processes.own_seconds(everyone) == 5.5


def test_others_are_named_with_their_share_and_ours_are_not() -> None:
    idle, busy, ours = Key(10, 1.0), Key(11, 1.0), Key(12, 1.0)
    before = {
        US: at_work(0.0),
        idle: at_work(5.0, "idle"),
        busy: at_work(7.0, "busy"),
        ours: at_work(1.0, "ours", US[0]),
    }
    account = Account(before)
    account.add(
        {US: at_work(9.0), idle: at_work(5.0, "idle"), busy: at_work(9.0, "busy"), ours: at_work(9.0, "ours", US[0])}
    )
    assert account.users(4.0, 2) == (DeviceUser(device="cpu", process=11, name="busy", share=0.25),)


def test_one_that_ended_is_known_from_the_look_before_and_one_that_began_counts_whole() -> None:
    account = Account({US: at_work(0.0)})
    began, same_number = Key(20, 5.0), Key(20, 9.0)
    account.add({US: at_work(1.0), began: at_work(1.0, "short")})
    account.add({US: at_work(2.0), same_number: at_work(3.0, "later")})
    assert [(user.name, user.share) for user in account.users(10.0, 1)] == [("later", 0.3), ("short", 0.1)]


@pytest.mark.parametrize(
    ("words", "ending"),
    [
        (["{script}", "--password", "hunter2"], " work.py"),
        (["-W", "ignore", "{script}"], " work.py"),
        (["-m", "timeit", "-n", "1", "-s", "print(1, flush=True)", "input()"], " timeit"),
        (["-c", "print(1, flush=True); input('secret')"], ""),
    ],
)
def test_an_interpreter_is_named_with_its_script_and_no_other_word(
    words: list[str], ending: str, tmp_path: Path
) -> None:
    (tmp_path / "work.py").write_text("print(1, flush=True)\ninput()\n")
    with running(sys.executable, *(word.replace("{script}", str(tmp_path / "work.py")) for word in words)) as key:
        name = psutil.Process(key.process).name()
        account = Account({})
        account.add({key: at_work(5.0, name)})
        # Ours after all, but here it stands for another.
        assert [user.name for user in account.users(10.0, 1)] == [f"{name}{ending}"]


def test_a_process_stands_once_a_device_with_the_most_it_was_seen_to_use() -> None:
    seen = [DeviceUser(device="cpu", process=7, name="a", share=share) for share in (0.1, 0.4, 0.2)]
    beside = DeviceUser(device="GPU 0 (X)", process=7, name="a", memory_bytes=5)
    assert processes.merged([*seen, beside]) == (beside, seen[1])
