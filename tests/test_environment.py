from __future__ import annotations

import os
import platform

import msgspec
import numpy as np
import pytest

from assay import environment
from assay.records import Environment


def test_the_version_of_an_installed_package_is_its_own() -> None:
    assert environment.version("numpy") == np.__version__


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert environment.version("no-such-package-anywhere") is None


def test_the_description_names_the_machine_and_what_takes_part() -> None:
    found = environment.describe()
    assert found.python == platform.python_version()
    assert found.machine == platform.machine()
    assert found.processor
    assert found.memory_bytes > 2**20
    assert {"numpy", "onnxruntime", "pillow"} <= set(found.packages)
    assert None not in found.packages.values()


def test_the_description_can_be_kept() -> None:
    found = environment.describe()
    assert msgspec.json.decode(msgspec.json.encode(found), type=Environment) == found


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no processor affinity")
def test_only_the_processors_that_this_process_may_use_are_counted() -> None:
    assert environment.cores() == len(os.sched_getaffinity(0))


def test_the_processor_has_one_fingerprint() -> None:
    assert environment.processor_fingerprint() == environment.processor_fingerprint()
    assert environment.processor_fingerprint().startswith("cpu-")


def test_the_busy_share_is_a_share() -> None:
    assert 0.0 <= environment.busy_share(0.01) <= 1.0


@pytest.mark.parametrize(
    ("flags", "found"),
    [("fpu sse2 avx2 avx512f", False), ("avx2 avx512_vnni", True), ("avx2 avx_vnni", True), (None, False)],
)
def test_vnni_is_read_off_the_processors_flags(flags: str | None, found: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_cpu_information", lambda: {"flags": flags} if flags else {})
    assert environment.has_vnni() is found


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ("fpu sse2", ()),
        ("fpu avx avx2 fma", ("avx2",)),
        ("avx2 avx512f avx512_vnni", ("avx2", "avx512", "vnni")),
        ("avx2 avx_vnni", ("avx2", "vnni")),
        ("avx2 avx512f avx512_vnni amx_bf16 amx_tile amx_int8", ("avx2", "avx512", "vnni", "amx")),
        (None, ()),
    ],
)
def test_instruction_sets_are_read_off_the_processors_flags(
    flags: str | None, named: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "_cpu_information", lambda: {"flags": flags} if flags else {})
    assert environment.instruction_sets() == named
