"""The label files that ImageNet's validation images come with: the devkit's ground truth, and Kaggle's solution.

The ground truth is an id from 1 a line, for the images in the order of their names; the devkit's `meta.mat` says which
synset an id stands for. Kaggle's `LOC_val_solution.csv` names each image, and the synset before every box in it. Models
number the synsets in their alphabetical order, as torchvision does, or in that of a class list.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from assay.data import text_file
from assay.data.class_list import ClassList
from assay.data.sources import tar_headers
from assay.errors import BackendError, DatasetError, Option, Remedy
from assay.processes import child

KAGGLE_HEADER = "ImageId,PredictionString"
_TRUTH, _META = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"
_CLASSES = 1000
_BOX = 5
"""Words of a box in Kaggle's file: the synset and four corners."""
_LARGEST_ID = 5
"""Figures."""
_GZIP = b"\x1f\x8b"
_READING_SECONDS = 300.0
_READING_BYTES = 1 << 30


class GroundTruth(NamedTuple):
    """The ids of all images in the order of their names, and what they stand for."""

    path: Path
    ids: tuple[int, ...]
    synset_of: Mapping[int, str]


class Answer(NamedTuple):
    """An image's synset, and the line that says so."""

    synset: str
    line: int


def ground_truth(path: Path) -> GroundTruth | None:
    """The ground truth in a text file with `meta.mat` beside it, or in the devkit's archive; None where it is neither.

    Raises `DatasetError` where it is one of them and cannot be used.
    """
    content = text_file.read_bytes(path, "labels")
    if content.startswith(_GZIP) or content[257:262] == b"ustar":
        unpacked = _unpacked(path, content)
        if unpacked[257:262] != b"ustar":
            raise DatasetError(
                f"{path} is a compressed file and not the ILSVRC devkit, the one that labels are read from; unpack it: "
                f"gunzip {path}"
            )
        return _of_devkit(path, unpacked)
    ids = _ids(content)
    if ids is None:
        return None
    meta = path.with_name(_META)
    if not meta.is_file():
        raise DatasetError(
            f"{path} holds ids of the ILSVRC devkit, and its {_META} is not beside it",
            remedy=Remedy("put it there, or give the devkit's .tar.gz as {}", Option("labels")),
        )
    return GroundTruth(path, ids, _synsets(text_file.read_bytes(meta, "synsets"), str(meta)))


def match(names: Sequence[str], truth: GroundTruth, class_list: ClassList | None) -> tuple[int, ...]:
    """Every image's class, in the order of the names; strict: as many images as ids, in the order of the file names."""
    if len(names) != len(truth.ids):
        raise DatasetError(
            f"{truth.path} has {len(truth.ids)} labels for {len(names)} images, and it does not name them; give all "
            "images that it is of, or labels with names"
        )
    files = [PurePosixPath(name).name for name in names]
    twice = sorted(name for name, count in Counter(files).items() if count > 1)
    if twice:
        raise DatasetError(
            f"{len(twice)} names stand for several images, and {truth.path} counts images by name; give labels with "
            "names",
            twice,
        )
    unknown = sorted(set(truth.ids) - set(truth.synset_of))
    if unknown:
        raise DatasetError(
            f"{truth.path} has {len(unknown)} ids that {_META} does not have; give the two of one devkit",
            [str(one) for one in unknown],
        )
    number_of = numbered(truth.synset_of.values(), class_list, truth.path)
    id_of = dict(zip(sorted(files), truth.ids, strict=True))
    return tuple(number_of[truth.synset_of[id_of[file]]] for file in files)


def numbered(synsets: Iterable[str], class_list: ClassList | None, path: Path) -> Mapping[str, int]:
    """The class that each synset is: by the class list, or in alphabetical order."""
    known = sorted(set(synsets))
    if class_list is None:
        return {synset: number for number, synset in enumerate(known)}
    unknown = [synset for synset in known if synset not in class_list.number_of]
    if unknown:
        raise DatasetError(
            f"{len(unknown)} synsets of {path} are not in {class_list.path}; give the list of the model's classes",
            unknown,
        )
    return class_list.number_of


