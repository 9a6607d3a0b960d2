"""The 8-bit models of a search."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from assay.cli.main import main
from assay.records import OnnxModel, PreparedDataset
from assay.storage import store
from assay.tuning.eight_bit_models import Quantizer
from assay.tuning.records import Candidate


@pytest.mark.long
def test_its_command_makes_the_model_again_from_any_folder(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    quantizer = Quantizer(demo_model, demo_data, Path("T/models"), 0.001)
    made = quantizer.model("minmax", True, 1, 600.0)
    before = made.file.sha256
    line = quantizer.command(
        Candidate(backend="onnxruntime", device="cpu", batch=1, precision="int8", calibrator="minmax", float_layers=1)
    )
    assert line is not None
    for file in Path("T/models").glob("minmax-*"):
        file.unlink()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(shlex.split(line)[1:]) == 0
    assert store.hash_file(made.file.path) == before
