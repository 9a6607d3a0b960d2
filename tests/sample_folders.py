"""A run, a prepared data set and a search of a tiny model, as the code before the house was rebuilt wrote them."""

from __future__ import annotations

from pathlib import Path

SAMPLES = Path(__file__).parent / "samples"
