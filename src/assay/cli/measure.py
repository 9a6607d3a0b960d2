"""Commands that run a model: bench, predict, doctor."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.cli.options import (
    IMAGES_ARE,
    Commands,
    answer,
    batches,
    build_arguments,
    build_options,
    choice,
    cluster_option,
    command,
    gate_options,
    idle_option,
    label_options,
    number,
    output_option,
    path,
    repair_option,
    spread,
    timeout_option,
    transform_options,
)
from assay.cli.scenario import bench_scenario, refuse_without_scenario, scenario_options, what_is_given
from assay.errors import EXIT_DONE, EXIT_GATE, UsageError
from assay.units import visible

if TYPE_CHECKING:
    from assay.progress import Progress
    from assay.records import BenchOutcome, CompiledModel, RunRecord, Setting
    from assay.steps.pixel_sources import Data


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
    from assay.progress import on_standard_error
    from assay.render import table
    from assay.steps import predict as predict_step

    found = predict_step.predict(
        options.model,
        options.images,
        output=options.output,
        choice=choice(options),
        class_names=options.classes,
    )
    with on_standard_error() as progress:
        progress.note(f"transform: {found.model.transform_source}")
    answer(options, found, table.predictions(found))
    return EXIT_DONE


def doctor(options: argparse.Namespace) -> int:
    """`assay doctor`."""
    from assay.render import table
    from assay.steps import doctor as doctor_step

    found = doctor_step.doctor()
    answer(options, found, table.diagnosis(found))
    return EXIT_DONE


def bench(options: argparse.Namespace) -> int:
    """`assay bench`."""
    from assay.progress import on_standard_error
    from assay.steps.bench import bench_all
    from assay.steps.results import held
    from assay.whole_run.repair import repair

    for name, value in (("--duration", options.duration), ("--iterations", options.iterations)):
        if value is not None and value <= 0:
            raise UsageError(f"{name} {value:g}: give more than 0")
    if options.scenario is not None:
        return bench_scenario(options, _artifacts)
    refuse_without_scenario(options)
    shared = spread(options)
    for name, given in (("--interleave", options.interleave), ("--profile", options.profile)):
        if shared is not None and given:
            raise UsageError(f"{name} measures on one device; leave --cluster and further devices away")
    if options.interleave:
        return _bench_interleaved(options)
    if options.gate:
        raise UsageError("--gate judges artifacts that are measured in turn; add --interleave, or give it to compare")
    data = _data(options)
    with on_standard_error() as progress, held(options.out, "run"):
        if options.repair:
            repair(options.out, "bench", progress, what_is_given(options))
        record = bench_all(
            _artifacts(options, data, progress),
            data,
            options.out,
            **_how(options),
            spread=shared,
            progress=progress,
        )
    outcome = _outcome(record)
    answer(options, outcome, "\n\n".join([*_measurements(outcome), f"{options.out}/run.json"]))
    return EXIT_DONE


def _bench_interleaved(options: argparse.Namespace) -> int:
    """`assay bench --interleave`."""
    from assay.progress import on_standard_error
    from assay.records import InterleavedOutcome
    from assay.render.comparison import comparison
    from assay.steps.compare import compare_in_turn
    from assay.steps.interleave import bench_interleaved
    from assay.storage import locks
    from assay.whole_run.repair import repair

    data = _data(options)
    with on_standard_error() as progress, locks.lock(options.out):
        if options.repair:
            repair(options.out, "bench", progress, what_is_given(options))
        records = bench_interleaved(
            _artifacts(options, data, progress), data, options.out, **_how(options), progress=progress
        )
    compared = compare_in_turn(records, options.gate)
    outcome = InterleavedOutcome(
        outcomes={letter: _outcome(record) for letter, record in records.items()}, comparison=compared
    )
    parts = []
    for letter, found in outcome.outcomes.items():
        compiled = found.run.results[0].compiled
        parts += [f"{letter}  {compiled.model.name} · {compiled.file.path}", *_measurements(found)]
    parts += [comparison(compared, {}), " · ".join(f"{options.out}/{letter}/run.json" for letter in records)]
    answer(options, outcome, "\n\n".join(parts))
    return EXIT_DONE if compared.verdicts[0].passes(options.allow_inconclusive) else EXIT_GATE


def _how(options: argparse.Namespace) -> dict[str, Any]:
    """How long to measure, what to wait for, and whether with a profile."""
    from assay.steps.measurement import Length

    return {
        "length": Length(seconds=options.duration, batches=options.iterations, timeout=options.timeout),
        "wait_idle": options.wait_idle,
        "profiled": options.profile,
        "command": options.command_line,
    }


def _outcome(record: RunRecord) -> BenchOutcome:
    from assay.records import BenchOutcome
    from assay.steps.compare import figures

    return BenchOutcome(run=record, figures=figures(record))


def _measurements(found: BenchOutcome) -> list[str]:
    """What a person sees of a run: every figure, the costliest nodes, and what to know before trusting them."""
    from assay.render import table

    parts = [render(found.run.results, found.figures) for render in (table.measurements, table.results)]
    for result in found.run.results:
        if result.profile is not None:
            parts.append(f"batch {result.batch} · costliest nodes\n{table.profile(result.profile)}")
    if found.run.warnings:
        parts.append("\n".join(f"warning  {visible(warning)}" for warning in found.run.warnings))
    return parts


def _artifacts(
    options: argparse.Namespace, data: Data, progress: Progress
) -> list[tuple[CompiledModel, dict[str, Setting]]]:
    """The artifacts that were named, and those compiled from a model that was, each with its run settings."""
    from assay.steps.adopt import describe
    from assay.steps.build_options import batch_sizes, run_settings_of
    from assay.steps.choose_backend import BuildRequest, resolve
    from assay.steps.compile import compile_into, find_compiled, load_compiled
    from assay.whole_run.run import USUAL_BATCHES

    found = []
    for given in options.artifacts:
        # Only a model may come without a record.
        is_model = given.suffix == ".onnx" or not given.exists()
        compiled = find_compiled(given) if is_model else load_compiled(given)
        if compiled is not None:
            _refuse_build_options(options, given)
            found.append((compiled, run_settings_of(compiled, dict(options.set))))
            continue
        model = describe(given, choice(options), options.output)
        progress.note(f"transform: {model.transform_source}")
        for batch in batch_sizes(model, options.batch, USUAL_BATCHES, progress):
            build, run_settings = resolve(
                BuildRequest(**build_arguments(options)),
                model,
                batch,
                options.out / f"choice-{batch}.json",
                options.out / "compiled",
                progress,
                data,
            )
            compiled, _ = compile_into(model, build, options.out / "compiled", data)
            found.append((compiled, run_settings))
    return found


def _refuse_build_options(options: argparse.Namespace, artifact: Path) -> None:
    """Raises where an option says how to compile what is compiled already, and so would be passed over."""
    names = ("batch", "backend", "device", "precision", "input", "output", "preset", *choice(options).given)
    given = [f"--{name}" for name in names if getattr(options, name) is not None]
    if spread(options) is not None and options.device is not None:
        # Several devices say who shares the run, and not what to compile for.
        given.remove("--device")
    if given:
        raise UsageError(f"{artifact} is compiled already, so {', '.join(given)} cannot apply; give the MODEL.onnx")


def _data(options: argparse.Namespace) -> Data:
    from assay.steps.pixel_sources import Images
    from assay.steps.prepare import load_prepared

    if options.images is None and (options.labels or options.class_list) is not None:
        raise UsageError("--labels and --class-list go with --images; a prepared data set holds its labels")
    if options.data is not None:
        return load_prepared(options.data)
    if options.images is None:
        return None
    return Images.of(options.images, options.labels, options.class_list)
