"""Other people's programs on the PATH, found past the scripts of ours that bear their names.

`examples/guide` holds an `atc` and a `trtexec` that hand their arguments to assay. Where that folder, or a copy of it,
stands on the PATH, a plain look-up finds assay itself again, without end.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_HANDS_OVER = re.compile(rb"\bassay guide\b")
_BEGINNING = 4096
"""Bytes of a script that are looked at; ours are some hundred long."""


def find(name: str) -> Path | None:
    """The whole path of the first program of a name on the PATH that is not ours; None where there is none."""
    for folder in os.get_exec_path():
        # Programs are also run from other folders than the one that the PATH is relative to.
        program = Path(folder, name).absolute()
        if program.is_file() and os.access(program, os.X_OK) and not _is_ours(program):
            return program
    return None


def _is_ours(program: Path) -> bool:
    """Whether it is a script that hands its arguments to `assay guide`, wherever it was copied or linked to."""
    try:
        with program.open("rb") as file:
            beginning = file.read(_BEGINNING)
    except OSError:  # what may be run need not be readable, and a script must be
        return False
    return beginning.startswith(b"#!") and _HANDS_OVER.search(beginning) is not None
