"""Who uses a device, by stand-ins for the vendors' tools."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from assay.measure import accelerators
from assay.measure.accelerators import Use
from assay.records import DeviceUser

GPU = "GPU 1 (NVIDIA Something)"
OTHER = 4_190_001
"""Above the largest number that a process gets, so that no process has it."""


class NVMLError(Exception):
    """As the vendor's module has it."""


class FakeNvml(ModuleType):
    """The part of `pynvml` that is used; of two devices the second is at work."""

    NVMLError = NVMLError

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.running: dict[int, list[Any]] = {0: [], 1: []}
        self.samples: list[Any] | None = []
        self.starts = 0

    def nvmlInit(self) -> None:  # noqa: N802 - the vendor's name
        self.starts += 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        if index > 1:
            raise NVMLError("Invalid Argument")
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:  # noqa: N802
        return int(uuid[-1])

    def nvmlDeviceGetIndex(self, handle: int) -> int:  # noqa: N802
        return handle

    def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802
        return "NVIDIA Something"

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:  # noqa: N802
        return self.running[handle]

    def nvmlDeviceGetProcessUtilization(self, handle: int, since: int) -> list[Any]:  # noqa: N802
        if self.samples is None:
            raise NVMLError("Not Supported")
        return self.samples

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:  # noqa: N802
        return SimpleNamespace(gpu=64, memory=10)

    def nvmlSystemGetProcessName(self, process: int) -> str:  # noqa: N802
        if process == OTHER:
            return "/usr/bin/trainer"
        raise NVMLError("Not Found")


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNvml]:
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    accelerators._nvml.cache_clear()
    yield fake
    accelerators._nvml.cache_clear()


def process(number: int, memory: int | None) -> Any:
    return SimpleNamespace(pid=number, usedGpuMemory=memory)


def test_another_process_on_the_gpu_is_named_and_ours_is_counted(nvml: FakeNvml) -> None:
    nvml.running[1] = [process(OTHER, 2 << 30), process(os.getpid(), 1 << 30)]
    nvml.samples = [
        SimpleNamespace(pid=OTHER, smUtil=40),
        SimpleNamespace(pid=OTHER, smUtil=60),
        SimpleNamespace(pid=os.getpid(), smUtil=30),
    ]
    user = DeviceUser(device=GPU, process=OTHER, name="trainer", share=0.5, memory_bytes=2 << 30)
    assert accelerators.use_of("cuda:1") == Use(users=(user,), others_share=0.5, own_bytes=1 << 30)
    assert accelerators.use_of("cuda") == Use(others_share=0.5)
    assert nvml.starts == 1


def test_a_gpu_that_does_not_tell_processes_apart_gives_its_whole_use(nvml: FakeNvml) -> None:
    nvml.samples = None
    nvml.running[1] = [process(OTHER, None), process(os.getppid(), None)]
    found = accelerators.use_of("tensorrt:1")
    assert (found.others_share, found.told_apart) == (0.64, False)
    assert [(user.share, user.memory_bytes) for user in found.users] == [(None, None)] * 2
    assert found.users[1].name != "unnamed process"


def test_a_process_that_nobody_can_name_is_not_given_a_name(nvml: FakeNvml) -> None:
    nvml.running[0] = [process(OTHER + 1, 5)]
    assert [user.name for user in accelerators.use_of("cuda").users] == ["unnamed process"]


