"""The command that searches: tune."""

from __future__ import annotations

import argparse
import re

from assay.cli.options import (
    Commands,
    answer,
    batches,
    command,
    number,
    output_option,
    path,
    positive_seconds,
    repair_option,
    request_of,
    transform_options,
)
from assay.errors import EXIT_DONE, EXIT_GATE

_SIZES = {"MiB": 1 << 20, "GiB": 1 << 30}


def add(commands: Commands) -> None:
    """Adds the command."""
    made = command(
        commands,
        "tune",
        tune,
        "search the fastest artifact that is still right",
        "  assay tune model.onnx --data prepared --budget 10m -o TUNED\n"
        "  assay tune model.onnx --data prepared --for latency --backends onnxruntime,openvino --no-int8 -o TUNED",
    )
    made.add_argument("model", type=path, metavar="MODEL.onnx")
    made.add_argument("--data", required=True, type=path, metavar="PREPARED", help="the images to evaluate on")
    search_options(made)
    repair_option(made)
    made.add_argument("-o", "--out", required=True, type=path, metavar="DIR")
    output_option(made)
    transform_options(made)


def search_options(made: argparse.ArgumentParser) -> None:
    """What is searched, for what, and for how long."""
    group = made.add_argument_group("search")
    group.add_argument("--backends", type=names, metavar="a,b", help="default: all that are installed")
    group.add_argument("--batch", type=batches, metavar="1,16", help="default: 1,4,8,16,32,64, or the model's own")
    group.add_argument(
        "--for",
        dest="objective",
        choices=["throughput", "latency", "end-to-end"],
        default="throughput",
        help="latency is the p99 at the smallest batch size; default: throughput",
    )
    group.add_argument(
        "--budget", type=positive_seconds, default=600.0, metavar="10m", help="seconds, or with s, m or h"
    )
    group.add_argument(
        "--max-drop", type=number, default=1.0, metavar="POINTS", help="that top-1 may fall; default: 1.0"
    )
    group.add_argument("--max-memory", type=size, metavar="2GiB", help="that a run may hold")
    group.add_argument("--no-int8", action="store_true", help="quantize nothing")
    group.add_argument(
        "--calibration",
        type=path,
        metavar="DIR",
        help="images, or a prepared set, for 8 bits; default: a quarter of the data, by its hashes",
    )
    group.add_argument("--seed", type=int, default=0, metavar="N")


def tune(options: argparse.Namespace) -> int:
    """`assay tune`."""
    import assay
    from assay.progress import on_standard_error
    from assay.tuning import text
    from assay.tuning.request import TuneRequest

    with on_standard_error() as progress:
        if options.repair:
            given = [options.model, options.data, *([options.calibration] if options.calibration else [])]
            assay.repair(options.out, "tune", given=given, progress=progress)
        tuning = assay.tune(request_of(TuneRequest, options, progress=progress))
        assay.report(options.out, progress=progress)
    answer(options, tuning, text.tuning(tuning, f"{options.out}/tuning.json"))
    return EXIT_DONE if tuning.best is not None else EXIT_GATE


def names(text: str) -> list[str]:
    """Reads `a,b`."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise argparse.ArgumentTypeError(f"{text!r} names no backend; give some such as onnxruntime,openvino")
    return parts


def size(text: str) -> int:
    """Reads `512MiB` or `2GiB`."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d+)?)\s*(MiB|GiB)", text)
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 512MiB or 2GiB")
    return int(float(match[1]) * _SIZES[match[2]])
