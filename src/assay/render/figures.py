"""The charts of a page: each an SVG element with a title, and a text that says in words what it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from assay import units
from assay.records import Estimate, Figures, SpeedRow, SpeedTable, StageTime
from assay.render import svg
from assay.render.content import AccuracyLine, Histogram
from assay.render.text import printable, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 340.0
"""Units of a chart: as many as a phone has pixels, so that its text is not smaller there than elsewhere."""
_BAR, _GAP, _HEADING = 17.0, 9.0, 17.0
"""The height of a bar, of the room between two groups of bars, and of a group's heading."""
_LETTER = 6.6
"""The width of a letter, for the room left of the bars."""
_TICK = 70.0
"""The room of a figure below the axis."""
_LONGEST_NAME = 20
_HATCHES = ("", "////", "----")
"""Where there are more records than colours, the colours come again with one of these."""


@dataclass(frozen=True)
class _Bar:
    name: str
    value: float
    label: str
    series: int
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class _Group:
    heading: str
    bars: tuple[_Bar, ...]


def throughput(figures: Sequence[Figures], names: Sequence[str]) -> Markup:
    """Interface beside end-to-end throughput, by batch size as it is called, with their intervals."""
    groups = [
        _Group(
            f"batch {called}",
            (
                _rate_bar("end-to-end", found.end_to_end_throughput, 0),
                _rate_bar("interface", found.interface_throughput, 1),
            ),
        )
        for found, called in zip(figures, names, strict=True)
    ]
    said = " ".join(
        f"Batch {called}: end-to-end {_said(found.end_to_end_throughput)}, "
        f"interface {_said(found.interface_throughput)}."
        for found, called in zip(figures, names, strict=True)
    )
    return _bars(groups, "chart-throughput", "Throughput by batch size", f"Images a second. {said}", units.rate)


def comparison(table: SpeedTable) -> Markup:
    """Every record's throughput by batch size, and how many times each of the others' the first one's is."""
    groups = [group for row in table.rows if (group := _compared(table, row)).bars]
    said = " ".join(
        f"{group.heading.capitalize()}: {', '.join(f'{bar.name} {bar.label}' for bar in group.bars)}."
        for group in groups
    )
    title = f"{table.kind} throughput by batch size".capitalize()
    return _bars(groups, "chart-comparison", title, f"Images a second. {said}", units.rate)


def _compared(table: SpeedTable, row: SpeedRow) -> _Group:
    """One batch size; the ratio beside a bar is that of the first record to it."""
    ratios = {
        other: ratio for (one, other), ratio in zip(table.pairs, row.ratios, strict=True) if one == table.records[0]
    }
    bars = []
    for number, (name, cell) in enumerate(zip(table.records, row.throughputs, strict=True)):
        if cell is None or cell.value is None:
            continue
        ratio = ratios.get(name)
        beside = f" ×{units.ratio(ratio.value)}" if ratio is not None and ratio.value is not None else ""
        bars.append(_Bar(name, cell.value, f"{units.rate(cell.value)}{beside}", number))
    heading = "best batch" if row.batch == "best" else f"batch {row.batch}"
    return _Group(heading, tuple(bars))


