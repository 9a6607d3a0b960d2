from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from assay.errors import RecordError
from assay.storage import locks
from tests.messages import assert_says

_HOLD = """
import sys
from pathlib import Path
from assay.storage import locks
with locks.lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_process_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "RUN"
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RecordError) as caught, locks.lock(folder):
            pass
        assert_says(caught, str(folder), f"process {other.pid}", "wait for it or choose another folder")
        other.communicate("\n")
    assert other.returncode == 0
    with locks.lock(folder):
        pass


def test_a_folder_is_free_again_after_an_error(tmp_path: Path) -> None:
    def fail_inside() -> None:
        with locks.lock(tmp_path):
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail_inside()
    with locks.lock(tmp_path):
        pass


def test_a_folder_whose_holder_was_killed_is_free(tmp_path: Path) -> None:
    _python(
        "import os, sys; from pathlib import Path; from assay.storage import locks\n"
        "with locks.lock(Path(sys.argv[1])):\n"
        "    os._exit(9)",
        str(tmp_path),
    )
    with locks.lock(tmp_path):
        pass


def test_a_place_that_cannot_be_a_folder_cannot_be_locked(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(RecordError) as caught, locks.lock(tmp_path / "taken"):
        pass
    assert_says(caught, "cannot write to", str(tmp_path / "taken"), "choose another folder")


def test_a_full_disk_while_locking_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="this system has no limit for the size of files")
    said = _python(
        "import resource, sys; from pathlib import Path; from assay.storage import locks\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "try:\n"
        "    with locks.lock(Path(sys.argv[1])):\n"
        "        pass\n"
        "except locks.RecordError as error:\n"
        "    print(error)\n"
        "except OSError as error:\n"
        "    print('not translated:', error)",
        str(tmp_path),
    )
    assert said.startswith(f"cannot write to {tmp_path}: ")


def _python(code: str, *arguments: str) -> str:
    """What another process prints; code that ends itself with status 9 is as good as killed."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 9), done.stderr
    return done.stdout
