"""The options of the guide's programs, as their originals read them; what is unknown to those is a usage error."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from assay.cli.guide import cann_options
from assay.cli.options import path
from assay.errors import EXIT_USAGE

_LOG_LEVELS = ("debug", "info", "warning", "error", "null")
_ONNX = 5
"""What the compiler calls the framework."""
_OPERATORS = 2
"""What the tuner calls the search for faster operators."""


def export() -> argparse.ArgumentParser:
    """`wrn101_2_pth2onnx.py CHECKPOINT.pth MODEL.onnx`."""
    made = _parser("wrn101_2_pth2onnx.py")
    made.add_argument("checkpoint", type=path, metavar="CHECKPOINT.pth")
    made.add_argument("out", type=path, metavar="MODEL.onnx")
    return made


def compile_offline() -> argparse.ArgumentParser:
    """`atc --framework=5 --model=… --output=… --input_format=NCHW --input_shape="image:16,3,224,224" …`."""
    made = _compiler("atc")
    made.add_argument("--soc_version", required=True, type=_processor, metavar="Ascend310")
    cann_options.add_of_the_compiler(made)
    return made


def tune() -> argparse.ArgumentParser:
    """`aoe --framework=5 --model=… --job_type=2 --output=… --input_shape "image:1,3,224,224" --log=error`."""
    made = _compiler("aoe")
    made.add_argument("--job_type", required=True, type=_job, choices=[_OPERATORS])
    cann_options.add_of_the_tuner(made)
    return made


def preprocess(model_types: Iterable[str]) -> argparse.ArgumentParser:
    """`imagenet_torch_preprocess.py MODEL_TYPE IMAGES OUT`."""
    made = _parser("imagenet_torch_preprocess.py")
    made.add_argument("model_type", choices=sorted(model_types))
    made.add_argument("images", type=path, metavar="IMAGES")
    made.add_argument("out", type=path, metavar="OUT")
    return made


def list_files() -> argparse.ArgumentParser:
    """`gen_dataset_info.py bin FOLDER OUT.info WIDTH HEIGHT`, or `jpg FOLDER OUT.info`."""
    made = _parser("gen_dataset_info.py")
    made.add_argument("kind", choices=["bin", "jpg"])
    made.add_argument("folder", metavar="FOLDER")
    made.add_argument("out", type=path, metavar="OUT.info")
    made.add_argument("width", nargs="?", type=_positive, metavar="WIDTH")
    made.add_argument("height", nargs="?", type=_positive, metavar="HEIGHT")
    return made


def benchmark() -> argparse.ArgumentParser:
    """`benchmark.x86_64 -model_type=vision -om_path=… -batch_size=16 …`, or `-round=20` on made-up pixels."""
    made = _parser("benchmark.x86_64")
    made.add_argument("-help", action="help", help=argparse.SUPPRESS)
    for name, options in {
        "model_type": {"choices": ["vision"]},
        "device_id": {"type": _number, "default": 0, "metavar": "0"},
        "batch_size": {"type": _positive, "required": True, "metavar": "16"},
        "om_path": {"type": path, "required": True, "metavar": "FILE.om"},
        "input_text_path": {"type": path, "metavar": "FILE.info"},
        "input_width": {"type": _positive, "metavar": "224"},
        "input_height": {"type": _positive, "metavar": "224"},
        "output_binary": {"type": _truth, "metavar": "False"},
        "useDvpp": {"type": _truth, "default": False, "metavar": "False"},
        "round": {"type": _positive, "metavar": "20"},
    }.items():
        # The original's flags stand behind one hyphen, and it takes two as well.
        made.add_argument(f"-{name}", f"--{name}", dest=name, **options)  # type: ignore[arg-type]  # of several types
    return made


def evaluate() -> argparse.ArgumentParser:
    """`imagenet_acc_eval.py DUMPS LABELS FOLDER NAME.json`."""
    made = _parser("imagenet_acc_eval.py")
    made.add_argument("dumps", type=path, metavar="DUMPS")
    made.add_argument("labels", type=path, metavar="LABELS")
    made.add_argument("folder", type=path, metavar="FOLDER")
    made.add_argument("name", metavar="NAME.json")
    return made


def trtexec() -> argparse.ArgumentParser:
    """`trtexec --onnx=… --fp16 --shapes=image:64x3x224x224 --threads`."""
    made = _parser("trtexec")
    made.add_argument("--onnx", type=path, metavar="MODEL.onnx")
    made.add_argument("--fp16", action="store_true")
    made.add_argument("--shapes", metavar="image:64x3x224x224")
    made.add_argument("--threads", action="store_true")
    return made


def batch_of(shapes: str) -> int | None:
    """The batch size of one input's shape as trtexec takes it; None of any other text."""
    try:
        _, (batch, *_) = _shape_by("x")(shapes)
    except argparse.ArgumentTypeError:
        return None
    return int(batch)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the originals have too many flags to list them each time."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser(name: str) -> argparse.ArgumentParser:
    made = _Parser(prog=f"assay guide {name}", allow_abbrev=False)
    made.set_defaults(ignored=())
    return made


def _compiler(name: str) -> argparse.ArgumentParser:
    """What `atc` and `aoe` have in common."""
    made = _parser(name)
    # The second spelling is the guide's own.
    made.add_argument("--framework", "--framewor", required=True, type=int, choices=[_ONNX])
    made.add_argument("--model", required=True, type=path, metavar="MODEL.onnx")
    made.add_argument("--output", required=True, type=_artifact, metavar="NAME")
    made.add_argument("--input_format", choices=["NCHW"], default="NCHW")
    made.add_argument("--input_shape", required=True, type=_shape_by(","), metavar="image:16,3,224,224")
    made.add_argument("--log", action=cann_options.Ignored, choices=_LOG_LEVELS)
    return made


def _artifact(text: str) -> Path:
    """The file that is written: the tools add the suffix to whatever name they are given, dots and all."""
    if text.rpartition("/")[2] in ("", ".", ".."):
        raise argparse.ArgumentTypeError(f"{text!r} ends in no name of an artifact; give one such as wrn101_2_bs16")
    given = path(text)
    return given.with_name(f"{given.name}.om")


def _shape_by(separator: str) -> Any:
    def read(text: str) -> tuple[str, Sequence[int]]:
        name, _, sides = text.strip('"').rpartition(":")
        try:
            shape = tuple(_positive(side) for side in sides.split(separator))
        except argparse.ArgumentTypeError:
            shape = ()
        # A second input would stand behind a semicolon.
        if not name or ";" in name or len(shape) != 4:
            example = separator.join(("16", "3", "224", "224"))
            raise argparse.ArgumentTypeError(f"{text!r} is not one input and its shape such as image:{example}")
        return name, shape

    return read


def _job(text: str) -> int:
    if text == "1":
        raise argparse.ArgumentTypeError("1 tunes subgraphs, which no backend here does; give 2, which tunes operators")
    return _number(text)


def _positive(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _processor(text: str) -> str:
    if not re.fullmatch(r"Ascend\w+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no processor such as Ascend310 or Ascend710")
    return text


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a device's number")
    return int(text)


def _truth(text: str) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")
    return known[text.lower()]
