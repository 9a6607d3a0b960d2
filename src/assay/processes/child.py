"""A function run in a child process, so that a vendor's crash, hang or hunger for memory is an error line.

The child is a fresh interpreter that imports only what the function needs: neither the command line nor the caller's
`__main__`. It is kept for the next call of the same name, since most of its cost is the vendor's import; a call that
ends badly ends it. It leads a process group of its own, so that what it starts ends with it, and it dies with its
parent. What it writes is not shown; the last line of it stands in the message where it crashes.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import TypeVar, cast

import psutil

from assay import units
from assay.errors import AssayError, BackendError, Option, Remedy

T = TypeVar("T")

REMEDY = Remedy(
    "try another {}, {} or {}, or another backend: assay doctor shows them",
    Option("set"),
    Option("precision"),
    Option("batch"),
)
"""What to do where nobody knows better."""

_LOOK_SECONDS = 0.2
"""Between two looks at the child's memory, which cost time of what is measured; an answer is not waited for."""
_GRACE_SECONDS = 1.0
_KEPT_BYTES = 1 << 30
"""A child that holds more than this after a call is not kept: the memory is wanted for measuring."""
_SHARE = 0.95
_DIE_WITH_PARENT = 1
_OUT_OF_MEMORY = ("bad_alloc", "out of memory", "cannot allocate memory", "failed to allocate", "memoryerror")

_lock = threading.Lock()
_spare: _Child | None = None
_serving = False


@dataclass(frozen=True)
class Call:
    """What a call is of, how long and how much it may take, and what to do where it ends badly."""

    name: str
    """Of what is called; a child is kept for the next call of the same name."""
    doing: str
    timeout: float
    """Seconds."""
    memory_bytes: int | None = None
    """By default what the machine has at hand."""
    remedy: Remedy = REMEDY
    look_seconds: float = _LOOK_SECONDS
    """Between two looks at time and memory."""


def run(
    function: Callable[..., T],
    *arguments: object,
    call: Call,
) -> T:
    """The function's result; function and arguments are picklable, and so importable.

    An `AssayError` of the function is raised as itself. A crash, another exception, too many seconds or too much memory
    are a `BackendError` that begins with the call's name. Within such a child the function is simply called: the child
    is the protection already.
    """
    if _serving:
        return function(*arguments)
    child = _taken(call.name)
    try:
        result = child.call(function, arguments, call)
    except AssayError:
        _give_back(child)
        raise
    except BaseException:
        child.end()
        raise
    _give_back(child)
    return cast(T, result)


def ahead(module: str) -> None:
    """Ends the child that is kept, and starts the one of the next call, which imports a module meanwhile."""
    global _spare
    close()
    if _serving:
        return
    child = _Child(None, module)
    with _lock:
        _spare = child


def close() -> None:
    """Ends the child that is kept for a next call, if there is one."""
    global _spare
    with _lock:
        child, _spare = _spare, None
    if child is not None:
        child.end()


def is_about_memory(text: str) -> bool:
    """Whether a vendor's message says that memory did not suffice."""
    return any(word in text.lower() for word in _OUT_OF_MEMORY)


def serve(descriptor: int, module: str | None = None) -> None:
    """The child's whole life: call after call, until the parent closes the connection."""
    global _serving
    _serving = True
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if module is not None:
        importlib.import_module(module)
    connection = Connection(descriptor)
    while True:
        try:
            request = connection.recv_bytes()
        except (EOFError, OSError):
            return
        connection.send_bytes(_answer(request))


def _answer(request: bytes) -> bytes:
    """A pickled (result, error of ours, memory did not suffice, another exception's traceback)."""
    try:
        folder, environment, path = pickle.loads(request)[:3]  # noqa: S301 - our own parent's
        os.chdir(folder)
        os.environ.update(environment)
        sys.path[:] = path
        function, arguments = pickle.loads(pickle.loads(request)[3])  # noqa: S301 - our own parent's
        return pickle.dumps((function(*arguments), None, None))
    except AssayError as error:
        return pickle.dumps((None, error, None))
    except BaseException as error:
        # A vendor may raise anything; the parent says what it was.
        line = " ".join(f"{type(error).__name__}: {error}".split())
        return pickle.dumps((None, None, (line, traceback.format_exc())))


class _RemoteTraceback(Exception):  # noqa: N818 - shown above an error as its cause, never caught
    """The child's traceback."""

    def __str__(self) -> str:
        return str(self.args[0])


