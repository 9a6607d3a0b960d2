"""The one face in Python: each command is a function of the command's options."""

from __future__ import annotations

import dataclasses
import inspect
import math
import pydoc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import assay
from assay.cli.main import parser
from assay.errors import RecordError, UnknownNameError, UsageError
from assay.records import BenchOutcome, InterleavedOutcome
from assay.steps import keywords
from tests.messages import assert_says
from tests.sample_folders import SAMPLES

TINY: dict[str, Any] = {"resize": 36, "crop": 32, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
REQUESTS = {
    "adopt": assay.AdoptRequest,
    "bench": assay.BenchRequest,
    "compare": assay.CompareRequest,
    "compile": assay.CompileRequest,
    "evaluate": assay.EvaluateRequest,
    "export": assay.ExportRequest,
    "import_results": assay.ImportRequest,
    "predict": assay.PredictRequest,
    "prepare": assay.PrepareRequest,
    "quantize": assay.QuantizeRequest,
    "report": assay.ReportRequest,
    "run": assay.RunRequest,
    "tune": assay.TuneRequest,
}
OF_THE_COMMAND_LINE = {"help", "json", "repair", "allow_inconclusive", "junit", "markdown", "csv", "dry_run"}
"""Options that say how a command answers, or what else it does beforehand."""
OWN_NAMES = {"import": "import_results"}


def test_every_public_name_is_there_and_none_else() -> None:
    assert sorted(assay.__all__) == dir(assay)
    for name in assay.__all__:
        assert getattr(assay, name) is not None
    assert len(assay.__all__) < 40


@pytest.mark.parametrize("name", REQUESTS)
def test_a_function_shows_the_fields_of_its_request(name: str) -> None:
    function = getattr(assay, name)
    shown = inspect.signature(function).parameters
    assert list(shown) == list(inspect.signature(REQUESTS[name]).parameters)
    assert f"{next(iter(shown))}:" in pydoc.render_doc(function)


@pytest.mark.parametrize("name", [name for name in REQUESTS if name != "adopt"])
def test_every_option_of_a_command_is_an_argument_of_its_function(name: str) -> None:
    commands = next(one for one in parser()._actions if isinstance(one.choices, dict)).choices
    assert isinstance(commands, dict)
    command = commands[next((ours for ours, theirs in OWN_NAMES.items() if theirs == name), name)]
    options = {action.dest for action in command._actions} - OF_THE_COMMAND_LINE
    # What these two write beside their answer is the command line's.
    options -= {"quantize": {"sensitivity"}, "evaluate": {"result"}}.get(name, set())
    assert options <= {field.name for field in dataclasses.fields(REQUESTS[name])}


def test_a_run_takes_strings_and_returns_what_the_command_prints(tmp_path: Path) -> None:
    out = str(tmp_path / "RUN")
    given: dict[str, Any] = {"images": str(SAMPLES / "images"), "labels": str(SAMPLES / "labels.txt"), **TINY}
    outcome = assay.run(str(SAMPLES / "tiny.onnx"), batch=[1, 4], gate="top5>=0%", out=out, **given)
    assert [result.batch for result in outcome.run.results] == [1, 4]
    assert outcome.verdict.checks[-1].verdict == "PASS"
    assert assay.load(out).results == outcome.run.results
    request = assay.RunRequest(str(SAMPLES / "tiny.onnx"), batch=[1, 4], gate="top5>=0%", out=out, **given)
    assert assay.run(request).run == outcome.run
    assert [row["batch"] for row in assay.to_rows([out, "guide:T4"])][:2] == [1, 4]


def test_bench_measures_files_a_model_and_records(tmp_path: Path) -> None:
    compiled = assay.compile(SAMPLES / "tiny.onnx", batch=4, out=tmp_path / "tiny_bs4.onnx", **TINY)
    one = assay.Runnable(compiled, {"threads": 1})
    given: list[Any] = [compiled, str(compiled.file.path), one]
    for number, artifact in enumerate(given):
        outcome = assay.bench(artifact, synthetic=True, iterations=3, out=tmp_path / f"BENCH{number}")
        assert isinstance(outcome, BenchOutcome)
        assert outcome.run.results[0].compiled == compiled
    in_turn = assay.bench([compiled, one], synthetic=True, iterations=4, interleave=True, out=tmp_path / "TURNS")
    assert isinstance(in_turn, InterleavedOutcome)
    assert list(in_turn.outcomes) == ["A", "B"]
    for option in ({"set": {"threads": "1"}}, {"batch": 4}):
        with pytest.raises(UsageError, match=f"is compiled already; leave {next(iter(option))} away"):
            assay.bench(one, synthetic=True, iterations=3, out=tmp_path / "NOTHING", **option)
    with pytest.raises(UnknownNameError, match="nonsense"):
        assay.bench([compiled, one], synthetic=True, interleave=True, gate="nonsense>=1", out=tmp_path / "NONE")
    assert not (tmp_path / "NONE").exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "0 sources of pixels; give one of data, images and synthetic"),
        ({"synthetic": True, "data": "x"}, "2 sources of pixels"),
        ({"synthetic": True, "duration": -1}, "duration -1; give a duration of more than 0"),
        ({"synthetic": True, "duration": 1, "iterations": 1}, "two lengths of the run; give duration or iterations"),
        ({"synthetic": True, "target_qps": 3}, "give target_qps with scenario"),
        ({"synthetic": True, "gate": "throughput>=1"}, "add interleave, or give gate to compare"),
    ],
)
def test_options_that_exclude_each_other_are_named_as_python_has_them(
    wrong: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        assay.bench(SAMPLES / "tiny.onnx", out=tmp_path / "BENCH", **wrong)
    assert said in str(caught.value)
    assert not (tmp_path / "BENCH").exists()


def test_an_argument_that_there_is_not_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="resise"):
        assay.run("model.onnx", images="val", out="RUN", resise=256)  # type: ignore[call-overload]


