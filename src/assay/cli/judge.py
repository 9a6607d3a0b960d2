"""Commands that end in a judgement: demo, run, evaluate, compare."""

from __future__ import annotations

import argparse
from pathlib import Path
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
    positive_seconds,
    record,
    repair_option,
    repeat_option,
    request_of,
    timeout_option,
    transform_options,
    weights,
)
from assay.errors import EXIT_DONE, EXIT_GATE, UsageError

if TYPE_CHECKING:
    from assay.whole_run.outcome import Outcome


def add_whole_way(commands: Commands) -> None:
    """Adds the commands that go the whole way."""
    made = command(
        commands,
        "demo",
        demo,
        "go the whole way on the small model inside the package",
        "  assay demo -o RUN",
    )
    made.add_argument(
        "-o", "--output", dest="out", type=path, default=Path("RUN-demo"), metavar="RUN", help="default: RUN-demo"
    )

    made = command(
        commands,
        "run",
        run,
        "go the whole way: export, prepare, compile, bench, evaluate, compare",
        "  assay run model.onnx --images val --labels val_label.txt --reference top1=76.1 -o RUN\n"
        "  assay run model.onnx --images val --labels val_label.txt --tune 10m --calibration train_images -o RUN\n"
        "  assay run model.onnx --images ILSVRC2012_img_val.tar --labels LOC_val_solution.csv -o RUN\n"
        "  assay run wide_resnet101_2 --random-weights --images val --labels val_label.txt -o RUN",
    )
    made.add_argument("model", metavar="MODEL", help="an .onnx file, or the name of a torchvision model")
    group = made.add_mutually_exclusive_group()
    group.add_argument(
        "--weights",
        type=weights,
        metavar="FILE",
        help=".pth or .safetensors, or the word published: torchvision's file, fetched once",
    )
    group.add_argument("--random-weights", action="store_true", help="for speed only")
    made.add_argument("--weights-entry", metavar="E", help="torchvision's entry whose weights these are")
    made.add_argument("--weights-set", metavar="NAME", help="a set of weights in the file, where it holds several")
    made.add_argument("--opset", type=int, metavar="N", help="of the export; default: 11, or the lowest that works")
    made.add_argument("--images", required=True, type=path, metavar="IMAGES", help=IMAGES_ARE)
    label_options(made)
    made.add_argument("--batch", type=batches, metavar="1,16", help="batch sizes; default: 1,16, or the model's own")
    made.add_argument(
        "--tune",
        type=positive_seconds,
        metavar="10m",
        help="search the fastest artifact that is still right, and run that",
    )
    made.add_argument(
        "--calibration", type=path, metavar="DIR", help="other images, or a prepared set: the search tries 8 bits too"
    )
    made.add_argument("--no-prepare", action="store_true", help="decode on the way, without a prepared data set")
    made.add_argument(
        "--paired",
        action=argparse.BooleanOptionalAction,
        help="also score the images in float32, to name those that flipped; default: for other precisions and backends",
    )
    made.add_argument("--on-error", choices=["stop", "skip"], default="stop", help="at images that cannot be decoded")
    cluster_option(made)
    repeat_option(made)
    made.add_argument(
        "--min-time",
        type=positive_seconds,
        default=0.0,
        metavar="SECONDS",
        help="measure each batch size for at least SECONDS, going round the images again; default: once",
    )
    idle_option(made)
    timeout_option(made)
    repair_option(made)
    made.add_argument("--no-images", action="store_true", help="leave pictures of the images out of the page")
    made.add_argument("-o", "--out", required=True, type=path, metavar="RUN")
    output_option(made)
    _gate_options(made)
    build_options(made)
    transform_options(made)


def add(commands: Commands) -> None:
    """Adds the commands that judge what is there."""
    made = command(
        commands,
        "evaluate",
        evaluate,
        "count Top-1 to Top-5",
        "  assay evaluate RUN --labels val_label.txt\n"
        "  assay evaluate RUN/bench/9f3a…/predictions.json --labels val_label.txt -o result.json --csv top5.csv",
    )
    made.add_argument("predictions", type=path, metavar="RUN|PREDICTIONS")
    label_options(made, required=True)
    made.add_argument("-o", "--output", dest="result", type=path, metavar="result.json", help="in the guide's form")
    made.add_argument("--csv", type=path, metavar="FILE", help="name, label, five classes, five scores")

    made = command(
        commands,
        "compare",
        compare,
        "judge runs and reported figures by gates, against figures or each other",
        "  assay compare RUN --reference top1=47.0\n"
        "  assay compare NEW --against OLD --gate 'throughput/OLD>=1.2' --gate 'latency.p99@1<=250ms'\n"
        "  assay compare guide:310P-tuned --against guide:T4 --gate 'throughput/guide:T4>=1.6'",
    )
    made.add_argument(
        "records", nargs="+", type=record, metavar="RECORD", help="a run, a file of reported figures, or guide:NAME"
    )
    made.add_argument("--against", action="append", default=[], type=record, metavar="RECORD", help="another record")
    made.add_argument("--junit", type=path, metavar="FILE", help="a test case a gate, for a CI server")
    made.add_argument("--markdown", action="store_true", help="print Markdown, for a pull request's summary")
    made.add_argument("--csv", type=path, metavar="FILE", help="the table of speeds, a line a figure")
    _gate_options(made)


