"""The machine and the software that a result was made on, and whether the machine is idle."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

import psutil

from assay.errors import DISTRIBUTION
from assay.records import Environment

BUSY_SHARE = 0.15
"""Above this share of the processors' or the device's time in use by others, a measurement is marked as on a busy
machine."""

CACHE_VARIABLE = "ASSAY_CACHE"
"""The environment variable that puts the user's cache elsewhere."""

_INSTRUCTION_SETS = {
    "avx2": {"avx2"},
    "avx512": {"avx512f"},
    "vnni": {"avx512_vnni", "avx_vnni"},
    "amx": {"amx_int8", "amx_bf16"},
}
"""The flags of x86, as /proc/cpuinfo has them, of which any one shows the instruction set."""

_PACKAGES = (
    "mnn",
    "msgspec",
    "numpy",
    "onnx",
    "onnxruntime",
    "openvino",
    "pillow",
    "simplejpeg",
    "torch",
    "torchvision",
)


def version(package: str) -> str | None:
    """The version of an installed package, without importing it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


__version__ = version(DISTRIBUTION) or "unknown"


def describe() -> Environment:
    """The machine and the versions of what takes part in a run."""
    return Environment(
        assay=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        processor=processor_name(),
        cores=cores(),
        memory_bytes=psutil.virtual_memory().total,
        packages={name: installed for name in _PACKAGES if (installed := version(name)) is not None},
    )


def cache_folder() -> Path:
    """Where files are kept that serve every run of this user."""
    from platformdirs import user_cache_path

    given = os.environ.get(CACHE_VARIABLE)
    return Path(given).expanduser() if given else user_cache_path("assay")


def decoders() -> tuple[str | None, ...]:
    """The versions of what turns image files into pixels, which may differ from one to the next."""
    return version("pillow"), version("simplejpeg")


def usable_processors() -> frozenset[int]:
    """The numbers of the processors that this process may run on; all of them where the system binds none."""
    if hasattr(psutil.Process, "cpu_affinity"):
        return frozenset(psutil.Process().cpu_affinity())
    return frozenset(range(psutil.cpu_count() or 1))


def cores() -> int:
    """How many processors this process may use."""
    return len(usable_processors())


def processor_name() -> str:
    """The processor as the system names it."""
    return _cpu_information().get("model name") or platform.processor() or platform.machine()


def processor_fingerprint() -> str:
    """Name and instruction sets of the processor: what code generated for it depends on."""
    information = _cpu_information()
    features = information.get("flags") or information.get("Features") or platform.machine()
    text = f"{platform.machine()}|{processor_name()}|{' '.join(sorted(features.split()))}"
    return f"cpu-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def instruction_sets() -> tuple[str, ...]:
    """The vector and matrix instructions of the processor that decide how fast a network runs; none is known of Arm."""
    flags = set(_cpu_information().get("flags", "").split())
    return tuple(name for name, shown_by in _INSTRUCTION_SETS.items() if not flags.isdisjoint(shown_by))


def has_vnni() -> bool:
    """Whether the processor sums products of 8 bits in 32; x86 without these instructions saturates in 16."""
    return "vnni" in instruction_sets()


def busy_share(seconds: float = 0.3) -> float:
    """The share of the time of the processors that this process may use, in use by anything, 0 to 1; a short look."""
    each = psutil.cpu_percent(interval=seconds, percpu=True)
    mine = [float(each[number]) for number in usable_processors() if number < len(each)] or [0.0]
    return sum(mine) / len(mine) / 100.0


@cache
def _cpu_information() -> dict[str, str]:
    """The first processor's entries in /proc/cpuinfo; empty where the system has no such file."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n", 1)[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
