"""The only formatting of numbers: every figure that a person reads is written here, with its unit."""

from __future__ import annotations


def _three_digits(value: float) -> str:
    """Three significant digits without an exponent, and never fewer than the integer part has."""
    magnitude = abs(value)
    if magnitude >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if magnitude >= 10 else f"{value:.2f}"


def seconds(value: float) -> str:
    """A length of time that a person waited, `3.2 s`."""
    return f"{value:.1f} s" if value < 600 else f"{value / 60:.1f} min"


def milliseconds(value_in_seconds: float) -> str:
    """A latency given in seconds, `10.2 ms`."""
    return f"{_three_digits(value_in_seconds * 1000)} ms"


def rate(images_per_second: float) -> str:
    """A throughput in images a second, `131.4 /s`."""
    if images_per_second >= 1000:
        return f"{images_per_second:,.0f} /s"
    return f"{images_per_second:.1f} /s" if images_per_second >= 10 else f"{images_per_second:.2f} /s"


def percent(value_in_percent: float) -> str:
    """An accuracy in percent, `47.00 %`; what rounds to nothing has no sign."""
    return f"{round(value_in_percent, 2) + 0.0:.2f} %"


def share(fraction: float) -> str:
    """A share of a whole, `98 %`."""
    return f"{100 * fraction:.0f} %"


def points(value: float) -> str:
    """A difference of two percentages, `0.00 points`; what rounds to nothing has no sign."""
    return f"{round(value, 2) + 0.0:.2f} points"


def ratio(value: float) -> str:
    """One figure over another, `1.603`."""
    return f"{value:.3f}"


def difference(value: float) -> str:
    """A relative difference of scores, `2.1e-06`; exactly none is `0`."""
    return f"{value:.1e}" if value else "0"


def memory(count_of_bytes: float) -> str:
    """A size in binary units, `23.5 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count_of_bytes < 1024 or unit == "GiB":
            break
        count_of_bytes /= 1024
    return f"{count_of_bytes:.0f} B" if unit == "B" else f"{count_of_bytes:.1f} {unit}"


def short_hash(sha256: str) -> str:
    """The first figures of a hash, enough for a person to tell two apart, `9f3a12c4…`."""
    return f"{sha256[:8]}…"


def names(values: tuple[str, ...], most: int = 3) -> str:
    """A few names and how many more there are, `a, b, c and 4 more`."""
    shown = ", ".join(values[:most])
    return f"{shown} and {len(values) - most} more" if len(values) > most else shown
