"""Searches that are short enough for tests."""

from __future__ import annotations

from assay.progress import Silent
from assay.tuning.request import Goal

# The end of a search takes its share of the budget; how many trials there are is for `Enough` to say.
BOTH = Goal(backends=["onnxruntime"], batches=[1, 16], budget_seconds=30.0)
SHORT = Goal(backends=["onnxruntime"], batches=[16], int8=False, budget_seconds=30.0)


class Enough(Silent):
    """Interrupts a search, as a person would, after so many trials: how long one takes is the machine's affair."""

    def __init__(self, trials: int) -> None:
        self._left = trials

    def note(self, message: str) -> None:
        if not message.startswith("trial "):
            return
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt
