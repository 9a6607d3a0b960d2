"""Commands that take in what other tools wrote: import."""

from __future__ import annotations

import argparse

from assay.cli.options import Commands, answer, command, path, request_of, setting
from assay.cli.words import flag
from assay.errors import EXIT_DONE, UsageError


def add(commands: Commands) -> None:
    """Adds the commands that exchange results with other tools."""
    made = command(
        commands,
        "import",
        import_results,
        "read other tools' results into a record that runs can be compared with",
        "  assay import trtexec_bs1.log trtexec_bs64.log --set model=wide_resnet101_2 -o T4.json\n"
        "  assay import perf_vision_batchsize_16_device_0.txt result.json --set dies=4 --set name=310",
    )
    made.add_argument(
        "files",
        nargs="+",
        type=path,
        metavar="FILE",
        help="of trtexec, benchmark_app, ais_bench, LoadGen or Ascend's benchmark, or the guide's result.json",
    )
    made.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        metavar="KEY=VALUE",
        help="what the files do not say: name, batch, dies, model, precision, device, input_side, pixels, transfers, "
        "dataset ('ImageNet validation' is what published accuracies are of) or images",
    )
    made.add_argument(
        "-o", "--output", dest="out", type=path, metavar="RECORD.json", help="default: <first FILE>.assay.json"
    )


def import_results(options: argparse.Namespace) -> int:
    """`assay import`."""
    import assay
    from assay.importers.import_results import ImportRequest, default_output
    from assay.importers.text import imported

    settings: dict[str, str] = {}
    for key, value in options.set:
        if settings.setdefault(key, value) != value:
            raise UsageError(f"--set {key} is given twice, as {settings[key]} and {value}; give one")
    written = options.out or default_output(options.files[0])
    run = assay.import_results(request_of(ImportRequest, options, out=written))
    answer(options, run, imported(run, str(written), flag))
    return EXIT_DONE
