"""The guide's command lines as they stand in it, each handed to its step of the workflow."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay import units
from assay.cli.guide import options as guide_options
from assay.cli.guide import words as guide_words
from assay.cli.options import Commands, answer, command, seconds
from assay.errors import EXIT_DONE, EXIT_GATE, AssayError, UnknownNameError, UsageError
from assay.processes import programs

_OF_A_DATA_SET = ("model_type", "input_text_path", "input_width", "input_height", "output_binary")
"""The flags of benchmark that made-up pixels have no use for."""
_USUAL_BACKEND = "onnxruntime"
_INTERPRETERS = ("python", "python3", "python3.7")


@dataclass(frozen=True)
class _Line:
    """A command line of the guide: our own options, and the original's words behind the program's name."""

    options: argparse.Namespace
    backend: str | None
    """None: each program's own."""
    words: Sequence[str]


def add(commands: Commands) -> None:
    """Adds the command."""
    made = command(
        commands,
        "guide",
        guide,
        "run a command line of the guide as it stands there",
        "  assay guide python3.7 wrn101_2_pth2onnx.py wide_resnet101_2-32ee1156.pth wrn101_2_pth.onnx\n"
        "  assay guide --backend onnxruntime atc --framework=5 --model=m.onnx --output=m_bs16 \\\n"
        '              --input_format=NCHW --input_shape="image:16,3,224,224" --log=debug --soc_version=Ascend310\n'
        "  assay guide imagenet_acc_eval.py result/dumpOutput_device0/ val_label.txt ./ result.json\n"
        f"the guide's programs: {', '.join(PROGRAMS)}",
    )
    made.add_argument(
        "--backend", metavar="NAME", help=f"of atc and aoe; default: {_USUAL_BACKEND} of atc, of aoe each in turn"
    )
    made.add_argument("--budget", type=seconds, default=600.0, metavar="10m", help="of aoe; default: 10m")
    made.add_argument("line", nargs=argparse.REMAINDER, metavar="COMMAND LINE", help="as it stands in the guide")


def guide(options: argparse.Namespace) -> int:
    """`assay guide`."""
    words = list(options.line)
    if words and words[0] in _INTERPRETERS:
        del words[0]
    if not words:
        raise UsageError(f"give a command line of the guide; its programs are {', '.join(PROGRAMS)}")
    # `./benchmark.x86_64` and a path to a script name the same programs.
    name = words[0].rpartition("/")[2]
    if name not in PROGRAMS:
        raise UnknownNameError("program of the guide", name, PROGRAMS)
    try:
        return PROGRAMS[name](_Line(options, options.backend, words[1:]))
    except AssayError as error:
        error.remedy = guide_words.remedy(error.remedy)
        raise


def _export(line: _Line) -> int:
    from assay.guide import compilation
    from assay.progress import on_standard_error

    given = guide_options.export().parse_args(line.words)
    with on_standard_error() as progress:
        model = compilation.export_checkpoint(given.checkpoint, given.out, progress)
    answer(line.options, model, f"{given.out} and its record {given.out.with_suffix('.json').name}")
    return EXIT_DONE


def _compile(line: _Line) -> int:
    from assay.guide import compilation
    from assay.progress import on_standard_error

    given = guide_options.compile_offline().parse_args(line.words)
    out = given.output
    with on_standard_error() as progress:
        _tell_ignored(given, progress.note)
        compiled = compilation.compile_offline(
            given.model,
            out,
            compilation.Tensors(*given.input_shape),
            line.backend or _USUAL_BACKEND,
            wanted_target=given.soc_version,
            progress=progress,
        )
    answer(line.options, compiled, f"{out} and its record {out.name}.json")
    return EXIT_DONE


def _tune(line: _Line) -> int:
    from assay.guide import tuning
    from assay.guide.compilation import Tensors
    from assay.progress import on_standard_error

    given = guide_options.tune().parse_args(line.words)
    out = given.output
    with on_standard_error() as progress:
        _tell_ignored(given, progress.note)
        tuned = tuning.tune_offline(
            given.model, out, Tensors(*given.input_shape), line.options.budget, line.backend, progress
        )
    searched = tuned.search
    parts = [tuning.before_and_after(searched), f"{out} and its record {out.name}.json"]
    if searched.best is None:
        parts.insert(0, f"nothing tuned was right within {units.points(searched.max_drop)}: {out.name} is untuned")
    answer(line.options, searched, "\n\n".join(part for part in parts if part))
    return EXIT_DONE if searched.best is not None else EXIT_GATE


def _preprocess(line: _Line) -> int:
    from assay.guide import tensors
    from assay.progress import on_standard_error

    _refuse_json(line)
    given = guide_options.preprocess(tensors.MODEL_TYPES).parse_args(line.words)
    with on_standard_error() as progress:
        count = tensors.preprocess(given.model_type, given.images, given.out, progress)
    _say(f"{count} tensors · {given.out}")
    return EXIT_DONE


