"""Files made to do harm: no code runs, nothing outside is read or written, memory stays bounded, one line says why."""

from __future__ import annotations

import builtins
import json
import os
import pickle
import re
import shutil
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from assay import demo, units
from assay.data.sources import info_file
from assay.errors import AssayError, DatasetError, ModelError
from assay.models import onnx_file
from assay.steps.prepare import load_prepared
from tests.endurance import commands, limits
from tests.messages import assert_says

ONE_LINE = re.compile(r"[^\n]*\n?")
TRANSFORM = ["--resize=72", "--crop=64", "--mean=0.5,0.5,0.5", "--std=0.25,0.25,0.25"]
MIB = 1 << 20


# Checkpoints.


class _Calls:
    """Pickles as a call: whoever loads it makes the call."""

    def __init__(self, function: Callable[..., Any], *arguments: object) -> None:
        self.made_of = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.made_of


def _attacks(mark: Path) -> dict[str, tuple[object, str]]:
    """What is pickled, and the name that the refusal says; each writes the mark where it is loaded."""
    shell, python = f"touch {mark}", f"open({str(mark)!r}, 'w').close()"
    inner = pickle.dumps(_Calls(os.system, shell))
    return {
        "os.system": (_Calls(os.system, shell), "posix.system"),
        "eval": (_Calls(builtins.eval, python), "builtins.eval"),
        "exec": ({"state_dict": {"weight": _Calls(builtins.exec, python)}}, "builtins.exec"),
        "nested": (_Calls(pickle.loads, inner), "pickle.loads"),
        "in a list": ([[[_Calls(os.system, shell)]]], "posix.system"),
        "a file": (_Calls(builtins.open, str(mark), "w"), "io.open"),
    }


@pytest.mark.torch
@pytest.mark.parametrize("form", ["archive", "older", "bare"])
@pytest.mark.parametrize("attack", list(_attacks(Path("mark"))))
def test_a_pickle_that_calls_runs_nothing_and_says_what_it_would_call(attack: str, form: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from assay.models import weights_file

    folder, mark = tmp_path / "in", tmp_path / "mark"
    folder.mkdir()
    content, called = _attacks(mark)[attack]
    file = folder / "weights.pth"
    if form == "bare":
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=form == "archive")
    with pytest.raises(AssayError) as caught:
        weights_file.load(file)
    assert_says(caught, str(file), called, "nothing in it ran", "state_dict()")
    assert sorted(tmp_path.rglob("*")) == [folder, file]
    # The attack is a real one: without protection it leaves its mark.
    with warnings.catch_warnings(action="ignore"):
        if form == "bare":
            pickle.loads(file.read_bytes())  # noqa: S301 - it is what this test wrote
        else:
            torch.load(file, weights_only=False)
    assert mark.exists()