def test_three_values_are_wanted_of_a_mean(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mean has 2 values; give three"):
        assay.prepare(SAMPLES / "images", out=tmp_path / "p", resize=36, crop=32, mean=[0.5, 0.5], std=[1, 1, 1])


def test_repair_knows_by_its_records_what_a_folder_is(tmp_path: Path) -> None:
    data = assay.prepare(SAMPLES / "images", out=tmp_path / "p", **TINY)
    shard = data.shards[0].file.path
    assert assay.repair(tmp_path / "p") == ()
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    assert assay.repair(str(tmp_path / "p")) == (shard,)


@pytest.mark.parametrize("batch", ["16", [], 16.5, True, ["1"]])
def test_a_batch_size_that_is_none_is_one_line(batch: Any, tmp_path: Path) -> None:
    given: dict[str, Any] = {"images": str(SAMPLES / "images"), "labels": str(SAMPLES / "labels.txt"), **TINY}
    with pytest.raises(UsageError) as caught:
        assay.run(str(SAMPLES / "tiny.onnx"), batch=batch, out=tmp_path / "RUN", **given)
    assert_says(caught, f"batch is {batch!r}", "give a whole number, or a list of some, as batch")


def test_an_integer_of_any_type_is_a_batch_size() -> None:
    assert keywords.sizes(np.int64(16)) == [16]  # type: ignore[arg-type]  # which a caller may not know
    assert keywords.sizes(np.array([1, 16])) == [1, 16]  # type: ignore[arg-type]  # likewise


@pytest.mark.parametrize(
    ("step", "options", "said"),
    [
        (assay.bench, {"synthetic": True, "duration": math.nan}, "duration is nan"),
        (assay.bench, {"synthetic": True, "wait_idle": math.inf}, "wait_idle is inf"),
        (assay.compare, {"max_drop": math.nan}, "max_drop is nan"),
        (assay.tune, {"data": "P", "budget": math.nan}, "budget is nan"),
    ],
)
def test_a_figure_that_is_not_finite_is_refused_before_anything_is_done(
    step: Any, options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    place = {} if step is assay.compare else {"out": tmp_path / "OUT"}
    with pytest.raises(UsageError) as caught:
        step("absent", **place, **options)
    assert_says(caught, said, "give a finite number as")
    assert not (tmp_path / "OUT").exists()


def test_nothing_to_judge_show_or_measure_is_refused() -> None:
    with pytest.raises(UsageError, match="no record is given"):
        assay.compare([])
    with pytest.raises(UsageError, match="no record is given"):
        assay.report([])
    with pytest.raises(UsageError, match="nothing to measure"):
        assay.bench([], synthetic=True, out="OUT")


def test_one_name_of_a_record_is_not_taken_for_several() -> None:
    assert assay.to_rows("guide:T4") == assay.to_rows(["guide:T4"])
    with pytest.raises(RecordError, match="no run at absent"):
        assay.to_rows("absent")
