"""What lies where in a command's folder is declared once: no step writes a file that the declaration does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import assay
from assay.data import prepared
from assay.storage.layout import Folder
from assay.whole_run.layout import LAYOUTS
from tests.sample_folders import SAMPLES

TINY: dict[str, Any] = {"resize": 36, "crop": 32, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
MODEL = SAMPLES / "tiny.onnx"


def unknown(layout: Folder, root: Path) -> list[str]:
    """The files in a folder that its layout does not know."""
    files = [path.relative_to(root) for path in sorted(root.rglob("*")) if path.is_file()]
    assert files
    return [str(path) for path in files if layout.place_of(path) is None]


def test_every_file_of_a_run_is_known(tmp_path: Path) -> None:
    images, labels = SAMPLES / "images", SAMPLES / "labels.txt"
    assay.run(MODEL, images=images, labels=labels, batch=[1, 4], paired=True, out=tmp_path, **TINY)
    assert not unknown(LAYOUTS["run"], tmp_path)


def test_every_file_of_a_run_that_chooses_its_backend_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from assay.backends import registry

    monkeypatch.setattr(registry, "BACKENDS", {"onnxruntime": registry.BACKENDS["onnxruntime"]})
    assay.run(MODEL, images=SAMPLES / "images", batch=4, backend="auto", out=tmp_path, **TINY)
    assert (tmp_path / "choice-4.json").is_file()
    assert not unknown(LAYOUTS["run"], tmp_path)


@pytest.mark.parametrize("interleave", [False, True])
def test_every_file_of_a_bench_is_known(interleave: bool, tmp_path: Path) -> None:
    measured = [MODEL, MODEL] if interleave else [MODEL]
    assay.bench(measured, synthetic=True, iterations=4, batch=1, interleave=interleave, out=tmp_path, **TINY)
    assert not unknown(LAYOUTS["bench"], tmp_path)


def test_every_file_of_a_shared_run_is_known_while_it_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assay.remote import gather

    seen: list[str] = []
    predictions = gather.predictions

    def looked(*arguments: Any) -> Any:
        seen.extend(path.name for path in tmp_path.rglob("shards/*"))
        assert not unknown(LAYOUTS["bench"], tmp_path)
        return predictions(*arguments)

    monkeypatch.setattr(gather, "predictions", looked)
    assay.bench(MODEL, data=SAMPLES / "prepared", batch=4, device="cpu,0", out=tmp_path, **TINY)
    assert seen
    assert not unknown(LAYOUTS["bench"], tmp_path)


def test_every_file_of_a_scenario_is_known(tmp_path: Path) -> None:
    pytest.importorskip("mlperf_loadgen", reason="needs the extra `loadgen`")
    assay.bench(MODEL, data=SAMPLES / "prepared", scenario="offline", duration=0.2, out=tmp_path, **TINY)
    assert (tmp_path / "scenario.json").is_file()
    assert not unknown(LAYOUTS["bench"], tmp_path)


@pytest.mark.long
def test_every_file_of_a_search_is_known(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="needs the extra `tune`")
    data = SAMPLES / "prepared"
    tuning = assay.tune(MODEL, data=data, backends=["onnxruntime"], batch=4, budget=12, out=tmp_path, **TINY)
    assert tuning.trials
    assay.report(tmp_path)
    assert not unknown(LAYOUTS["tune"], tmp_path)


def test_every_file_of_a_prepared_set_is_known() -> None:
    assert not unknown(prepared.LAYOUT, SAMPLES / "prepared")


@pytest.mark.parametrize(
    "file", ["notes.txt", "model.json.bak", "bench/a/b/performance.json", "choice-x.json", "prepared/mine.json"]
)
def test_a_users_own_file_is_not_known(file: str) -> None:
    assert LAYOUTS["run"].place_of(Path(file)) is None
