"""`assay bench --scenario` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay import demo
from assay.cli.main import main

pytest.importorskip("mlperf_loadgen", reason="LoadGen has no wheel for this Python")

TRANSFORM = ["--resize", "72", "--crop", "64", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25"]
BENCH = ["bench", str(demo.ONNX), *TRANSFORM, "--backend", "null"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--scenario", "online"], 2, "unknown scenario 'online'; known: offline"),
        (["--scenario", "server"], 2, "give --target-qps"),
        (["--scenario", "server", "--target-qps", "0"], 2, "give a --target-qps of more than 0"),
        (
            ["--scenario", "offline", "--latency-bound", "15ms"],
            2,
            "leave out --latency-bound",
        ),
        (["--scenario", "single-stream", "--target-qps", "9"], 2, "leave out --target-qps"),
        (
            ["--scenario", "single-stream", "--batch", "16"],
            2,
            "takes 16; compile one with --batch 1",
        ),
        (
            ["--scenario", "multi-stream", "--batch", "16"],
            2,
            "takes 16; compile one with --batch 8",
        ),
        (["--scenario", "offline", "--batch", "1,16"], 2, "tests one artifact, and these are 2"),
        (["--scenario", "offline", "--interleave"], 2, "--interleave"),
        (["--scenario", "offline", "--profile"], 2, "--profile"),
        (["--scenario", "offline", "--iterations", "3"], 2, "--iterations"),
        (["--scenario", "offline", "--duration", "0"], 2, "give a --duration of more than 0"),
        (["--scenario", "offline", "--cluster", "local"], 2, "--cluster"),
        (["--scenario", "offline", "--gate", "valid>=1"], 2, "unknown metric"),
        (["--scenario", "offline", "--gate", "scenario/OTHER>=1"], 2, "unknown reference"),
        (["--scenario", "offline", "--mlperf"], 2, "MLPerf's way runs the accuracy mode too"),
        (["--mlperf"], 2, "give --mlperf with --scenario"),
        (["--target-qps", "9"], 2, "give --target-qps with --scenario"),
        (["--latency-bound", "9ms"], 2, "give --latency-bound with --scenario"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], status: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*BENCH, "--synthetic", *words, "-o", str(tmp_path / "out")]) == status
    shown = capsys.readouterr().err.splitlines()
    assert said in shown[-1]
    assert shown[-1].startswith("assay: ")


def test_a_latency_without_its_unit_is_no_bound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--synthetic", "--scenario", "server", "--target-qps", "9", "--latency-bound", "15"]
    with pytest.raises(SystemExit) as caught:
        main([*BENCH, *words, "-o", str(tmp_path)])
    assert caught.value.code == 2
    assert "'15' is not a latency such as 15ms" in capsys.readouterr().err


def test_images_are_prepared_first_and_the_result_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = ["--images", str(demo.IMAGES), "--labels", str(demo.LABELS)]
    words = [*images, "--scenario", "single-stream", "--mlperf", "--duration", "0.1"]
    status = main([*BENCH, *words, "-o", str(tmp_path)])
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].startswith("single-stream · LoadGen 6.")
    assert lines[1].split()[:4] == ["batch", "queries", "images", "p50"]
    assert "accuracy mode  240 images" in shown.out
    assert "not official: it drew from 240 images, and MLPerf from 1,024" in shown.out
    assert "prepare  240 images" in shown.err
    # A machine that is slow may send too few queries in so short a time; what LoadGen says decides.
    assert (status, "LoadGen  VALID" in shown.out) in ((0, True), (3, False))


def test_invalid_is_status_3_where_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--scenario", "server", "--target-qps", "50", "--latency-bound", "0.001ms", "--duration", "0.2"]
    assert main([*BENCH, "--synthetic", *words, "-o", str(tmp_path / "plain")]) == 0
    assert "LoadGen  INVALID" in capsys.readouterr().out
    assert main([*BENCH, "--synthetic", *words, "--gate", "valid", "--json", "-o", str(tmp_path / "asked")]) == 3
    body = json.loads(capsys.readouterr().out)["body"]
    assert body["scenario"]["performance"]["result"] == "INVALID"
    assert [check["verdict"] for check in body["verdict"]["checks"]] == ["FAIL"]
