"""model and images ─calibrate→ the ranges of the model's tensors."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import onnx

from assay import environment, units
from assay.data.prepared import Reader
from assay.data.transform import normalise, pixels_and_warning
from assay.errors import Option, Remedy, UnknownNameError, UsageError
from assay.models import onnx_file
from assay.processes import child
from assay.progress import Progress, Silent
from assay.quantization import ranges, ready
from assay.records import Calibration, Calibrator, ImageWarning, OnnxModel, PreparedDataset
from assay.score import parity as score_parity
from assay.steps import pixel_sources, prepare
from assay.steps.check_images import check_images
from assay.steps.dataset import damaged
from assay.steps.parity import own_scores
from assay.steps.pixel_sources import Images
from assay.steps.reference import open_reference
from assay.steps.step import Step
from assay.storage import store
from assay.storage.layout import Folder, Place

USUAL: Calibrator = "minmax"
IMAGES = 100
"""How many images are calibrated on where nobody says; more hardly move a range."""
READY_BOUND = 1e-4
"""How far the graph that is quantized may be from the model, both in float32: the order of summation is another."""
STEP_SECONDS = 3600.0

_FEW = 32
"""Below these images a histogram has no tail to cut."""
_BATCH = 8
_RECIPE = 1
"""Raised when the same inputs give other ranges than before."""


@dataclass(frozen=True)
class Scheme:
    """How a model is quantized."""

    calibrator: Calibrator = "minmax"
    """How a tensor's range is read off the images."""
    images: int = IMAGES
    """How many of the images to calibrate on, evenly spread."""
    per_channel: bool = True
    """Whether weights have a scale for each channel, or one for all."""
    reduce_range: bool | None = None
    """Whether weights have 7 bits; by default on processors whose sums saturate."""
    float_layers: Sequence[str] = ()
    """Nodes to keep in float32, or `first`, `last` and `depthwise`."""


CalibrationData = PreparedDataset | Images
Pixels = npt.NDArray[np.uint8]


_KEY = "[0-9a-f]" * 16
LAYOUT = Folder(
    (
        *(Place(f"{calibrator}-{_KEY}.json", Calibration) for calibrator in ranges.CALIBRATORS),
        Place(f"float32-{_KEY}.json", OnnxModel),
        Place(f"float32-{_KEY}.onnx"),
    )
)
"""The folder in which calibrations are kept."""


def calibrate(
    model: OnnxModel, data: CalibrationData, folder: Path, scheme: Scheme = Scheme(), progress: Progress = Silent()
) -> Calibration:
    """Reads the ranges of a model's tensors off some of the images, evenly spread over the data; kept in `folder`.

    Raises `ModelError` where the model is none of float32 with layers to quantize.
    """
    check(model, data, scheme)
    calibrator = scheme.calibrator
    graph = make_ready(model, folder)
    places = spread(data, scheme.images)
    made_from = store.hash_of("calibrate", _RECIPE, graph.file.sha256, identity(model, data, scheme))
    if len(places) < _FEW and calibrator != "minmax":
        progress.note(f"{units.counted(len(places), 'image')} are few for {calibrator}; give {_FEW} or more, or minmax")
    step = Step(
        name="ranges",
        kind=Calibration,
        record=folder / f"{calibrator}-{made_from[:16]}.json",
        made_from=made_from,
        subject=f"{calibrator} · {units.counted(len(places), 'image')}",
        detail=lambda calibration: f"parity {units.difference(calibration.parity.largest_difference)}",
    )
    progress.start("ranges", None)
    return step.done(
        lambda: _calibrated(model, graph, _told(pick(model, data, places), progress), calibrator), progress
    )


def _told(picked: Picked, progress: Progress) -> Picked:
    if picked.warnings:
        progress.warn(damaged(picked.warnings))
    return picked


def _calibrated(model: OnnxModel, graph: OnnxModel, picked: Picked, calibrator: Calibrator) -> Calibration:
    found_ranges = child.run(
        _ranges,
        graph,
        picked.pixels,
        calibrator,
        call=child.Call(
            name="the calibration",
            doing=f"calibrating {model.name} ({calibrator})",
            timeout=STEP_SECONDS,
            remedy=Remedy("give fewer {}, or another {}", Option("images"), Option("calibrator")),
        ),
    )
    assert graph.parity is not None  # noqa: S101 - it was made ready
    return Calibration(
        graph=graph.file,
        parity=graph.parity,
        calibrator=calibrator,
        names=picked.names,
        image_sha256=picked.image_sha256,
        fingerprint=store.hash_of(list(picked.names), list(picked.image_sha256)),
        ranges=found_ranges,
    )


def calibration_data(path: Path) -> CalibrationData:
    """The data at a path: a prepared data set, or images."""
    return prepare.load_prepared(path) if prepare.is_prepared(path) else Images.of(path, None)


def check(model: OnnxModel, data: CalibrationData, scheme: Scheme) -> None:
    """Raises where an option names something unknown, or the images are not the model's."""
    calibrator, images = scheme.calibrator, scheme.images
    if calibrator not in ranges.CALIBRATORS:
        raise UnknownNameError("calibrator", calibrator, ranges.CALIBRATORS)
    if images < 1:
        raise UsageError(
            f"{images} images to calibrate on are too few", remedy=Remedy("give {} of 1 or more", Option("images"))
        )
    if isinstance(data, PreparedDataset):
        pixel_sources.require_transform(data, model)
    ready.require_float32(onnx_file.load(model.file.path, with_weights=False), str(model.file.path))