def _gate_options(made: argparse.ArgumentParser) -> None:
    group = gate_options(made)
    group.add_argument("--reference", metavar="top1=47.0[,top5=78.0]", help="figures on these very images, in percent")
    group.add_argument(
        "--max-drop", type=number, metavar="POINTS", help="short for --gate 'top1-drop<=POINTS'; default: 1.0"
    )


def demo(options: argparse.Namespace) -> int:
    """`assay demo`."""
    import assay
    from assay.progress import on_standard_error
    from assay.whole_run.demo import DemoRequest

    with on_standard_error() as progress:
        outcome = assay.run_demo(request_of(DemoRequest, options, progress=progress))
    return _end(options, outcome, allow_inconclusive=False)


def run(options: argparse.Namespace) -> int:
    """`assay run`."""
    import assay
    from assay.progress import on_standard_error
    from assay.whole_run.request import RunRequest

    with on_standard_error() as progress:
        if options.repair:
            given = [Path(options.model), *filter(None, [options.images, options.calibration])]
            assay.repair(options.out, "run", given=given, progress=progress)
        outcome = assay.run(request_of(RunRequest, options, progress=progress))
    return _end(options, outcome, options.allow_inconclusive)


def _end(options: argparse.Namespace, outcome: Outcome, allow_inconclusive: bool) -> int:
    from assay.tuning import text as tuning_text
    from assay.whole_run import outcome as outcomes

    parts = [outcomes.text(outcome, f"{options.out}/verdict.json")]
    search = outcome.tuning
    if search is not None:
        parts.insert(0, tuning_text.tuning(search, f"{options.out}/tune/tuning.json"))
    answer(options, outcome, "\n".join(parts))
    # If no candidate was right, what ran is the reference, and not what was asked for.
    passed = outcome.verdict.passes(allow_inconclusive) and (search is None or search.best is not None)
    return EXIT_DONE if passed else EXIT_GATE


def evaluate(options: argparse.Namespace) -> int:
    """`assay evaluate`."""
    import assay
    from assay.guide.formats import result_json
    from assay.progress import on_standard_error
    from assay.render import table
    from assay.render.predictions_csv import predictions_csv
    from assay.steps.evaluate import EvaluateRequest, ranked
    from assay.storage import store

    with on_standard_error() as progress:
        request = request_of(EvaluateRequest, options, progress=progress)
        evaluation = assay.evaluate(request)
    results = [(one.name, one.accuracy) for one in evaluation.results]
    if options.result is not None:
        store.write_bytes(options.result, result_json(results[0][1]).encode())
    if options.csv is not None:
        images = ranked(request.named()[0][1], options.labels, options.class_list)
        store.write_bytes(options.csv, predictions_csv(images).encode())
    # A run of several batch sizes has an accuracy each, and a file holds one: the first, which is said.
    of_which = f" (of {results[0][0]})" if len(results) > 1 else ""
    written = [f"{file}{of_which}" for file in (options.result, options.csv) if file is not None]
    answer(options, evaluation, "\n\n".join([table.accuracies(results), *([" · ".join(written)] if written else [])]))
    return EXIT_DONE


def compare(options: argparse.Namespace) -> int:
    """`assay compare`."""
    import assay
    from assay.records import RunRecord
    from assay.render import table
    from assay.render.comparison import comparison, comparison_csv
    from assay.render.junit import junit
    from assay.render.markdown import markdown
    from assay.steps.compare import CompareRequest, figures
    from assay.storage import store

    compared = assay.compare(request_of(CompareRequest, options))
    if options.junit is not None:
        store.write_bytes(options.junit, junit(compared, options.allow_inconclusive).encode())
    if options.csv is not None:
        if compared.table is None:
            raise UsageError(f"--csv {options.csv}: these records have no speeds to compare; give a second one")
        store.write_bytes(options.csv, comparison_csv(compared.table).encode())
    loaded = zip(compared.records, map(assay.load, options.records), strict=True)
    results = {
        name: table.results(record.results, figures(record)) for name, record in loaded if isinstance(record, RunRecord)
    }
    answer(options, compared, markdown(compared) if options.markdown else comparison(compared, results))
    passed = all(verdict.passes(options.allow_inconclusive) for verdict in compared.verdicts)
    return EXIT_DONE if passed else EXIT_GATE
