"""`assay bench --scenario`: its options."""

from __future__ import annotations

import argparse
import re

from assay.cli.options import number


def scenario_options(made: argparse.ArgumentParser) -> None:
    """A scenario and what is asked of it."""
    group = made.add_argument_group("scenario", "queries sent by MLPerf's LoadGen, for --duration seconds; default: 5")
    group.add_argument("--scenario", metavar="S", help="single-stream, multi-stream, server or offline")
    group.add_argument(
        "--mlperf",
        action="store_true",
        help="MLPerf's own duration and counts, and its accuracy mode too; with --duration a rehearsal of it",
    )
    group.add_argument(
        "--target-qps", type=number, metavar="N", help="queries a second: sent by server; expected by offline"
    )
    group.add_argument(
        "--latency-bound", type=_latency, metavar="15ms", help="for server's 99th percentile; default: 15ms, MLPerf's"
    )


def _latency(text: str) -> float:
    """Reads `15ms` or `0.015s`, in seconds."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d+)?)\s*(ms|s)", text)
    if match is None or float(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a latency such as 15ms")
    return float(match[1]) / (1000 if match[2] == "ms" else 1)
