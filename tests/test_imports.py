"""What is imported when: a light start, and optional parts that are really optional."""

from __future__ import annotations

import subprocess
import sys

import pytest


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("code", ["import assay", "import assay.cli.main; assay.cli.main.parser().format_help()"])
def test_nothing_heavy_is_imported_before_it_is_needed(code: str) -> None:
    heavy = "numpy matplotlib jinja2 torch torchvision onnx onnxruntime PIL rich msgspec"
    assert _python(f"{code}; import sys; print([n for n in '{heavy}'.split() if n in sys.modules])") == "[]"


def test_the_package_shows_its_functions_and_loads_one_when_asked() -> None:
    assert _python("import assay; print(assay.run.__module__, 'compare' in dir(assay))") == ("assay.whole_run.run True")


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    import assay

    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = assay.nonsense


WITHOUT_TORCH = """
import importlib.metadata, sys
from pathlib import Path
found = importlib.metadata.version
def version(package):
    if package.startswith("torch"):
        raise importlib.metadata.PackageNotFoundError(package)
    return found(package)
importlib.metadata.version = version
class NotInstalled:  # None in sys.modules would do, but SciPy looks there for what is imported already
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, NotInstalled())
from assay.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_torch_the_demo_starts_from_its_onnx_file_and_says_so(tmp_path: object) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, "demo", "-o", f"{tmp_path}/RUN"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "torch is not installed, so the demo starts from demo.onnx" in done.stderr
    assert "verdict PASS" in done.stdout


def test_without_torch_an_export_names_the_command_that_installs_it(tmp_path: object) -> None:
    arguments = ["export", "--arch", "squeezenet1_0", "--random-weights", "-o", f"{tmp_path}/model.onnx"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        "assay: exporting a checkpoint needs an optional part; install it with: pip install 'assay-inference[torch]'\n"
    )
