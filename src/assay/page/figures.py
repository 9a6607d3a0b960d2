"""The charts of a page: each an SVG element with a title, and a text that says in words what it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from assay import units
from assay.page.content import AccuracyLine, Histogram
from assay.records import Estimate, Figures, SpeedRow, SpeedTable, StageTime
from assay.render import svg
from assay.render.axes import percent_axis
from assay.render.bars import Bar, Group, chart
from assay.render.text import printable, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def throughput(figures: Sequence[Figures], names: Sequence[str]) -> Markup:
    """Interface beside end-to-end throughput, by batch size as it is called, with their intervals."""
    groups = [
        Group(
            f"batch {called}",
            (
                _rate_bar("end-to-end", one.end_to_end_throughput, 0),
                _rate_bar("interface", one.interface_throughput, 1),
            ),
        )
        for one, called in zip(figures, names, strict=True)
    ]
    said = " ".join(
        f"Batch {called}: end-to-end {_said(one.end_to_end_throughput)}, interface {_said(one.interface_throughput)}."
        for one, called in zip(figures, names, strict=True)
    )
    return chart(groups, "chart-throughput", "Throughput by batch size", f"Images a second. {said}", units.rate)


def comparison(table: SpeedTable) -> Markup:
    """Every record's throughput by batch size with its interval, and how many times each other's the first one's is."""
    groups = [group for row in table.rows if (group := _compared(table, row)).bars]
    said = " ".join(
        f"{group.heading.capitalize()}: {', '.join(f'{bar.name} {bar.label}{_range(bar)}' for bar in group.bars)}."
        for group in groups
    )
    title = f"{table.kind} throughput by batch size".capitalize()
    return chart(groups, "chart-comparison", title, f"Images a second. {said}", units.rate)


def _compared(table: SpeedTable, row: SpeedRow) -> Group:
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
        bars.append(Bar(name, cell.value, f"{units.rate(cell.value)}{beside}", number, cell.interval))
    heading = "best batch" if row.batch == "best" else f"batch {row.batch}"
    return Group(heading, tuple(bars))


def _range(bar: Bar) -> str:
    """A bar's interval, in words; nothing where it has none."""
    return f" ({units.rate(bar.interval[0])} to {units.rate(bar.interval[1])})" if bar.interval is not None else ""


def stages(number: int, batch: str, times: Sequence[StageTime], bottleneck: str) -> Markup:
    """What each stage of the pipeline did with its time: at work, waiting for work, waiting for room."""
    names = [shortened(printable(stage.name), svg.LONGEST_NAME) for stage in reversed(times)]
    left = 8 + svg.LETTER * max(map(len, names))
    with svg.axes(svg.WIDTH, 34 + len(times) * 26, left=left, right=46) as drawn:
        for place, stage in enumerate(reversed(times)):
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
        drawn.set_yticks(range(len(times)), names)
        for label, stage in zip(drawn.get_yticklabels(), reversed(times), strict=True):
            label.set_fontweight("bold" if stage.name == bottleneck else "normal")
        drawn.set_xlim(0, 1)
        drawn.set_xticks([0, 0.25, 0.5, 0.75, 1], [units.share(share) for share in (0, 0.25, 0.5, 0.75, 1)])
        said = " ".join(
            f"{stage.name}: at work {units.share(stage.busy_share)}, waiting for work "
            f"{units.share(stage.waiting_in_share)}, waiting for room {units.share(stage.waiting_out_share)}."
            for stage in times
        )
        return svg.inline(
            drawn,
            f"chart-stages-{number}",
            f"Pipeline stages at batch {batch}",
            f"Shares of the run. {said} The bottleneck is {bottleneck}.",
        )


_ACTIVITIES = ((svg.SERIES[0], 1.0, ""), (svg.SERIES[2], 0.6, "////"), (svg.SERIES[3], 0.6, "----"))
"""Colour, weight and pattern of being at work, of waiting for work, and of waiting for room."""


def latency(number: int, batch: str, histogram: Histogram, figures: Figures) -> Markup:
    """How long the inference calls took, with the median and the highest percentile that the sample is enough for."""
    marked = [name for name in ("p50", "p99", "p95", "p90") if name in figures.latency][:2]
    with svg.axes(svg.WIDTH, 178, left=26, right=26) as drawn:
        drawn.stairs(histogram.counts, histogram.edges, fill=True, color=svg.SERIES[0], alpha=0.75)
        drawn.set_ylim(0, max(histogram.counts) * 1.32)
        drawn.set_xlim(histogram.edges[0], histogram.edges[-1])
        drawn.set_yticks([])
        drawn.locator_params(axis="x", nbins=5)
        drawn.xaxis.set_major_formatter(lambda value, _: units.milliseconds(value))
        middle = (histogram.edges[0] + histogram.edges[-1]) / 2
        for line, name in enumerate(marked):
            value = figures.latency[name].value
            if not histogram.edges[0] <= value <= histogram.edges[-1]:
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
            f"Latency of {units.count(histogram.calls)} calls at batch {batch}",
            f"A histogram of the times of single inference calls: {said}.",
        )


def accuracy(lines: Sequence[AccuracyLine]) -> Markup:
    """Top-1 to Top-5 with their intervals, beside what they are held against."""
    with svg.axes(svg.WIDTH, 220, left=52) as drawn:
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


def _rate_bar(name: str, estimate: Estimate, series: int) -> Bar:
    return Bar(name, estimate.value, units.rate(estimate.value), series, estimate.interval)


def _said(estimate: Estimate, unit: Callable[[float], str] = units.rate) -> str:
    """A figure with its interval, in words."""
    if estimate.interval is None:
        return unit(estimate.value)
    low, high = estimate.interval
    return f"{unit(estimate.value)} ({unit(low)} to {unit(high)})"
