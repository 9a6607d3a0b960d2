"""The README's transcript is what the program prints, but for the figures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from assay.backends import registry
from assay.records import OnnxModel, Runnable
from assay.steps.artifact import compile_into
from assay.steps.build_options import BuildRequest
from assay.steps.measurement import Length, Measuring, measure
from tests.test_imports import WITHOUT_TORCH

README = Path(__file__).parents[1] / "README.md"
EXAMPLE = Path(__file__).parents[1] / "docs" / "example-report.html"


def _shape(text: str) -> list[str]:
    """The lines with every figure, hash and run of spaces made alike, and without what a busy machine adds."""
    text = re.sub(r"machine (idle|\S+ % busy)", "machine", text)
    text = re.sub(r"\b(read|preprocess|infer|post) \d+ %", "stage %", text)
    text = re.sub(r"\b[0-9a-f]{8}…", "hash", text)
    # A run that was too short or unsteady has no interval, and few calls no percentile.
    text = re.sub(r"(–|\d[\d,.]* (%|ms|/s|KiB))(?=  |$)", "#", text, flags=re.MULTILINE)
    lines = [re.sub(r"\s+", " ", re.sub(r"\d[\d,.]*", "#", line)).strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("warning")]


@dataclass(frozen=True)
class _Demo:
    """The demo, run as the transcript has it."""

    shown: str
    page: str


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> _Demo:
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "demo", "-o", "RUN-demo"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return _Demo(f"{done.stderr}{done.stdout}", (folder / "RUN-demo" / "report.html").read_text(encoding="utf-8"))


def test_the_transcript_has_the_form_of_a_real_run(done: _Demo) -> None:
    shown = README.read_text(encoding="utf-8").split("```text\n", 1)[1].split("```", 1)[0]
    command, _, transcript = shown.partition("\n")
    assert command == "$ assay demo -o RUN-demo"
    assert _shape(done.shown) == _shape(transcript)


def test_the_demos_page_and_its_example_say_how_to_repeat_it(done: _Demo) -> None:
    example = EXAMPLE.read_text(encoding="utf-8")
    words = " ".join(f"<span>{word}</span>" for word in ("assay", "demo", "-o", "RUN-demo"))
    for page in (done.page, example):
        assert "<h3>The whole run</h3>" in page
        assert words in page


def test_every_command_is_in_the_table() -> None:
    from assay.cli.main import parser

    listed = set(re.findall(r"^\| `assay (\w+)`", README.read_text(encoding="utf-8"), flags=re.MULTILINE))
    known = set(re.findall(r"^    (\w+) ", parser().format_help(), flags=re.MULTILINE))
    assert listed == known


@pytest.fixture
def written(tmp_path: Path) -> str:
    """The backend of twenty lines, as a module of its own; its name."""
    text = README.read_text(encoding="utf-8").rsplit("```python\n", 1)[1].split("```", 1)[0]
    assert len([line for line in text.splitlines() if line]) <= 20
    (tmp_path / "reference_backend.py").write_text(text, encoding="utf-8")
    return "reference_backend:Reference"


@pytest.mark.long
def test_the_suite_of_the_contract_holds_for_the_backend_of_twenty_lines(written: str, tmp_path: Path) -> None:
    only = f"from assay.backends import registry\nregistry.BACKENDS = {{'reference': '{written}'}}\n"
    (tmp_path / "only_the_reference.py").write_text(only, encoding="utf-8")
    suite = README.parent / "tests" / "backends" / "test_contract.py"
    # Large batches, over and over, take the evaluator longer than they tell.
    words = [
        "-p",
        "only_the_reference",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "-k",
        "not closing_gives and not reference-32 and not reference-64",
        "-rs",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, str(suite)],
        cwd=README.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"^\d+ passed", done.stdout, flags=re.MULTILINE), done.stdout


def test_the_backend_of_twenty_lines_compiles_keeps_the_scores_and_runs(
    written: str, demo_model: OnnxModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "BACKENDS", {**registry.BACKENDS, "reference": written})
    options, run_settings = BuildRequest(backend="reference").options(2)
    compiled, _ = compile_into(demo_model, options, tmp_path / "compiled")
    assert compiled.parity is not None
    assert compiled.parity.holds
    length = Length(batches=1)
    measured = measure(Runnable(compiled, run_settings), None, tmp_path / "bench", Measuring(length=length))
    assert measured.performance.images == 2
