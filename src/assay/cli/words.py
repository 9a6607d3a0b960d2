"""How the command line words what lower floors say as data."""

from __future__ import annotations

from assay.errors import Option


def flag(option: Option) -> str:
    """An option as it is typed: `--class-list FILE`."""
    name = f"--{option.name.replace('_', '-')}"
    return name if option.value is None else f"{name} {option.value}"
