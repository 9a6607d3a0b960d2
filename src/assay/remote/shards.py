"""Pixels that go to workers elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from assay.errors import Option, Remedy, UsageError
from assay.records import ArrayFile, CompiledModel, ImageWarning
from assay.steps.pixel_sources import Content, Data, Source, source_of


@runtime_checkable
class Shardable(Source, Protocol):
    """Pixels that can be sent elsewhere in shards."""

    array_files: tuple[ArrayFile, ...] | None
    """Of prepared pixels, which a worker that sees them reads in place."""

    def check(self, compiled: CompiledModel) -> None:
        """Raises where the pixels are not what the artifact takes, or damaged."""

    def shard(self, first: int, images: int) -> Content:
        """Consecutive images: their pixels, or their files."""

    def took(self, first: int, hashes: Sequence[str], warnings: Sequence[ImageWarning]) -> None:
        """Notes what was learned of the images of a shard."""


def shardable(data: Data) -> Shardable:
    """The source for one run by several workers; raises `UsageError` where it stays on this machine."""
    source = source_of(data)
    if isinstance(source, Shardable):
        return source
    what = "made-up pixels" if data is None else "tensors that an .info file lists"
    raise UsageError(
        f"a cluster and several devices share a data set, not {what}",
        remedy=Remedy("give {} or {}", Option("data"), Option("images")),
    )
