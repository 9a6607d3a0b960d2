"""A small model with its own images: what `assay demo` runs, without a download.

Everything here is drawn and trained from a seed by `tools/make_demo.py`. This file stays free of torch, which
only the network needs.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

NAME = "demo_wide_resnet"
CLASSES: tuple[str, ...] = (
    "circle",
    "square",
    "triangle",
    "star",
    "cross",
    "ring",
    "crescent",
    "hexagon",
    "arrow",
    "heart",
)

RESIZE = 72
CROP = 64
MEAN: tuple[float, float, float] = (0.5, 0.5, 0.5)
STD: tuple[float, float, float] = (0.25, 0.25, 0.25)

CHECKPOINT = Path(__file__).parent / "demo.pth"
ONNX = Path(__file__).parent / "demo.onnx"
IMAGES = Path(__file__).parent / "images"
LABELS = Path(__file__).parent / "labels.txt"
MEASURED = Path(__file__).parent / "measured.json"

TOP1: float
TOP5: float


@cache
def measured() -> dict[str, Any]:
    """What `tools/make_demo.py` wrote about its run: seed, training, and `correct_at` 1 to 5 of `images`."""
    record: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return record


# TOP1 and TOP5 are read on first use: the tool that measures them imports this module before they exist.
def __getattr__(name: str) -> float:
    rank = {"TOP1": 1, "TOP5": 5}.get(name)
    if rank is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    record = measured()
    return float(100 * record["correct_at"][rank - 1] / record["images"])
