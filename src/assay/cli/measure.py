"""Commands that run a model: bench, predict, doctor."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from assay.cli.options import (
    Commands,
    answer,
    batches,
    build_arguments,
    build_options,
    choice,
    command,
    label_options,
    output_option,
    path,
    transform_options,
)
from assay.errors import EXIT_DONE, UsageError

if TYPE_CHECKING:
    from assay.progress import Progress
    from assay.records import CompiledModel, Setting
    from assay.workflow.measurement import Data


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
        "  assay bench model.onnx --batch 1,16 --synthetic --duration 5 -o BENCH",
    )
    made.add_argument("artifacts", nargs="+", type=path, metavar="ARTIFACT|MODEL.onnx")
    made.add_argument(
        "--batch", type=batches, default=None, metavar="1,16", help="for a model; default: 1,16, or the model's own"
    )
    source = made.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=path, metavar="PREPARED", help="a prepared data set")
    source.add_argument("--images", type=path, metavar="DIR", help="straight from the image files")
    source.add_argument("--synthetic", action="store_true", help="the inference call alone, on made-up pixels")
    label_options(made)
    length = made.add_mutually_exclusive_group()
    length.add_argument("--duration", type=float, metavar="SECONDS", help="default with --synthetic: 10")
    length.add_argument("--iterations", type=int, metavar="N", help="batches to run")
    made.add_argument("-o", "--out", required=True, type=path, metavar="DIR")
    output_option(made)
    build_options(made)
    transform_options(made)


def predict(options: argparse.Namespace) -> int:
    """`assay predict`."""
    from assay import workflow
    from assay.progress import on_standard_error
    from assay.render import table

    found = workflow.predict(
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
    from assay import workflow
    from assay.render import table

    found = workflow.doctor()
    answer(options, found, table.diagnosis(found))
    return EXIT_DONE


def bench(options: argparse.Namespace) -> int:
    """`assay bench`."""
    from assay import workflow
    from assay.progress import on_standard_error
    from assay.records import BenchOutcome
    from assay.render import table

    for name, value in (("--duration", options.duration), ("--iterations", options.iterations)):
        if value is not None and value <= 0:
            raise UsageError(f"{name} {value:g}: give more than 0")
    with on_standard_error() as progress:
        record = workflow.bench_all(
            _artifacts(options, progress),
            _data(options),
            options.out,
            length=workflow.Length(seconds=options.duration, batches=options.iterations),
            progress=progress,
        )
    text = f"{table.measurements(record.results)}\n\n{table.results(record.results)}\n\n{options.out}/run.json"
    outcome = BenchOutcome(run=record, figures=tuple(result.figures for result in record.results))
    answer(options, outcome, text)
    return EXIT_DONE


def _artifacts(options: argparse.Namespace, progress: Progress) -> list[tuple[CompiledModel, dict[str, Setting]]]:
    """The artifacts that were named, and those compiled from a model that was, each with its run settings."""
    from assay import workflow

    found = []
    for given in options.artifacts:
        compiled = workflow.find_compiled(given)
        if compiled is not None:
            _refuse_build_options(options, given)
            found.append((compiled, workflow.run_settings_of(compiled, dict(options.set))))
            continue
        model = workflow.describe(given, choice(options), options.output)
        progress.note(f"transform: {model.transform_source}")
        for batch in workflow.batch_sizes(model, options.batch, workflow.USUAL_BATCHES, progress):
            build, run_settings = workflow.build_options(batch=batch, **build_arguments(options))
            compiled, _ = workflow.compile_into(model, build, options.out / "compiled")
            found.append((compiled, run_settings))
    return found


def _refuse_build_options(options: argparse.Namespace, artifact: Path) -> None:
    """Raises where an option says how to compile what is compiled already, and so would be passed over."""
    names = ("batch", "backend", "device", "precision", "input", "output", "preset", *choice(options).given)
    given = [f"--{name}" for name in names if getattr(options, name) is not None]
    if given:
        raise UsageError(f"{artifact} is compiled already, so {', '.join(given)} cannot apply; give the MODEL.onnx")


def _data(options: argparse.Namespace) -> Data:
    from assay import workflow

    if options.images is None and (options.labels or options.class_list) is not None:
        raise UsageError("--labels and --class-list go with --images; a prepared data set holds its labels")
    if options.data is not None:
        return workflow.load_prepared(options.data)
    if options.images is None:
        return None
    return workflow.Images.of(options.images, options.labels, options.class_list)
