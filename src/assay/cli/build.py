"""Commands that make things: export, quantize, compile, prepare."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from assay.cli.options import (
    IMAGES_ARE,
    Commands,
    answer,
    build_arguments,
    build_options,
    choice,
    command,
    label_options,
    output_option,
    path,
    repair_option,
    timeout_option,
    transform_options,
    weights,
)
from assay.errors import EXIT_DONE, UsageError

if TYPE_CHECKING:
    from assay.records import Setting

_USUAL_BATCH = 16


def add(commands: Commands) -> None:
    """Adds the commands of this family."""
    made = command(
        commands,
        "export",
        export,
        "export a checkpoint to ONNX and check that it scores as before",
        "  assay export squeezenet1_0.pth --arch squeezenet1_0 -o model.onnx\n"
        "  assay export published --arch wide_resnet101_2 -o model.onnx\n"
        "  assay export --random-weights --arch wide_resnet101_2 -o model.onnx",
    )
    made.add_argument(
        "checkpoint",
        nargs="?",
        type=weights,
        metavar="CHECKPOINT",
        help="a .pth or .safetensors file of weights, or the word published: torchvision's file, fetched once",
    )
    made.add_argument("--arch", required=True, metavar="NAME", help="a classification model of torchvision")
    made.add_argument("--random-weights", action="store_true", help="for speed only")
    made.add_argument("--opset", type=int, metavar="N", help="default: 11, or the lowest that the operators allow")
    made.add_argument("--weights-entry", metavar="E", help="torchvision's entry whose weights these are")
    made.add_argument(
        "--pt2", action="store_true", help="also write the exported program that --backend torch compiles"
    )
    made.add_argument("-o", "--output", required=True, type=path, metavar="FILE.onnx")
    repair_option(made)
    transform_options(made)

    _add_quantize(commands)
    made = command(
        commands,
        "compile",
        compile_model,
        "compile a model ahead of time for one backend, device and batch size",
        "  assay compile model.onnx --backend onnxruntime --batch 16 -o model_bs16.onnx\n"
        "  assay compile model.onnx --backend auto --batch 16 -o model_bs16",
    )
    made.add_argument("model", type=path, metavar="MODEL.onnx")
    made.add_argument("--batch", type=int, metavar="N", help=f"default: {_USUAL_BATCH}, or the model's own")
    made.add_argument(
        "--images", type=path, metavar="IMAGES", help="check the artifact on these; default: those that come with assay"
    )
    made.add_argument(
        "--dry-run",
        action="store_true",
        help="print the command that a backend such as ascend runs, and write the graph that it reads; run nothing",
    )
    made.add_argument("-o", "--out", required=True, type=path, metavar="FILE")
    repair_option(made)
    output_option(made)
    build_options(made)
    transform_options(made)

    made = command(
        commands,
        "prepare",
        prepare,
        "decode, resize and crop images once",
        "  assay prepare val --labels val_label.txt --like model.onnx -o prepared\n"
        "  assay prepare class_folders --preset resnet -o prepared",
    )
    made.add_argument("images", type=path, metavar="IMAGES", help=IMAGES_ARE)
    label_options(made)
    made.add_argument("--like", type=path, metavar="MODEL.onnx", help="the transform of this model")
    made.add_argument("--on-error", choices=["stop", "skip"], default="stop", help="at images that cannot be decoded")
    timeout_option(made)
    made.add_argument("-o", "--output", required=True, type=path, metavar="DIR")
    repair_option(made)
    transform_options(made)


def _add_quantize(commands: Commands) -> None:
    made = command(
        commands,
        "quantize",
        quantize,
        "put a model into 8 bits, calibrated on images that it is not evaluated on",
        "  assay quantize model.onnx --calibration calibration_images -o model.int8.onnx\n"
        "  assay quantize model.onnx --calibration prepared --keep-float first -o model.int8.onnx\n"
        "  assay quantize model.onnx --calibration prepared --sensitivity",
    )
    made.add_argument("model", type=path, metavar="MODEL.onnx")
    made.add_argument(
        "--calibration", required=True, type=path, metavar="IMAGES", help=f"{IMAGES_ARE}; or a prepared data set"
    )
    made.add_argument("--images", type=int, metavar="N", help="how many of them, evenly spread; default: 100")
    made.add_argument(
        "--calibrator",
        choices=["minmax", "entropy", "percentile"],
        default="minmax",
        help="how a tensor's range is read off them; default: minmax",
    )
    made.add_argument("--per-tensor", action="store_true", help="one scale for all channels of a layer's weights")
    made.add_argument(
        "--reduce-range",
        action=argparse.BooleanOptionalAction,
        help="weights of 7 bits; default: where this processor has no VNNI, and its sums saturate",
    )
    made.add_argument(
        "--keep-float",
        action="append",
        default=[],
        metavar="NAME",
        help="a node to keep in float32, or first, last or depthwise; may be repeated",
    )
    wanted = made.add_mutually_exclusive_group(required=True)
    wanted.add_argument(
        "--sensitivity", action="store_true", help="write no model: list the layers that cost most in 8 bits"
    )
    wanted.add_argument("-o", "--out", type=path, metavar="FILE.onnx")
    repair_option(made)
    output_option(made)
    transform_options(made)


def export(options: argparse.Namespace) -> int:
    """`assay export`."""
    from assay.progress import on_standard_error
    from assay.steps import export as export_step
    from assay.whole_run.repair import repair

    if (options.checkpoint is None) != options.random_weights:
        raise UsageError("give a CHECKPOINT, or --random-weights for speed only")
    with on_standard_error() as progress:
        if options.repair:
            repair(options.output, "export", progress)
        model = export_step.export(
            options.arch,
            options.output,
            weights=options.checkpoint,
            weights_entry=options.weights_entry,
            opset=options.opset,
            exported_program=options.pt2,
            choice=choice(options),
            progress=progress,
        )
    program = f", {model.exported_program.path.name}" if model.exported_program is not None else ""
    answer(options, model, f"{options.output}{program} and its record {options.output.with_suffix('.json').name}")
    return EXIT_DONE


def quantize(options: argparse.Namespace) -> int:
    """`assay quantize`."""
    from assay.progress import on_standard_error
    from assay.quantization import layer_costs
    from assay.quantization import quantize as quantize_step
    from assay.quantization.calibration import calibration_data
    from assay.quantization.layer_costs import measure_sensitivity
    from assay.steps.adopt import describe
    from assay.whole_run.repair import repair

    if options.sensitivity and options.keep_float:
        raise UsageError("--sensitivity measures every layer; leave --keep-float away")
    how = {"calibrator": options.calibrator, "per_channel": not options.per_tensor}
    how |= {"reduce_range": options.reduce_range}
    how |= {"images": options.images} if options.images is not None else {}
    with on_standard_error() as progress:
        model = describe(options.model, choice(options), options.output)
        progress.note(f"transform: {model.transform_source}")
        data = calibration_data(options.calibration)
        if options.sensitivity:
            costs = measure_sensitivity(model, data, **how, progress=progress)
            answer(options, costs, layer_costs.table(costs))
            return EXIT_DONE
        if options.repair:
            repair(options.out, "quantize", progress)
        made = quantize_step.quantize(
            model, data, options.out, **how, float_layers=options.keep_float, progress=progress
        )
    answer(options, made, f"{options.out} and its record {options.out.with_suffix('.json').name}")
    return EXIT_DONE


def compile_model(options: argparse.Namespace) -> int:
    """`assay compile`."""
    from assay.progress import on_standard_error
    from assay.steps import compile as compile_step
    from assay.steps.adopt import describe
    from assay.steps.build_options import batch_sizes
    from assay.steps.choose_backend import AUTO, BuildRequest, resolve
    from assay.steps.compile import choice_of, compile_to
    from assay.steps.pixel_sources import Images
    from assay.whole_run.repair import repair

    if options.dry_run and options.json:
        raise UsageError("--json: --dry-run makes no record; leave one of them away")
    if "," in (options.device or ""):
        raise UsageError(f"--device {options.device}: an artifact is for one device; several are for run and bench")
    asked = None if options.batch is None else [options.batch]
    data = None if options.images is None else Images.of(options.images, None)
    request = BuildRequest(**build_arguments(options))
    if request.backend != AUTO:
        first = (asked or [_USUAL_BATCH])[0]
        _refuse_run_settings(options, request.options(first, for_command=options.dry_run)[1])
    with on_standard_error() as progress:
        model = describe(options.model, choice(options), options.output)
        progress.note(f"transform: {model.transform_source}")
        (batch,) = batch_sizes(model, asked, [_USUAL_BATCH], progress)
        if options.dry_run:
            build, _ = request.options(batch, for_command=True)
            words = compile_step.command(model, build, options.out)
            progress.note(f"not run; the graph that it reads is {options.out.name}.onnx")
            print(shlex.join(words))  # noqa: T201 - the answer
            return EXIT_DONE
        if options.repair:
            repair(options.out, "compile", progress)
        trials = choice_of(options.out)
        build, run_settings = resolve(request, model, batch, trials, progress=progress, data=data)
        _refuse_run_settings(options, run_settings)
        compiled = compile_to(model, build, options.out, progress, data=data)
    answer(options, compiled, f"{options.out} and its record {options.out.name}.json")
    return EXIT_DONE


def _refuse_run_settings(options: argparse.Namespace, run_settings: Mapping[str, Setting]) -> None:
    misplaced = [key for key, _ in options.set if key in run_settings]
    if misplaced:
        raise UsageError(f"{', '.join(misplaced)}: alters no artifact, only how it runs; give it to assay bench")


def prepare(options: argparse.Namespace) -> int:
    """`assay prepare`."""
    from assay.data.transform import choose
    from assay.progress import on_standard_error
    from assay.steps import prepare as prepare_step
    from assay.steps.adopt import transform_of
    from assay.whole_run.repair import repair

    if options.like is not None and options.preset is not None:
        raise UsageError("--like and --preset both name a whole transform; give one of them")
    if options.like is not None:
        transform, source = transform_of(options.like, choice(options))
    else:
        transform, source = choose(choice(options), None, None)
    with on_standard_error() as progress:
        progress.note(f"transform: {source}")
        if options.repair:
            repair(options.output, "prepare", progress, [options.images])
        prepared = prepare_step.prepare(
            options.images,
            transform,
            options.output,
            labels=options.labels,
            class_list=options.class_list,
            on_error=options.on_error,
            timeout=options.timeout,
            progress=progress,
        )
    count = len(prepared.dataset.names)
    answer(options, prepared, f"{count} images in {len(prepared.shards)} shards · {options.output}")
    return EXIT_DONE
