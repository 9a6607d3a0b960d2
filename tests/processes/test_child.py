from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from assay.errors import AssayError, BackendError, Remedy, UnknownNameError
from assay.processes import child as child_processes


def add(one: int, two: int) -> int:
    return one + two


def process() -> int:
    return os.getpid()


def read_null() -> None:
    ctypes.string_at(0)


def abort() -> None:
    print("the vendor's {last} words", file=sys.stderr, flush=True)
    os.abort()


def leave() -> None:
    os._exit(7)


def hang() -> None:
    time.sleep(60)


def grow() -> None:
    held = []
    while True:
        held.append(bytearray(b"x" * (16 << 20)))


def refuse() -> None:
    raise MemoryError


def bad_alloc() -> None:
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    raise KeyError("no such\nlayer")


def unknown() -> None:
    raise UnknownNameError("device", "gpu", ["cpu"])


def child_of_child(file: Path) -> None:
    file.write_text(str(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid))
    time.sleep(60)


def noisy() -> str:
    os.write(1, b"noise")
    return "result"


def test_a_function_gives_its_result_and_its_noise_is_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    assert child_processes.run(add, 2, 3, call=child_processes.Call(name="backend x", doing="adding", timeout=20)) == 5
    assert (
        child_processes.run(noisy, call=child_processes.Call(name="backend x", doing="talking", timeout=20)) == "result"
    )
    assert capfd.readouterr() == ("", "")


def test_the_last_words_are_those_of_the_call_that_crashed() -> None:
    child_processes.run(noisy, call=child_processes.Call(name="backend x", doing="talking", timeout=20))
    with pytest.raises(BackendError, match=r"while compiling m \(the vendor's \{last\} words\); "):
        child_processes.run(abort, call=child_processes.Call(name="backend x", doing="compiling m", timeout=20))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (read_null, "crashed (SIGSEGV) while compiling m"),
        (abort, "crashed (SIGABRT) while compiling m (the vendor's {last} words)"),
        (leave, "crashed (exit status 7) while compiling m"),
        (killed, "was killed (SIGKILL) while compiling m, most likely by the system for want of memory"),
        (hang, "did not end within 1.5 s while compiling m and was ended"),
        (grow, "took more than 300.0 MiB of memory while compiling m and was ended"),
        (bad_alloc, "ran out of memory while compiling m"),
        (refuse, "ran out of memory while compiling m"),
        (fail, "failed while compiling m: KeyError: 'no such\\nlayer'"),
    ],
)
def test_what_ends_badly_is_one_line(function: object, said: str) -> None:
    with pytest.raises(BackendError) as caught:
        child_processes.run(
            function,  # type: ignore[arg-type]
            call=child_processes.Call(
                name="backend x",
                doing="compiling m",
                timeout=1.5 if function is hang else 20,
                memory_bytes=300 << 20,
                remedy=Remedy("do this"),
            ),
        )
    assert str(caught.value) == f"backend x {said}; do this"
    assert child_processes.run(add, 1, 1, call=child_processes.Call(name="backend x", doing="adding", timeout=20)) == 2


def test_an_error_of_ours_is_raised_as_itself() -> None:
    with pytest.raises(UnknownNameError) as caught:
        child_processes.run(unknown, call=child_processes.Call(name="backend x", doing="opening", timeout=20))
    assert str(caught.value) == "unknown device 'gpu'; known: cpu"
    assert isinstance(caught.value, AssayError)


def test_calls_of_one_name_share_a_child_and_those_of_another_do_not() -> None:
    one, two, other = (
        child_processes.run(process, call=child_processes.Call(name=name, doing="looking", timeout=20))
        for name in ("backend x", "backend x", "backend y")
    )
    assert one == two != other
    assert not psutil.pid_exists(one)
    child_processes.close()
    assert not psutil.pid_exists(other)


def test_a_kept_child_that_has_died_is_replaced() -> None:
    first = child_processes.run(process, call=child_processes.Call(name="backend x", doing="looking", timeout=20))
    os.kill(first, signal.SIGKILL)
    psutil.Process(first).wait(5)
    assert (
        child_processes.run(process, call=child_processes.Call(name="backend x", doing="looking", timeout=20)) != first
    )


def test_the_child_works_where_its_parent_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        child_processes.run(Path.cwd, call=child_processes.Call(name="backend x", doing="looking", timeout=20))
        == tmp_path
    )


def test_what_the_child_started_ends_with_it(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="did not end"):
        child_processes.run(
            child_of_child, tmp_path / "pid", call=child_processes.Call(name="backend x", doing="x", timeout=2)
        )
    assert _gone(int((tmp_path / "pid").read_text()))


PARENT = """
import sys
from assay.processes import child
from tests.processes.test_child import child_of_child, process
print(child.run(process, call=child.Call(name="backend x", doing="looking", timeout=20)), flush=True)
from pathlib import Path
child.run(child_of_child, Path(sys.argv[1]), call=child.Call(name="backend x", doing="x", timeout=60))
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_child_dies_with_its_parent(ending: signal.Signals, tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "pid")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", root])},
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        while not (tmp_path / "pid").exists():
            time.sleep(0.05)
        for _ in range(10):
            # Python loses an interrupt that meets it in a finalizer; a person presses again.
            parent.send_signal(ending)
            with contextlib.suppress(subprocess.TimeoutExpired):
                parent.wait(3)
                break
    assert _gone(child)


def _gone(number: int) -> bool:
    for _ in range(100):
        if not psutil.pid_exists(number) or psutil.Process(number).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False