@pytest.mark.parametrize(
    ("visible", "device", "own"), [("1,0", "cuda", 7), ("GPU-1", "cuda", 7), ("1", "cuda:1", None), ("", "cuda", None)]
)
def test_a_devices_number_counts_those_that_are_visible(
    visible: str, device: str, own: int | None, nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvml.running[1] = [process(os.getpid(), 7)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert accelerators.use_of(device).own_bytes == own


def test_a_device_that_is_not_there_is_nothing(nvml: FakeNvml) -> None:
    assert accelerators.use_of("cuda:5") == Use()


@pytest.mark.parametrize("device", ["cuda", "cpu", "none", "npu"])
def test_without_the_vendors_tool_nothing_is_known(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    accelerators._nvml.cache_clear()
    assert accelerators.use_of(device) == Use()
    accelerators._nvml.cache_clear()


def test_without_a_driver_nothing_is_known(nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing() -> None:
        raise NVMLError("Driver Not Loaded")

    monkeypatch.setattr(nvml, "nvmlInit", failing)
    assert accelerators.use_of("cuda") == Use()


RULE = "+===========================+===============+====================================================+\n"
NPU_SMI = (
    "+------------------------------------------------------------------------------------------------+\n"
    "| npu-smi 25.5.2                   Version: 25.5.2                                               |\n"
    "+---------------------------+---------------+----------------------------------------------------+\n"
    "| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|\n"
    "| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |\n"
    + RULE
    + "| 4     910B4               | OK            | 89.9        39                0    / 0             |\n"
    "| 0                         | 0000:41:00.0  | 87          0    / 0          2922 / 32768         |\n"
    + RULE
    + "| 5     910B4               | OK            | -           36                0    / 0             |\n"
    "| 0                         | 0000:C1:00.0  | 0           0    / 0          2871 / 32768         |\n"
    + RULE
    + "+---------------------------+---------------+----------------------------------------------------+\n"
    "| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |\n"
    + RULE
    + "| 4       0                 | 2759218       | VLLMWorker_DP            | 563                     |\n"
    "| 4       0                 | 4190002       |                          | 12                      |\n"
    "| 4       0                 | 31            | python3                  | 100                     |\n"
    + RULE
    + "| No running processes found in NPU 5                                                            |\n"
    + RULE
)
CONTAINER = (
    "| NPU   Name                | Health        | Power(W)             Temp(C)                 Hugepages-Usage   |\n"
    "| Chip  Phy-ID              | Bus-Id        | AICore(%)            Memory-Usage(MB)        HBM-Usage(MB)     |\n"
    "| 0     Ascend910           | OK            | 162.6                34                      0    / 0          |\n"
    "| 0     0                   | 0000:9D:00.0  | 3                    0    / 0                3419 / 65536      |\n"
    "| 0     Ascend910           | OK            | -                    34                      0    / 0          |\n"
    "| 1     1                   | 0000:9F:00.0  | 41                   0    / 0                2874 / 65536      |\n"
    "| NPU     Chip              | Process id    | Process name   | Process memory(MB) | Process id in container |\n"
    "| 0       1                 | 900           | python         | 200                | 77                      |\n"
)


def test_ascends_processes_are_read_from_its_tools_table() -> None:
    found = accelerators.ascend(NPU_SMI, 0, own=31)
    device = "NPU 4 chip 0 (910B4)"
    assert found == Use(
        users=(
            DeviceUser(device=device, process=2759218, name="VLLMWorker_DP", memory_bytes=563 << 20),
            DeviceUser(device=device, process=4190002, name="unnamed process", memory_bytes=12 << 20),
        ),
        others_share=0.87,
        told_apart=False,
        own_bytes=100 << 20,
    )
    assert accelerators.ascend(NPU_SMI, 1, own=31) == Use(others_share=0.0, told_apart=False)
    assert accelerators.ascend(NPU_SMI, 2, own=31) == Use()


def test_chips_of_one_card_are_told_apart_and_a_container_knows_itself() -> None:
    assert accelerators.ascend(CONTAINER, 0, own=77) == Use(others_share=0.03, told_apart=False)
    found = accelerators.ascend(CONTAINER, 1, own=77)
    assert found == Use(others_share=0.41, told_apart=False, own_bytes=200 << 20)
    assert [user.process for user in accelerators.ascend(CONTAINER, 1, own=5).users] == [900]


def test_ascends_tool_is_asked_for_its_devices_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: tuple[str, ...], **_: Any) -> Any:
        assert command == ("npu-smi", "info")
        return SimpleNamespace(stdout=NPU_SMI)

    monkeypatch.setattr(subprocess, "run", run)
    assert accelerators.use_of("npu:0").others_share == 0.87
    assert accelerators.use_of("npu") == Use()
    assert (accelerators.tells("npu:0"), accelerators.tells_quickly("npu:0")) == (True, False)
    assert not accelerators.tells("cpu")


@pytest.mark.parametrize("problem", [FileNotFoundError("npu-smi"), subprocess.CalledProcessError(1, "npu-smi")])
def test_without_ascends_tool_nothing_is_known(problem: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> Any:
        raise problem

    monkeypatch.setattr(subprocess, "run", run)
    assert accelerators.use_of("npu:0") == Use()
