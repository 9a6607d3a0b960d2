"""`assay bench --scenario`: its options, and what it does with them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from assay.cli.options import answer, number, spread
from assay.errors import EXIT_DONE, EXIT_GATE, UsageError

if TYPE_CHECKING:
    from assay.progress import Progress
    from assay.records import CompiledModel, Setting

    Artifacts = Callable[[argparse.Namespace, None, Progress], list[tuple[CompiledModel, dict[str, Setting]]]]

_OWN = ("mlperf", "target_qps", "latency_bound")


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


def refuse_without_scenario(options: argparse.Namespace) -> None:
    """Raises where an option of a scenario is given without one."""
    for name in _OWN:
        if getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} goes with --scenario")


def bench_scenario(options: argparse.Namespace, artifacts: Artifacts) -> int:
    """`assay bench --scenario`."""
    from assay.loadgen import bench
    from assay.loadgen import text as render
    from assay.loadgen.request import ScenarioRequest
    from assay.progress import on_standard_error
    from assay.steps.prepare import load_prepared, prepare
    from assay.steps.results import held
    from assay.whole_run.repair import repair

    for name in ("interleave", "profile", "iterations", "timeout"):
        if getattr(options, name):
            raise UsageError(f"--{name} is not of a scenario, whose queries LoadGen sends; leave it away")
    if spread(options) is not None:
        raise UsageError("--scenario tests one device; leave --cluster and further devices away")
    if options.target_qps is not None and options.target_qps <= 0:
        raise UsageError(f"--target-qps {options.target_qps:g}: give more than 0")
    request = ScenarioRequest(
        scenario=options.scenario,
        official=options.mlperf,
        seconds=options.duration,
        target_qps=options.target_qps,
        latency_bound=options.latency_bound,
        gates=options.gate,
    )
    request.check()
    if options.mlperf and options.synthetic:
        raise UsageError("--mlperf runs the accuracy mode too, which needs images; give --data or --images")
    with on_standard_error() as progress, held(options.out, "scenario"):
        if options.repair:
            repair(options.out, "bench", progress, what_is_given(options))
        found = artifacts(_with_one_batch(options, request.load.scenario.usual_batch), None, progress)
        if len(found) > 1:
            raise UsageError(f"--scenario tests one artifact, and these are {len(found)}; give one, or one --batch")
        compiled, run_settings = found[0]
        data = None
        if options.data is not None:
            data = load_prepared(options.data)
        elif options.images is not None:
            # Images are in memory before a query asks for them; how they got there is no part of a scenario's time.
            data = prepare(
                options.images,
                compiled.model.transform,
                options.out / "prepared",
                labels=options.labels,
                class_list=options.class_list,
                progress=progress,
            )
        outcome = bench.bench_scenario(
            compiled,
            data,
            options.out,
            request,
            run_settings=run_settings,
            wait_idle=options.wait_idle,
            command=options.command_line,
            progress=progress,
        )
    answer(options, outcome, render.scenario(outcome, f"{options.out}/scenario.json"))
    return EXIT_DONE if outcome.verdict.passes(options.allow_inconclusive) else EXIT_GATE


def what_is_given(options: argparse.Namespace) -> list[Path]:
    """What `assay bench` measures, and cannot make."""
    return [*options.artifacts, *filter(None, [options.data, options.images])]


def _with_one_batch(options: argparse.Namespace, usual: int) -> argparse.Namespace:
    """The options with the scenario's usual batch size for a model that is given without one."""
    from assay.steps.compile import find_compiled

    is_artifact = any(given.exists() and find_compiled(given) is not None for given in options.artifacts)
    batch = options.batch if options.batch is not None or is_artifact else [usual]
    return argparse.Namespace(**{**vars(options), "batch": batch})


def _latency(text: str) -> float:
    """Reads `15ms` or `0.015s`, in seconds."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d+)?)\s*(ms|s)", text)
    if found is None or float(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a latency such as 15ms")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)
