"""Backends that other packages bring: a wheel with one, installed beside assay, and such as are broken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from assay import demo
from assay.backends import registry
from assay.errors import DISTRIBUTION, BackendError, MissingExtraError
from assay.steps.doctor import doctor
from tests.messages import assert_says

README = Path(__file__).parents[2] / "README.md"
MODULE = README.read_text(encoding="utf-8").rsplit("```python\n", 1)[1].split("```", 1)[0]
"""The README's backend, named `reference`."""
TRANSFORM = ["--resize", "72", "--crop", "64", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]


def metadata_of(name: str, entries: str, more: str = "") -> dict[str, str]:
    """The files of a package's metadata, by their paths."""
    folder = f"{name.replace('-', '_')}-1.0.dist-info"
    return {
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{more}",
        f"{folder}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{folder}/entry_points.txt": f"[{registry.GROUP}]\n{entries}\n",
    }


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip installed a wheel with the README's backend, and where larger ones are hidden."""
    folder = tmp_path_factory.mktemp("stranger")
    files = {"reference_backend.py": MODULE}
    files |= metadata_of("assay-reference", "reference = reference_backend:Reference")
    record = "assay_reference-1.0.dist-info/RECORD"
    files[record] = "".join(f"{path},,\n" for path in [*files, record])
    wheel = folder / "assay_reference-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    target = folder / "site"
    words = ["install", "--no-deps", "--no-index", "--disable-pip-version-check", "--target", str(target), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True)
    for vendor in ("torch", "openvino", "MNN"):
        # To compile with each of ours too would take a minute.
        (target / f"{vendor}.py").write_text(f"raise ModuleNotFoundError({vendor!r}, name={vendor!r})")
    return target


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """The words that give a run a few of the demo's images: the backend takes its time."""
    folder = tmp_path_factory.mktemp("data")
    images, labels = folder / "images", folder / "labels.txt"
    images.mkdir()
    chosen = demo.LABELS.read_text(encoding="utf-8").splitlines()[:6]
    for line in chosen:
        shutil.copy(demo.IMAGES / line.split()[0], images)
    labels.write_text("\n".join(chosen), encoding="utf-8")
    return ["--images", images, "--labels", labels, "--batch", "2", *TRANSFORM]


def assay(site: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A command line where the wheel is installed."""
    paths = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "assay", *map(str, words)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.long
def test_a_wheels_backend_compiles_and_is_measured(installed: Path, tmp_path: Path) -> None:
    artifact = tmp_path / "artifact.onnx"
    compiled = assay(
        installed, "compile", demo.ONNX, "--backend", "reference", "--batch", "2", *TRANSFORM, "--json", "-o", artifact
    )
    record = json.loads(compiled.stdout)["body"]
    assert record["options"]["backend"] == "reference"
    assert record["parity"]["top1_agreement"] == 1.0
    measured = assay(installed, "bench", artifact, "--synthetic", "--iterations", "2", "-o", tmp_path / "RUN")
    assert "reference · cpu" in measured.stderr + measured.stdout


def test_a_run_takes_a_wheels_backend(installed: Path, data: list[str | Path], tmp_path: Path) -> None:
    done = assay(installed, "run", demo.ONNX, *data, "--backend", "reference", "-o", tmp_path / "RUN")
    assert "compile  reference · cpu · fp32" in done.stderr


@pytest.mark.long
def test_auto_tries_a_wheels_backend_beside_ours(installed: Path, data: list[str | Path], tmp_path: Path) -> None:
    said = assay(installed, "run", demo.ONNX, *data, "--backend", "auto", "-o", tmp_path / "RUN").stderr
    assert "auto: batch 2: reference " in said
    assert "auto: batch 2: onnxruntime " in said
    assert "reference is out" not in said


@pytest.mark.long
def test_the_doctor_proves_a_wheels_backend(installed: Path) -> None:
    diagnosis = json.loads(assay(installed, "doctor", "--json").stdout)["body"]
    states = {state["name"]: state for state in diagnosis["backends"]}
    for name in ("reference", "onnxruntime"):
        assert states[name]["problem"] is None
        assert states[name]["parity"]["top1_agreement"] == 1.0


def add_package(folder: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    """Installs a package's files, and reads the table anew."""
    for path, content in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(content)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(registry, "BACKENDS", registry.Installed())


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            "broken = broken_backend:Backend",
            "broken cannot be imported (AttributeError: module 'broken_backend' has no",
        ),
        (
            "broken = no_such_module:Backend",
            "cannot be imported (ModuleNotFoundError: No module named 'no_such_module')",
        ),
        ("broken = assay_no_such:Backend", "cannot be imported (ModuleNotFoundError: No module named 'assay_no_such')"),
        ("broken = broken_backend:Other", "broken_backend:Other is not a backend: it has no suffix, faithful, "),
        ("broken = broken_backend:Renamed", "backend broken calls itself 'other' (broken_backend:Renamed)"),
        ("broken = broken_backend:Vendors", "cannot be imported (ModuleNotFoundError: No module named 'no_vendor')"),
        ("broken = broken_backend", "backend broken cannot be imported (TypeError: 'module' object is not callable)"),
    ],
)
def test_a_broken_entry_point_is_one_line_that_names_its_package(
    entry: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = (
        "from assay.backends.null import Null\n"
        "class Other:\n    name = 'broken'\n"
        "class Renamed(Null):\n    name = 'other'\n"
        "class Vendors(Null):\n    def __init__(self): import no_vendor\n"
    )
    add_package(tmp_path, monkeypatch, {"broken_backend.py": module, **metadata_of("broken-package", entry)})
    monkeypatch.delitem(sys.modules, "broken_backend", raising=False)
    with pytest.raises(BackendError) as caught:
        registry.get("broken")
    assert_says(caught, said, "pip install --force-reinstall broken-package")
    assert "\n" not in str(caught.value)
    assert DISTRIBUTION not in str(caught.value)


def test_an_extra_is_that_of_the_package_that_brings_the_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = metadata_of("their-package", "theirs = no_such_module:Backend", "Provides-Extra: theirs\n")
    add_package(tmp_path, monkeypatch, files)
    with pytest.raises(MissingExtraError, match=r"backend theirs .* pip install 'their-package\[theirs\]'"):
        registry.get("theirs")


def test_a_name_of_ours_in_another_package_is_refused_and_spares_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = metadata_of("their-package", "null = their_module:Backend\nbroken = no_such_module:Backend")
    add_package(tmp_path, monkeypatch, files)
    with pytest.raises(BackendError) as caught:
        registry.get("null")
    assert_says(caught, "backend null is provided by more than one package", DISTRIBUTION, "their-package", "uninstall")
    monkeypatch.setattr(
        registry, "BACKENDS", {name: registry.BACKENDS[name] for name in ("broken", "null", "onnxruntime")}
    )
    states = {state.name: state for state in doctor().backends}
    assert "cannot be imported" in (states["broken"].problem or "")
    assert "more than one package" in (states["null"].problem or "")
    assert states["onnxruntime"].problem is None


def test_an_older_copy_of_the_same_metadata_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(registry.BACKENDS)
    add_package(tmp_path, monkeypatch, metadata_of("assay", f"null = {before['null']}"))
    assert dict(registry.BACKENDS) == before


def test_a_source_tree_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(registry, "BACKENDS", registry.Installed())
    with pytest.raises(BackendError, match=rf"^{DISTRIBUTION} is not installed .*; install it, or its source tree"):
        registry.get("null")
