"""A chart of bars in groups, one below the other: as many as there are, each with its interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from assay.render import svg
from assay.render.text import printable, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR, _GAP, _HEADING = 17.0, 9.0, 17.0
"""The height of a bar, of the room between two groups of bars, and of a group's heading."""
_TICK = 70.0
"""The room of a figure below the axis."""
_HATCHES = ("", "////", "----")
"""Where there are more records than colours, the colours come again with one of these."""


@dataclass(frozen=True)
class Bar:
    """One figure: what it is of, its size, how it is written, and the number of its series, which colours it."""

    name: str
    value: float
    label: str
    series: int
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Group:
    """Bars that belong together, below one heading."""

    heading: str
    bars: tuple[Bar, ...]


def chart(groups: Sequence[Group], name: str, title: str, description: str, unit: Callable[[float], str]) -> Markup:
    """Bars from zero, group below group, each with its name before and its figure behind it."""
    bars = [bar for group in groups for bar in group.bars]
    names = [shortened(printable(bar.name), svg.LONGEST_NAME) for bar in bars]
    left = 8 + svg.LETTER * max(map(len, names), default=0)
    right = 8 + svg.LETTER * max((len(bar.label) for bar in bars), default=0)
    length = sum(_HEADING + _BAR * len(group.bars) + _GAP for group in groups)
    with svg.axes(svg.WIDTH, length + 34, left=left, right=right) as drawn:
        drawn.set_xlim(0, _end(bars))
        drawn.set_ylim(length, 0)
        ticks: list[float] = []
        place = 0.0
        for group in groups:
            _beside(drawn, group.heading, 0, place + _HEADING / 2, shift=2 - left, weight="bold")
            place += _HEADING
            for bar in group.bars:
                ticks.append(place + _BAR / 2)
                _bar(drawn, bar, ticks[-1])
                _beside(drawn, bar.label, 1, ticks[-1], shift=right - 2, ha="right")
                place += _BAR
            place += _GAP
        drawn.set_yticks(ticks, names)
        drawn.grid(axis="x", linewidth=0.8)
        drawn.locator_params(axis="x", nbins=max(1, int((svg.WIDTH - left - right) / _TICK)))
        drawn.xaxis.set_major_formatter(lambda value, _: "0" if value == 0 else unit(value))
        return svg.inline(drawn, name, title, description)


def _end(bars: Sequence[Bar]) -> float:
    """Where the axis ends: a very wide interval runs out of the chart, or all else would be too small to see."""
    longest = max((bar.value for bar in bars), default=0.0) or 1.0
    highest = max((bar.interval[1] for bar in bars if bar.interval is not None), default=longest)
    return 1.04 * min(max(highest, longest), 1.5 * longest)


def _beside(drawn: Axes, text: str, edge: float, place: float, shift: float, **style: Any) -> None:
    """A text beside the axes, so many units from their left (0) or right (1) edge."""
    drawn.annotate(
        printable(text),
        (edge, place),
        xycoords=("axes fraction", "data"),
        xytext=(shift, 0),
        textcoords="offset points",
        va="center",
        **{"ha": "left", **style},
    )


def _bar(drawn: Axes, bar: Bar, place: float) -> None:
    colours = len(svg.SERIES)
    drawn.barh(
        place,
        bar.value,
        height=_BAR * 0.76,
        color=svg.SERIES[bar.series % colours],
        hatch=_HATCHES[bar.series // colours % len(_HATCHES)],
        edgecolor=svg.SURFACE,
        linewidth=0,
    )
    if bar.interval is not None:
        low, high = bar.interval
        errors = [[max(bar.value - low, 0)], [max(high - bar.value, 0)]]
        drawn.errorbar(bar.value, place, xerr=errors, color=svg.INK, elinewidth=1.3, capsize=2.5)
