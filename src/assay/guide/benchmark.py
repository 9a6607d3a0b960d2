"""artifact, tensors → dumps and the performance file: the guide's chapters 5 and 7."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assay import units
from assay.backends import registry
from assay.data.sources import info_file
from assay.data.sources.info_file import InfoFile
from assay.errors import RecordError, UnknownNameError, UsageError
from assay.guide import dumps, formats
from assay.measure.stages import Scores
from assay.progress import Progress, Silent, Stopwatch
from assay.records import BatchResult, CompiledModel, Runnable, RunRecord
from assay.steps import build_options, results
from assay.steps.bench import bench_all, record_of
from assay.steps.measurement import Length, Measuring, measure
from assay.storage import locks, store

RESULT = Path("result")
"""Where the benchmark tool writes, below the folder that it runs in."""


@dataclass(frozen=True)
class Wanted:
    """What the benchmark tool is told of a run."""

    batch: int
    device: int
    sides: tuple[int, int]
    """Width and height in pixels; they must be those of the list and of the artifact."""
    binary: bool
    """Whether dumps are of float32, not of text."""


def benchmark(
    compiled: CompiledModel, listed: Path, wanted: Wanted, out: Path = RESULT, progress: Progress = Silent()
) -> RunRecord:
    """Runs every tensor of a list once; writes a dump an image, the performance file and the run's record."""
    batch, device, sides = wanted.batch, wanted.device, wanted.sides
    _check(compiled, batch, device)
    tensors = info_file.read(listed)
    if (tensors.width, tensors.height) != sides:
        raise UsageError(
            f"{listed} lists tensors of {tensors.width}×{tensors.height}, and -input_width and -input_height say "
            f"{sides[0]}×{sides[1]}"
        )
    try:
        home = out / f"assay_device_{device}"
        # What stands in the way of the dumps is better known before the run than after it.
        (out / f"dumpOutput_device{device}").mkdir(parents=True, exist_ok=True)
        with locks.lock(home), tempfile.TemporaryDirectory(prefix=".dumps-", dir=out) as scratch:
            writer = _DumpWriter(Path(scratch), tensors.names, wanted.binary)
            record = _run(compiled, tensors, home / f"batchsize_{batch}", writer, progress)
            writer.move_to(out / f"dumpOutput_device{device}", progress)
    except OSError as error:
        raise RecordError(
            f"cannot write to {out}: {error.strerror or error}; free the space or choose another folder"
        ) from error
    store.write_bytes(out / formats.performance_name(batch, device), report(record).encode())
    return record


def pure_inference(
    compiled: CompiledModel,
    batch: int,
    device: int,
    rounds: int,
    out: Path = RESULT,
    progress: Progress = Silent(),
) -> RunRecord:
    """Runs made-up pixels so many times, the inference call alone, and writes the file of its two figures."""
    _check(compiled, batch, device)
    home = out / f"assay_device_{device}" / f"pure_batchsize_{batch}"
    runnable = Runnable(compiled, build_options.run_settings_of(compiled, {}))
    record = bench_all([runnable], None, home, Measuring(length=Length(batches=rounds), progress=progress))
    name = formats.pure_inference_name(compiled.file.path.stem, device)
    store.write_bytes(out / name, report(record).encode())
    return record


def report(record: RunRecord) -> str:
    """The figures of a run as the benchmark tool writes them."""
    performance = record.results[0].performance
    if performance.source == "synthetic":
        return formats.pure_inference(performance)
    return formats.performance(performance)


def _check(compiled: CompiledModel, batch: int, device: int) -> None:
    if batch != compiled.options.batch:
        raise UsageError(
            f"-batch_size={batch}, and {compiled.file.path} is compiled for {compiled.options.batch}; "
            "give that, or compile it again with atc"
        )
    devices = registry.get(compiled.options.backend).devices()
    known = [str(number) for number, name in enumerate(devices) if name == compiled.options.device]
    if str(device) not in known:
        raise UnknownNameError(f"-device_id of an artifact for {compiled.options.device}", str(device), known)


def _run(compiled: CompiledModel, tensors: InfoFile, home: Path, writer: _DumpWriter, progress: Progress) -> RunRecord:
    watch = Stopwatch()
    runnable = Runnable(compiled, build_options.run_settings_of(compiled, {}))
    measured = measure(runnable, tensors, home / "bench", Measuring(progress=progress), [writer.write])
    result = BatchResult(
        compiled=compiled, performance=measured.performance, predictions=measured.predictions, accuracy=None
    )
    record = record_of(compiled.model, measured.dataset, (result,))
    store.write(home / results.RUN_RECORD, record)
    options = compiled.options
    progress.finish(
        "bench",
        f"{len(tensors.names):,} images at batch size {options.batch}",
        f"{options.backend} · {measured.performance.device} · {options.precision}",
        watch.seconds,
    )
    for warning in record.warnings:
        progress.note(warning)
    return record


class _DumpWriter:
    """Writes dumps into a folder of their own, and moves them to their place when all are there."""

    def __init__(self, folder: Path, images: Sequence[str], binary: bool) -> None:
        self._folder, self._binary = folder, binary
        self._names = [dumps.file_name(image, binary) for image in images]

    def write(self, first: int, scores: Scores) -> None:
        """Writes the dumps of consecutive images."""
        for name, row in zip(self._names[first:], scores, strict=False):
            (self._folder / name).write_bytes(dumps.content(row, self._binary))

    def move_to(self, folder: Path, progress: Progress) -> None:
        """Moves the dumps; those of an earlier run over other images would be counted as this one's, and go."""
        ours = set(self._names)
        left = sorted(path.name for path in folder.iterdir() if dumps.is_dump(path.name) and path.name not in ours)
        for name in left:
            (folder / name).unlink()
        if left:
            progress.note(f"removed {len(left)} dumps of an earlier run from {folder}: {units.names(tuple(left))}")
        for name in self._names:
            (self._folder / name).replace(folder / name)
