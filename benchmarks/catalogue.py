"""Finds the benchmarks: each file of this folder that defines `BENCHMARK` is one, by the file's name."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from benchmarks.harness import HERE, Benchmark


def benchmarks() -> dict[str, Benchmark[Any]]:
    """Every benchmark by its name."""
    names = sorted(module.name for module in pkgutil.iter_modules([str(HERE)]) if module.name != "__main__")
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in names}
    return {name: module.BENCHMARK for name, module in modules.items() if hasattr(module, "BENCHMARK")}
