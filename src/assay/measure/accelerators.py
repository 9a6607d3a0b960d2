"""Who uses a device that is not the processor, as its vendor's own tool says.

NVIDIA: nvidia-ml-py, the extra `nvidia`. The device's number counts those that CUDA_VISIBLE_DEVICES leaves, in the
order of the bus, which is CUDA's own order where they are all alike, or where CUDA_DEVICE_ORDER says so.

Ascend: `npu-smi info`, whose second table is documented as

    | NPU     Chip              | Process id    | Process name             | Process memory(MB)      |
    | 0       0                 | 48988         | python                   | 13330                   |
    | No running processes found in NPU 1                                                          |

with a fifth column, `Process id in container`, since 26.0, and with an empty name for a process of a container. The
chips are counted in the table's order.

Neither was run on a device yet: both are held to what is documented, by a stand-in and by samples.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from assay.records import DeviceUser

_NVIDIA_DEVICES = ("cuda", "tensorrt")
_ASCEND_DEVICES = ("npu:", "cann")
_NPU_SMI = ("npu-smi", "info")
_TOOL_SECONDS = 20.0
_USE_SECONDS = 1.0
"""Over which NVIDIA's library is asked for the use by each process."""
_UNNAMED = "unnamed process"
_DEVICE_ROW = re.compile(r"\|\s*(\d+)\s+(\S+)\s*\|\s*\w+\s*\|\s*[\d.-]+\s+[\d-]+\s")
_CHIP_ROW = re.compile(r"\|\s*(\d+)(?:\s+\d+)?\s*\|\s*[0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:[0-9A-Fa-f.]+\s*\|\s*(\d+)\s")
_PROCESS_ROW = re.compile(r"\|\s*(\d+)\s+(\d+)\s*\|\s*(\d+)\s*\|([^|]*)\|\s*(\d+)\s*\|(?:\s*(\d+)\s*\|)?")


@dataclass(frozen=True)
class Use:
    """What a device did at one look."""

    users: tuple[DeviceUser, ...] = ()
    """Other processes that hold memory on it."""
    others_share: float | None = None
    """Of its time, in use by others."""
    told_apart: bool = True
    """Whether that share leaves out what this process uses: some devices know the use of all together alone."""
    own_bytes: int | None = None
    """Memory on it that this process holds; None where it is not seen among those that do."""


def use_of(device: str) -> Use:
    """Who uses a device, by a backend's name for it; nothing of the processor, or without the vendor's tool."""
    if device.startswith(_NVIDIA_DEVICES):
        return _nvidia(device)
    if device.startswith(_ASCEND_DEVICES):
        return ascend(_npu_smi(), _number(device), os.getpid())
    return Use()


def tells(device: str) -> bool:
    """Whether it is a device that is asked at all."""
    return device.startswith((*_NVIDIA_DEVICES, *_ASCEND_DEVICES))


def tells_quickly(device: str) -> bool:
    """Whether a device can be asked while it is measured: by a library's call, not by a program to be started."""
    return device.startswith(_NVIDIA_DEVICES)


def ascend(listing: str, number: int, own: int) -> Use:
    """The use of the chip of this number, counted from 0, out of what `npu-smi info` printed."""
    chips = _ascend_chips(listing)
    if number >= len(chips):
        return Use()
    (card, chip), (name, share) = list(chips.items())[number]
    users, own_bytes = [], None
    for row in _PROCESS_ROW.finditer(listing):
        if (int(row[1]), int(row[2])) != (card, chip):
            continue
        memory = int(row[5]) * 2**20
        if own in (int(row[3]), int(row[6] or 0)):
            own_bytes = memory
            continue
        process = int(row[3])
        users.append(
            DeviceUser(
                device=f"NPU {card} chip {chip} ({name})",
                process=process,
                name=row[4].strip() or _name_of(process),
                memory_bytes=memory,
            )
        )
    return Use(users=tuple(users), others_share=share, told_apart=False, own_bytes=own_bytes)