def stages(number: int, batch: str, found: Sequence[StageTime], bottleneck: str) -> Markup:
    """What each stage of the pipeline did with its time: at work, waiting for work, waiting for room."""
    names = [shortened(printable(stage.name), _LONGEST_NAME) for stage in reversed(found)]
    left = 8 + _LETTER * max(map(len, names))
    with svg.axes(WIDTH, 34 + len(found) * 26, left=left, right=46) as drawn:
        for place, stage in enumerate(reversed(found)):
            shares = (stage.busy_share, stage.waiting_in_share, stage.waiting_out_share)
            begin = 0.0
            for share, (colour, alpha, hatch) in zip(shares, _ACTIVITIES, strict=True):
                drawn.barh(
                    place,
                    share,
                    left=begin,
                    height=0.62,
                    color=colour,
                    alpha=alpha,
                    hatch=hatch,
                    edgecolor=svg.SURFACE,
                    linewidth=0,
                )
                begin += share
            weight = "bold" if stage.name == bottleneck else "normal"
            drawn.text(1.02, place, units.share(stage.busy_share), va="center", weight=weight)
        drawn.set_yticks(range(len(found)), names)
        for label, stage in zip(drawn.get_yticklabels(), reversed(found), strict=True):
            label.set_fontweight("bold" if stage.name == bottleneck else "normal")
        drawn.set_xlim(0, 1)
        drawn.set_xticks([0, 0.25, 0.5, 0.75, 1], [units.share(share) for share in (0, 0.25, 0.5, 0.75, 1)])
        said = " ".join(
            f"{stage.name}: at work {units.share(stage.busy_share)}, waiting for work "
            f"{units.share(stage.waiting_in_share)}, waiting for room {units.share(stage.waiting_out_share)}."
            for stage in found
        )
        return svg.inline(
            drawn,
            f"chart-stages-{number}",
            f"Pipeline stages at batch {batch}",
            f"Shares of the run. {said} The bottleneck is {bottleneck}.",
        )


_ACTIVITIES = ((svg.SERIES[0], 1.0, ""), (svg.SERIES[2], 0.6, "////"), (svg.SERIES[3], 0.6, "----"))
"""Colour, weight and pattern of being at work, of waiting for work, and of waiting for room."""


def latency(number: int, batch: str, found: Histogram, figures: Figures) -> Markup:
    """How long the inference calls took, with the median and the highest percentile that the sample is enough for."""
    marked = [name for name in ("p50", "p99", "p95", "p90") if name in figures.latency][:2]
    with svg.axes(WIDTH, 178, left=26, right=26) as drawn:
        drawn.stairs(found.counts, found.edges, fill=True, color=svg.SERIES[0], alpha=0.75)
        drawn.set_ylim(0, max(found.counts) * 1.32)
        drawn.set_xlim(found.edges[0], found.edges[-1])
        drawn.set_yticks([])
        drawn.locator_params(axis="x", nbins=5)
        drawn.xaxis.set_major_formatter(lambda value, _: units.milliseconds(value))
        middle = (found.edges[0] + found.edges[-1]) / 2
        for line, name in enumerate(marked):
            value = figures.latency[name].value
            if not found.edges[0] <= value <= found.edges[-1]:
                continue
            drawn.axvline(value, color=svg.INK, linewidth=1.2, linestyle=(0, (4, 2)), ymax=0.98 - 0.11 * line)
            drawn.annotate(
                f"{name} {units.milliseconds(value)}",
                (value, 0.98 - 0.11 * line),
                xycoords=("data", "axes fraction"),
                xytext=(4 if value < middle else -4, 0),
                textcoords="offset points",
                ha="left" if value < middle else "right",
                va="top",
            )
        said = ", ".join(f"{name} {units.milliseconds(one.value)}" for name, one in figures.latency.items())
        return svg.inline(
            drawn,
            f"chart-latency-{number}",
            f"Latency of {units.count(found.calls)} calls at batch {batch}",
            f"A histogram of the times of single inference calls: {said}.",
        )


def accuracy(lines: Sequence[AccuracyLine]) -> Markup:
    """Top-1 to Top-5 with their intervals, beside what they are held against."""
    with svg.axes(WIDTH, 220, left=52) as drawn:
        for number, line in enumerate(lines):
            offset = 0.16 * (number - (len(lines) - 1) / 2)
            for k, estimate in line.top.items():
                _point(drawn, k + offset, estimate, number)
        ranks = sorted({k for line in lines for k in line.top})
        drawn.set_xticks(ranks, [f"top-{k}" for k in ranks])
        drawn.set_xlim(ranks[0] - 0.5, ranks[-1] + 0.5)
        percent_axis(drawn)
        said = " ".join(
            f"{line.name}: {', '.join(f'top-{k} {_said(one, units.percent)}' for k, one in line.top.items())}."
            for line in lines
        )
        return svg.inline(drawn, "chart-accuracy", "Accuracy with intervals of 95 %", said)


