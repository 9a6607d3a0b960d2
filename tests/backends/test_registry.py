from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from assay import environment
from assay.backends import registry
from assay.backends.null import Null
from assay.errors import BackendError, MissingExtraError, UnknownNameError, UsageError
from assay.records import OnnxModel
from assay.steps.build_options import build_options


def test_an_unknown_backend_lists_the_known_ones_nearest_first() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown backend 'onnxrutime'; known: onnxruntime, "):
        registry.get("onnxrutime")


def test_a_backend_whose_package_is_missing_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BACKENDS", {"absent": "a_package_that_nobody_has:Backend"})
    with pytest.raises(MissingExtraError, match=r"backend absent .* pip install 'assay\[absent\]'"):
        registry.get("absent")


def test_an_unknown_device_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"device of backend onnxruntime 'cuda'; known: cpu"):
        build_options("onnxruntime", batch=1, device="cuda")


def test_an_unknown_setting_lists_the_known_ones_nearest_first() -> None:
    with pytest.raises(UnknownNameError, match=r"'thread'; known: threads, streams, optimization"):
        build_options("onnxruntime", batch=1, settings={"thread": "2"})


def test_an_unknown_value_of_a_setting_lists_the_known_ones() -> None:
    with pytest.raises(
        UnknownNameError, match=r"value of setting optimization 'most'; known: all, basic, extended, none"
    ):
        build_options("onnxruntime", batch=1, settings={"optimization": "most"})


def test_settings_are_sorted_into_those_of_the_artifact_and_those_of_a_run() -> None:
    options, run_settings = build_options("onnxruntime", batch=1, settings={"optimization": "basic", "threads": "7"})
    assert options.settings == {"optimization": "basic"}
    assert run_settings == {"threads": 7, "streams": 1}


def test_a_batch_size_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match="batch size 0: give 1 or more"):
        build_options("onnxruntime", batch=0)


@pytest.mark.parametrize("count", ["65", "40000", "99999999999", "9" * 5000])
@pytest.mark.parametrize(("backend", "setting", "least"), [("onnxruntime", "threads", 0), ("null", "slots", 1)])
def test_a_count_beyond_reason_is_one_line_with_the_range(
    count: str, backend: str, setting: str, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "cores", lambda: 2)
    with pytest.raises(UsageError, match=f"^setting {setting}={count[:12]}…?: give {least} to 64$"):
        build_options(backend, batch=1, settings={setting: count})


def test_a_machine_of_many_cores_takes_more_of_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "cores", lambda: 96)
    assert build_options("null", batch=1, settings={"slots": "384"})[1] == {"slots": 384}


NULL = "import ctypes\nctypes.string_at(0)\n"


@pytest.mark.parametrize(
    ("backend", "package", "content", "said"),
    [
        ("mnn", "MNN", "raise OSError('libMNN.so: wrong ELF class')", "cannot be imported (OSError: libMNN.so: wrong"),
        ("openvino", "openvino", "raise RuntimeError('no plugins')", "cannot be imported (RuntimeError: no plugins)"),
        ("openvino", "openvino", "raise SystemExit('no licence')", "cannot be imported (SystemExit: no licence)"),
        ("mnn", "MNN", NULL, "crashed (SIGSEGV) while importing it"),
    ],
)
def test_a_package_that_fails_as_it_is_imported_is_one_line(
    backend: str, package: str, content: str, said: str, demo_model: OnnxModel, tmp_path: Path
) -> None:
    (tmp_path / f"{package}.py").write_text(content)
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "assay", "compile", str(demo_model.file.path), "--backend", backend]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "artifact")],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"assay: backend {backend} {said}")
    assert line.endswith(
        f"; install it again (pip install --force-reinstall {package.lower()}) or choose another backend"
    )


@pytest.mark.parametrize(
    ("backend", "how"),
    [
        ("onnxruntime", "pip install --force-reinstall onnxruntime"),
        ("tensorrt", "pip install --force-reinstall cuda-python tensorrt"),
        ("ascend", "docs/backends.md says what it needs"),
    ],
)
def test_what_is_installed_again_are_packages_that_there_are(backend: str, how: str) -> None:
    assert registry.remedy(backend).worded() == f"install it again ({how}) or choose another backend"


def test_a_backend_without_a_device_says_what_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Null, "devices", lambda self: ())
    with pytest.raises(BackendError, match=r"finds no device on this machine; look at its driver, or choose another"):
        build_options("null", batch=1)
