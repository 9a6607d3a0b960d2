"""What the guide says of the files that it starts from, and every figure that it gives, as records."""

from __future__ import annotations

from pathlib import Path

from assay.errors import UnknownNameError
from assay.records import Checkpoint
from assay.records.reported import ReportedRun
from assay.storage import store

FLAGSHIP = ("wide_resnet101_2", "IMAGENET1K_V1")
"""The architecture, and torchvision's entry of the weights, that the guide deploys."""
FLAGSHIP_MD5 = "5961435974bb43104b5a3180fea7c2c4"
"""Of `wide_resnet101_2-32ee1156.pth`, in the guide's step 3.1."""
PREFIX = "guide:"
"""How the name of a record begins that is the guide's."""

_FLAGSHIP_SHA256 = "32ee1156"
"""How the hash of the same file begins: torchvision names its files by it."""
_FIGURES = Path(__file__).parent / "figures"


def names() -> tuple[str, ...]:
    """The names of the guide's records, `guide:310` and others."""
    return tuple(sorted(f"{PREFIX}{file.stem}" for file in _FIGURES.glob("*.json")))


def load(name: str) -> ReportedRun:
    """The guide's record of this name; an unknown one lists the known."""
    if name not in names():
        raise UnknownNameError("record of the guide", name, names())
    return store.read(_FIGURES / f"{name.removeprefix(PREFIX)}.json", ReportedRun)


def weights_md5(checkpoint: Checkpoint) -> str | None:
    """The md5 of a checkpoint's file where it is the guide's, by its hash or by the user's word; None otherwise."""
    architecture, entry = FLAGSHIP
    if checkpoint.architecture != architecture or checkpoint.file is None:
        return None
    published = checkpoint.published
    by_word = published is not None and published.matched and published.source.endswith(entry)
    return FLAGSHIP_MD5 if by_word or checkpoint.file.sha256.startswith(_FLAGSHIP_SHA256) else None
