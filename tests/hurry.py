"""Warm-ups and looks at the machine that last a moment: on a busy one they last long, and say nothing in a test."""

from __future__ import annotations

import math

from assay.measure import clock, machine

MOMENTARY = (
    (clock, "WINDOW_SECONDS", 0.0),
    (clock, "AGREEMENT", math.inf),
    (clock, "FALL", math.inf),
    (clock, "CLEAR_FALL", math.inf),
    (machine, "LOOK_SECONDS", 0.01),
)
"""What is set, by its name, to what."""
