"""Commands that run a model: bench, predict, doctor."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from assay.cli.options import (
    IMAGES_ARE,
    Commands,
    answer,
    batches,
    build_options,
    cluster_option,
    command,
    gate_options,
    idle_option,
    label_options,
    number,
    output_option,
    path,
    repair_option,
    repeat_option,
    request_of,
    timeout_option,
    transform_options,
)
from assay.cli.scenario import scenario_options
from assay.errors import EXIT_DONE, EXIT_GATE

if TYPE_CHECKING:
    from assay.loadgen.records import ScenarioOutcome
    from assay.records import BenchOutcome, InterleavedOutcome


def add_single(commands: Commands) -> None:
    """Adds the commands for a first look."""
    made = command(
        commands,
        "predict",
        predict,
        "print the best classes of single images",
        "  assay predict model.onnx cat.jpg dog.png\n  assay predict model.onnx cat.jpg --classes names.txt",
    )
    made.add_argument("model", type=path, metavar="MODEL.onnx")
    made.add_argument("images", nargs="+", type=path, metavar="IMAGE")
    made.add_argument("--classes", type=path, metavar="FILE", help="the classes' names, a line each")
    output_option(made)
    transform_options(made)

    command(commands, "doctor", doctor, "show backends, devices and versions", "  assay doctor")


def add(commands: Commands) -> None:
    """Adds the commands that measure."""
    made = command(
        commands,
        "bench",
        bench,
        "measure artifacts, or a model at several batch sizes",
        "  assay bench model_bs16.onnx --data prepared -o BENCH\n"
        "  assay bench model.onnx --batch 1,16 --synthetic --duration 5 -o BENCH\n"
        "  assay bench a.onnx b.blob --synthetic --interleave -o BENCH\n"
        "  assay bench model_bs1.onnx --data prepared --scenario server --target-qps 100 -o SERVER\n"
        "  assay compare BENCH/A --against BENCH/B",
    )
    made.add_argument("artifacts", nargs="+", type=path, metavar="ARTIFACT|MODEL.onnx")
    made.add_argument(
        "--batch", type=batches, default=None, metavar="1,16", help="for a model; default: 1,16, or the model's own"
    )
    source = made.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=path, metavar="PREPARED", help="a prepared data set")
    source.add_argument("--images", type=path, metavar="IMAGES", help=f"straight from {IMAGES_ARE}")
    source.add_argument("--synthetic", action="store_true", help="the inference call alone, on made-up pixels")
    label_options(made)
    length = made.add_mutually_exclusive_group()
    length.add_argument("--duration", type=number, metavar="SECONDS", help="default with --synthetic: 10")
    length.add_argument("--iterations", type=int, metavar="N", help="batches to run")
    made.add_argument(
        "--interleave",
        action="store_true",
        help="measure the artifacts in turn, in short blocks; writes DIR/A/run.json, DIR/B/run.json …",
    )
    made.add_argument("--profile", action="store_true", help="show the ten costliest nodes, by a pass of its own")
    repeat_option(made)
    cluster_option(made)
    idle_option(made)
    timeout_option(made)
    repair_option(made)
    made.add_argument("-o", "--out", required=True, type=path, metavar="DIR")
    output_option(made)
    scenario_options(made)
    gate_options(made)
    build_options(made)
    transform_options(made)


def predict(options: argparse.Namespace) -> int:
    """`assay predict`."""
    import assay
    from assay.progress import on_standard_error
    from assay.render import table
    from assay.steps.predict import PredictRequest

    with on_standard_error() as progress:
        predictions = assay.predict(request_of(PredictRequest, options, progress=progress))
    answer(options, predictions, table.predictions(predictions))
    return EXIT_DONE


def doctor(options: argparse.Namespace) -> int:
    """`assay doctor`."""
    import assay
    from assay.render import table

    diagnosis = assay.doctor()
    answer(options, diagnosis, table.diagnosis(diagnosis))
    return EXIT_DONE


def bench(options: argparse.Namespace) -> int:
    """`assay bench`."""
    import assay
    from assay.loadgen.records import ScenarioOutcome
    from assay.progress import on_standard_error
    from assay.records import InterleavedOutcome
    from assay.whole_run.bench import BenchRequest

    with on_standard_error() as progress:
        request = request_of(BenchRequest, options, progress=progress)
        request.check()
        if options.repair:
            given = [*options.artifacts, *filter(None, [options.data, options.images])]
            assay.repair(options.out, "bench", given=given, progress=progress)
        outcome = assay.bench(request)
    if isinstance(outcome, ScenarioOutcome):
        return _show_scenario(options, outcome)
    if isinstance(outcome, InterleavedOutcome):
        return _show_in_turn(options, outcome)
    answer(options, outcome, "\n\n".join([*_measurements(outcome), f"{options.out}/run.json"]))
    return EXIT_DONE


def _show_scenario(options: argparse.Namespace, outcome: ScenarioOutcome) -> int:
    from assay.loadgen import text

    answer(options, outcome, text.scenario(outcome, f"{options.out}/scenario.json"))
    return EXIT_DONE if outcome.verdict.passes(options.allow_inconclusive) else EXIT_GATE


def _show_in_turn(options: argparse.Namespace, outcome: InterleavedOutcome) -> int:
    from assay.render.comparison import comparison

    parts = []
    for letter, one in outcome.outcomes.items():
        compiled = one.run.results[0].compiled
        parts += [f"{letter}  {compiled.model.full_name} · {compiled.file.path}", *_measurements(one)]
    records = " · ".join(f"{options.out}/{letter}/run.json" for letter in outcome.outcomes)
    answer(options, outcome, "\n\n".join([*parts, comparison(outcome.comparison, {}), records]))
    return EXIT_DONE if outcome.comparison.verdicts[0].passes(options.allow_inconclusive) else EXIT_GATE


def _measurements(outcome: BenchOutcome) -> list[str]:
    """What a person sees of a run: every figure, the costliest nodes, and what to know before trusting them."""
    from assay.render import table

    parts = [render(outcome.run.results, outcome.figures) for render in (table.measurements, table.results)]
    for result in outcome.run.results:
        if result.profile is not None:
            parts.append(f"batch {result.batch} · costliest nodes\n{table.profile(result.profile)}")
    if outcome.run.warnings:
        parts.append(table.warnings(outcome.run.warnings))
    return parts
