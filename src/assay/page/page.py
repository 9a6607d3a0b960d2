"""The page: one file that holds everything, with no script and no address in it that leads elsewhere."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from assay import units
from assay.page import figures
from assay.page.content import ComparisonReport, RunReport
from assay.records import LATENCIES, Figures, MachineState, VerdictWord
from assay.render.paired import drop
from assay.render.speed import SPREAD, has_intervals, remarks
from assay.render.text import printable
from assay.tuning import frontier_chart
from assay.tuning import text as tuning_text
from assay.tuning.page_section import SearchReport

if TYPE_CHECKING:
    from jinja2 import Environment

_SYMBOLS: dict[VerdictWord | None, tuple[str, str]] = {
    "PASS": ("✓", "pass"),
    "FAIL": ("✗", "fail"),
    "INCONCLUSIVE": ("?", "unsure"),
    "NOT COMPARABLE": ("≠", "apart"),
    None: ("–", "apart"),
}
"""A sign and a style for each verdict: colour is never all that tells them apart."""


def run_page(report: RunReport, made_from: str = "") -> str:
    """The page of one run; `made_from` is kept in it, to tell whether it is still that of its records."""
    results = tuple(zip(report.record.results, report.figures, report.names, strict=True))
    charts = {
        "throughput": figures.throughput(report.figures, report.names),
        "stages": [
            figures.stages(number, called, result.performance.stages, one.bottleneck)
            for number, (result, one, called) in enumerate(results)
        ],
        "latency": [
            figures.latency(number, called, histogram, one)
            for number, (histogram, (_, one, called)) in enumerate(zip(report.histograms, results, strict=False))
        ],
        "accuracy": figures.accuracy(report.accuracies) if report.accuracies else None,
        "frontier": _frontier(report.search),
    }
    return _rendered(
        "run.html.j2",
        report=report,
        record=report.record,
        search=report.search,
        results=results,
        charts=charts,
        latencies=[name for name in LATENCIES if any(name in one.latency for one in report.figures)],
        states=_states(report),
        word=report.verdict.word if report.verdict is not None else None,
        fastest=max(report.figures, key=lambda one: one.end_to_end_throughput.value),
        smallest=min(report.figures, key=lambda one: one.batch),
        lowest=_lowest_top1(report.figures),
        made_from=made_from,
    )


def search_page(report: SearchReport, made_from: str = "") -> str:
    """The page of a search that left no run."""
    return _rendered("search_alone.html.j2", search=report, charts={"frontier": _frontier(report)}, made_from=made_from)


def _frontier(search: SearchReport | None) -> Markup | None:
    return frontier_chart.frontier(search) if search is not None and search.evaluated else None


def comparison_page(report: ComparisonReport, made_from: str = "") -> str:
    """The page of several records."""
    chart = figures.comparison(report.table) if report.table is not None else None
    return _rendered(
        "comparison.html.j2",
        report=report,
        table=report.table,
        chart=chart,
        pairs=report.table.pairs if report.table is not None else (),
        remarks=remarks(report.table) if report.table is not None else (),
        spread=SPREAD if report.table is not None and has_intervals(report.table) else None,
        made_from=made_from,
    )


def _states(report: RunReport) -> list[tuple[str, str, MachineState]]:
    """Of which batch size and when, and what the machine did then."""
    states = []
    for called, result in zip(report.names, report.record.results, strict=True):
        machine = result.performance.machine
        for when, state in (("before", machine.before), ("during", machine.during), ("after", machine.after)):
            if state is not None:
                states.append((called, when, state))
    return states


def _lowest_top1(figures: tuple[Figures, ...]) -> Figures | None:
    """The figures of the lowest top-1; None where no images have labels."""
    return min((one for one in figures if one.top), key=lambda one: one.top[0].value, default=None)


def _rendered(template: str, **content: Any) -> str:
    text = _templates().get_template(template).render(**content)
    # A character that no encoding holds has no place in a file; names have none left.
    return text.encode("utf-8", "replace").decode("utf-8")


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("assay.page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (
        drop,
        units.agreement,
        units.count,
        units.difference,
        units.gflops,
        units.memory,
        units.milliseconds,
        units.percent,
        units.probability,
        units.rate,
        units.ratio,
        units.score,
        units.seconds,
        units.share,
        units.short_hash,
        units.short_time,
        units.spread,
        units.thousandths,
    ):
        made.filters[function.__name__] = function
    made.globals.update(
        symbols=_SYMBOLS,
        units=units,
        marks=frontier_chart.MARKS,
        measure_of=frontier_chart.measure,
        counts=tuning_text.counts,
        described=tuning_text.described,
        eight_bits=tuning_text.eight_bits,
        none_passed=tuning_text.none_passed,
        speed=tuning_text.speed,
    )
    return made


def _shown(value: object) -> object:
    """What an expression puts on the page: nothing for None, and of a text what a page may hold."""
    if value is None:
        return ""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
