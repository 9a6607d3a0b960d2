"""Options that several commands share, and how a command answers."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from assay.units import visible_json, visible_lines

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from assay.records import Record

    Request = TypeVar("Request", bound=DataclassInstance)

_COLOURS = {
    r"(?m)^(verdict )?PASS\b": "bold green",
    r"(?m)^(verdict )?FAIL\b": "bold red",
    r"(?m)^(verdict )?INCONCLUSIVE\b": "bold yellow",
    r"(?m)^(verdict )?NOT COMPARABLE\b": "bold magenta",
    r"(?m)^warning\b": "yellow",
}
"""Words that stand first in their lines, which say the same without."""

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


def repair_option(made: argparse.ArgumentParser) -> None:
    """Whether what is damaged is made again."""
    made.add_argument(
        "--repair",
        action="store_true",
        help="hold every file that is kept to its hash, remove what is damaged, and make that again",
    )


def idle_option(made: argparse.ArgumentParser) -> None:
    """How long to wait for a machine of one's own."""
    made.add_argument(
        "--wait-idle",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="wait so long at most until processors and device are idle",
    )


def timeout_option(made: argparse.ArgumentParser) -> None:
    """When a stage is taken to hang."""
    made.add_argument(
        "--timeout",
        type=positive_seconds,
        metavar="SECONDS",
        help="give up, naming stage and images, where one is at the same ones for longer; default: wait",
    )


def gate_options(made: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """What must hold; returns the group for further options."""
    group = made.add_argument_group("gates")
    group.add_argument(
        "--gate",
        action="append",
        default=[],
        metavar="G",
        help="METRIC[@BATCH][/REFERENCE] OP NUMBER, may be repeated",
    )
    group.add_argument(
        "--allow-inconclusive",
        action="store_true",
        help="exit 0 also where a gate is in doubt and none failed",
    )
    return group


IMAGES_ARE = "a folder, flat or of class folders; a .tar of either; or WebDataset shards, 'val-{000..049}.tar'"
"""Where images may lie, for `--help`."""
LABELS_ARE = (
    "lines of a name and a class from 0; or ImageNet's LOC_val_solution.csv, the devkit's .tar.gz or its ground truth"
)
"""What a label file may be, for `--help`."""


def label_options(made: argparse.ArgumentParser, required: bool = False) -> None:
    """The classes of the images."""
    made.add_argument(
        "--labels",
        required=required,
        type=path,
        metavar="FILE",
        help=LABELS_ARE,
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
    group.add_argument(
        "--backend", metavar="NAME", help="default: onnxruntime; auto: the fastest of those installed, by trying each"
    )
    group.add_argument(
        "--device",
        metavar="D",
        help="default: the backend's first; several, by names or places in its list as 0,1, share a data set",
    )
    group.add_argument("--precision", choices=["fp32", "fp16", "int8"], help="default: the model's own, mostly fp32")
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


def request_of(kind: type[Request], options: argparse.Namespace, **more: object) -> Request:
    """The request that the options make: they have the names of its fields, and None stands for a field's default."""
    given = {one.name: value for one in fields(kind) if (value := getattr(options, one.name, None)) is not None}
    if isinstance(given.get("set"), list):
        given["set"] = dict(given["set"])
    if "command" in given:
        given["command"] = options.command_line
    return kind(**{**given, **more})


def cluster_option(made: argparse.ArgumentParser) -> None:
    """Where a run's workers are."""
    made.add_argument(
        "--cluster", metavar="ADDRESS|local", help="share the data set among the devices of a Ray cluster"
    )


def answer(options: argparse.Namespace, record: Record, text: str) -> None:
    """Prints the record where `--json` was given, and the text for a person otherwise."""
    if options.json:
        from assay.storage import store

        text = store.to_json(record).decode().rstrip("\n")
        print(visible_json(text))  # noqa: T201 - the one place for answers
    else:
        _show(visible_lines(text))
    sys.stdout.flush()


def _show(text: str) -> None:
    """Prints text, with the words of verdicts in colour beside their meaning on a terminal that has colours."""
    if not sys.stdout.isatty():
        print(text)  # noqa: T201 - likewise
        return
    from rich.console import Console
    from rich.text import Text

    shown = Text(text)
    for pattern, style in _COLOURS.items():
        shown.highlight_regex(pattern, style)
    # Rich leaves colours away where NO_COLOR is set, and lines are the terminal's own to wrap.
    Console(highlight=False, soft_wrap=True).print(shown)


def batches(text: str) -> list[int]:
    """Reads `1,16`."""
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = [0]
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of batch sizes such as 1,16")
    return sizes


def number(text: str) -> float:
    """Reads `0.5`: neither `nan` nor `inf`, which no figure is above or below."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number such as 0.5")
    return value


def three(text: str) -> tuple[float, float, float]:
    """Reads `0.485,0.456,0.406`."""
    try:
        red, green, blue = (number(part) for part in text.split(","))
    except (ValueError, argparse.ArgumentTypeError):
        raise argparse.ArgumentTypeError(f"{text!r} is not three numbers such as 0.485,0.456,0.406") from None
    return red, green, blue


def setting(text: str) -> tuple[str, str]:
    """Reads `threads=2`."""
    key, equals, value = text.partition("=")
    if not key or not equals or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE such as threads=2")
    return key, value


def seconds(text: str) -> float:
    """Reads a length of time: `60`, `90s`, `10m` or `2h`."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d+)?)\s*([smh]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds such as 60, or a time such as 10m or 2h")
    return float(match[1]) * {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}[match[2]]


def repeat_option(made: argparse.ArgumentParser) -> None:
    """Adds --repeat."""
    made.add_argument(
        "--repeat",
        type=int,
        default=1,
        metavar="N",
        help="measure in N fresh processes, one after the other: intervals then cover restarts too; default: 1",
    )


def positive_seconds(text: str) -> float:
    """Reads a length of time that is more than none."""
    if not (value := seconds(text)):
        raise argparse.ArgumentTypeError(f"{text!r}: give more than 0")
    return value


def path(text: str) -> Path:
    """A path, with `~` for the home folder."""
    return Path(text).expanduser()


def record(text: str) -> Path:
    """The path or the name of a record."""
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty name of a record; give its folder")
    return path(text)


def weights(text: str) -> Path | str:
    """A file of weights, or the word `published`."""
    return text if text == "published" else path(text)
