"""`kill -9` at seeded moments of a run, several times in one folder: what comes out is the undisturbed run's."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from assay.records import RunRecord
from tests.endurance import commands

RUN = (*commands.RUN, "--batch", "1,16", "--no-images")
MOMENTS, FOLDERS = 20, 4
SEED = 20
TRIES = 8


def moments() -> list[list[float]]:
    """Shares of a run's length, one from each twentieth of it; each folder's runs are killed at some of them."""
    draw = random.Random(SEED)
    drawn = [(place + draw.random()) / MOMENTS for place in range(MOMENTS)]
    draw.shuffle(drawn)
    return [drawn[number::FOLDERS] for number in range(FOLDERS)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRecord, float]:
    """A run that nothing disturbed, and the seconds that it took."""
    out = tmp_path_factory.mktemp("kills") / "RUN"
    began = time.monotonic()
    status, said = commands.finish([*RUN, "-o", str(out)])
    assert status == 0, said
    return commands.load(out), time.monotonic() - began


def is_killed(out: Path, seconds: float) -> bool:
    """Whether a run was still at work after so many seconds, and so was killed then."""
    with commands.start([*RUN, "-o", str(out)]) as process:
        ends = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < ends:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return process.returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.xdist_group("kills")
@pytest.mark.parametrize("shares", moments(), ids=lambda shares: "-".join(f"{share:.2f}" for share in shares))
def test_a_run_that_is_killed_again_and_again_comes_to_the_same_end(
    shares: list[float], whole: tuple[RunRecord, float], tmp_path: Path
) -> None:
    expected, seconds = whole
    folder, done, killed = 0, dict[str, tuple[int, int]](), 0
    for share in shares:
        # A run that goes on from much may end before its moment: then it is that of a new one. Where that ends too
        # soon as well, the machine has become faster.
        for _ in range(TRIES):
            out = tmp_path / str(folder)
            fresh, began = not out.exists(), time.monotonic()
            landed = is_killed(out, share * seconds)
            if fresh and not landed:
                seconds = min(seconds, time.monotonic() - began)
            found = commands.whole_steps(out)
            assert done.items() <= found.items(), "a whole step was done twice"
            done = found
            if landed:
                killed += 1
                break
            commands.assert_same_result(commands.load(out), expected)
            folder, done = folder + 1, {}
    assert killed == len(shares)
    out = tmp_path / str(folder)
    status, said = commands.finish([*RUN, "-o", str(out)])
    assert status == 0, said
    assert done.items() <= commands.whole_steps(out).items(), "a whole step was done twice"
    commands.assert_same_result(commands.load(out), expected)
    assert not list(out.rglob("*.assay-partial")), "what the killed runs left half-written is gone"
