"""The only formatting of numbers: every figure that a person reads is written here, with its unit."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

Written = Callable[[float], str]
"""How a figure of one unit is written."""


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


def spread(fraction: float) -> str:
    """Half the width of an interval, as a share of its figure, `0.9 %`."""
    return f"{100 * fraction:.1f} %"


def agreement(fraction: float) -> str:
    """A share of images that must not read as all of them while one is missing, `99.98 %`."""
    return "100 %" if fraction == 1 else f"{min(100 * fraction, 99.99):.2f} %"


def probability(value: float) -> str:
    """A p value with its sign, `= 0.031`; below a thousandth `< 0.001`."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def points(value: float) -> str:
    """A difference of two percentages, `0.00 points`; what rounds to nothing has no sign."""
    return f"{round(value, 2) + 0.0:.2f} points"


def plain(value: float) -> str:
    """A figure as it was given, without an exponent, `1`, `0.00001`."""
    return format(Decimal(f"{value:.12g}"), "f")


def ratio(value: float) -> str:
    """One figure over another, `1.603`."""
    return f"{value:.3f}"


def thousandths(value: float) -> str:
    """A figure as exact as published tables give it, `558.380`."""
    return f"{value:.3f}"


def difference(value: float) -> str:
    """A relative difference of scores, `2.1e-06`; exactly none is `0`."""
    return f"{value:.1e}" if value else "0"


def count(number: float) -> str:
    """How many there are of something, `50,000`."""
    return f"{number:,.0f}"


def score(value: float) -> str:
    """A figure in a unit of its own to three digits, `12.3`."""
    return _three_digits(value)


def memory(count_of_bytes: float) -> str:
    """A size in binary units, `23.5 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count_of_bytes < 1024 or unit == "GiB":
            break
        count_of_bytes /= 1024
    return f"{count_of_bytes:.0f} B" if unit == "B" else f"{count_of_bytes:.1f} {unit}"


def counted(number: int, what: str) -> str:
    """So many things, `1 image`, `50,000 images`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def rounded(estimate: float) -> int:
    """An estimated count to two digits, and at least one."""
    return max(int(round(estimate, 2 - len(str(int(estimate))))), 1)


def short_hash(sha256: str) -> str:
    """The first figures of a hash, enough for a person to tell two apart, `9f3a12c4…`."""
    return f"{sha256[:8]}…"


def names(values: tuple[str, ...], most: int = 3) -> str:
    """A few names and how many more there are, `a, b, c and 4 more`."""
    shown = ", ".join(map(visible, values[:most]))
    return f"{shown} and {len(values) - most} more" if len(values) > most else shown


def short_time(value_in_seconds: float) -> str:
    """What one part of a call takes, `28.0 µs` or `1.20 ms`."""
    return milliseconds(value_in_seconds) if value_in_seconds >= 1e-3 else f"{_three_digits(value_in_seconds * 1e6)} µs"


def gflops(value: float) -> str:
    """Arithmetic a second in 1e9 operations, without its unit, `165`."""
    return _three_digits(value)


_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")
"""What steers a terminal, ends a line, turns the direction of what follows, or no encoding holds."""


def visible(text: str) -> str:
    """The same text in one line, with what would not show, or do something else, written as an escape: `\\x1b`."""
    return text if text.isascii() and text.isprintable() else _HIDDEN.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """The same of several lines, which stay apart."""
    return "\n".join(map(visible, text.split("\n")))


def visible_json(text: str) -> str:
    """JSON whose texts show what they hold; it reads as before."""
    return _HIDDEN.sub(lambda match: match[0] if match[0] in "\n\r\t" else f"\\u{ord(match[0]):04x}", text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")
