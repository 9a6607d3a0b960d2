from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from assay.tuning import page_section
from assay.tuning.frontier_chart import frontier
from assay.tuning.page_section import SearchReport
from tests import searches


def _report(folder: Path, **changes: Any) -> SearchReport:
    record = searches.run(folder)
    searches.beside(folder, record, **changes)
    found, _ = page_section.search(record, folder)
    assert found is not None
    return found


def _texts(chart: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", chart)


def _places(chart: str, colour: str) -> list[tuple[float, float]]:
    """Where the marks of a colour stand, from the left and from the top."""
    uses = re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)" style="fill: var\(--series-(\d)\)', chart)
    return [(float(x), float(y)) for x, y, series in uses if series == colour]


def test_right_wrong_and_too_large_differ_in_colour_and_in_shape(tmp_path: Path) -> None:
    chart = frontier(_report(tmp_path))
    assert [len(_places(chart, colour)) for colour in "125"] == [2, 1, 1]
    shapes = dict(re.findall(r'href="#([^"]+)"[^>]*style="fill: var\(--series-(\d)', chart))
    drawn = [re.search(rf'<path id="{shape}" d="([^"]+)"', chart) for shape in shapes]
    assert len({path[1] for path in drawn if path is not None}) == 3


def test_the_best_and_the_best_default_are_named_with_their_speed(tmp_path: Path) -> None:
    texts = _texts(frontier(_report(tmp_path)))
    assert "best 1,600 /s" in texts
    assert "default 100.0 /s" in texts
    assert "top-1" in texts


def test_a_chart_says_in_words_what_it_shows(tmp_path: Path) -> None:
    chart = frontier(_report(tmp_path))
    assert "4 trials evaluated; the model in float32 has top-1 60.00 %, and 59.00 % is allowed." in chart
    assert "The best: 1,600 /s at 59.50 %, right." in chart
    assert "On the frontier: 2,600 /s at 60.00 %, too large; 1,600 /s" in chart
    assert "#0101" not in chart


def test_what_is_faster_stands_to_the_right_whatever_the_objective(tmp_path: Path) -> None:
    for objective in ("throughput", "latency", "end-to-end"):
        (slow, _), (fast, _) = _places(frontier(_report(tmp_path, objective=objective)), "1")
        assert slow < fast


def test_a_search_for_latency_has_an_axis_of_milliseconds(tmp_path: Path) -> None:
    texts = _texts(frontier(_report(tmp_path, objective="latency")))
    assert "best p99 0.62 ms" in texts
    assert not [text for text in texts if text.endswith("/s")]
    assert "p99 latency of a call, faster to the right" in texts


def test_without_labels_the_axis_is_of_images_with_the_same_first_class(tmp_path: Path) -> None:
    bare = searches.trial(15, paired=searches.agreeing(0.995))
    chart = frontier(_report(tmp_path, reference_accuracy=None, trials=(bare,), frontier=(15,), default=None))
    assert "same first class" in _texts(chart)
    assert "1 trial evaluated; the model in float32 has same first class 100.00 %" in chart
    assert "1,600 /s at 99.50 %" in chart


@pytest.mark.parametrize("right", [0, 120, 200])
def test_one_trial_alone_is_within_the_chart(tmp_path: Path, right: int) -> None:
    chart = frontier(_report(tmp_path, trials=(searches.trial(15, right_images=right),), default=None))
    ((x, y),) = _places(chart, "1")
    assert 74 < x < 312
    assert 8 <= y <= 208
