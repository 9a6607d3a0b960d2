"""The command that writes a page: report."""

from __future__ import annotations

import argparse
from pathlib import Path

from assay.cli.options import Commands, answer, command, path, record, request_of
from assay.errors import EXIT_DONE


def add(commands: Commands) -> None:
    """Adds `report`."""
    made = command(
        commands,
        "report",
        report,
        "write a page of a run, or of several records beside each other",
        "  assay report RUN\n  assay report RUN guide:T4 guide:310P-tuned -o report.html",
    )
    made.add_argument(
        "records", nargs="+", type=record, metavar="RUN", help="a run, a file of reported figures, or guide:NAME"
    )
    made.add_argument(
        "-o",
        "--output",
        dest="out",
        type=path,
        metavar="report.html",
        help="default: RUN/report.html; of several, report.html",
    )
    made.add_argument("--no-images", action="store_true", help="leave out pictures of the images")


def report(options: argparse.Namespace) -> int:
    """`assay report`."""
    import assay
    from assay import units
    from assay.page.report import ReportRequest

    written = assay.report(request_of(ReportRequest, options))
    answer(options, written, f"{_shown(written.path)} · {units.memory(written.size)}")
    return EXIT_DONE


def _shown(written: Path) -> str:
    """A path as short as it can be."""
    here = Path.cwd()
    return str(written.relative_to(here) if written.is_relative_to(here) else written)
