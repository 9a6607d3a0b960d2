"""Options of assay's own are named by the command line alone: lower floors say what to do as data."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import assay
from tests.options import OPTIONS

PACKAGE = Path(assay.__file__).parent
THEIR_OWN = ("cli", "guide")
"""Folders whose words are those of a command line."""
NOT_YET: tuple[str, ...] = ()
"""Folders that still name options."""
OF_VENDORS = {
    "backends/ascend.py": {"--output"},
    "importers/ais_bench.py": {"--input"},
    "importers/trtexec.py": {"--batch"},
}
"""A vendor's options that have the name of one of ours, in the file that calls the program or reads what it wrote."""

FILES = sorted(
    path.relative_to(PACKAGE).as_posix()
    for path in PACKAGE.rglob("*.py")
    if path.relative_to(PACKAGE).parts[0] not in (*THEIR_OWN, *NOT_YET)
)


def options_in(text: str) -> set[str]:
    """Those of assay's own; not `--input_format`, which only begins like one."""
    return set(re.findall(r"(?<![\w-])--[A-Za-z][\w-]*", text)) & OPTIONS


@pytest.mark.parametrize("file", FILES)
def test_no_string_names_an_option(file: str) -> None:
    tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
    named = {
        f"line {node.lineno}: {option}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for option in options_in(node.value) - OF_VENDORS.get(file, set())
    }
    assert not named


@pytest.mark.parametrize("file", sorted(OF_VENDORS))
def test_no_exception_is_listed_in_vain(file: str) -> None:
    assert OF_VENDORS[file] <= options_in((PACKAGE / file).read_text(encoding="utf-8"))


def test_options_are_found_in_strings() -> None:
    assert {"--class-list", "--batch", "--json", "--no-images"} <= OPTIONS
    assert options_in("give --class-list FILE, or --batch=4 and --input_format=NCHW; a--json") == {
        "--class-list",
        "--batch",
    }


def test_comments_name_none_either() -> None:
    named = [
        f"{file}:{number}"
        for file in FILES
        for number, line in enumerate((PACKAGE / file).read_text(encoding="utf-8").splitlines(), 1)
        if options_in(line.partition("# ")[2])
    ]
    assert not named
