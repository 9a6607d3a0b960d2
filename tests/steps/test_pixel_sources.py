"""The demo's images in every form that they may lie in: the same names, labels and predictions from each."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from assay import demo
from assay.cli.main import main
from assay.data import labels as label_files
from assay.page import images as page_images
from assay.quantization import calibration
from assay.records import CompiledModel, OnnxModel, Predictions, Runnable, RunRecord
from assay.remote.bench import Spread
from assay.steps.artifact import compile_into
from assay.steps.build_options import BuildRequest
from assay.steps.check_images import check_images
from assay.steps.evaluate import accuracy_of
from assay.steps.measurement import Measuring, measure
from assay.steps.pixel_sources import Images
from assay.steps.prepare import PrepareRequest, prepare_with
from assay.steps.results import load_run
from tests import archives

TRANSFORM = ["--resize", "72", "--crop", "64", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]

CONTENT = {path.name: path.read_bytes() for path in sorted(demo.IMAGES.iterdir())}
CLASS_OF = label_files.read(demo.LABELS)
SYNSETS = [f"n{number:08}" for number in range(1, len(demo.CLASSES) + 1)]
IDS = [4, 10, 1, 7, 2, 9, 5, 3, 8, 6]
"""The devkit's id of each class: its order is not that of the synsets."""


class Given(NamedTuple):
    """What a person gives on the command line."""

    images: Path
    labels: Path | None = None
    class_list: Path | None = None


def _text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _synsets(folder: Path) -> Path:
    return _text(folder / "synsets.txt", "".join(f"{synset}\n" for synset in SYNSETS))


def _official(folder: Path, mode: str = "w") -> Path:
    return archives.tar(folder / "ILSVRC2012_img_val.tar", CONTENT, mode)


def _devkit_files() -> dict[str, bytes]:
    ids = [IDS[CLASS_OF[name]] for name in sorted(CONTENT)]
    above = ["n99999998", "n00000000"]
    return archives.devkit(ids, dict(sorted(zip(IDS, SYNSETS, strict=True))), above)


def _flat(folder: Path) -> Given:
    return Given(demo.IMAGES, demo.LABELS)


def _tar_with_labels(folder: Path) -> Given:
    return Given(_official(folder), demo.LABELS)


def _tar_with_a_folder(folder: Path) -> Given:
    named = {f"./val/{name}": content for name, content in CONTENT.items()}
    return Given(archives.tar(folder / "val.tar", named), demo.LABELS)


def _tar_with_ground_truth(folder: Path) -> Given:
    for name, content in _devkit_files().items():
        (folder / name).write_bytes(content)
    return Given(_official(folder), folder / archives.TRUTH)


def _tar_with_devkit(folder: Path) -> Given:
    inside = {f"ILSVRC2012_devkit_t12/data/{name}": content for name, content in _devkit_files().items()}
    inside["ILSVRC2012_devkit_t12/readme.txt"] = b"hello"
    return Given(_official(folder), archives.tar(folder / "devkit.tar.gz", inside, "w:gz"))


def _tar_with_kaggle(folder: Path) -> Given:
    text = archives.solution({Path(name).stem: SYNSETS[CLASS_OF[name]] for name in reversed(CONTENT)})
    return Given(_official(folder), _text(folder / "LOC_val_solution.csv", text), _synsets(folder))


def _flat_with_devkit(folder: Path) -> Given:
    return Given(demo.IMAGES, _tar_with_devkit(folder).labels)


def _samples(text: Callable[[int], str] = str) -> dict[str, tuple[bytes, str]]:
    return {name: (content, text(CLASS_OF[name])) for name, content in CONTENT.items()}


def _shards(folder: Path) -> Given:
    archives.shards(folder / "shards", _samples(), 100)
    return Given(folder / "shards")


def _shards_by_pattern(folder: Path) -> Given:
    archives.shards(folder, _samples(), 100)
    return Given(folder / "val-{000000..000002}.tar")


def _shards_of_names(folder: Path) -> Given:
    archives.shards(folder / "shards", _samples(lambda number: SYNSETS[number]), 7)
    return Given(folder / "shards", class_list=_synsets(folder))


def _one_shard(folder: Path) -> Given:
    return Given(archives.shards(folder, _samples(lambda number: f"{number}\n"), 1000)[0])


def _shards_without_classes(folder: Path) -> Given:
    names = sorted(CONTENT)
    archives.tar(folder / "shards/b.tar", {name: CONTENT[name] for name in names[:99]})
    archives.tar(folder / "shards/a.tar", {name: CONTENT[name] for name in names[99:]})
    return Given(folder / "shards", demo.LABELS)


