from __future__ import annotations

from collections.abc import Callable

import pytest

from assay import units


@pytest.mark.parametrize(
    ("shown_by", "value", "shown"),
    [
        (units.seconds, 3.24, "3.2 s"),
        (units.seconds, 0.0, "0.0 s"),
        (units.seconds, 599.0, "599.0 s"),
        (units.seconds, 600.0, "10.0 min"),
        (units.milliseconds, 0.0102, "10.2 ms"),
        (units.milliseconds, 0.119, "119 ms"),
        (units.milliseconds, 0.00012, "0.12 ms"),
        (units.milliseconds, 12.5, "12,500 ms"),
        (units.rate, 131.4, "131.4 /s"),
        (units.rate, 2.5, "2.50 /s"),
        (units.rate, 52345.6, "52,346 /s"),
        (units.percent, 47.0, "47.00 %"),
        (units.percent, 78.848, "78.85 %"),
        (units.share, 0.984, "98 %"),
        (units.share, 1.0, "100 %"),
        (units.spread, 0.00873, "0.9 %"),
        (units.agreement, 1.0, "100 %"),
        (units.agreement, 0.999999, "99.99 %"),
        (units.agreement, 0.9951, "99.51 %"),
        (units.probability, 0.0312, "= 0.031"),
        (units.probability, 0.0004, "< 0.001"),
        (units.rounded, 1234.0, 1200),
        (units.rounded, 87.0, 87),
        (units.rounded, 0.3, 1),
        (units.points, 0.0, "0.00 points"),
        (units.points, -0.5, "-0.50 points"),
        (units.ratio, 895.306 / 558.38, "1.603"),
        (units.thousandths, 1003.8, "1003.800"),
        (units.difference, 0.0, "0"),
        (units.difference, 2.14e-6, "2.1e-06"),
        (units.difference, float("inf"), "inf"),
        (units.memory, 512, "512 B"),
        (units.memory, 1536, "1.5 KiB"),
        (units.memory, 3 * 2**20, "3.0 MiB"),
        (units.memory, 23.5 * 2**30, "23.5 GiB"),
        (units.memory, 2048 * 2**30, "2048.0 GiB"),
    ],
)
def test_a_figure_is_shown_with_its_unit(
    shown_by: Callable[[float], str | int], value: float, shown: str | int
) -> None:
    assert shown_by(value) == shown


def test_a_hash_is_shortened_to_its_first_eight_figures() -> None:
    assert units.short_hash("9f3a12c4" + "0" * 56) == "9f3a12c4…"


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("a",), "a"),
        (("a", "b", "c"), "a, b, c"),
        (("a", "b", "c", "d"), "a, b, c and 1 more"),
        ((), ""),
    ],
)
def test_three_names_are_shown_and_the_others_counted(names: tuple[str, ...], shown: str) -> None:
    assert units.names(names) == shown


@pytest.mark.parametrize(("value", "written"), [(1.0, "1"), (0.5, "0.5"), (1e-5, "0.00001"), (1e-12, "0.000000000001")])
def test_a_figure_as_it_was_given_has_no_exponent(value: float, written: str) -> None:
    assert units.plain(value) == written
