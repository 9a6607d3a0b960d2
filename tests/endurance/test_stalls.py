"""What hangs is named, with its images, and the command ends although the thread never returns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assay import demo
from assay.cli.main import main
from tests.endurance import commands, stuck

NAMES = [line.split()[0] for line in demo.LABELS.read_text().splitlines()]
TIMEOUT = ("--timeout", "1.5")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {stuck.REACHED: str(tmp_path / "reached")}


def ends(words: list[str], environment: dict[str, str]) -> str:
    """The only line that a command which hangs says of it."""
    status, said = commands.finish([*words, *TIMEOUT], "tests.endurance.stuck", environment)
    assert status == 1, said
    assert "Traceback" not in said
    *_, last = said.splitlines()
    assert said.count("assay: ") == 1
    return last


@pytest.mark.long
def test_a_file_that_never_can_be_read_is_named(tmp_path: Path, environment: dict[str, str]) -> None:
    environment[stuck.FILE] = NAMES[7]
    words = ["prepare", str(demo.IMAGES), *commands.TRANSFORM, "-o", str(tmp_path / "P")]
    assert ends(words, environment) == (
        f"assay: read has been at image {NAMES[7]} for more than 1.5 s and is taken to hang; look at that, or give a "
        "longer --timeout"
    )


def test_an_image_that_no_decoder_gets_through_is_named(tmp_path: Path, environment: dict[str, str]) -> None:
    environment[stuck.IMAGE] = str(demo.IMAGES / NAMES[200])
    words = ["prepare", str(demo.IMAGES), *commands.TRANSFORM, "-o", str(tmp_path / "P")]
    assert ends(words, environment).startswith(f"assay: decode has been at image {NAMES[200]} for more than 1.5 s")
    # The first 128 images were done: their shard is whole, and is not decoded again.
    first = tmp_path / "P" / "images-00000.npy"
    before = first.stat()
    status, said = commands.done(words)
    assert status == 0, said
    assert first.stat().st_ino == before.st_ino


@pytest.mark.long
def test_a_stage_is_named_with_the_one_image_that_it_is_at(tmp_path: Path, environment: dict[str, str]) -> None:
    environment[stuck.IMAGE] = str(demo.IMAGES / NAMES[40])
    run = [*commands.RUN, "--backend", "null", "--batch", "16", "--no-prepare", "-o", str(tmp_path / "RUN")]
    assert ends(run, environment).startswith(f"assay: preprocess has been at image {NAMES[40]} for more than")


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        pytest.param("opening", r"open has been at {artifact} for", marks=pytest.mark.long),
        pytest.param("warming", r"warm-up has been at a call on a batch of 16 for", marks=pytest.mark.long),
        ("inferring", r"infer has been at a batch of 16 images \(demo_val_\d+.JPEG to demo_val_\d+.JPEG\) for"),
    ],
)
def test_a_vendors_call_that_hangs_is_named(
    backend: str, said: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    run = [*commands.RUN, "--backend", backend, "--batch", "16", "-o", str(tmp_path / "RUN")]
    line = ends(run, environment)
    artifact = next((tmp_path / "RUN" / "compiled").glob("*/artifact.json"))
    assert re.match(f"assay: {said.format(artifact=re.escape(str(artifact)))} more than 1.5 s", line), line
    assert not list((tmp_path / "RUN").rglob("performance.json"))


@pytest.mark.long
def test_artifacts_in_turn_are_watched_too(tmp_path: Path, environment: dict[str, str]) -> None:
    words = ["prepare", str(demo.IMAGES), *commands.TRANSFORM, "-o", str(tmp_path / "P")]
    assert commands.done(words)[0] == 0
    bench = ["bench", str(demo.ONNX), "--backend", "inferring", "--batch", "8,16", "--interleave", *commands.TRANSFORM]
    assert ends([*bench, "--data", str(tmp_path / "P"), "-o", str(tmp_path / "B")], environment).startswith(
        "assay: infer has been at a batch of 8 images ("
    )


@pytest.mark.long
def test_a_timeout_that_nothing_reaches_changes_nothing(tmp_path: Path) -> None:
    run = [*commands.RUN, "--batch", "16", "--no-images"]
    for words in ([*run, "-o", str(tmp_path / "A")], [*run, "--timeout", "5m", "-o", str(tmp_path / "B")]):
        assert commands.done(words)[0] == 0
    commands.assert_same_result(commands.load(tmp_path / "A"), commands.load(tmp_path / "B"))


@pytest.mark.parametrize("wrong", ["0", "soon"])
def test_a_timeout_is_a_time(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*commands.RUN, "--timeout", wrong, "-o", "x"])
    assert caught.value.code == 2
    assert "--timeout" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.long
def test_images_that_are_read_for_others_are_watched(tmp_path: Path, environment: dict[str, str]) -> None:
    environment[stuck.FILE] = NAMES[40]
    run = [*commands.RUN, "--backend", "null", "--batch", "4", "--no-prepare", "--device", "0,0"]
    assert "assay: read has been at 28 images (demo_val_" in ends([*run, "-o", str(tmp_path / "RUN")], environment)


@pytest.mark.long
@pytest.mark.parametrize(
    "shared",
    [
        ["--device", "0,0"],
        pytest.param(["--cluster", "local"], marks=pytest.mark.xdist_group("a cluster")),
    ],
    ids=" ".join,
)
@pytest.mark.filterwarnings("ignore")
def test_what_hangs_in_a_worker_is_named(shared: list[str], tmp_path: Path, environment: dict[str, str]) -> None:
    if "--cluster" in shared:
        pytest.importorskip("ray", reason="needs the extra `ray`")
    run = [*commands.RUN, "--backend", "inferring", "--batch", "4", *shared, "-o", str(tmp_path / "RUN")]
    line = ends(run, environment)
    assert line.startswith("assay: infer has been at a batch of 4 images (demo_val_")
    assert "for more than 1.5 s and is taken to hang" in line