FLAT = [
    _flat,
    _flat_with_devkit,
    _tar_with_labels,
    _tar_with_a_folder,
    _tar_with_ground_truth,
    _tar_with_devkit,
    _tar_with_kaggle,
    _shards,
    _shards_by_pattern,
    _shards_of_names,
    _one_shard,
    _shards_without_classes,
]


def _in_class_folders() -> dict[str, bytes]:
    return {f"{SYNSETS[CLASS_OF[name]]}/{name}": content for name, content in CONTENT.items()}


def _class_folders(folder: Path) -> Given:
    for name, content in _in_class_folders().items():
        (folder / "val" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "val" / name).write_bytes(content)
    return Given(folder / "val")


def _class_folders_in_a_tar(folder: Path) -> Given:
    return Given(archives.tar(folder / "val.tar", _in_class_folders()))


def _class_folders_in_a_folder_in_a_tar(folder: Path) -> Given:
    images = _class_folders(folder).images
    with tarfile.open(folder / "val.tar", "w") as archive:
        archive.add(images, "val")
    return Given(folder / "val.tar", class_list=_synsets(folder))


def _shards_of_class_folders(folder: Path) -> Given:
    text = {SYNSETS[number]: str(number) for number in range(len(SYNSETS))}
    samples = {name: (content, text[name.partition("/")[0]]) for name, content in _in_class_folders().items()}
    archives.shards(folder / "shards", samples, 50)
    return Given(folder / "shards")


def _class_folders_with_devkit(folder: Path) -> Given:
    return Given(_class_folders(folder).images, _tar_with_devkit(folder).labels)


CLASS_FOLDERS = [
    _class_folders,
    _class_folders_with_devkit,
    _class_folders_in_a_tar,
    _class_folders_in_a_folder_in_a_tar,
    _shards_of_class_folders,
]


@pytest.fixture(scope="module")
def compiled(demo_model: OnnxModel, tmp_path_factory: pytest.TempPathFactory) -> CompiledModel:
    options, _ = BuildRequest(backend="onnxruntime").options(1)
    return compile_into(demo_model, options, tmp_path_factory.mktemp("compiled"))[0]


@pytest.fixture(scope="module")
def expected(compiled: CompiledModel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, npt.NDArray[np.float32]]:
    """The scores of every image from the loose files."""
    images = Images.of(demo.IMAGES, demo.LABELS)
    predictions = measure(Runnable(compiled, {}), images, tmp_path_factory.mktemp("loose")).predictions
    assert predictions is not None
    return dict(zip(predictions.names, np.array(predictions.scores.load()), strict=True))


def _same(predictions: Predictions | None, expected: dict[str, npt.NDArray[np.float32]]) -> bool:
    assert predictions is not None
    assert len(predictions.names) == len(expected)
    files = [name.rpartition("/")[2] for name in predictions.names]
    return np.asarray(predictions.scores.load()).tobytes() == np.stack([expected[file] for file in files]).tobytes()


@pytest.mark.parametrize("form", [*FLAT, *CLASS_FOLDERS])
def test_names_labels_and_predictions_are_the_same_from_every_form(
    form: Callable[[Path], Given],
    compiled: CompiledModel,
    expected: dict[str, npt.NDArray[np.float32]],
    tmp_path: Path,
) -> None:
    given = form(tmp_path)
    names = tuple(sorted(CONTENT if form in FLAT else _in_class_folders()))
    classes = tuple(CLASS_OF[name.rpartition("/")[2]] for name in names)
    prepared = prepare_with(
        PrepareRequest(given.images, out=tmp_path / "prepared", labels=given.labels, class_list=given.class_list),
        compiled.model.transform,
    )
    assert prepared.dataset.names == names
    assert prepared.dataset.labels == classes
    assert prepared.dataset.skipped == ()
    from_prepared = measure(Runnable(compiled, {}), prepared, tmp_path / "from prepared")
    assert _same(from_prepared.predictions, expected)
    images = Images.of(*given)
    straight = measure(Runnable(compiled, {}), images, tmp_path / "straight")
    assert straight.dataset is not None
    assert straight.dataset.names == names
    assert straight.dataset.labels == classes
    assert straight.dataset.fingerprint == prepared.dataset.fingerprint
    assert _same(straight.predictions, expected)


