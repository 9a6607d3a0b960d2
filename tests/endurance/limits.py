"""A command in a process of its own, whose memory and time are measured and bounded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.endurance.commands import HANGS_SECONDS, with_tests

_MEASURED = """
import json, re, sys
from assay.cli.main import main
from tests.endurance.hurried import hurry
hurry()
status = main(json.loads(sys.argv[1]))
sys.stdout.flush()
# Of this program alone: what `getrusage` counts begins with the size of whoever started it.
with open("/proc/self/status") as file:
    peak = re.search(r"VmHWM:\\s+(\\d+) kB", file.read())
print("\\nPEAK", int(peak[1]) * 1024, file=sys.stderr)
sys.exit(status)
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    said: str
    """On standard error, without the measurement."""
    peak_bytes: int


def run(words: Sequence[object], folder: Path) -> Ended:
    """Runs `assay` with these words in a folder; raises where it hangs, or ends in a traceback."""
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux says how much memory a program held at most")
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, json.dumps([str(word) for word in words])],
        capture_output=True,
        cwd=folder,
        env=with_tests(),
        timeout=HANGS_SECONDS,
        check=False,
    )
    # Only a line feed ends a line here: a stray one of another kind is what is looked for.
    said, _, peak = done.stderr.decode("utf-8", "surrogateescape").rpartition("\nPEAK ")
    assert "Traceback" not in said, said
    assert peak, done.stderr
    return Ended(done.returncode, done.stdout.decode("utf-8", "surrogateescape"), said, int(peak))