class _Child:
    """A process that waits for calls."""

    def __init__(self, name: str | None, module: str | None = None) -> None:
        self.name, self.owner = name, os.getpid()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        self._connection, far = Pipe()
        code = f"import sys; sys.path[:] = {sys.path!r}; from assay.processes.child import serve; "
        code += f"serve({far.fileno()}, {module!r})"
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[far.fileno()],
                start_new_session=True,
            )
        except OSError as error:
            self._connection.close()
            self._log.close()
            what = f"{name or module}: cannot start a process: {error.strerror}; free memory or processes"
            raise BackendError(what) from error
        finally:
            far.close()

    @property
    def alive(self) -> bool:
        """Whether it can take a call."""
        return self._process.poll() is None

    def memory(self) -> int:
        """The bytes held by it and by what it started; 0 where it is gone."""
        held = 0
        with suppress(psutil.Error):
            root = psutil.Process(self._process.pid)
            for process in (root, *root.children(recursive=True)):
                with suppress(psutil.Error):
                    held += process.memory_info().rss
        return held

    def call(
        self,
        function: Callable[..., object],
        arguments: tuple[object, ...],
        call: Call,
    ) -> object:
        """One call's result; a `BackendError` that ends the child where it ends badly."""
        memory_bytes = call.memory_bytes or self.memory() + _at_hand()
        work = pickle.dumps((function, arguments))
        # The child writes where this shared offset stands: truncated alone, its next words would follow a hole.
        os.lseek(self._log.fileno(), 0, os.SEEK_SET)
        os.ftruncate(self._log.fileno(), 0)
        try:
            self._connection.send_bytes(pickle.dumps((str(Path.cwd()), dict(os.environ), sys.path, work)))
            problem = self._wait(call, memory_bytes)
            if problem is None:
                result, error, other = pickle.loads(self._connection.recv_bytes())  # noqa: S301 - our own child's
        except (EOFError, OSError):
            problem = self._death()
        if problem is not None:
            self.end()
            raise BackendError(f"{self.name} {problem.format(doing=call.doing)}", remedy=call.remedy)
        if error is not None:
            raise cast(AssayError, error)
        if other is not None:
            line, trace = other
            out_of_memory = is_about_memory(line)
            what = (
                f"ran out of memory while {call.doing}" if out_of_memory else f"failed while {call.doing}: {line[:400]}"
            )
            raise BackendError(f"{self.name} {what}", remedy=call.remedy) from _RemoteTraceback(f"\n{trace}")
        return result

    def _wait(self, call: Call, memory_bytes: int) -> str | None:
        """Waits for the answer; what is wrong where none will come in time or in the memory allowed."""
        ends = time.monotonic() + call.timeout
        while not self._connection.poll(call.look_seconds):
            if self.memory() > memory_bytes:
                return f"took more than {units.memory(memory_bytes)} of memory while {{doing}} and was ended"
            if time.monotonic() > ends:
                return f"did not end within {call.timeout:g} s while {{doing}} and was ended"
        return None

    def _death(self) -> str:
        """How it died, and the last line that it wrote."""
        try:
            code = self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            return "closed its connection while {doing}"
        written = self._written()
        if is_about_memory(written):
            return "ran out of memory while {doing}"
        if code == -signal.SIGKILL:
            return "was killed (SIGKILL) while {doing}, most likely by the system for want of memory"
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        last = " ".join((written.strip().splitlines() or [""])[-1].split())[:200].replace("{", "{{").replace("}", "}}")
        return f"crashed ({how}) while {{doing}}" + (f" ({last})" if last else "")

    def _written(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), 4000, max(0, size - 4000)).decode(errors="replace")

    def end(self) -> None:
        """Kills it and what it started; a second time does nothing."""
        self._connection.close()
        if self.owner == os.getpid():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._log.close()


def _taken(name: str) -> _Child:
    """The kept child where it has this name or none yet, and lives, or else a new one."""
    global _spare
    with _lock:
        child, _spare = _spare, None
    if child is not None:
        if child.name in (name, None) and child.alive and child.owner == os.getpid():
            child.name = name
            return child
        child.end()
    return _Child(name)


def _give_back(child: _Child) -> None:
    """Keeps a child for the next call, unless it is dead, holds much memory, or another is kept already."""
    global _spare
    if child.alive and child.memory() <= _KEPT_BYTES:
        with _lock:
            if _spare is None:
                _spare = child
                return
    child.end()


def _at_hand() -> int:
    """The bytes that the machine, or the container around this process, can still give."""
    free = psutil.virtual_memory().available
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / f"memory.{kind}").read_text()) for kind in ("max", "current"))
        free = min(free, max(limit - used, 0))
    return int(free * _SHARE)


atexit.register(close)
