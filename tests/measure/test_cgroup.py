from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.measure import cgroup
from assay.measure.cgroup import Limit

CPU = Path("/sys/fs/cgroup/cpu")


def _write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_a_quota_of_version_2_is_read_with_its_throttling(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/docker/abc\n")
    _write(
        tmp_path / "root/docker/abc",
        cpu__max="150000 100000\n",
        cpu__stat="usage_usec 9\nnr_periods 40\nnr_throttled 8\n",
    )
    assert cgroup.limit(tmp_path / "root", own) == Limit(1.5, 40, 8)


def test_a_quota_of_version_1_is_read_with_its_throttling(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n")
    _write(
        tmp_path / "root/cpu,cpuacct/docker/abc",
        cpu__cfs_quota_us="50000\n",
        cpu__cfs_period_us="100000\n",
        cpu__stat="nr_periods 10\nnr_throttled 5\nthrottled_time 12345\n",
    )
    assert cgroup.limit(tmp_path / "root", own) == Limit(0.5, 10, 5)


def test_of_several_quotas_the_one_that_allows_least_counts(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/slice/unit\n")
    _write(tmp_path / "root/slice", cpu__max="100000 100000", cpu__stat="nr_periods 3\nnr_throttled 1")
    _write(tmp_path / "root/slice/unit", cpu__max="400000 100000", cpu__stat="nr_periods 3\nnr_throttled 0")
    assert cgroup.limit(tmp_path / "root", own) == Limit(1.0, 3, 1)


@pytest.mark.parametrize("text", ["max 100000\n", "", "many\n"])
def test_no_quota_is_no_limit(text: str, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/\n")
    _write(tmp_path / "root", cpu__max=text, cpu__stat="nr_periods 0\nnr_throttled 0")
    assert cgroup.limit(tmp_path / "root", own) is None
    assert cgroup.limit(tmp_path / "root", tmp_path / "absent") is None


def test_throttling_is_a_share_of_the_periods_since_the_earlier_look() -> None:
    assert Limit(1.0, 30, 12).throttled_since(Limit(1.0, 10, 2)) == 0.5
    assert Limit(1.0, 30, 12).throttled_since(Limit(1.0, 30, 12)) == 0.0


@pytest.fixture
def tight_group() -> Iterator[Path]:
    """A real control group that may use a fifth of a processor."""
    group = CPU / f"assay-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "cpu.cfs_quota_us").write_text("20000")
    except OSError as error:
        pytest.skip(f"no control groups can be made here: {error}")
    yield group
    group.rmdir()


def test_a_real_quota_that_stops_a_process_is_seen_by_it(tight_group: Path) -> None:
    code = (
        "import os, pathlib, sys, time\n"
        "from assay.measure import machine\n"
        "pathlib.Path(sys.argv[1], 'cgroup.procs').write_text(str(os.getpid()))\n"
        "begin = machine.Look.now()\n"
        "end = time.monotonic() + 0.6\n"
        "while time.monotonic() < end: pass\n"
        "state = machine.state(begin, machine.Look.now(), machine.Sensors())\n"
        "print(state.allowed_processors, state.throttled_share > 0.5)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tight_group)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0.2", "True"]
