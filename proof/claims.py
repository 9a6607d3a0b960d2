"""What all proofs share: a claim with what was found and what must hold of it."""

from __future__ import annotations

from dataclasses import dataclass

COVERAGE = (0.93, 0.97)
"""How often an interval of 95 % must hold the truth."""


@dataclass(frozen=True)
class Claim:
    """One claim: what was found, the bound that it is held to, and whether it holds."""

    name: str
    measured: str
    bound: str
    holds: bool | None
    """None of what is shown and held to no bound."""


def within(name: str, shares: list[float], least: float = 0.0, most: float = 1.0) -> Claim:
    """A claim on shares, all of which must lie from the least to the most."""
    holds = all(least <= one <= most for one in shares)
    return Claim(name=name, measured=_range(shares), bound=_bound(least, most), holds=holds)


def shown(name: str, shares: list[float]) -> Claim:
    """Shares that are beyond what is claimed: they are told, one after the other, and held to no bound."""
    return Claim(
        name=name, measured=", ".join(f"{one:.1%}" for one in shares), bound="none: beyond the method", holds=None
    )


def _range(shares: list[float]) -> str:
    low, high = min(shares), max(shares)
    return f"{low:.1%}" if low == high else f"{low:.1%} to {high:.1%}"


def _bound(least: float, most: float) -> str:
    if most == 1:
        return f"at least {least:.0%}"
    return f"at most {most:.0%}" if least == 0 else f"{least:.0%} to {most:.0%}"
