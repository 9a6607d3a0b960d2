"""Published files of weights: fetched once, checked by their hash, kept in the user's cache folder."""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assay import environment, units
from assay.errors import CheckpointError, Option, RecordError, Remedy
from assay.progress import Progress, Silent, Stopwatch
from assay.storage import locks, store

_MEBIBYTE = 2**20
_BLOCK = 256 * 1024
_TIMEOUT_SECONDS = 30.0
_TOLERANCE = 1.01
"""How much longer than it was said to be a file may get before it is given up; its hash decides in the end."""
_BY_HAND = Option("weights")
"""What takes a file that was fetched by other means."""


def cache_folder() -> Path:
    """Where files are kept."""
    return environment.cache_folder() / "weights"


def fetch(
    url: str,
    hash_prefix: str,
    mebibytes: float,
    folder: Path,
    progress: Progress = Silent(),
    timeout: float = _TIMEOUT_SECONDS,
) -> Path:
    """The file behind a URL, whose sha256 begins so, from the folder, or else from the network into the folder.

    A file that is there and whole is used without a request. A download that broke off goes on where it ended, and
    is tried again at once as long as every try brings something. Whatever is wrong is a `CheckpointError`.
    """
    target = folder / url.rpartition("/")[2]
    if target.is_file():
        if store.hash_file(target).startswith(hash_prefix):
            return target
        progress.note(f"{target} is not what was published (its sha256 differs); it is fetched again")
    watch = Stopwatch()
    with locks.lock(folder):
        # The name that it has only while it is incomplete; the folder's lock leaves it where it is.
        partial = folder / f"{target.name}.partial"
        download = _Download(url, partial, int(mebibytes * _MEBIBYTE * _TOLERANCE), progress, timeout)
        progress.note(f"fetching {url} ({units.memory(mebibytes * _MEBIBYTE)}) into {folder}")
        progress.start("fetch", round(mebibytes))
        while not download.attempt():
            pass
        digest = store.hash_file(partial)
        if not digest.startswith(hash_prefix):
            partial.unlink()
            raise CheckpointError(
                f"{url} gave a file whose sha256 begins with {digest[: len(hash_prefix)]}, not {hash_prefix}; it was "
                "not kept",
                remedy=Remedy("run again to fetch it anew, or give the file with {}", _BY_HAND),
            )
        with _writing(target):
            partial.replace(target)
    progress.finish("fetch", target.name, f"sha256 {hash_prefix}… confirmed", watch.seconds)
    return target


class _Download:
    """A file on its way: what has come so far lies in `partial`."""

    def __init__(self, url: str, partial: Path, limit: int, progress: Progress, timeout: float) -> None:
        self._url = url
        self._partial = partial
        self._limit = limit
        self._progress = progress
        self._timeout = timeout
        self._shown = 0
        self._unsatisfied = ""

    def attempt(self) -> bool:
        """Asks for what is missing; whether the file is complete now. Raises where nothing came."""
        begun = self._partial.stat().st_size if self._partial.exists() else 0
        request = urllib.request.Request(self._url, headers={"Accept-Encoding": "identity"})  # noqa: S310 - torchvision's
        if begun:
            request.add_header("Range", f"bytes={begun}-")
        with self._answered(request) as response:
            if response is None:
                # The server has nothing from there on: what lies here is the whole file, or none of it.
                return self._is_complete(begun)
            start, total = _extent(response, begun)
            size = self._receive(response, start)
        if total is None or size == total:
            return True
        if size > start:
            return False
        raise CheckpointError(
            f"{self._url} broke off at {units.memory(size)} of {units.memory(total)}; what came is kept: run again to "
            "go on from there"
        )

    @contextmanager
    def _answered(self, request: urllib.request.Request) -> Iterator[http.client.HTTPResponse | None]:
        """The answer; None where the file has nothing more from the place that was asked for."""
        try:
            response = urllib.request.urlopen(request, timeout=self._timeout)  # noqa: S310 - torchvision's
        except urllib.error.HTTPError as error:
            with error:
                if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and request.has_header("Range"):
                    self._unsatisfied = error.headers.get("Content-Range", "")
                    yield None
                    return
                raise CheckpointError(
                    f"{self._url}: the server answered {error.code} {error.reason}",
                    remedy=Remedy("fetch the file by other means and give it with {}", _BY_HAND),
                ) from error
        except (OSError, http.client.HTTPException) as error:
            raise CheckpointError(
                f"cannot reach {self._url}: {_reason(error)}",
                remedy=Remedy("go online once, or fetch the file by other means and give it with {}", _BY_HAND),
            ) from error
        with response:
            yield response

    def _is_complete(self, size: int) -> bool:
        if self._unsatisfied == f"bytes */{size}":
            return True
        with _writing(self._partial):
            self._partial.unlink()
        return False

    def _receive(self, response: http.client.HTTPResponse, start: int) -> int:
        """Writes the answer behind the first `start` bytes; the size then, whole or not."""
        size = start
        with _writing(self._partial), self._partial.open("ab") as file:
            file.truncate(start)
            self._show(size)
            while block := self._block(response):
                size += len(block)
                if size > self._limit:
                    file.close()
                    self._partial.unlink()
                    raise CheckpointError(
                        f"{self._url} gives more than the {units.memory(self._limit / _TOLERANCE)} that the file has; "
                        "it was not kept",
                        remedy=Remedy("give the file with {}", _BY_HAND),
                    )
                file.write(block)
                self._show(size)
        return size

    def _block(self, response: http.client.HTTPResponse) -> bytes:
        try:
            return response.read1(_BLOCK)
        except (OSError, http.client.HTTPException):
            # Cut off, or silent for too long: what came before stays.
            return b""

    def _show(self, size: int) -> None:
        done = size // _MEBIBYTE
        if done > self._shown:
            self._progress.advance(done - self._shown)
            self._shown = done


def _extent(response: http.client.HTTPResponse, asked: int) -> tuple[int, int | None]:
    """Where the answer begins in the file, and how long the file is, as far as the server says so."""
    ranged = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    if response.status == http.HTTPStatus.PARTIAL_CONTENT and ranged and int(ranged[1]) == asked:
        return asked, int(ranged[2])
    # A server that knows no ranges begins at the beginning.
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RecordError(
            f"cannot write {path}: {error.strerror or error}; free the space, or choose another folder with "
            f"{environment.CACHE_VARIABLE}"
        ) from error


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "reason", "") or error).split()) or type(error).__name__
