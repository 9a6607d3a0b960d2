"""Nothing that a vendor's package would report over the network leaves this machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from assay import demo

pytest.importorskip("MNN")
pytest.importorskip("openvino_telemetry")

GUARDED = """
import socket, subprocess, sys, threading
attempts = []
def refused(*arguments, **named):
    attempts.append(arguments)
    raise OSError("no network in this test")
for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refused)
socket.getaddrinfo = refused
started = []
original = subprocess.Popen.__init__
def watched(self, command, *arguments, **named):
    started.append(command)
    original(self, command, *arguments, **named)
subprocess.Popen.__init__ = watched

from assay.cli.main import main
status = 0
for backend in ("mnn", "openvino"):
    artifact = f"{sys.argv[2]}/{backend}"
    transform = ["--resize", "72", "--crop", "64", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]
    status |= main(["compile", sys.argv[1], "--backend", backend, "--batch", "2", *transform, "--json", "-o", artifact])
    status |= main(["bench", artifact, "--synthetic", "--iterations", "2", "--json", "-o", f"{artifact}-RUN"])
telling = [name for name in sys.modules if name.startswith("MNN.tools") or name == "openvino_telemetry"]
installed = [command for command in started if "pip" in command]
print(status, attempts, telling, installed, threading.active_count(), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", GUARDED, str(demo.ONNX), str(tmp_path_factory.mktemp("runs"))]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_neither_vendor_reports_a_run_or_installs_anything(done: subprocess.CompletedProcess[str]) -> None:
    assert done.stderr.splitlines()[-1] == "0 [] [] [] 1"


def test_the_records_on_standard_output_are_all_there_is(done: subprocess.CompletedProcess[str]) -> None:
    """The runtimes print as they are imported, convert and open."""
    decoder, rest, records = json.JSONDecoder(), done.stdout.lstrip(), []
    while rest:
        record, end = decoder.raw_decode(rest)
        records.append(record["record"])
        rest = rest[end:].lstrip()
    assert records == ["CompiledModel", "BenchOutcome"] * 2
