"""Every reader of files: whatever the bytes, what the file says or an error of assay's; never a traceback or a hang.

Bytes are drawn at random, and sound files have a few of theirs changed, cut out or doubled: most faults lie near what
is right.
"""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from assay import demo
from assay.data import class_list, decoder, ilsvrc, labels, prepared, sources
from assay.data.sources import info_file
from assay.data.transform import TransformChoice
from assay.errors import AssayError
from assay.guide import dumps
from assay.importers import ais_bench, ascend_benchmark, benchmark_app, loadgen, trtexec
from assay.importers.import_results import import_results
from assay.loadgen.records import LoadGenTest, ScenarioRecord
from assay.models import onnx_file
from assay.records import (
    ArrayFile,
    CompiledModel,
    Dataset,
    LayerCost,
    OnnxModel,
    Performance,
    Predictions,
    PreparedDataset,
    Record,
    RunRecord,
    Sensitivity,
    Verdict,
    WorkerIdentity,
)
from assay.remote.records import ShardAnswer
from assay.steps.adopt import describe
from assay.steps.results import load_record
from assay.storage import envelope, store
from tests import archives, factories, searches
from tests.sample_folders import SAMPLES as RECORDS

TESTS = Path(__file__).parents[1]
SAMPLES = TESTS / "importers" / "samples"
SECONDS = 200.0
"""An input that takes longer hangs: each takes milliseconds, and the machine may be slow."""

KINDS: dict[str, type[Record]] = {
    "model.json": OnnxModel,
    "prepared.json": PreparedDataset,
    "compiled.json": CompiledModel,
    "performance.json": Performance,
    "predictions.json": Predictions,
    "dataset.json": Dataset,
    "run.json": RunRecord,
    "verdict.json": Verdict,
}


@dataclass(frozen=True)
class Reader:
    """Reads a file at a path, and knows sound files to begin from."""

    read: Callable[[Path], object]
    sound: Callable[[], list[bytes]]
    name: str = "file"


def _recorded(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((RECORDS / "run").rglob(name))]


def _record(name: str) -> Reader:
    return Reader(lambda path: store.read(path, KINDS[name]), lambda: _recorded(name), name)


def _signed(name: str) -> Reader:
    """A record whose hash is right, whatever it holds: what is damaged lies behind the hash."""

    def read(path: Path) -> object:
        try:
            body = msgspec.json.format(path.read_bytes(), indent=-1)
        except (msgspec.DecodeError, RecursionError):
            body = b"{}"
        path.write_bytes(envelope.seal(KINDS[name].__name__, "", body))
        return store.read(path, KINDS[name])

    files = (RECORDS / "run").rglob(name)
    return Reader(read, lambda: [bytes(envelope.read(path).body) for path in files], name)


def _array(path: Path) -> object:
    reference = store.reference(path)
    return ArrayFile(file=reference, shape=(2, 3), dtype="float32").load()


def _npy() -> list[bytes]:
    file = io.BytesIO()
    np.save(file, np.zeros((2, 3), np.float32))
    return [file.getvalue()]


def _dump(path: Path) -> object:
    return dumps.read(path.parent)


def _samples(*patterns: str) -> list[bytes]:
    return [path.read_bytes() for pattern in patterns for path in sorted(SAMPLES.rglob(pattern)) if path.is_file()]


def _import(path: Path) -> object:
    return import_results([path], out=path.with_name("out.json"))


def _onnx(path: Path) -> object:
    return describe(path, TransformChoice(resize=2, crop=2, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)))


def _small_onnx() -> list[bytes]:
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Flatten", ["image"], ["flat"]), helper.make_node("MatMul", ["flat", "weights"], ["scores"])],
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 2, 2])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor("weights", TensorProto.FLOAT, [12, 4], [0.0] * 48)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    outside = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    tensor = outside.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", "192")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return [model.SerializeToString(), outside.SerializeToString()]


def _weights(path: Path) -> object:
    from assay.models import weights_file

    return weights_file.load(path)


def _tables() -> list[bytes]:
    import safetensors.torch
    import torch

    found = [safetensors.torch.save({"weight": torch.zeros(2, 3), "bias": torch.zeros(2)})]
    for zipped in (True, False):
        file = io.BytesIO()
        torch.save({"weight": torch.zeros(2, 3)}, file, _use_new_zipfile_serialization=zipped)
        found.append(file.getvalue())
    return [*found, pickle.dumps({"weight": [1, 2]})]


