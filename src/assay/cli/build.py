"""Commands that make things: export, prepare, compile."""

from __future__ import annotations

import argparse

from assay.cli.options import (
    Commands,
    answer,
    build_arguments,
    build_options,
    choice,
    command,
    label_options,
    output_option,
    path,
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
    made.add_argument("-o", "--output", required=True, type=path, metavar="FILE.onnx")
    transform_options(made)

    made = command(
        commands,
        "compile",
        compile_model,
        "compile a model ahead of time for one backend, device and batch size",
        "  assay compile model.onnx --backend onnxruntime --batch 16 -o model_bs16.onnx",
    )
    made.add_argument("model", type=path, metavar="MODEL.onnx")
    made.add_argument("--batch", type=int, metavar="N", help=f"default: {_USUAL_BATCH}, or the model's own")
    made.add_argument("-o", "--out", required=True, type=path, metavar="FILE")
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
    made.add_argument("images", type=path, metavar="IMAGES", help="a flat folder, or one of class folders")
    label_options(made)
    made.add_argument("--like", type=path, metavar="MODEL.onnx", help="the transform of this model")
    made.add_argument("--on-error", choices=["stop", "skip"], default="stop", help="at images that cannot be decoded")
    made.add_argument("-o", "--output", required=True, type=path, metavar="DIR")
    transform_options(made)


def export(options: argparse.Namespace) -> int:
    """`assay export`."""
    from assay import workflow
    from assay.progress import on_standard_error

    if (options.checkpoint is None) != options.random_weights:
        raise UsageError("give a CHECKPOINT, or --random-weights for speed only")
    with on_standard_error() as progress:
        model = workflow.export(
            options.arch,
            options.output,
            weights=options.checkpoint,
            weights_entry=options.weights_entry,
            opset=options.opset,
            choice=choice(options),
            progress=progress,
        )
    answer(options, model, f"{options.output} and its record {options.output.with_suffix('.json').name}")
    return EXIT_DONE


def compile_model(options: argparse.Namespace) -> int:
    """`assay compile`."""
    from assay import workflow
    from assay.progress import on_standard_error

    asked = None if options.batch is None else [options.batch]
    build, run_settings = workflow.build_options(batch=(asked or [_USUAL_BATCH])[0], **build_arguments(options))
    misplaced = [key for key, _ in options.set if key in run_settings]
    if misplaced:
        raise UsageError(f"{', '.join(misplaced)}: alters no artifact, only how it runs; give it to assay bench")
    with on_standard_error() as progress:
        model = workflow.describe(options.model, choice(options), options.output)
        progress.note(f"transform: {model.transform_source}")
        (batch,) = workflow.batch_sizes(model, asked, [build.batch], progress)
        build, _ = workflow.build_options(batch=batch, **build_arguments(options))
        compiled = workflow.compile_to(model, build, options.out, progress)
    answer(options, compiled, f"{options.out} and its record {options.out.name}.json")
    return EXIT_DONE


def prepare(options: argparse.Namespace) -> int:
    """`assay prepare`."""
    from assay import workflow
    from assay.data.transform import choose
    from assay.progress import on_standard_error

    if options.like is not None and options.preset is not None:
        raise UsageError("--like and --preset both name a whole transform; give one of them")
    if options.like is not None:
        transform, source = workflow.transform_of(options.like, choice(options))
    else:
        transform, source = choose(choice(options), None, None)
    with on_standard_error() as progress:
        progress.note(f"transform: {source}")
        prepared = workflow.prepare(
            options.images,
            transform,
            options.output,
            labels=options.labels,
            class_list=options.class_list,
            on_error=options.on_error,
            progress=progress,
        )
    count = len(prepared.dataset.names)
    answer(options, prepared, f"{count} images in {len(prepared.shards)} shards · {options.output}")
    return EXIT_DONE