def _list(line: _Line) -> int:
    from assay.guide import tensors

    _refuse_json(line)
    given = guide_options.list_files().parse_args(line.words)
    if given.kind == "bin":
        if given.width is None or given.height is None:
            raise UsageError("gen_dataset_info.py bin: give the width and height behind the file, such as 224 224")
        count = tensors.list_tensors(given.folder, given.out, given.width, given.height)
    else:
        unused = [str(side) for side in (given.width, given.height) if side is not None]
        count = tensors.list_images(given.folder, given.out)
        if unused:
            _note(f"without effect beside jpg, whose sides are read from the images: {' '.join(unused)}")
    _say(f"{count} lines · {given.out}")
    return EXIT_DONE


def _benchmark(line: _Line) -> int:
    from assay.guide import benchmark
    from assay.progress import on_standard_error
    from assay.records import BenchOutcome
    from assay.steps.artifact import load_compiled
    from assay.steps.compare import figures

    given = guide_options.benchmark().parse_args(line.words)
    if given.useDvpp:
        raise UsageError(
            "-useDvpp=True asks for the decoder of an Ascend device, whose pixels differ from Pillow's; prepare the "
            "images with imagenet_torch_preprocess.py and give -useDvpp=False"
        )
    compiled = load_compiled(given.om_path)
    with on_standard_error() as progress:
        _tell_ignored(given, progress.note)
        if given.round is not None:
            unused = [f"-{name}={getattr(given, name)}" for name in _OF_A_DATA_SET if getattr(given, name) is not None]
            if unused:
                progress.note(f"without effect beside -round: {', '.join(unused)}")
            record = benchmark.pure_inference(
                compiled, batch=given.batch_size, device=given.device_id, rounds=given.round, progress=progress
            )
        else:
            missing = [
                f"-{name}" for name in _OF_A_DATA_SET if name != "output_binary" and getattr(given, name) is None
            ]
            if missing:
                raise UsageError(f"benchmark: {', '.join(missing)} missing; or give -round for made-up pixels")
            wanted = benchmark.Wanted(
                batch=given.batch_size,
                device=given.device_id,
                sides=(given.input_width, given.input_height),
                binary=bool(given.output_binary),
            )
            record = benchmark.benchmark(compiled, given.input_text_path, wanted, progress=progress)
    outcome = BenchOutcome(run=record, figures=figures(record))
    answer(line.options, outcome, benchmark.report(record).rstrip("\n"))
    return EXIT_DONE


def _evaluate(line: _Line) -> int:
    from assay.guide import evaluation
    from assay.progress import on_standard_error
    from assay.render import table

    given = guide_options.evaluate().parse_args(line.words)
    out = given.folder / given.name
    with on_standard_error() as progress:
        accuracy = evaluation.evaluate(given.dumps, given.labels, out, progress)
    answer(line.options, accuracy, f"{table.accuracies([(str(given.dumps), accuracy)])}\n\n{out}")
    return EXIT_DONE


def _look(line: _Line) -> int:
    from assay.cli.measure import doctor

    if list(line.words) != ["info"]:
        raise UsageError("the guide's line is: npu-smi info")
    _note("npu-smi info stands for assay doctor here")
    return doctor(line.options)


def _source(line: _Line) -> int:
    _refuse_json(line)
    if len(line.words) != 1 or Path(line.words[0]).name != "set_env.sh":
        raise UsageError("the guide's line is: source …/set_env.sh")
    _say("nothing to set: the backends are installed as Python packages")
    return EXIT_DONE


def _trtexec(line: _Line) -> int:
    program = programs.find("trtexec")
    if program is not None:
        return subprocess.run([program, *line.words], check=False).returncode
    # It has hundreds of flags; only these tell what would serve.
    given, _ = guide_options.trtexec().parse_known_args(line.words)
    model, batch = str(given.onnx or "MODEL.onnx"), guide_options.batch_of(given.shapes or "") or 1
    line_of_ours = shlex.join(
        ["assay", "bench", model, "--batch", str(batch), "--synthetic", "--input", "float32", "-o", "BENCH"]
    )
    raise AssayError(
        f"trtexec is not on the PATH: it comes with TensorRT. Measure the model on a backend of this machine, in "
        f"its own precision, with `{line_of_ours}`, or read a log that trtexec wrote elsewhere with assay import"
    )


def _tell_ignored(given: argparse.Namespace, note: Callable[[str], None]) -> None:
    ignored = [f"{name}={value}" for name, value in given.ignored or ()]
    if ignored:
        note(f"without effect here: {', '.join(ignored)}")


def _refuse_json(line: _Line) -> None:
    """Raises where a record was asked for, and the line makes none."""
    if line.options.json:
        raise UsageError("--json: this line of the guide makes no record; leave it away")


def _note(text: str) -> None:
    """A message of a line that shows no progress."""
    print(text, file=sys.stderr)  # noqa: T201 - a message, not the answer


def _say(text: str) -> None:
    """An answer that has no record."""
    print(text)  # noqa: T201 - the answer


PROGRAMS: Mapping[str, Callable[[_Line], int]] = {
    "wrn101_2_pth2onnx.py": _export,
    "atc": _compile,
    "aoe": _tune,
    "imagenet_torch_preprocess.py": _preprocess,
    "gen_dataset_info.py": _list,
    "benchmark.x86_64": _benchmark,
    "benchmark.aarch64": _benchmark,
    "imagenet_acc_eval.py": _evaluate,
    "npu-smi": _look,
    "source": _source,
    "trtexec": _trtexec,
}
"""The guide's programs by name."""