def _images() -> list[bytes]:
    from PIL import Image

    found = [next(iter(sorted(demo.IMAGES.iterdir()))).read_bytes()]
    image = Image.new("RGB", (9, 7), (200, 10, 90))
    for name in decoder.FORMATS:
        file = io.BytesIO()
        image.save(file, name)
        found.append(file.getvalue())
    return found


RESULT = b"""{"title": "Overall statistical evaluation", "value": [{"key": "Number of images", "value": "50000"},
{"key": "Number of classes", "value": "5"}, {"key": "Top1 accuracy", "value": "78.88%"},
{"key": "Top2 accuracy", "value": "88.98%"}]}"""
PERF = b"""[e2e] throughputRate: 115.21, latency: 433989
[data read] throughputRate: 125.77, moduleLatency: 7.95
[preprocess] throughputRate: 125.65, moduleLatency: 7.95
[infer] throughputRate: 115.31, Interface throughputRate: 139.6, moduleLatency: 8.22
[post] throughputRate: 7.2, moduleLatency: 138.75
"""
PURE = b"ave_throughputRate: 139.545 samples/s, ave_latency: 7.2 ms\n"
LINES = b"".join(b"%d ./prep/%d.bin 2 2\n" % (number, number) for number in range(4))
TEXT_LABELS = b"a.png 1\nb c.png,2\n# none\nd.png\t3\n"
KAGGLE = b"ImageId,PredictionString\na.JPEG,n01440764 1 2 3 4 \nb.JPEG,n01443537 5 6 7 8 \n"
CLASSES = b"n01440764 tench, Tinca tinca\nn01443537 goldfish\n\xc3\xa9 x\n"


def _images_of(path: Path) -> None:
    found = sources.find(path)
    for name in found.names[:3]:
        found.read(name)


def _tars() -> list[bytes]:
    with TemporaryDirectory() as folder:
        plain = archives.tar(Path(folder) / "a.tar", {"a.png": b"pixels", "b.JPEG": b"pixels"}).read_bytes()
        deep = archives.tar(Path(folder) / "b.tar", {"val/cat/a.png": b"", "val/dog/b.png": b"p"}).read_bytes()
        pair = archives.tar(Path(folder) / "c.tar", {"0.jpg": b"pixels", "0.cls": b"3"}).read_bytes()
    return [plain, deep, pair]


def _made() -> dict[str, Record]:
    """A record of each kind that no older run holds."""
    with TemporaryDirectory() as at:
        folder = Path(at)
        run = searches.run(folder, 1)
        result = run.results[0]
        shard = factories.array_file(folder, np.zeros((1, 8, 8, 3), np.uint8))
        test = LoadGenTest(
            mode="performance",
            version="5.0",
            result="VALID",
            settings={"seed": 1},
            queries_issued=1,
            samples_issued=1,
            samples_completed=1,
            latency={"p99": 0.1},
            logs=(shard.file,),
        )
        return {
            "tuning.json": searches.search(run),
            "images-00000.shard.json": prepared.Shard(
                pixels=shard, names=("a.png",), image_sha256=("0" * 64,), failures=(), warnings=()
            ),
            "sensitivity.json": Sensitivity(
                model_sha256="0" * 64,
                calibrator="minmax",
                per_channel=True,
                reduce_range=False,
                images=8,
                whole=0.1,
                layers=(LayerCost(layer="conv", operator="Conv", alone=0.1, kept_float=None),),
            ),
            "scenario.json": ScenarioRecord(
                scenario="offline",
                compiled=result.compiled,
                run_settings={"threads": 1},
                device="cpu",
                slots=1,
                source="synthetic",
                dataset=factories.dataset(),
                official=False,
                departures=("short",),
                target_qps=1.0,
                latency_bound=None,
                performance=test,
                throughput=1.0,
                warm_up=result.performance.warm_up,
                machine=result.performance.machine,
                environment=factories.environment(),
            ),
            "answer.json": ShardAnswer(
                first=0,
                images=1,
                worker=WorkerIdentity(
                    name="here/cpu", machine="here", device="cpu", processor="x", artifact_sha256="0" * 64
                ),
                scores=factories.array_file(folder, np.zeros((1, 4), np.float32)),
                calls=((0.0, 0.1),),
                stages=result.performance.stages,
            ),
        }


def _remade(name: str) -> Reader:
    record = MADE[name]

    def read(path: Path) -> object:
        """The bytes as they are, and as the content of a record whose hash is right."""
        content = path.read_bytes()
        try:
            return store.read(path, type(record))
        except AssayError:
            path.write_bytes(envelope.seal(type(record).__name__, "", _json(content)))
            return store.read(path, type(record))

    def sound() -> list[bytes]:
        file = store.to_json(record)
        return [file, bytes(msgspec.json.decode(file, type=envelope.Envelope).body)]

    return Reader(read, sound, name)


