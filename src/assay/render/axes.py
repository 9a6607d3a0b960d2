"""Axes of charts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay import units

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def percent_axis(drawn: Axes) -> None:
    """Makes the upright axis one of percentages, within what a percentage may be."""
    drawn.grid(axis="y", linewidth=0.8)
    low, high = drawn.get_ylim()
    drawn.set_ylim(max(low, 0), min(high, 100 + 0.04 * (high - low)))
    # Ticks that are written without decimals must have none.
    are_whole = high - low >= 5
    drawn.locator_params(axis="y", nbins=6, integer=are_whole)
    drawn.yaxis.set_major_formatter(lambda value, _: _whole(value) if are_whole else units.percent(value))


def _whole(percent: float) -> str:
    return units.share(percent / 100)
