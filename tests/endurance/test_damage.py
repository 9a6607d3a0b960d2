"""One byte of a run's files flipped: refused by name, or without effect; made again with `--repair`."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from assay import demo
from assay.cli.main import main
from assay.data import prepared as preparation
from assay.data import sources
from assay.data.transform import TransformChoice
from assay.errors import AssayError, RecordError
from assay.page.report import ReportRequest, write_report
from assay.progress import Silent
from assay.records import BuildOptions, OnnxModel, PreparedDataset, Runnable, RunRecord
from assay.steps.adopt import adopt
from assay.steps.artifact import compile_into, load_compiled
from assay.steps.compare import figures
from assay.steps.evaluate import accuracy_of
from assay.steps.measurement import Length, Measuring, measure
from assay.steps.prepare import load_prepared
from assay.steps.results import load_predictions, load_run
from assay.storage import store
from assay.tuning.eight_bit_models import Quantizer
from assay.whole_run.repair import repair
from assay.whole_run.request import RunRequest
from assay.whole_run.run import run
from tests.messages import assert_says
from tests.whole_run.test_run import Steps

LINES = demo.LABELS.read_text().splitlines()[:24]
WRITTEN_ANEW = ("run.json", "verdict.json", "report.html")
"""What every run writes, or holds to its hash and draws, again: damage to it does not outlive a run."""


@dataclass(frozen=True)
class Whole:
    """A run that nothing disturbed, and how to have it again."""

    request: RunRequest
    folder: Path
    record: RunRecord


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, demo_choice: TransformChoice) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    (folder / "images").mkdir()
    for line in LINES:
        shutil.copy(demo.IMAGES / line.split()[0], folder / "images")
    (folder / "labels.txt").write_text("\n".join(LINES) + "\n")
    request = RunRequest(
        str(demo.ONNX),
        images=folder / "images",
        labels=folder / "labels.txt",
        **vars(demo_choice),
        batch=(8,),
        no_images=True,
        out="RUN",
    )
    return Whole(request, folder / "RUN", run(replace(request, out=folder / "RUN")).run)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".lock"))


@contextmanager
def _flipped(file: Path, generator: random.Random, unnoticed: bool) -> Iterator[None]:
    """One bit of a file turned over; `unnoticed` leaves the time of change as it was, as a bad disk does."""
    before, content = file.stat(), file.read_bytes()
    place = generator.randrange(len(content))
    changed = bytearray(content)
    changed[place] ^= 1 << generator.randrange(8)
    file.write_bytes(changed)
    if unnoticed:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    try:
        yield
    finally:
        file.write_bytes(content)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _assert_same(found: RunRecord, expected: RunRecord) -> None:
    for one, two in zip(found.results, expected.results, strict=True):
        assert one.accuracy == two.accuracy
        assert one.compiled.file.sha256 == two.compiled.file.sha256
        assert one.predictions is not None
        assert two.predictions is not None
        np.testing.assert_array_equal(one.predictions.scores.load(), two.predictions.scores.load())


def _use(whole: Whole, file: Path) -> None:
    """Does what this file is for: a run keeps what nobody opened by its size and time alone."""
    run = whole.record
    compiled = load_compiled(run.results[0].compiled.file.path)
    prepared = load_prepared(whole.folder / "prepared")
    if file.suffix == ".npy" and file.parent.name == "prepared":
        measure(Runnable(compiled, {}), prepared, file.parent / "BENCH")
    elif file.name.startswith("artifact"):
        measure(Runnable(compiled, {}), None, file.parent / "BENCH", Measuring(length=Length(batches=1)))
    elif file.name == "model.onnx":
        model = store.read(whole.folder / "model.json", type(run.model))
        compile_into(model, BuildOptions(backend="onnxruntime", device="cpu", batch=3), file.parent / "OTHER")
    else:
        figures(load_run(whole.folder))
        accuracy_of(load_predictions(whole.folder)[0][1], whole.folder.parent / "labels.txt")


def _flip_everywhere(whole: Whole, flips: int, unnoticed: bool) -> None:
    generator = random.Random(7)
    refused: set[str] = set()
    for file in _files(whole.folder):
        for _ in range(flips):
            with _flipped(file, generator, unnoticed):
                if (error := _refusal(whole, file, unnoticed)) is not None:
                    assert str(file) in error.message, error.message
                    assert error.remedy == RecordError.AGAIN, error.message
                    assert "\n" not in error.message
                    refused.add(file.name)
    assert refused >= {"model.onnx", "model.json", "compiled.json", "prepared.json", "images-00000.npy"}
    assert refused >= {"performance.json", "predictions.json", "scores.npy", "batch_seconds.npy"}
    _assert_same(run(replace(whole.request, out=whole.folder)).run, whole.record)


def _refusal(whole: Whole, file: Path, unnoticed: bool) -> AssayError | None:
    """What a run, or else the use of the file, says of its damage; None where a run wrote it anew."""
    try:
        again = run(replace(whole.request, out=whole.folder))
        # Whatever was not refused is so.
        _assert_same(again.run, whole.record)
        if file.name in WRITTEN_ANEW:
            _assert_whole(file)
            return None
        assert unnoticed, f"{file} was changed, and no one said so"
        _use(whole, file)
    except AssayError as error:
        return error
    raise AssertionError(f"{file} was changed and used, and no one said so")


def _assert_whole(file: Path) -> None:
    """A file that every run writes anew holds no flipped bit after one."""
    if file.suffix == ".json":
        store.kind_of(file)
    else:
        steps = Steps()
        write_report(ReportRequest([file.parent], no_images=True, progress=steps), reuse=True)
        assert steps.kept["report"]


@pytest.mark.parametrize("unnoticed", [False, True], ids=["with its time", "time unchanged"])
def test_a_flipped_byte_in_any_file_of_a_run_is_refused_by_name_or_does_nothing(whole: Whole, unnoticed: bool) -> None:
    _flip_everywhere(whole, 1, unnoticed)


@pytest.mark.slow
@pytest.mark.parametrize("unnoticed", [False, True], ids=["with its time", "time unchanged"])
def test_many_flipped_bytes_in_every_file_of_a_run(whole: Whole, unnoticed: bool) -> None:
    _flip_everywhere(whole, 25, unnoticed)


@pytest.mark.parametrize(
    ("damaged", "steps"),
    [
        ("model.onnx", {"model"}),
        ("model.json", {"model"}),
        ("prepared/images-00000.npy", {"prepare"}),
        ("prepared/prepared.json", {"prepare"}),
        ("compiled/*/artifact.onnx", {"compile"}),
        ("compiled/*/compiled.json", {"compile"}),
        ("bench/*/scores.npy", {"bench"}),
        ("bench/*/performance.json", {"bench"}),
        ("bench/*/batch_seconds.npy", {"bench"}),
    ],
)
def test_repair_does_the_damaged_step_again_and_no_other(
    damaged: str, steps: set[str], whole: Whole, tmp_path: Path
) -> None:
    folder = tmp_path / "RUN"
    shutil.copytree(whole.folder, folder)
    (file,) = folder.glob(damaged)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 16
    before = file.stat()
    file.write_bytes(content)
    # Even the time is as it was: repairing holds every file to its hash.
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert repair(folder, "run") == (file,)
    assert not file.exists()
    told = Steps()
    again = run(replace(whole.request, out=folder, progress=told)).run
    done = {step for step, kept in told.kept.items() if not kept} - {"report"}
    assert done == steps
    assert again.results[0].accuracy == whole.record.results[0].accuracy
    assert repair(folder, "run") == ()


def test_repairing_touches_no_file_of_the_users(whole: Whole, tmp_path: Path) -> None:
    folder = tmp_path / "RUN"
    shutil.copytree(whole.folder, folder)
    song = '{"record": "my song", "schema": "v1", "made_from": "", "body": "x"}'
    theirs = {"settings.json": "{damaged", "prepared/list.json": '{"record": 1}', "notes.txt": "", "empty.json": ""}
    theirs |= {"song.json": song, "bench/model-of-mine.json": song}
    for name, text in theirs.items():
        (folder / name).write_text(text)
    assert repair(folder, "run") == ()
    assert {name: (folder / name).read_text() for name in theirs} == theirs


def _turned(file: Path) -> None:
    """One bit of a file turned over, for good."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 16
    file.write_bytes(content)