def _json(content: bytes) -> bytes:
    try:
        return msgspec.json.format(content, indent=-1)
    except (msgspec.DecodeError, RecursionError):
        return b"{}"


def _samples_of(path: Path) -> object:
    return sources.find(path).classes(class_list.ClassList(path, 4, {"tench": 0}))


def _shard() -> list[bytes]:
    with TemporaryDirectory() as folder:
        files = {"0.jpg": b"pixels", "0.cls": b"3", "1.jpg": b"pixels", "1.cls": b"tench\n"}
        return [archives.tar(Path(folder) / "a.tar", files).read_bytes()]


def _devkit() -> list[bytes]:
    with TemporaryDirectory() as folder:
        inside = archives.devkit([1, 2], {1: "n01440764", 2: "n01443537"})
        return [archives.tar(Path(folder) / f"a{mode[1:2]}", inside, mode).read_bytes() for mode in ("w", "w:gz")]


def _import_as(name: str, sound: list[bytes]) -> Reader:
    return Reader(_import, lambda: sound, name)


MADE = _made()
READERS: dict[str, Reader] = {
    "labels": Reader(labels.read, lambda: [TEXT_LABELS]),
    "labels by class names": Reader(
        lambda path: labels.read(path, class_list.ClassList(path, 4, {"tench": 0, "a cat": 1})),
        lambda: [TEXT_LABELS, b"a.png tench\nb.png a cat\n"],
    ),
    "labels of Kaggle's": Reader(
        lambda path: labels.read(path, class_list.ClassList(path, 2, {"n01440764": 0, "n01443537": 1})),
        lambda: [KAGGLE],
    ),
    "labels of these images": Reader(
        lambda path: labels.classes_of(["a.png", "b c.png", "d.png"], path), lambda: [TEXT_LABELS]
    ),
    "classes of samples": Reader(_samples_of, _shard, "val.tar"),
    "tar of images": Reader(_images_of, _tars, "val.tar"),
    "class list": Reader(class_list.read, lambda: [CLASSES]),
    "info": Reader(info_file.read, lambda: [LINES]),
    "dump of text": Reader(_dump, lambda: [b"0.500000 -1.250000 3e-2 \n"], "a_1.txt"),
    "dump of bytes": Reader(_dump, lambda: [np.zeros(4, "<f4").tobytes()], "a_1.bin"),
    "result.json": _import_as("result.json", [RESULT]),
    "perf": _import_as("perf_vision_batchsize_16_device_0.txt", [PERF]),
    "pure inference": _import_as("PureInfer_perf_of_a_in_device_0.txt", [PURE]),
    "every importer": Reader(_import, lambda: _samples("*")),
    "reported record": Reader(
        load_record, lambda: [(TESTS.parent / "src/assay/published/figures/310.json").read_bytes()], "run.json"
    ),
    **{name: _record(name) for name in KINDS},
    **{f"{name} with a sound hash": _signed(name) for name in ("run.json", "performance.json", "prepared.json")},
    **{name: _remade(name) for name in MADE},
    "kind of a record": Reader(store.kind_of, lambda: _recorded("model.json")),
    "array": Reader(_array, _npy, "array.npy"),
    "image": Reader(lambda path: decoder.decode(path.read_bytes()), _images),
    "onnx": Reader(_onnx, _small_onnx, "model.onnx"),
    "onnx with weights beside it": Reader(onnx_file.load, _small_onnx, "model.onnx"),
}
APART = {"devkit": Reader(ilsvrc.ground_truth, _devkit, "devkit.tar.gz")}
"""A process reads each, which takes its time."""
TORCH = {"weights": Reader(_weights, _tables, "weights.pth"), "safetensors": Reader(_weights, _tables, "a.safetensors")}


@cache
def _sound(name: str) -> list[bytes]:
    found = {**READERS, **TORCH, **APART}[name].sound()
    assert found, f"no sound file to begin from for {name}"
    return found


