from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay.errors import UnknownNameError
from assay.published import guide
from assay.records import PublishedAccuracy
from assay.records.reported import ReportedResult, ReportedRun
from tests import factories
from tests.messages import assert_says

_NUMBERS = Path(__file__).parents[3] / "shared" / "reference" / "guide_numbers.json"
SPEEDS = {"310": ("310", False), "310P": ("310P", False), "310P-tuned": ("310P", True), "T4": ("T4", False)}
COLUMNS = {"310": "310", "310P": "310P", "310P-tuned": "310P_tuned", "T4": "T4"}
STAGES = {"data read": "data_read", "preprocess": "preprocess", "infer": "infer", "post": "post"}


@pytest.fixture(scope="module")
def numbers() -> dict[str, Any]:
    """Every number of the guide."""
    if not _NUMBERS.is_file():
        pytest.skip("the guide's numbers are not beside this checkout")
    found: dict[str, Any] = json.loads(_NUMBERS.read_text(encoding="utf-8"))
    return found


def _by_batch(run: ReportedRun) -> dict[int | None, ReportedResult]:
    return {result.batch: result for result in run.results}


def test_every_name_loads_the_record_of_that_name() -> None:
    assert guide.names() == (
        "guide:310",
        "guide:310P",
        "guide:310P-tuned",
        "guide:T4",
        "guide:offline",
        "guide:published",
    )
    assert [guide.load(name).name for name in guide.names()] == list(guide.names())


