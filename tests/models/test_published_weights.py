"""Downloads from a real server on the loopback, which breaks off, lies and refuses as it is told."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from assay.errors import AssayError, CheckpointError, RecordError
from assay.models import published_weights
from assay.progress import Silent
from assay.storage import locks
from tests.messages import assert_says

CONTENT = np.random.default_rng(11).bytes(3 * 2**20 + 12345)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = f"net-{SHA256[:8]}.pth"
MEBIBYTES = len(CONTENT) / 2**20


@dataclass
class Server:
    """What the server does, and what it was asked."""

    content: bytes = CONTENT
    cuts: list[int] = field(default_factory=list)
    """After how many bytes each of the first answers breaks off."""
    ranges: bool = True
    says_length: bool = True
    status: int = 200
    silent: bool = False
    asked: list[str | None] = field(default_factory=list)
    url: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        if self.status != 200:
            handler.send_error(self.status)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.ranges else 0
        total = len(self.content)
        if start >= total and wanted and self.ranges:
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{total}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if self.says_length:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: self.cuts.pop(0)] if self.cuts else body)
        if self.silent:
            handler.wfile.flush()
            self.ended.wait(20)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # A client that has had enough hangs up.
            with suppress(ConnectionError):
                told.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.02,))
    thread.start()
    told.url = f"http://127.0.0.1:{running.server_port}/models/{NAME}"
    yield told
    told.ended.set()
    running.shutdown()
    running.server_close()
    thread.join()


class Told(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.total = self.done = 0
        self.finished: list[str] = []

    def start(self, step: str, total: int | None) -> None:
        self.total = total or 0

    def advance(self, count: int = 1) -> None:
        self.done += count

    def note(self, message: str) -> None:
        self.notes.append(message)

    def finish(self, step: str, subject: str, detail: str, seconds: float | None) -> None:
        self.finished.append(f"{step} {subject} {detail}")


def _fetch(server: Server, folder: Path, told: Silent | None = None, timeout: float = 10.0) -> Path:
    return published_weights.fetch(server.url, SHA256[:8], MEBIBYTES, folder, told or Silent(), timeout)


def _left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock", ".lock.holder"}


def test_a_file_is_fetched_with_progress_and_kept(server: Server, tmp_path: Path) -> None:
    told = Told()
    path = _fetch(server, tmp_path / "cache", told)
    assert path == tmp_path / "cache" / NAME
    assert path.read_bytes() == CONTENT
    assert _left(path.parent) == {NAME}
    assert (told.total, told.done) == (3, 3)
    assert told.notes == [f"fetching {server.url} (3.0 MiB) into {path.parent}"]
    assert told.finished == [f"fetch {NAME} sha256 {SHA256[:8]}… confirmed"]


def test_a_kept_file_is_used_without_a_request(server: Server, tmp_path: Path) -> None:
    _fetch(server, tmp_path)
    told = Told()
    assert _fetch(server, tmp_path, told).read_bytes() == CONTENT
    assert server.asked == [None]
    assert told.notes == told.finished == []


def test_a_kept_file_that_was_damaged_is_said_and_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT[:-1] + b"?")
    told = Told()
    assert _fetch(server, tmp_path, told).read_bytes() == CONTENT
    assert "is not what was published" in told.notes[0]


def test_a_download_that_broke_off_in_an_earlier_run_goes_on(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.partial").write_bytes(CONTENT[:1_000_000])
    told = Told()
    assert _fetch(server, tmp_path, told).read_bytes() == CONTENT
    assert server.asked == ["bytes=1000000-"]
    assert told.done == 3
    assert _left(tmp_path) == {NAME}


@pytest.mark.parametrize("says_length", [True, False])
def test_a_cut_connection_is_taken_up_where_it_was_cut(server: Server, tmp_path: Path, says_length: bool) -> None:
    server.cuts = [1_000_000, 500_000]
    assert _fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000000-", "bytes=1500000-"]


def test_a_server_that_brings_nothing_more_ends_it_and_what_came_is_kept(server: Server, tmp_path: Path) -> None:
    server.cuts = [1_000_000, 0]
    with pytest.raises(CheckpointError) as caught:
        _fetch(server, tmp_path)
    assert_says(caught, server.url, "broke off at 976.6 KiB of 3.0 MiB", "run again to go on")
    assert _left(tmp_path) == {f"{NAME}.partial"}
    assert _fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=1000000-"


def test_a_server_that_falls_silent_is_not_waited_for_without_end(server: Server, tmp_path: Path) -> None:
    server.cuts, server.silent = [1_000_000, 0], True
    with pytest.raises(CheckpointError, match="broke off"):
        _fetch(server, tmp_path, timeout=0.3)
    assert (tmp_path / f"{NAME}.partial").read_bytes() == CONTENT[:1_000_000]


def test_a_server_that_knows_no_ranges_begins_anew(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / f"{NAME}.partial").write_bytes(b"?" * 1_000_000)
    assert _fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == ["bytes=1000000-"]


def test_a_whole_file_that_only_lacked_its_name_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.partial").write_bytes(CONTENT)
    assert _fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-"]


def test_a_beginning_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.partial").write_bytes(CONTENT + b"?")
    assert _fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT) + 1}-", None]


@pytest.mark.parametrize("begun", [0, 1_000_000])
def test_a_file_of_another_hash_is_not_kept(server: Server, tmp_path: Path, begun: int) -> None:
    server.content = CONTENT[:-1] + b"?"
    if begun:
        (tmp_path / f"{NAME}.partial").write_bytes(CONTENT[:begun])
    with pytest.raises(CheckpointError) as caught:
        _fetch(server, tmp_path)
    wrong = hashlib.sha256(server.content).hexdigest()
    assert_says(caught, server.url, f"begins with {wrong[:8]}, not {SHA256[:8]}", "not kept", "run again")
    assert _left(tmp_path) == set()


@pytest.mark.parametrize("says_length", [True, False])
def test_a_file_without_end_is_given_up(server: Server, tmp_path: Path, says_length: bool) -> None:
    server.content, server.says_length = CONTENT * 3, says_length
    with pytest.raises(CheckpointError) as caught:
        _fetch(server, tmp_path)
    assert_says(caught, server.url, "more than the 3.0 MiB", "not kept")
    assert _left(tmp_path) == set()


def test_an_empty_answer_is_no_file(server: Server, tmp_path: Path) -> None:
    server.content = b""
    with pytest.raises(CheckpointError, match="not kept"):
        _fetch(server, tmp_path)
    assert _left(tmp_path) == set()


@pytest.mark.parametrize("status", [403, 404, 416, 500])
def test_a_server_that_refuses_is_quoted(server: Server, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(CheckpointError) as caught:
        _fetch(server, tmp_path)
    assert_says(caught, server.url, f"the server answered {status} ", "give it with weights")
    assert _left(tmp_path) == set()


def _without_a_listener() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/{NAME}"


@pytest.mark.parametrize("known", [True, False])
def test_no_network_is_one_line(known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    url = _without_a_listener() if known else f"http://nowhere.invalid/{NAME}"
    with pytest.raises(CheckpointError) as caught:
        published_weights.fetch(url, SHA256[:8], MEBIBYTES, tmp_path)
    assert_says(caught, f"cannot reach {url}", "go online once", "give it with weights")
    assert _left(tmp_path) == set()


def test_something_that_speaks_no_http_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/{NAME}"
        with pytest.raises(CheckpointError) as caught:
            published_weights.fetch(url, SHA256[:8], MEBIBYTES, tmp_path)
        thread.join()
    assert_says(caught, f"cannot reach {url}")


def test_two_at_once_do_not_write_into_each_other(server: Server, tmp_path: Path) -> None:
    with locks.lock(tmp_path), pytest.raises(RecordError, match="in use by another assay"):
        _fetch(server, tmp_path)


def test_a_folder_that_cannot_be_written_is_one_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(AssayError) as caught:
        _fetch(server, tmp_path / "cache")
    assert_says(caught, f"cannot write to {tmp_path / 'cache'}")


def test_a_partial_that_cannot_be_written_is_one_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.partial").mkdir()
    with pytest.raises(RecordError) as caught:
        _fetch(server, tmp_path)
    assert_says(caught, f"cannot write {tmp_path / NAME}.partial", "ASSAY_CACHE")


def test_the_cache_is_the_users_or_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path))
    assert published_weights.cache_folder() == tmp_path / "weights"
    monkeypatch.delenv("ASSAY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert published_weights.cache_folder().parts[-2:] == ("assay", "weights")
