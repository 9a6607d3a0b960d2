"""Images in the forms that they lie in elsewhere: tar archives, shards, and ImageNet's own label files."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import scipy.io

TRUTH = "ILSVRC2012_validation_ground_truth.txt"


def tar(
    path: Path, members: Mapping[str, bytes] | Iterable[tarfile.TarInfo | tuple[str, bytes]], mode: str = "w"
) -> Path:
    """An archive of files by name, or of members as they come; `mode` is tarfile's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for member in members.items() if isinstance(members, Mapping) else members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                archive.addfile(*_file(*member))
    return path


def _file(name: str, content: bytes) -> tuple[tarfile.TarInfo, io.BytesIO]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, io.BytesIO(content)


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    """A member that is no file, by tarfile's letter of its type."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def shards(folder: Path, samples: Mapping[str, tuple[bytes, str]], of: int) -> list[Path]:
    """WebDataset shards of so many samples: an image by its name, and beside it the text of its class."""
    items = list(samples.items())
    made = []
    for number, start in enumerate(range(0, len(items), of)):
        members: dict[str, bytes] = {}
        for name, (content, text) in items[start : start + of]:
            members[name] = content
            members[name.rpartition(".")[0] + ".cls"] = text.encode()
        made.append(tar(folder / f"val-{number:06}.tar", members))
    return made


def devkit(ids: Sequence[int], synset_of: Mapping[int, str], above: Sequence[str] = ()) -> dict[str, bytes]:
    """The devkit's two files of labels; the synsets `above` stand over others and are no classes."""
    rows = [(number, synset, 0) for number, synset in synset_of.items()]
    rows += [(len(synset_of) + place + 1, synset, 2) for place, synset in enumerate(above)]
    table = np.zeros(
        (len(rows), 1), dtype=[("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    )
    for place, (number, synset, children) in enumerate(rows):
        table[place, 0] = (float(number), synset, f"words of {synset}", float(children))
    meta = io.BytesIO()
    scipy.io.savemat(meta, {"synsets": table}, do_compression=True)
    return {TRUTH: "".join(f"{number}\n" for number in ids).encode(), "meta.mat": meta.getvalue()}


def solution(synset_of: Mapping[str, str]) -> str:
    """Kaggle's file: every second image has two boxes."""
    lines = [
        f"{name},{' '.join([f'{synset} 85 1 499 272'] * (1 + place % 2))} \n"
        for place, (name, synset) in enumerate(synset_of.items())
    ]
    return "ImageId,PredictionString\n" + "".join(lines)
