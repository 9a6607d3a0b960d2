"""What lies where in the folder of each command, put together from what its steps declare."""

from __future__ import annotations

from collections.abc import Mapping

from assay.data import prepared
from assay.loadgen import bench as scenarios
from assay.page.report import PAGE
from assay.remote.bench import SHARED
from assay.steps import adopt, bench, interleave, pair, runnables
from assay.storage.layout import Folder, Place
from assay.tuning import tune

_RUN = bench.LAYOUT | Folder(folders={"bench": SHARED}) | runnables.LAYOUT | Folder((Place(PAGE),))
_SEARCH = tune.LAYOUT | Folder((Place(PAGE),))

LAYOUTS: Mapping[str, Folder] = {
    "run": (_RUN | adopt.LAYOUT).within(
        prepared=prepared.LAYOUT, calibration=prepared.LAYOUT, reference=pair.LAYOUT, tune=_SEARCH
    ),
    "bench": _RUN | interleave.LAYOUT | scenarios.LAYOUT,
    "tune": _SEARCH,
    "prepare": prepared.LAYOUT,
}
"""By the command that works in the folder."""