def identity(model: OnnxModel, data: CalibrationData, scheme: Scheme) -> object:
    """What ranges hang on, beside the step itself; the software's versions are part of it."""
    versions = [environment.version(package) for package in ("onnx", "onnxruntime")]
    source = pixel_sources.source_of(data).identity()
    return [model.sha256, model.output.name, model.transform, source, scheme.calibrator, scheme.images, versions]


def make_ready(model: OnnxModel, folder: Path) -> OnnxModel:
    """The float32 graph that is calibrated and quantized, with its parity with the model; kept in `folder`."""
    versions = [environment.version(package) for package in ("onnx", "onnxruntime")]
    made_from = store.hash_of("make ready", _RECIPE, model.sha256, model.output.name, model.transform, versions)
    file = folder / f"float32-{made_from[:16]}.onnx"
    record = file.with_suffix(".json")
    kept = store.kept(record, OnnxModel, made_from)
    if kept is not None:
        return kept
    for part in (model.file, *model.data):
        store.verified(part)
    with store.replacing(file, expected=model.file.size) as beside:
        described = child.run(
            _made_ready,
            model,
            beside,
            call=child.Call(
                name="the quantizer",
                doing=f"raising the opset of {model.name}",
                timeout=STEP_SECONDS,
                remedy=Remedy("export the model with {}", Option("opset", ready.OPSET)),
            ),
        )
    described = msgspec.structs.replace(described, file=store.reference(file))
    store.write(record, described, made_from)
    return described


def spread(data: CalibrationData, images: int) -> tuple[int, ...]:
    """So many places, evenly over the data: images of a class often lie together."""
    count = len(pixel_sources.source_of(data).names)
    return tuple(int(place) for place in np.unique(np.linspace(0, count - 1, min(images, count)).round()))


@dataclass(frozen=True)
class Picked:
    """Some of the calibration images."""

    names: tuple[str, ...]
    image_sha256: tuple[str, ...]
    pixels: Pixels
    """uint8 N×H×W×3."""
    warnings: tuple[ImageWarning, ...] = ()


def pick(model: OnnxModel, data: CalibrationData, places: Sequence[int]) -> Picked:
    """The images at these places, as the model takes them."""
    side = model.transform.crop
    out = np.empty((len(places), side, side, 3), np.uint8)
    if isinstance(data, PreparedDataset):
        for shard in data.shards:
            store.verified(shard.file)
        reader = Reader(data.shards)
        for number, place in enumerate(places):
            reader.read(place, 1, out[number : number + 1])
        names, hashes = data.dataset.names, data.dataset.image_sha256
        return Picked(tuple(names[place] for place in places), tuple(hashes[place] for place in places), out)
    picked = tuple(data.source.names[place] for place in places)
    read, warnings = [], []
    for number, name in enumerate(picked):
        content = data.source.read(name)
        out[number], warning = pixels_and_warning(content, model.transform)
        read.append(hashlib.sha256(content).hexdigest())
        warnings += [ImageWarning(name=name, reason=warning)] if warning is not None else []
    return Picked(picked, tuple(read), out, tuple(warnings))


@contextmanager
def kept_in(given: Path | None) -> Iterator[Path]:
    """The folder that was given, made where it is missing, or one for this time only."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        yield Path(folder)


def some(model: OnnxModel, data: CalibrationData, images: int, most: int) -> Pixels:
    """The pixels of a few of the calibration images."""
    places = spread(data, images)
    return pick(model, data, places[:: -(-len(places) // most)]).pixels


def batches(model: OnnxModel, images: Pixels) -> Iterator[Mapping[str, npt.NDArray[Any]]]:
    """The images as the model's graph takes them; those of a fixed batch size are filled up with the first ones."""
    size = model.fixed_batch or _BATCH
    if model.fixed_batch is not None:
        images = np.resize(images, (-(-len(images) // size) * size, *images.shape[1:]))
    for start in range(0, len(images), size):
        floats = normalised(model, images[start : start + size])
        given = np.ascontiguousarray(floats.transpose(0, 2, 3, 1)) if model.channels_last else floats
        yield {model.input.name: given}


def normalised(model: OnnxModel, images: Pixels) -> npt.NDArray[np.float32]:
    """The images as float32 N×3×H×W."""
    side = model.transform.crop
    return normalise(images, model.transform, np.empty((len(images), 3, side, side), np.float32))


def _made_ready(model: OnnxModel, out: Path) -> OnnxModel:
    """In a process of its own: what raises opsets is a vendor's code."""
    proto = onnx_file.load(model.file.path)
    ready.require_float32(proto, str(model.file.path))
    ready.make_ready(proto, str(model.file.path), out)
    taken, given, opset = onnx_file.inspect(out, model.output.name)
    described = msgspec.structs.replace(
        model, file=store.reference(out), data=(), exported_program=None, input=taken, output=given, opset=opset
    )
    images = check_images(model)
    expected = own_scores(model, images, model.fixed_batch or _BATCH)
    with open_reference(described) as raised:
        parity = score_parity.compare(
            lambda scores: scores,
            raised,
            [(expected, normalised(model, images.pixels))],
            name=model.name,
            bound=READY_BOUND,
        )
    score_parity.require(parity, f"raising {model.name} to opset {opset}")
    return msgspec.structs.replace(described, parity=parity)


def _ranges(graph: OnnxModel, images: Pixels, calibrator: str) -> dict[str, tuple[float, float]]:
    proto = onnx.load(str(graph.file.path))
    return ranges.calibrate(proto, graph.output.name, batches(graph, images), calibrator)
