"""What each kernel of a marked package costs, by torch's profiler, and of which operators it was made."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from assay.backends.base import Batch, Session
from assay.backends.node_costs import NodeRun, costliest
from assay.errors import BackendError, Option, Remedy
from assay.records import Profile

_WRAPPER = ".wrapper.cpp"
"""How the name of the generated code ends that calls the kernels one after the other."""
_ORIGIN = re.compile(r"// Topologically Sorted Source Nodes: \[([^\]]*)\]")
_CALL = re.compile(r'KernelContextGuard \w+\("(\w+)"')
_GENERATED = "cpp_"
_EVENT = re.compile(r"(?:graph_\d+_)?(cpp_\w+|aoti_torch_\w+)$")
_AOTI = "aoti_torch_"
_LIBRARY = re.compile(r"^aoti_torch_(?:cpu_)?_?")
_SILENT = ("KINETO_LOG_LEVEL", "99")
"""Torch's profiler prints two lines on standard error at each start otherwise."""

Kernel = tuple[str, str]
"""A kernel's name in the code, and the operators of the model that it was made of."""


def kernels(package: Path) -> list[Kernel]:
    """The kernels in the order of their calls, out of the generated code."""
    with zipfile.ZipFile(package) as content:
        wrapper = next((name for name in content.namelist() if name.endswith(_WRAPPER)), None)
        text = "" if wrapper is None else content.read(wrapper).decode()
    ended: list[Kernel] = []
    origin = ""
    for line in text.splitlines():
        if (comment := _ORIGIN.search(line)) is not None:
            origin = comment[1]
        elif (call := _CALL.search(line)) is not None:
            # The name of a generated kernel lists its operators itself, and the comment may be of the one before.
            ended.append((call[1], "" if call[1].startswith(_GENERATED) else origin))
    return ended


def profile(session: Session, batch: Batch, calls: int, known: Sequence[Kernel]) -> Profile:
    """The costliest kernels over so many calls, after one that does not count."""
    profiler: Any = torch.profiler
    session.infer(batch)
    kept = []
    os.environ.setdefault(*_SILENT)
    for _ in range(calls):
        with profiler.profile(activities=[profiler.ProfilerActivity.CPU]) as events:
            session.infer(batch)
        kept.append(_runs(events.events(), known))
    if not any(kept):
        raise BackendError(
            "torch's profiler saw no kernel, so it cannot tell what each costs",
            remedy=Remedy("leave out {}", Option("profile")),
        )
    return costliest(kept)


def _runs(events: Sequence[Any], known: Sequence[Kernel]) -> list[NodeRun]:
    """The kernels of one call, by their place in it and, where the code tells of these very ones, by their origin."""
    ordered = sorted(events, key=lambda event: event.time_range.start)
    seen = [(match[1], event) for event in ordered if (match := _EVENT.match(event.name)) is not None]
    origins = [origin for _, origin in known]
    if [name for name, _ in seen] != [name for name, _ in known]:
        origins = [""] * len(seen)
    return [
        NodeRun(
            name=f"{place} {origin}".strip(),
            operator=_LIBRARY.sub("", name).replace("__", "::", 1) if name.startswith(_AOTI) else name,
            seconds=event.time_range.elapsed_us() / 1e6,
        )
        for place, ((name, event), origin) in enumerate(zip(seen, origins, strict=True), start=1)
    ]
