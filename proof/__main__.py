"""`python -m proof --seed N [--seed N …] [NAME …]`: runs the proofs and prints what each found against its bound."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from proof.claims import Claim

SIMULATED = ("coverage", "percentiles", "trend", "interleaving", "power")
"""One file each; a file's `prove(seed)` returns its claims, once for every seed."""
MEASURED = ("same_artifact",)
"""Proofs on this machine, one file each; a file's `prove()` returns its claims, once."""


_WORDS = {True: "yes", False: "NO", None: "–"}


def main(arguments: list[str]) -> int:
    """Runs the named proofs, or all; returns 1 where a claim does not hold."""
    parser = argparse.ArgumentParser(prog="python -m proof", description="Shows that assay's figures can be trusted.")
    parser.add_argument("--seed", type=int, action="append", required=True, help="of a simulation; may be given again")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join((*SIMULATED, *MEASURED)))
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.names) - {*SIMULATED, *MEASURED})
    if unknown:
        parser.error(f"unknown proof {unknown[0]!r}; known: {', '.join((*SIMULATED, *MEASURED))}")
    held = [_shown(name, chosen.seed) for name in chosen.names or (*SIMULATED, *MEASURED)]
    return 0 if all(held) else 1


def _shown(name: str, seeds: list[int]) -> bool:
    """Prints one proof's table as soon as it is known; whether all of it holds."""
    module = importlib.import_module(f"proof.{name}")
    table = Table(box=None, padding=(0, 3, 0, 0))
    for header in ("seed", "claim", "measured", "bound", "holds"):
        table.add_column(header, justify="right" if header in ("seed", "measured") else "left", overflow="fold")
    found = _claims(name, module.prove, seeds)
    for seed, claim in found:
        table.add_row(seed, claim.name, claim.measured, claim.bound, _WORDS[claim.holds])
    console = Console(width=120, highlight=False)
    console.print(f"{name}: {str(module.__doc__).splitlines()[0]}", table, "", sep="\n")
    return all(claim.holds is not False for _, claim in found)


def _claims(name: str, prove: Callable[..., list[Claim]], seeds: list[int]) -> list[tuple[str, Claim]]:
    if name in MEASURED:
        return [("", claim) for claim in prove()]
    return [(str(seed), claim) for seed in seeds for claim in prove(seed)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
