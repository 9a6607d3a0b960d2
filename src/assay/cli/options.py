"""Options that several commands share, and how a command answers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.data.transform import TransformChoice
    from assay.records import Record

Commands = Any
"""What `add_subparsers` returns; argparse has no public name for it."""


def command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], summary: str, examples: str
) -> argparse.ArgumentParser:
    """A command with its help and `--json`."""
    made: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--json", action="store_true", help="print the record alone on standard output")
    made.set_defaults(command=run)
    return made


def transform_options(made: argparse.ArgumentParser) -> None:
    """The image transform, by name or by its parts."""
    group = made.add_argument_group("image transform", "by default that of the model, said aloud where it is assumed")
    group.add_argument("--preset", metavar="P", help="resnet, inceptionv3, inceptionv4 or efficientnetb3")
    group.add_argument("--resize", type=int, metavar="N", help="pixels of the short side")
    group.add_argument("--crop", type=int, metavar="N", help="pixels of the square cut from the middle")
    group.add_argument("--interpolation", choices=["bilinear", "bicubic"])
    group.add_argument("--mean", type=three, metavar="R,G,B", help="of pixels from 0 to 1")
    group.add_argument("--std", type=three, metavar="R,G,B", help="of pixels from 0 to 1")


def output_option(made: argparse.ArgumentParser) -> None:
    """Which output of an ONNX file; where a command has it, its own destination is `-o` or `--out`."""
    made.add_argument("--output", metavar="NAME", help="the model's output of classes, where it has several")


def label_options(made: argparse.ArgumentParser, required: bool = False) -> None:
    """The classes of the images."""
    made.add_argument(
        "--labels", required=required, type=path, metavar="FILE", help="lines of a name and a class from 0"
    )
    made.add_argument(
        "--class-list",
        type=path,
        metavar="FILE",
        help="the classes' names, a line each in the model's order, where labels or class folders go by names",
    )


def build_options(made: argparse.ArgumentParser) -> None:
    """What an artifact is compiled for, but for its batch size."""
    group = made.add_argument_group("backend")
    group.add_argument("--backend", metavar="NAME", help="default: onnxruntime")
    group.add_argument("--device", metavar="D", help="default: the backend's first")
    group.add_argument("--precision", choices=["fp32", "fp16", "int8"], help="default: fp32")
    group.add_argument(
        "--input",
        choices=["uint8", "float32"],
        help="default: uint8, with normalisation fused into the artifact",
    )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        metavar="KEY=VALUE",
        help="a setting of the backend",
    )


def build_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """What the backend's options say, with the defaults for what they do not."""
    return {
        "backend": options.backend or "onnxruntime",
        "device": options.device,
        "precision": options.precision or "fp32",
        "input_kind": options.input or "uint8",
        "settings": dict(options.set),
    }


def choice(options: argparse.Namespace) -> TransformChoice:
    """What the transform options say."""
    from assay.data.transform import TransformChoice

    return TransformChoice(
        preset=options.preset,
        resize=options.resize,
        crop=options.crop,
        interpolation=options.interpolation,
        mean=options.mean,
        std=options.std,
    )


def answer(options: argparse.Namespace, record: Record, text: str) -> None:
    """Prints the record where `--json` was given, and the text for a person otherwise."""
    if options.json:
        from assay import store

        text = store.to_json(record).decode().rstrip("\n")
    print(text)  # noqa: T201 - the one place for answers
    sys.stdout.flush()


def batches(text: str) -> list[int]:
    """Reads `1,16`."""
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = [0]
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of batch sizes such as 1,16")
    return sizes


def three(text: str) -> tuple[float, float, float]:
    """Reads `0.485,0.456,0.406`."""
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not three numbers such as 0.485,0.456,0.406") from None
    return red, green, blue


def setting(text: str) -> tuple[str, str]:
    """Reads `threads=2`."""
    key, equals, value = text.partition("=")
    if not key or not equals or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE such as threads=2")
    return key, value


def path(text: str) -> Path:
    """A path, with `~` for the home folder."""
    return Path(text).expanduser()


def weights(text: str) -> Path | str:
    """A file of weights, or the word `published`."""
    return text if text == "published" else path(text)
