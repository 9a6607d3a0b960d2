"""`python -m tests.endurance.hurried WORDS`: an assay command whose warm-ups and looks at the machine last a moment."""

from __future__ import annotations

import sys

from assay.cli.main import main
from tests.hurry import MOMENTARY


def hurry() -> None:
    """What this process measures from here on begins at once."""
    for module, name, value in MOMENTARY:
        setattr(module, name, value)


if __name__ == "__main__":
    hurry()
    sys.exit(main())