def test_repair_goes_on_after_a_damaged_shard_of_a_data_set_that_was_not_finished(
    whole: Whole, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert whole.request.images is not None
    transform = load_prepared(whole.folder / "prepared").transform
    # What a kill before the last record leaves.
    preparation.prepare(sources.find(Path(whole.request.images)), transform, tmp_path, Silent())
    (record,) = tmp_path.glob("*.json")
    _turned(record)
    words = ["prepare", str(whole.request.images), *_T, "-o", str(tmp_path)]
    assert main(words) == 1
    assert f"assay: {record} is damaged" in capsys.readouterr().err
    assert main([*words, "--repair"]) == 0
    assert f"removed, to be made again: {record}" in capsys.readouterr().err


@pytest.mark.long
def test_repair_removes_every_damaged_record_that_a_search_keeps_of_its_models(
    demo_model: OnnxModel, demo_data: PreparedDataset, tmp_path: Path
) -> None:
    quantizer = Quantizer(demo_model, demo_data, tmp_path / "models", 0.0)
    quantizer.model("minmax", True, 1, 600.0)
    records = sorted((tmp_path / "models").rglob("*.json"))
    # Of the 8-bit model, the float32 graph, the ranges and the costs of the layers.
    assert len(records) == 4
    for record in records:
        _turned(record)
    assert sorted(repair(tmp_path, "tune")) == records


def test_repair_leaves_a_users_own_model_where_an_earlier_one_stood(
    whole: Whole, tmp_path: Path, demo_choice: TransformChoice
) -> None:
    model = tmp_path / "m.onnx"
    adopt(demo.ONNX, out=model, **vars(demo_choice))
    own = model.read_bytes() + b"their own"
    model.write_bytes(own)
    words = ["bench", str(model), "--batch=1", "--synthetic", "--iterations=1", "-o", str(tmp_path), "--repair"]
    main(words)
    assert model.read_bytes() == own
    assert (tmp_path / "m.json").is_file()


def test_repair_removes_nothing_that_its_command_cannot_make(whole: Whole, tmp_path: Path) -> None:
    folder = tmp_path / "RUN"
    shutil.copytree(whole.folder, folder)
    (artifact,) = folder.glob("compiled/*/artifact.onnx")
    others = [folder / "model.onnx", folder / "model.json"]
    given = [artifact, folder / "prepared" / "images-00000.npy"]
    for file in [*others, *given]:
        _turned(file)
    assert repair(folder, "bench", given=[artifact, folder / "prepared"]) == ()
    assert set(repair(folder, "bench")) == set(given)
    assert set(repair(folder, "run")) >= {folder / "model.json"}


_T = ["--resize", "72", "--crop", "64", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]


def test_commands_that_keep_a_step_make_it_again_with_repair(
    whole: Whole, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = str(whole.request.images)
    commands = {
        "prepare": (["prepare", images, *_T, "-o", str(tmp_path / "P")], tmp_path / "P" / "images-00000.npy"),
        "compile": (["compile", str(demo.ONNX), *_T, "-o", str(tmp_path / "a.onnx")], tmp_path / "a.onnx"),
        "bench": (
            ["bench", str(demo.ONNX), *_T, "--batch=1", "--synthetic", "--iterations=1", "-o", str(tmp_path / "B")],
            tmp_path / "B" / "compiled",
        ),
    }
    for name, (words, place) in commands.items():
        assert main(words) == 0, capsys.readouterr().err
        file = next(place.glob("*/artifact.onnx")) if name == "bench" else place
        content = file.read_bytes()
        file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        capsys.readouterr()
        assert main(words) == 1
        said = capsys.readouterr().err
        assert f"assay: {file} is damaged" in said
        assert "--repair" in said
        assert main([*words, "--repair"]) == 0
        assert f"removed, to be made again: {file}" in capsys.readouterr().err
        assert main(words) == 0


def test_a_damaged_run_is_not_judged(whole: Whole, tmp_path: Path) -> None:
    folder = tmp_path / "RUN"
    shutil.copytree(whole.folder, folder)
    text = (folder / "run.json").read_text()
    assert '"count": 24' in text
    (folder / "run.json").write_text(text.replace('"count": 24', '"count": 23'))
    with pytest.raises(RecordError) as caught:
        load_run(folder)
    assert_says(caught, f"{folder / 'run.json'} is damaged", "with repair")