def percent_axis(drawn: Axes) -> None:
    """Makes the upright axis one of percentages, within what a percentage may be."""
    drawn.grid(axis="y", linewidth=0.8)
    low, high = drawn.get_ylim()
    drawn.set_ylim(max(low, 0), min(high, 100 + 0.04 * (high - low)))
    # Ticks that are written without decimals must have none.
    are_whole = high - low >= 5
    drawn.locator_params(axis="y", nbins=6, integer=are_whole)
    drawn.yaxis.set_major_formatter(lambda value, _: _whole(value) if are_whole else units.percent(value))


_MARKERS = ("o", "D", "s", "^", "v", "P")


def _point(drawn: Axes, place: float, estimate: Estimate, number: int) -> None:
    colour = svg.SERIES[number % len(svg.SERIES)]
    errors = None
    if estimate.interval is not None:
        low, high = estimate.interval
        errors = [[max(estimate.value - low, 0)], [max(high - estimate.value, 0)]]
    marker = _MARKERS[number % len(_MARKERS)]
    drawn.errorbar(
        [place], [estimate.value], yerr=errors, fmt=marker, markersize=5.5, color=colour, elinewidth=1.4, capsize=3
    )


def _whole(percent: float) -> str:
    return units.share(percent / 100)


def _rate_bar(name: str, estimate: Estimate, series: int) -> _Bar:
    return _Bar(name, estimate.value, units.rate(estimate.value), series, estimate.interval)


def _said(estimate: Estimate, unit: Callable[[float], str] = units.rate) -> str:
    """A figure with its interval, in words."""
    if estimate.interval is None:
        return unit(estimate.value)
    low, high = estimate.interval
    return f"{unit(estimate.value)} ({unit(low)} to {unit(high)})"


def _bars(groups: Sequence[_Group], name: str, title: str, description: str, unit: Callable[[float], str]) -> Markup:
    """Bars from zero, group below group, each with its name before and its figure behind it."""
    bars = [bar for group in groups for bar in group.bars]
    names = [shortened(printable(bar.name), _LONGEST_NAME) for bar in bars]
    left = 8 + _LETTER * max(map(len, names), default=0)
    right = 8 + _LETTER * max((len(bar.label) for bar in bars), default=0)
    length = sum(_HEADING + _BAR * len(group.bars) + _GAP for group in groups)
    with svg.axes(WIDTH, length + 34, left=left, right=right) as drawn:
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
                _beside(drawn, bar.label, 1, ticks[-1], shift=right - 2, align="right")
                place += _BAR
            place += _GAP
        drawn.set_yticks(ticks, names)
        drawn.grid(axis="x", linewidth=0.8)
        drawn.locator_params(axis="x", nbins=max(1, int((WIDTH - left - right) / _TICK)))
        drawn.xaxis.set_major_formatter(lambda value, _: "0" if value == 0 else unit(value))
        return svg.inline(drawn, name, title, description)


def _end(bars: Sequence[_Bar]) -> float:
    """Where the axis ends: a very wide interval runs out of the chart, or all else would be too small to see."""
    longest = max((bar.value for bar in bars), default=0.0) or 1.0
    highest = max((bar.interval[1] for bar in bars if bar.interval is not None), default=longest)
    return 1.04 * min(max(highest, longest), 1.5 * longest)


def _beside(
    drawn: Axes,
    text: str,
    edge: float,
    place: float,
    shift: float,
    align: Literal["left", "right"] = "left",
    weight: str = "normal",
) -> None:
    """A text beside the axes, so many units from their left (0) or right (1) edge."""
    drawn.annotate(
        printable(text),
        (edge, place),
        xycoords=("axes fraction", "data"),
        xytext=(shift, 0),
        textcoords="offset points",
        va="center",
        ha=align,
        weight=weight,
    )


def _bar(drawn: Axes, bar: _Bar, place: float) -> None:
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
