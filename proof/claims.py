"""What all proofs share: a claim with what was found and what must hold of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

COVERAGE = (0.93, 0.97)
"""How often an interval of 95 % must hold the truth."""
ERRORS = 3
"""By how many standard errors of a simulated share it may lie beyond its bound: of the hundred and more of a seed, two
are now and then crossed by chance alone."""


@dataclass(frozen=True)
class Claim:
    """One claim: what was found, the bound that it is held to, and whether it holds."""

    name: str
    measured: str
    bound: str
    holds: bool | None
    """None of what is shown and held to no bound."""


@dataclass(frozen=True)
class Share:
    """How many of a number of simulated runs did what is claimed."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """The share; not a number of no runs."""
        return self.count / self.total if self.total else math.nan

    def is_within(self, least: float, most: float) -> bool:
        """Whether the true share may lie within the bounds: at most three standard errors from the measured one."""
        return least - self._error(least) <= self.value <= most + self._error(most)

    def _error(self, true: float) -> float:
        return ERRORS * math.sqrt(true * (1 - true) / self.total)


def within(name: str, shares: list[float], least: float = 0.0, most: float = 1.0) -> Claim:
    """A claim on shares, all of which must lie from the least to the most."""
    holds = all(least <= one <= most for one in shares)
    return Claim(name=name, measured=_range(shares), bound=_bound(least, most), holds=holds)


def counted(name: str, shares: list[Share], least: float = 0.0, most: float = 1.0) -> Claim:
    """A claim on counted shares, each with its own standard error; those of no runs say nothing."""
    some = [one for one in shares if one.total]
    if not some:
        return shown(name, [])
    holds = all(one.is_within(least, most) for one in some)
    return Claim(name=name, measured=_range([one.value for one in some]), bound=_bound(least, most), holds=holds)


def shown(name: str, shares: list[float]) -> Claim:
    """Shares that are beyond what is claimed: they are told, one after the other, and held to no bound."""
    told = ", ".join(f"{one:.1%}" for one in shares) or "no interval"
    return Claim(name=name, measured=told, bound="none", holds=None)


def _range(shares: list[float]) -> str:
    low, high = min(shares), max(shares)
    return f"{low:.1%}" if low == high else f"{low:.1%} to {high:.1%}"


def _bound(least: float, most: float) -> str:
    if most == 1:
        return f"at least {least:.0%}"
    return f"at most {most:.0%}" if least == 0 else f"{least:.0%} to {most:.0%}"