def _ascend_chips(listing: str) -> dict[tuple[int, int], tuple[str, float]]:
    """(NPU, chip) → name and share of time in use, from the first table, which has two lines a chip."""
    chips: dict[tuple[int, int], tuple[str, float]] = {}
    card: tuple[int, str] | None = None
    for line in listing.splitlines():
        if (row := _CHIP_ROW.match(line)) is not None and card is not None:
            chips[card[0], int(row[1])] = (card[1], int(row[2]) / 100)
        elif (row := _DEVICE_ROW.match(line)) is not None:
            card = int(row[1]), row[2]
    return chips


def _npu_smi() -> str:
    """What Ascend's tool lists; nothing where there is none."""
    try:
        done = subprocess.run(_NPU_SMI, capture_output=True, text=True, timeout=_TOOL_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


@cache
def _nvml() -> Any:
    """NVIDIA's library, ready for questions; None where it is missing or finds no driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except (ImportError, OSError):
        return None
    except Exception:  # its errors derive from Exception itself, and are of the module that may not be there
        return None
    return pynvml


def _nvidia(device: str) -> Use:
    nvml = _nvml()
    if nvml is None:
        return Use()
    try:
        handle, index = _nvidia_handle(nvml, _number(device))
        if handle is None:
            return Use()
        name = nvml.nvmlDeviceGetName(handle)
        name = name.decode() if isinstance(name, bytes) else name
        running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        shares = _nvidia_shares(nvml, handle)
        users = tuple(
            DeviceUser(
                device=f"GPU {index} ({name})",
                process=process.pid,
                name=_nvidia_name(nvml, process.pid),
                share=None if shares is None else shares.get(process.pid, 0.0),
                memory_bytes=process.usedGpuMemory,
            )
            for process in running
            if process.pid != os.getpid()
        )
        own = [process.usedGpuMemory for process in running if process.pid == os.getpid()]
        return Use(
            users=users,
            others_share=_nvidia_others(nvml, handle, shares),
            told_apart=shares is not None,
            own_bytes=own[0] if own else None,
        )
    except nvml.NVMLError:
        # A device that was lost, or a question that this one does not answer.
        return Use()


def _nvidia_handle(nvml: Any, number: int) -> tuple[Any, int]:
    """The device that a CUDA program of this environment calls by this number, and its number on the bus."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return nvml.nvmlDeviceGetHandleByIndex(number), number
    visible = [entry.strip() for entry in listed.split(",") if entry.strip()]
    if number >= len(visible):
        return None, number
    if visible[number].isdecimal():
        return nvml.nvmlDeviceGetHandleByIndex(int(visible[number])), int(visible[number])
    handle = nvml.nvmlDeviceGetHandleByUUID(visible[number])
    return handle, nvml.nvmlDeviceGetIndex(handle)


def _nvidia_shares(nvml: Any, handle: Any) -> dict[int, float] | None:
    """The share of the device's time by process over the last second; None where the device does not tell."""
    since = int((time.time() - _USE_SECONDS) * 1e6)
    try:
        samples = nvml.nvmlDeviceGetProcessUtilization(handle, since)
    except nvml.NVMLError:
        return None
    shares: dict[int, list[int]] = {}
    for sample in samples:
        shares.setdefault(sample.pid, []).append(sample.smUtil)
    return {process: sum(used) / len(used) / 100 for process, used in shares.items()}


def _nvidia_others(nvml: Any, handle: Any, shares: dict[int, float] | None) -> float | None:
    if shares is not None:
        return min(1.0, sum(share for process, share in shares.items() if process != os.getpid()))
    with suppress(nvml.NVMLError):
        return float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu) / 100
    return None


def _nvidia_name(nvml: Any, process: int) -> str:
    """The program's name: the system's, or, for a process of another container, the driver's."""
    name = _name_of(process)
    if name != _UNNAMED:
        return name
    try:
        path = nvml.nvmlSystemGetProcessName(process)
    except nvml.NVMLError:
        return _UNNAMED
    return Path(path.decode() if isinstance(path, bytes) else path).name or _UNNAMED


def _name_of(process: int) -> str:
    """A process's name by the system; none is made up for one that it does not show."""
    try:
        return str(psutil.Process(process).name())
    except (psutil.Error, OSError, ValueError):
        return _UNNAMED


def _number(device: str) -> int:
    """`cuda:1` is 1, `cuda` is 0."""
    number = device.partition(":")[2]
    return int(number) if number.isdecimal() else 0