def solution(path: Path, text: str, class_list: ClassList | None) -> dict[str, tuple[int, int]]:
    """Kaggle's file as name → class and line; raises `DatasetError` with every line that cannot be used."""
    answers: dict[str, Answer] = {}
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines()[1:], start=2):
        name, _, boxes = line.strip().partition(",")
        synsets = boxes.split()[::_BOX]
        if not name and not boxes:
            continue
        if not name or len(set(synsets)) != 1:
            wrong.append(f"line {number}: {line[:80]!r}")
        elif name in answers:
            wrong.append(f"line {number}: {name!r} stands in line {answers[name].line}")
        else:
            answers[name] = Answer(synsets[0], number)
    if wrong:
        raise DatasetError(f"{path}: {len(wrong)} lines are not one image and boxes of one synset", wrong)
    synsets = sorted({answer.synset for answer in answers.values()})
    if class_list is None and len(synsets) != _CLASSES:
        raise DatasetError(
            f"{path} has {len(synsets)} synsets, not ImageNet's {_CLASSES}, so which class each is cannot be told",
            remedy=Remedy("give {}", Option("class_list", "FILE")),
        )
    number_of = numbered(synsets, class_list, path)
    return {name: (number_of[answer.synset], answer.line) for name, answer in answers.items()}


def _ids(content: bytes) -> tuple[int, ...] | None:
    """The ids where every line is one; None for any other file."""
    words = content.split()
    if not words or len(words) != len(content.splitlines()):
        return None
    if not all(word.isdigit() and len(word) <= _LARGEST_ID for word in words):
        return None
    return tuple(int(word) for word in words)


def _unpacked(path: Path, content: bytes) -> bytes:
    """An archive's bytes, without its compression."""
    if not content.startswith(_GZIP):
        return content
    try:
        with gzip.open(io.BytesIO(content)) as file:
            unpacked = file.read(text_file.LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} is a damaged gzip file ({error}); fetch it again") from error
    if len(unpacked) > text_file.LARGEST:
        raise DatasetError(
            f"{path} unpacks to more than {text_file.LARGEST >> 20} MiB, which the ILSVRC devkit does not; give that "
            "one, or a label file"
        )
    return unpacked


def _of_devkit(path: Path, content: bytes) -> GroundTruth:
    def read_at(offset: int, size: int) -> bytes:
        return content[offset : offset + size]

    contents: dict[str, bytes] = {}
    for member in tar_headers.members(read_at, len(content), str(path)):
        name = member.name.rpartition("/")[2]
        if member.kind == tar_headers.REGULAR and name in (_TRUTH, _META):
            contents[name] = read_at(member.offset, member.size)
    missing = [name for name in (_TRUTH, _META) if name not in contents]
    if missing:
        raise DatasetError(f"{path} is no ILSVRC devkit: it has no {' and no '.join(missing)}; give a label file")
    ids = _ids(contents[_TRUTH])
    if ids is None:
        raise DatasetError(f"{_TRUTH} in {path} is not one id a line; fetch the devkit again")
    return GroundTruth(path, ids, _synsets(contents[_META], f"{_META} in {path}"))


def _synsets(content: bytes, called: str) -> dict[int, str]:
    """The synset of every id that is a class; read apart, since the sizes in such a file may claim any memory."""
    try:
        return child.run(
            read_meta,
            content,
            called,
            call=child.Call(
                name="the reader of MATLAB files",
                doing=f"reading {called}",
                timeout=_READING_SECONDS,
                memory_bytes=_READING_BYTES,
                remedy=Remedy("fetch the devkit again"),
            ),
        )
    except BackendError as error:
        raise DatasetError(error.message, remedy=error.remedy) from error


def read_meta(content: bytes, called: str) -> dict[int, str]:
    """The synsets of `meta.mat` that have no others below them: the classes."""
    import numpy as np
    import scipy.io

    try:
        synsets = scipy.io.loadmat(io.BytesIO(content), squeeze_me=True, variable_names=["synsets"])["synsets"]
        return {
            int(row["ILSVRC2012_ID"]): str(row["WNID"])
            for row in np.atleast_1d(synsets)
            if int(row["num_children"]) == 0
        }
    except MemoryError:
        raise
    except Exception as error:  # scipy raises whatever damaged bytes make it trip over
        raise DatasetError(
            f"{called} is not the table of synsets of the ILSVRC devkit ({error}); fetch it again"
        ) from error