@pytest.mark.parametrize("name", ["guide:T5", "guide:", "T4", "guide:../figures/T4"])
def test_an_unknown_name_lists_the_known(name: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        guide.load(name)
    assert_says(caught, f"unknown record of the guide {name!r}", "known: ", "guide:T4", "guide:310P-tuned")


def test_every_record_is_of_the_flagship() -> None:
    for name in guide.names():
        run = guide.load(name)
        assert (run.model, run.weights_md5, run.input_side) == (
            "wide_resnet101_2",
            "5961435974bb43104b5a3180fea7c2c4",
            224,
        )
        assert run.sources[0] == "the guide"


@pytest.mark.parametrize(
    ("name", "dies", "pixels", "transfers", "best"),
    [
        ("guide:310", 4, "dataset", False, 170.965),
        ("guide:310P", 1, "dataset", False, 410.758),
        ("guide:310P-tuned", 1, "dataset", False, 1003.8),
        ("guide:T4", 1, "synthetic", None, 572.999),
    ],
)
def test_the_key_figures_of_the_speeds(name: str, dies: int, pixels: str, transfers: bool | None, best: float) -> None:
    run = guide.load(name)
    assert (run.dies, run.pixels, run.transfers, run.precision) == (dies, pixels, transfers, "fp16")
    assert [result.batch for result in run.results] == [1, 4, 8, 16, 32, 64]
    assert max(result.throughput["interface"] for result in run.results) == best


def test_the_key_figures_of_the_accuracies() -> None:
    of = {name: guide.load(name) for name in ("guide:published", "guide:offline")}
    assert {(run.dataset, run.images) for run in of.values()} == {("ImageNet validation", 50_000)}
    assert [dict(result.top) for result in of["guide:published"].results] == [{1: 78.848, 5: 94.284}]
    assert {result.batch: list(result.top.values()) for result in of["guide:offline"].results} == {
        1: [78.84, 88.41, 91.66, 93.26, 94.29],
        16: [78.85, 94.29],
    }


@pytest.mark.parametrize("name", SPEEDS)
def test_the_speeds_are_those_of_the_guide(name: str, numbers: dict[str, Any]) -> None:
    device, tuned = SPEEDS[name]
    run = guide.load(f"guide:{name}")
    given = [one for one in numbers["performance"] if (one["device"], one["tuned"]) == (device, tuned)]
    assert [result.batch for result in run.results] == [one["batch"] for one in given]
    for result, one in zip(run.results, given, strict=True):
        if name == "T4":
            assert result.throughput == {"interface": one["card_throughput"]}
            assert one["tool"].partition(", ")[0] in run.notes[0]
            continue
        assert one["dies_per_card"] == run.dies
        assert result.throughput == {
            "interface": one["infer"]["interface_throughput"],
            "end-to-end": one["e2e"]["throughput"],
        }
        assert result.run_seconds == one["e2e"]["latency_ms"] / 1000
        assert [stage.name for stage in result.stages] == list(STAGES)
        for stage in result.stages:
            figures = one[STAGES[stage.name]]
            assert stage.rate == figures["throughput"]
            assert stage.latency * 1000 == pytest.approx(figures["module_latency_ms"], rel=1e-12)
            assert stage.counts == ("batches" if stage.name == "post" else "images")


@pytest.mark.parametrize("name", SPEEDS)
def test_what_the_guide_printed_is_kept_as_it_stands_there(name: str, numbers: dict[str, Any]) -> None:
    run = guide.load(f"guide:{name}")
    kept = {result.batch: result.printed for result in run.results} | {"best": run.printed}
    for row in numbers["table_7_4"]:
        expected = {"throughput": row[COLUMNS[name]]}
        if name == "310P-tuned":
            expected["throughput/guide:310"] = row["ratio_310P_tuned_to_310"]
            expected["throughput/guide:T4"] = row["ratio_310P_tuned_to_T4"]
        assert kept[row["batch"]] == expected


def test_the_accuracies_are_those_of_the_guide(numbers: dict[str, Any]) -> None:
    given = numbers["accuracy"]
    (stated,) = guide.load("guide:published").results
    assert stated.top == {1: given["published"]["top1"], 5: given["published"]["top5"]}
    offline = _by_batch(guide.load("guide:offline"))
    assert offline[1].top == {k: given["full_result_bs1"][f"top{k}"] for k in range(1, 6)}
    for batch, result in offline.items():
        assert result.top[1] == given["offline"][str(batch)]["top1"]
        assert result.top[5] == given["offline"][str(batch)]["top5"]
    assert guide.load("guide:offline").images == given["images"]
    assert numbers["checkpoint_md5"] == guide.FLAGSHIP_MD5


@pytest.mark.parametrize(
    ("sha256", "architecture", "source", "matched", "expected"),
    [
        ("32ee1156" + "0" * 56, "wide_resnet101_2", None, False, guide.FLAGSHIP_MD5),
        ("a" * 64, "wide_resnet101_2", None, False, None),
        ("32ee1156" + "0" * 56, "resnet50", None, False, None),
        (
            "a" * 64,
            "wide_resnet101_2",
            "torchvision Wide_ResNet101_2_Weights.IMAGENET1K_V1",
            True,
            guide.FLAGSHIP_MD5,
        ),
        ("a" * 64, "wide_resnet101_2", "torchvision Wide_ResNet101_2_Weights.IMAGENET1K_V1", False, None),
        ("a" * 64, "wide_resnet101_2", "torchvision Wide_ResNet101_2_Weights.IMAGENET1K_V2", True, None),
    ],
)
def test_the_guides_weights_are_known_by_their_hash_or_by_the_users_word(
    sha256: str, architecture: str, source: str | None, matched: bool, expected: str | None
) -> None:
    figures = None
    if source is not None:
        figures = PublishedAccuracy(
            source=source, top1=78.848, top5=94.284, dataset="ImageNet", images=50_000, matched=matched
        )
    trained = factories.checkpoint(factories.file_reference(sha256=sha256), figures)
    changed = msgspec.structs.replace(trained, architecture=architecture)
    assert guide.weights_md5(changed) == expected


def test_random_weights_are_no_file_of_the_guide() -> None:
    random = factories.flagship(sha256=None).checkpoint
    assert random is not None
    assert guide.weights_md5(random) is None
