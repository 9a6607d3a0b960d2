"""The chart of a search: speed against accuracy, and the trials that no other beats in both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from assay import units
from assay.render import svg
from assay.render.axes import percent_axis
from assay.tuning.page_section import SearchPoint, SearchReport
from assay.tuning.records import Objective, TrialState, Tuning
from assay.tuning.text import speed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Mark(NamedTuple):
    """How trials of one state are drawn: by a colour and a shape, since colour alone tells nothing to some."""

    shape: str
    """As matplotlib calls it."""
    sign: str
    """The same shape as a character, for the key."""
    series: int
    """Of the page's colours, from 1."""
    size: float


MARKS: Mapping[TrialState, Mark] = {
    "right": Mark("o", "●", 1, 6.0),
    "wrong": Mark("X", "✖", 2, 8.0),
    "too large": Mark("s", "■", 5, 5.5),
}
"""Of the states that a trial which was evaluated can have."""
_SPEEDS: Mapping[Objective, str] = {
    "throughput": "interface throughput",
    "latency": "p99 latency of a call",
    "end-to-end": "end-to-end throughput",
}
_HEIGHT, _LEFT, _BOTTOM, _RIGHT = 250.0, 74.0, 42.0, 28.0
_RING = 10.0
_LINES, _NAMES, _POINTS = 2.1, 2.2, 2.3
"""What lies above what: a name covers lines, and never a point."""
_ROOM = 0.16
"""Of the spread of the points, left free around them for what is written there."""


def measure(tuning: Tuning) -> str:
    """What a search counts as right."""
    return "top-1" if tuning.reference_accuracy is not None else "same first class"


def frontier(report: SearchReport) -> Markup:
    """The trials that were evaluated, the faster ones to the right, beside the reference and what is allowed."""
    with svg.axes(svg.WIDTH, _HEIGHT, left=_LEFT, bottom=_BOTTOM, right=_RIGHT) as drawn:
        drawn.axhline(report.reference, color=svg.MUTED, linewidth=1.3, zorder=_LINES)
        drawn.axhline(report.bound, color=svg.MUTED, linewidth=1.3, linestyle=(0, (4, 3)), zorder=_LINES)
        drawn.plot(
            [one.pace for one in report.frontier],
            [one.top1 for one in report.frontier],
            color=svg.INK,
            linewidth=1.2,
            linestyle=(0, (1, 1.5)),
            zorder=_LINES,
        )
        for state, mark in MARKS.items():
            chosen = [one for one in report.evaluated if one.trial.state == state]
            drawn.plot(
                [one.pace for one in chosen],
                [one.top1 for one in chosen],
                linestyle="none",
                marker=mark.shape,
                markersize=mark.size,
                color=svg.SERIES[mark.series - 1],
                markeredgecolor=svg.SURFACE,
                markeredgewidth=0.8,
                zorder=_POINTS,
            )
        _scale(drawn, report)
        # One above and one below: both may well have the reference's accuracy, and nearly the same speed.
        _name(drawn, report, report.best, "best", 13)
        _name(drawn, report, report.default, "default", -13)
        return svg.inline(drawn, "chart-frontier", f"Speed against {measure(report.record)}", _said(report))


def _scale(drawn: Axes, report: SearchReport) -> None:
    paces = [one.pace for one in report.evaluated]
    slack = _ROOM * (max(paces) - min(paces)) or 0.1 * paces[0]
    ends = (max(min(paces) - slack, 0.0), max(paces) + slack)
    is_latency = report.record.objective == "latency"
    drawn.set_xlim(*(reversed(ends) if is_latency else ends))
    drawn.locator_params(axis="x", nbins=5)
    unit = units.milliseconds if is_latency else units.rate
    # A tick's place is not quite the round figure that it stands for.
    drawn.xaxis.set_major_formatter(lambda value, _: unit(tick) if (tick := round(value, 9)) else "0")
    drawn.set_xlabel(f"{_SPEEDS[report.record.objective]}, faster to the right")
    heights = (report.reference, report.bound, *(one.top1 for one in report.evaluated))
    room = max(_ROOM * (max(heights) - min(heights)), 0.3)
    drawn.set_ylim(min(heights) - room, max(heights) + room)
    percent_axis(drawn)
    drawn.set_ylabel(measure(report.record))


def _name(drawn: Axes, report: SearchReport, point: SearchPoint | None, name: str, shift: float) -> None:
    """A ring around a point, with its name and speed above or below it, towards the middle of the chart."""
    if point is None:
        return
    left, right = drawn.get_xlim()
    drawn.plot(
        point.pace, point.top1, "o", markersize=_RING, markerfacecolor="none", markeredgecolor=svg.INK, zorder=_POINTS
    )
    is_left = (point.pace - left) / (right - left) < 0.5
    drawn.annotate(
        f"{name} {speed(report.record.objective, point.trial.standing)}",
        (point.pace, point.top1),
        xytext=(-5 if is_left else 5, shift),
        textcoords="offset points",
        ha="left" if is_left else "right",
        va="center",
        zorder=_NAMES,
        weight="bold" if point is report.best else "normal",
        bbox={"facecolor": svg.SURFACE, "edgecolor": "none", "alpha": 0.75, "pad": 0.5},
    )


def _said(report: SearchReport) -> str:
    what, objective = measure(report.record), report.record.objective
    told = [
        f"{units.counted(len(report.evaluated), 'trial')} evaluated; the model in float32 has {what} "
        f"{units.percent(report.reference)}, and {units.percent(report.bound)} is allowed."
    ]
    named = (("The best", report.best), ("The best default", report.default))
    for name, points in (*((name, [one]) for name, one in named if one), ("On the frontier", report.frontier)):
        listed = "; ".join(
            f"{speed(objective, one.trial.standing)} at {units.percent(one.top1)}, {one.trial.state}" for one in points
        )
        told.append(f"{name}: {listed}.")
    return " ".join(told)
