"""Commands that make things: export, quantize, compile, prepare."""

from __future__ import annotations

import argparse
import shlex

from assay.cli.options import (
    IMAGES_ARE,
    Commands,
    answer,
    build_options,
    command,
    label_options,
    output_option,
    path,
    repair_option,
    request_of,
    timeout_option,
    transform_options,
    weights,
)
from assay.errors import EXIT_DONE, UsageError

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
    made.add_argument("--weights-set", metavar="NAME", help="a set of weights in the file, where it holds several")
    made.add_argument(
        "--pt2", action="store_true", help="also write the exported program that --backend torch compiles"
    )
    made.add_argument("-o", "--output", dest="out", required=True, type=path, metavar="FILE.onnx")
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
    made.add_argument("-o", "--output", dest="out", required=True, type=path, metavar="DIR")
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
    import assay
    from assay.progress import on_standard_error
    from assay.steps.export import ExportRequest

    with on_standard_error() as progress:
        if options.repair:
            assay.repair(options.out, "export", progress=progress)
        model = assay.export(request_of(ExportRequest, options, progress=progress))
    program = f", {model.exported_program.path.name}" if model.exported_program is not None else ""
    answer(options, model, f"{options.out}{program} and its record {options.out.with_suffix('.json').name}")
    return EXIT_DONE


def quantize(options: argparse.Namespace) -> int:
    """`assay quantize`."""
    import assay
    from assay.progress import on_standard_error
    from assay.quantization import layer_costs
    from assay.quantization.quantize import QuantizeRequest

    if options.sensitivity and options.keep_float:
        raise UsageError("--sensitivity measures every layer; leave --keep-float away")
    with on_standard_error() as progress:
        if options.sensitivity:
            request = request_of(QuantizeRequest, options, out=options.model, progress=progress)
            costs = layer_costs.sensitivity_of(request)
            answer(options, costs, layer_costs.table(costs))
            return EXIT_DONE
        if options.repair:
            assay.repair(options.out, "quantize", progress=progress)
        model = assay.quantize(request_of(QuantizeRequest, options, progress=progress))
    answer(options, model, f"{options.out} and its record {options.out.with_suffix('.json').name}")
    return EXIT_DONE


def compile_model(options: argparse.Namespace) -> int:
    """`assay compile`."""
    import assay
    from assay.progress import on_standard_error
    from assay.steps.compile import CompileRequest, command

    if options.dry_run and options.json:
        raise UsageError("--json: --dry-run makes no record; leave one of them away")
    with on_standard_error() as progress:
        request = request_of(CompileRequest, options, progress=progress)
        if options.dry_run:
            words = command(request)
            progress.note(f"not run; the graph that it reads is {options.out.name}.onnx")
            print(shlex.join(words))  # noqa: T201 - the answer
            return EXIT_DONE
        if options.repair:
            assay.repair(options.out, "compile", progress=progress)
        compiled = assay.compile(request)
    answer(options, compiled, f"{options.out} and its record {options.out.name}.json")
    return EXIT_DONE


def prepare(options: argparse.Namespace) -> int:
    """`assay prepare`."""
    import assay
    from assay.progress import on_standard_error
    from assay.steps.prepare import PrepareRequest

    with on_standard_error() as progress:
        if options.repair:
            assay.repair(options.out, "prepare", given=[options.images], progress=progress)
        prepared = assay.prepare(request_of(PrepareRequest, options, progress=progress))
    count = len(prepared.dataset.names)
    answer(options, prepared, f"{count} images in {len(prepared.shards)} shards · {options.out}")
    return EXIT_DONE