def _archive(file: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(file, "w", compression, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.torch
def test_archives_whose_members_lead_elsewhere_write_nothing_there(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from assay.models import weights_file

    folder = tmp_path / "in"
    folder.mkdir()
    table = pickle.dumps({"weight": 1}, protocol=2)
    for number, prefix in enumerate([f"{tmp_path}/out", "/out", "../../out", "a/../../out", "C:\\out"]):
        file = folder / f"{number}.pth"
        _archive(file, {f"{prefix}/data.pkl": table, f"{prefix}/version": b"3\n", f"{prefix}/data/0": b"0000"})
        with pytest.raises(AssayError) as caught:
            weights_file.load(file)
        assert_says(caught, str(file))
    assert {path.parent for path in tmp_path.rglob("*") if path.is_file()} == {folder}
    assert not Path("/out").exists()
    assert not Path("C:\\out").exists()


def _many_marks() -> bytes:
    return b"\x80\x02" + b"(" * 400_000 + b"."


def _a_long_string() -> bytes:
    return b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"short."


def _safetensors(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def _tensor(shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


LYING: dict[str, Callable[[], bytes]] = {
    "length beyond the file.safetensors": lambda: _safetensors({}, length=1 << 62),
    "data beyond the file.safetensors": lambda: _safetensors({"a": _tensor([1 << 40], 0, 1 << 42)}, bytes(8)),
    "overlapping.safetensors": lambda: _safetensors({"a": _tensor([2], 0, 8), "b": _tensor([2], 4, 12)}, bytes(12)),
    "backwards.safetensors": lambda: _safetensors({"a": _tensor([2], 8, 0)}, bytes(8)),
    "negative.safetensors": lambda: _safetensors({"a": _tensor([-2], 0, 8)}, bytes(8)),
    "overflow.safetensors": lambda: _safetensors({"a": _tensor([1 << 33, 1 << 33], 0, 8)}, bytes(8)),
    "huge JSON.safetensors": lambda: _safetensors(b'{"a":"' + b"x" * (120 * MIB) + b'"}'),
    "deep JSON.safetensors": lambda: _safetensors(b'{"a":' + b"[" * 500_000),
    "a mark for each byte.pth": _many_marks,
    "a long string.pth": _a_long_string,
}
USUAL = ("data beyond the file.safetensors", "a mark for each byte.pth")
"""One of each form, which stand for the others where there is little time."""


@pytest.mark.torch
@pytest.mark.parametrize(
    "name", [name if name in USUAL else pytest.param(name, marks=pytest.mark.long) for name in LYING]
)
def test_weights_that_lie_are_one_line_and_take_no_memory(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    content = LYING[name]()
    (tmp_path / name).write_bytes(content)
    ended = limits.run(["export", name, "--arch=squeezenet1_0", "-o", "model.onnx"], tmp_path)
    assert ended.status == 1
    assert ONE_LINE.fullmatch(ended.said), ended.said
    assert ended.said.startswith(f"assay: {name} ")
    # Torch itself takes some 500 MiB; what the file promises is far more.
    assert ended.peak_bytes < 1500 * MIB + 3 * len(content)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


@pytest.mark.long
@pytest.mark.torch
def test_an_archive_that_unpacks_to_much_is_refused_before_it_does(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"weight": torch.zeros(8)}, tmp_path / "sound.pth")
    with zipfile.ZipFile(tmp_path / "sound.pth") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (storage,) = [name for name in members if name.endswith("/data/0")]
    _archive(tmp_path / "bomb.pth", {**members, storage: bytes(2048 * MIB)}, zipfile.ZIP_DEFLATED)
    ended = limits.run(["export", "bomb.pth", "--arch=squeezenet1_0", "-o", "model.onnx"], tmp_path)
    assert ended.status == 1
    packed = units.memory((tmp_path / "bomb.pth").stat().st_size)
    assert f"assay: bomb.pth has {packed} and would unpack to 2.0 GiB" in ended.said
    assert ended.peak_bytes < 1500 * MIB


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["float32", "float16", "int64"])
def test_a_tensor_larger_than_its_file_is_refused(kind: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from assay.models import weights_file

    torch.save({"weight": torch.zeros(1, dtype=getattr(torch, kind)).expand(1 << 44)}, tmp_path / "weights.pth")
    with pytest.raises(AssayError) as caught:
        weights_file.load(tmp_path / "weights.pth")
    assert_says(caught, "weights.pth", "more values than the file holds", "give a file of plain weights")


# ONNX files.


def _with_data_at(folder: Path, location: str) -> Path:
    """The demo's model, with one of its weights said to lie at a location."""
    proto = onnx.load(str(demo.ONNX))
    weights = next(tensor for tensor in proto.graph.initializer if len(tensor.raw_data) > 100)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", location
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(proto.SerializeToString())
    return folder / "model.onnx"


@pytest.mark.parametrize("through", ["dots", "absolute", "a link", "a linked folder", "a hidden drive", "/proc"])
def test_a_models_weights_outside_its_folder_are_not_read(through: str, tmp_path: Path) -> None:
    secret, folder = tmp_path / "secret.bin", tmp_path / "in"
    secret.write_bytes(os.urandom(4 * MIB))
    folder.mkdir()
    (folder / "link.bin").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path)
    location = {
        "dots": "../secret.bin",
        "absolute": str(secret),
        "a link": "link.bin",
        "a linked folder": "linked/secret.bin",
        "a hidden drive": "C:secret.bin",
        "/proc": "/proc/self/environ",
    }[through]
    model = _with_data_at(folder, location)
    secret.chmod(0)
    asked: dict[str, list[object]] = {
        "run": ["run", model, "--images", demo.IMAGES, *TRANSFORM, "-o", tmp_path / "RUN"],
        "compile": ["compile", model, *TRANSFORM, "--batch=1", "-o", tmp_path / "artifact.onnx"],
        "predict": ["predict", model, *TRANSFORM, next(demo.IMAGES.iterdir())],
    }
    for name, words in asked.items():
        ended = commands.ran(words, tmp_path)
        assert ended.status == 1, name
        assert "keeps weights outside its folder" in ended.said
        assert "only files beside the model are read" in ended.said
        assert not (tmp_path / "artifact.onnx").exists()
    with pytest.raises(ModelError, match="outside its folder"):
        onnx_file.load(model)


def test_a_model_whose_weights_begin_far_away_takes_no_memory(tmp_path: Path) -> None:
    model = _with_data_at(tmp_path / "in", "weights.bin")
    (tmp_path / "in" / "weights.bin").write_bytes(b"0000")
    proto = onnx.load(str(model), load_external_data=False)
    tensor = next(one for one in proto.graph.initializer if one.data_location == onnx.TensorProto.EXTERNAL)
    for key, value in (("offset", str(1 << 60)), ("length", str(1 << 62))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    model.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError) as caught:
        onnx_file.load(model)
    assert_says(caught, "weights.bin", "is truncated")


# Lists of files.


@pytest.mark.parametrize(
    "path", ["{out}/secret.bin", "../out/secret.bin", "prep/../../out/secret.bin", "linked/secret.bin"]
)
@pytest.mark.parametrize("mixed", [False, True], ids=["alone", "among sound lines"])
def test_a_list_reads_nothing_from_elsewhere(
    path: str, mixed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    for folder in (home / "prep", out):
        folder.mkdir(parents=True)
    for file in (home / "prep" / "a.bin", home / "prep" / "b.bin", out / "secret.bin"):
        file.write_bytes(bytes(info_file.tensor_bytes(4, 2)))
    (home / "linked").symlink_to(out)
    monkeypatch.chdir(home)
    lines = [info_file.line(0, path.format(out=out), 4, 2)]
    if mixed:
        lines += [info_file.line(1, "prep/a.bin", 4, 2), info_file.line(2, "prep/b.bin", 4, 2)]
    (home / "list.info").write_text("".join(lines))
    with pytest.raises(DatasetError) as caught:
        info_file.read(home / "list.info")
    assert_says(caught, "list.info")


def test_a_link_among_listed_files_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(info_file.tensor_bytes(4, 2)))
    (tmp_path / "home" / "prep").mkdir(parents=True)
    (tmp_path / "home" / "prep" / "a.bin").symlink_to(tmp_path / "secret.bin")
    monkeypatch.chdir(tmp_path / "home")
    Path("list.info").write_text(info_file.line(0, "./prep/a.bin", 4, 2))
    with pytest.raises(DatasetError) as caught:
        info_file.read(Path("list.info"))
    assert_says(caught, "./prep/a.bin is a link")


# Images.


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(width: int, height: int, *chunks: bytes, data: bytes = b"") -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _zeros(count: int) -> bytes:
    """So many MiB of zeros, deflated: a thousandth of it."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    # A block that begins and ends by itself can stand as often as it takes.
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = struct.pack(">HH", count * MIB % 65521, 1)
    return b"\x78\xda" + count * block + b"\x03\x00" + checksum


BOMBS: dict[str, Callable[[], bytes]] = {
    "many pixels.png": lambda: _png(60_000, 60_000, data=_zeros(64)),
    "more pixels than a number holds.png": lambda: _png((1 << 31) - 1, (1 << 31) - 1),
    "few pixels, much data.png": lambda: _png(16, 16, data=_zeros(1024)),
    "a long text.png": lambda: _png(16, 16, _chunk(b"zTXt", b"a\0\0" + _zeros(1024)), data=_zeros(1)),
    "a long profile.png": lambda: _png(16, 16, _chunk(b"iCCP", b"a\0\0" + _zeros(1024)), data=_zeros(1)),
    "many pixels.gif": lambda: (
        b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",\0\0\0\0\xff\xff\xff\xff\0;"
    ),
    "a program for another.png": lambda: (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(mark) (w) file closefile\n%%EOF"
    ),
}


@pytest.mark.parametrize("name", list(BOMBS))
def test_an_image_that_unpacks_to_much_is_refused_by_name_with_little_memory(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / name).write_bytes(BOMBS[name]())
    shutil.copy(next(demo.IMAGES.iterdir()), folder / "sound.png")
    ended = limits.run(["prepare", "images", *TRANSFORM, "--on-error=skip", "-o", "P"], tmp_path)
    prepared = load_prepared(tmp_path / "P")
    assert ended.status == 0, ended.said
    if name != "a long profile.png" and name != "few pixels, much data.png":
        assert [failure.name for failure in prepared.dataset.failures] == [name]
        assert f"left out 1 images that cannot be decoded: {name}" in ended.said
    assert ended.peak_bytes < 400 * MIB
    assert not list(tmp_path.rglob("mark"))


def test_a_pipe_or_a_file_without_end_among_images_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    shutil.copy(next(demo.IMAGES.iterdir()), folder / "sound.png")
    os.mkfifo(folder / "pipe.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    with (folder / "sparse.png").open("wb") as file:
        file.truncate(1 << 40)
    ended = limits.run(["prepare", "images", *TRANSFORM, "-o", "P"], tmp_path)
    assert ended.status == 1
    for said in ("pipe.png: it is no file but", "zero.png: it is no file but", "sparse.png: it has 1024.0 GiB"):
        assert said in ended.said
    assert ended.peak_bytes < 400 * MIB
