"""Nothing that a vendor's package would report over the network leaves this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from assay import demo

pytest.importorskip("MNN")
if find_spec("openvino_telemetry") is None:
    pytest.skip("openvino's package for reports is not installed", allow_module_level=True)


from tests.backends import telling

NO_NETWORK = Path(__file__).parent / "no_network"
ROOT = Path(__file__).parents[2]

GUARDED = """
import sys, threading
from assay.backends import registry
from assay.cli.main import main
from tests.backends import telling
registry.take_over({**registry.BACKENDS, **telling.TABLE})
status = 0
for backend in sys.argv[3:]:
    artifact = f"{sys.argv[2]}/{backend}"
    transform = ["--resize", "72", "--crop", "64", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]
    status |= main(["compile", sys.argv[1], "--backend", backend, "--batch", "2", *transform, "--json", "-o", artifact])
    status |= main(["bench", artifact, "--synthetic", "--iterations", "2", "--json", "-o", f"{artifact}-RUN"])
print(status, threading.active_count(), file=sys.stderr)
"""


def run(folder: Path, *backends: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Compiles and measures with each backend; with what any process of it tried that leads to the network."""
    attempts = folder / "attempts"
    paths = os.pathsep.join([str(NO_NETWORK), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", GUARDED, str(demo.ONNX), str(folder), *backends],
        env={**os.environ, "PYTHONPATH": paths, "ASSAY_TEST_ATTEMPTS": str(attempts)},
        capture_output=True,
        text=True,
        check=True,
    )
    noted = attempts.read_text(encoding="utf-8").splitlines()
    # The program itself, the child that compiles, and the converter's or exporter's process.
    assert noted.count("guarded") >= 1 + 2 * len(backends)
    return done, [line for line in noted if line != "guarded"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    return run(tmp_path_factory.mktemp("runs"), "mnn", "openvino")


@pytest.fixture
def done(guarded: tuple[subprocess.CompletedProcess[str], list[str]]) -> subprocess.CompletedProcess[str]:
    return guarded[0]


@pytest.mark.long
def test_neither_vendor_reports_a_run_or_installs_anything(
    guarded: tuple[subprocess.CompletedProcess[str], list[str]],
) -> None:
    done, attempts = guarded
    assert done.stderr.splitlines()[-1] == "0 1"
    assert attempts == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("backend", "noted"),
    [
        ("connecting", f"connect ({telling.NOWHERE},)"),
        ("converting", f"connect_ex ({telling.NOWHERE},)"),
        ("importing", "import openvino_telemetry"),
    ],
)
def test_a_report_from_any_process_of_a_compile_would_be_seen(backend: str, noted: str, tmp_path: Path) -> None:
    assert run(tmp_path, backend)[1] == [noted]


def test_the_records_on_standard_output_are_all_there_is(done: subprocess.CompletedProcess[str]) -> None:
    """The runtimes print as they are imported, convert and open."""
    decoder, rest, records = json.JSONDecoder(), done.stdout.lstrip(), []
    while rest:
        record, end = decoder.raw_decode(rest)
        records.append(record["record"])
        rest = rest[end:].lstrip()
    assert records == ["CompiledModel", "BenchOutcome"] * 2
