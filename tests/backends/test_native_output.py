from __future__ import annotations

import subprocess
import sys

PRINTING = """
import ctypes
from assay.backends import native_output
library = ctypes.CDLL(None)
print("before")
with native_output.captured() as printed:
    print("from Python")
    library.puts(b"from C")
library.puts(b"after")
library.fflush(None)
assert printed.text.splitlines() == ["from Python", "from C"], printed.text
"""


def test_what_is_printed_inside_is_kept_and_what_is_printed_around_is_let_through() -> None:
    done = subprocess.run([sys.executable, "-c", PRINTING], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["before", "after"]


def test_a_program_without_standard_output_runs_too() -> None:
    code = f"import os; os.close(1)\nimport sys; sys.stdout = None\n{PRINTING.split('print(')[0]}"
    code += "with native_output.captured():\n    library.puts(b'lost')\n"
    subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
