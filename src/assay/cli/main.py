"""The command line's entry: the parser, and the only place where an error becomes a message."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence

from assay.cli import build, exchange, judge, measure, report, tune
from assay.cli.guide import command
from assay.cli.words import flag
from assay.errors import EXIT_FAULT, EXIT_INTERRUPTED, AssayError
from assay.processes import interrupts

_EXAMPLES = """examples:
  assay demo
  assay run squeezenet1_0 --weights squeezenet1_0.pth --images val --labels val_label.txt \\
            --batch 1,16 --reference top1=58.1 -o RUN
  assay predict model.onnx cat.jpg

Exit status: 0 done, no gate failed · 1 a fault of the input or the machine · 2 usage ·
3 a gate failed, or one asked for could not be judged · 130 interrupted."""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    whole = argparse.ArgumentParser(
        prog="assay",
        description="Takes a trained image classifier to an inference backend and proves that it arrived: "
        "still right, and how fast.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    judge.add_whole_way(commands)
    measure.add_single(commands)
    build.add(commands)
    measure.add(commands)
    judge.add(commands)
    report.add(commands)
    tune.add(commands)
    exchange.add(commands)
    command.add(commands)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status. Without arguments it is the whole process, with the words it got."""
    if arguments is not None:
        return _status(arguments)
    with interrupts.on_interrupt():
        status = _status(sys.argv[1:])
    return interrupts.leave(status)


def _status(words: Sequence[str]) -> int:
    options = parser().parse_args(words)
    options.command_line = shlex.join(["assay", *words])
    try:
        return int(options.command(options))
    except AssayError as error:
        print(f"assay: {error.worded(flag)}", file=sys.stderr)  # noqa: T201 - the one place for messages
        return error.exit_code
    except KeyboardInterrupt:
        interrupts.told.set()
        print(interrupts.INTERRUPTED, file=sys.stderr)  # noqa: T201 - likewise
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has gone; without this, Python complains once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAULT


if __name__ == "__main__":
    sys.exit(main())