def test_a_second_preparation_of_an_archive_is_kept_until_the_archive_changes(
    compiled: CompiledModel, tmp_path: Path
) -> None:
    images, out = _official(tmp_path), tmp_path / "prepared"
    first = prepare_with(PrepareRequest(images, out=out), compiled.model.transform)
    written = (out / "images-00000.npy").stat().st_mtime_ns
    assert prepare_with(PrepareRequest(images, out=out), compiled.model.transform) == first
    assert (out / "images-00000.npy").stat().st_mtime_ns == written
    swapped = dict(zip(CONTENT, reversed(CONTENT.values()), strict=True))
    archives.tar(images, swapped)
    second = prepare_with(PrepareRequest(images, out=out), compiled.model.transform)
    assert second.dataset.image_sha256 == first.dataset.image_sha256[::-1]


def _run(given: Given, out: Path, *more: str) -> RunRecord:
    words = ["run", str(demo.ONNX), *TRANSFORM, "--batch", "16", "--images", str(given.images)]
    for option, path in (("--labels", given.labels), ("--class-list", given.class_list)):
        words += [option, str(path)] if path is not None else []
    assert main([*words, *more, "-o", str(out)]) == 0
    return load_run(out)


def _pictures(page: Path) -> list[str]:
    return re.findall(r'<img[^>]*src="data:image/jpeg;base64,([^"]*)"', page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("form", [_tar_with_kaggle, _shards, _shards_by_pattern])
def test_a_run_and_its_page_are_those_of_the_loose_files(form: Callable[[Path], Given], tmp_path: Path) -> None:
    loose = _run(_flat(tmp_path), tmp_path / "loose", "--no-prepare")
    packed = _run(form(tmp_path), tmp_path / "packed", "--no-prepare")
    assert [result.accuracy for result in packed.results] == [result.accuracy for result in loose.results]
    pictures = _pictures(tmp_path / "packed/report.html")
    assert len(pictures) > 2
    assert pictures == _pictures(tmp_path / "loose/report.html")


def test_names_in_a_record_that_are_none_of_the_archive_have_no_picture(
    compiled: CompiledModel, tmp_path: Path
) -> None:
    run = _run(_one_shard(tmp_path), tmp_path / "run", "--no-prepare")
    assert run.dataset is not None
    assert len(_pictures(tmp_path / "run/report.html")) > 2
    strange = msgspec.structs.replace(run.dataset, names=tuple(f"../{name}" for name in run.dataset.names))
    galleries, notes = page_images.galleries(msgspec.structs.replace(run, dataset=strange), tmp_path / "run")
    assert all(picture.source is None for gallery in galleries for picture in gallery.pictures)
    assert any("no longer where they were measured" in note for note in notes)


@pytest.mark.parametrize("form", [_tar_with_labels, _shards])
def test_calibration_and_the_check_at_compiling_take_the_same_pixels_from_an_archive(
    form: Callable[[Path], Given], demo_model: OnnxModel, tmp_path: Path
) -> None:
    loose, packed = Images.of(demo.IMAGES, None), calibration.calibration_data(form(tmp_path).images)
    places = calibration.spread(loose, 20)
    expected, found = (calibration.pick(demo_model, data, places) for data in (loose, packed))
    assert (found.names, found.image_sha256) == (expected.names, expected.image_sha256)
    assert np.array_equal(found.pixels, expected.pixels)
    assert isinstance(packed, Images)
    assert np.array_equal(check_images(demo_model, packed).pixels, check_images(demo_model, loose).pixels)


def test_workers_are_sent_the_bytes_that_an_archive_holds(
    compiled: CompiledModel, expected: dict[str, npt.NDArray[np.float32]], tmp_path: Path
) -> None:
    images = Images.of(*_shards(tmp_path))
    shared = measure(
        Runnable(compiled, {}), images, tmp_path / "shared", Measuring(workers=Spread(devices=("cpu", "cpu")))
    )
    assert _same(shared.predictions, expected)
    assert len(shared.performance.shares) == 2
    assert shared.dataset is not None
    assert shared.dataset.labels == images.labelling.classes


def test_predictions_are_evaluated_with_the_labels_of_the_devkit(compiled: CompiledModel, tmp_path: Path) -> None:
    given = _tar_with_devkit(tmp_path)
    predictions = measure(Runnable(compiled, {}), Images.of(given.images, None), tmp_path / "bench").predictions
    assert predictions is not None
    assert given.labels is not None
    assert accuracy_of(predictions, given.labels) == accuracy_of(predictions, demo.LABELS)


def test_an_archive_in_the_place_of_a_prepared_set_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _official(tmp_path)
    assert main(["tune", str(demo.ONNX), "--data", str(path), *TRANSFORM, "-o", str(tmp_path / "out")]) == 2
    assert f"{path} is an archive of images, not a prepared data set; make one" in capsys.readouterr().err
