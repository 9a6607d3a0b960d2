"""The options of assay's own command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from assay.cli.main import parser


def _of(command: argparse.ArgumentParser) -> Iterator[str]:
    for action in command._actions:
        yield from (option for option in action.option_strings if option.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for choice in action.choices.values():
                yield from _of(choice)


OPTIONS = frozenset(_of(parser()))
"""Of every command, `--class-list` and its like."""