@st.composite
def near(draw: st.DrawFn, name: str) -> bytes:
    """A sound file of this reader's, with a few bytes changed, taken out, doubled or put in."""
    content = bytearray(draw(st.sampled_from(_sound(name))))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        length = draw(st.integers(1, 12))
        kind = draw(st.sampled_from(["change", "take out", "double", "put in", "end", "number"]))
        if kind == "change" and content:
            content[place] = draw(st.integers(0, 255))
        elif kind == "take out":
            del content[place : place + length]
        elif kind == "double":
            content[place:place] = content[place : place + length] * draw(st.sampled_from([1, 1, 2, 2000]))
        elif kind == "put in":
            content[place:place] = draw(st.sampled_from(SPLINTERS))
        elif kind == "number":
            digits = [at for at in range(place, min(place + 400, len(content))) if content[at] in b"0123456789"]
            if digits:
                content[digits[0] : digits[0] + 1] = draw(st.sampled_from(NUMBERS))
        else:
            del content[place:]
    return bytes(content)


NUMBERS = [
    b"-1",
    b"0",
    b"1e999",
    b"-0",
    b"9" * 400,
    b"NaN",
    b"null",
    b'"1"',
    b"1e-400",
    b"18446744073709551616",
    b"0.0",
]
SPLINTERS = [
    b"\0",
    b"\xff\xfe",
    b"\r\n",
    b"\x85",
    b"\xe2\x80\xa8",
    b"[" * 3000,
    b'{"a":' * 3000,
    b"\xed\xa0\x80",
    b"\\ud800",
    b"\x1b[31m",
    b",,",
    b'""',
    b": ",
    b"-",
    b"../",
    b"/dev/zero",
]


def _holds(reader: Reader, content: bytes, folder: Path) -> None:
    path = folder / reader.name
    path.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            reader.read(path)
    except AssayError as error:
        said = error.message
        assert said.isprintable(), said
        assert len(said) < 3000, said


def _examined(name: str, reader: Reader, folder: Path, examples: int) -> None:
    quiet = settings(
        max_examples=examples,
        deadline=SECONDS * 1000,
        database=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )

    @quiet
    @given(content=st.one_of(near(name), near(name), near(name), st.binary(max_size=300), st.text().map(_encoded)))
    def examine(content: bytes) -> None:
        _holds(reader, content, folder)

    examine()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the file is written, with what a list of tensors names beside it."""
    monkeypatch.chdir(tmp_path)
    Path("prep").mkdir()
    for number in range(4):
        Path(f"prep/{number}.bin").write_bytes(bytes(info_file.tensor_bytes(2, 2)))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "weights.bin").write_bytes(bytes(192))
    return tmp_path / "in"


@pytest.mark.parametrize("name", list(READERS))
def test_any_bytes_are_read_or_refused_in_one_line(name: str, folder: Path) -> None:
    if name.startswith("dump"):
        (folder / "weights.bin").unlink()
    _examined(name, READERS[name], folder, 60)


@pytest.mark.parametrize("name", list(APART))
def test_any_bytes_that_a_process_reads_are_read_or_refused_in_one_line(name: str, folder: Path) -> None:
    _examined(name, APART[name], folder, 12)


@pytest.mark.torch
@pytest.mark.parametrize("name", list(TORCH))
def test_any_bytes_of_weights_are_read_or_refused_in_one_line(name: str, folder: Path) -> None:
    pytest.importorskip("torch")
    _examined(name, TORCH[name], folder, 60)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(READERS))
def test_many_more_bytes_are_read_or_refused_in_one_line(name: str, folder: Path) -> None:
    if name.startswith("dump"):
        (folder / "weights.bin").unlink()
    _examined(name, READERS[name], folder, 600)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("name", list(TORCH))
def test_many_more_bytes_of_weights_are_read_or_refused_in_one_line(name: str, folder: Path) -> None:
    pytest.importorskip("torch")
    _examined(name, TORCH[name], folder, 600)


def test_every_sound_file_is_read(folder: Path) -> None:
    """The files that the others begin from are right: what is refused of them is refused for what was changed."""
    for name, reader in {**READERS, **APART}.items():
        for content in _sound(name):
            if name == "every importer" or name == "array":
                continue
            if name.startswith("dump"):
                (folder / "weights.bin").unlink(missing_ok=True)
            for left in folder.iterdir():
                if left.name != "weights.bin":
                    left.unlink()
            if name.startswith("onnx"):
                (folder / "weights.bin").write_bytes(bytes(192))
            path = folder / reader.name
            path.write_bytes(content)
            reader.read(path)


def test_every_file_of_another_tools_is_recognised_by_a_reader() -> None:
    tools = {ais_bench, benchmark_app, loadgen, trtexec, ascend_benchmark}
    from assay.importers import import_results

    homes = {kind.read.__module__ for kind in import_results.KINDS}
    assert homes == {tool.__name__ for tool in tools}
