"""From a matplotlib figure to SVG that is part of a page: its text and colours are the page's own.

Colours are drawn as stand-ins and written as CSS variables, so that a chart follows the page from light to dark.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast
from xml.etree import ElementTree

from markupsafe import Markup

from assay.render.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 340.0
"""Units of a chart: as many as a phone has pixels, so that its text is not smaller there than elsewhere."""
LETTER = 6.6
"""The width of a letter, for the room that names need."""
LONGEST_NAME = 20
INK, MUTED, GRID, SURFACE = "#010101", "#010102", "#010103", "#010104"
SERIES = ("#010201", "#010202", "#010203", "#010204", "#010205", "#010206")

_VARIABLES: Mapping[str, str] = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    SURFACE: "var(--surface)",
    **{stand_in: f"var(--series-{number})" for number, stand_in in enumerate(SERIES, 1)},
}
_FONT_SIZE = 11.0
_POINTS_AN_INCH = 72.0
"""Matplotlib measures figures in inches and writes SVG in points: a point here is a unit of the view box."""
_SETTINGS: Mapping[str, Any] = {
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "font.family": ["DejaVu Sans"],  # matplotlib's own, which it always finds; the page's font takes its place
    "font.size": _FONT_SIZE,
    "grid.color": GRID,
    "hatch.linewidth": 1.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "assay",
    "text.color": INK,
    "text.parse_math": False,  # a name may hold dollar signs
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
}
_URL = re.compile(r"url\(#([\w-]+)\)")
_FONT = re.compile(r"font-family:[^;]*;?")


@contextmanager
def axes(width: float, height: float, left: float, bottom: float = 26, right: float = 10) -> Iterator[Axes]:
    """Axes in a figure of so many units, with these margins; what is drawn into them follows the page's style."""
    import matplotlib

    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it would tell of fonts and caches, which are nothing to a reader
    try:
        with matplotlib.rc_context(cast(Any, _SETTINGS)), warnings.catch_warnings():
            # Its own font has no glyph for some names; the page's fonts may have.
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            from matplotlib.figure import Figure

            figure = Figure(figsize=(width / _POINTS_AN_INCH, height / _POINTS_AN_INCH))
            area = (left / width, bottom / height, (width - left - right) / width, (height - bottom - 8) / height)
            made = figure.add_axes(area)
            made.spines[["top", "right", "left"]].set_visible(False)
            made.tick_params(length=0)
            made.set_axisbelow(True)
            yield made
    finally:
        logger.setLevel(level)


def inline(drawn: Axes, name: str, title: str, description: str) -> Markup:
    """The figure of these axes as an SVG element; `name` tells its identifiers from those of other charts."""
    root = ElementTree.fromstring(_written(drawn.get_figure(root=True)))  # noqa: S314 - matplotlib's own output
    _drop(root, "metadata", "style")
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {
            key.rpartition("}")[2]: _value(key.rpartition("}")[2], value, name) for key, value in element.items()
        }
    for number, (tag, text) in enumerate((("title", title), ("desc", description))):
        told = ElementTree.Element(tag, {"id": f"{name}-{tag}"})
        told.text = printable(text)
        root.insert(number, told)
    box = root.get("viewBox", "")
    root.attrib = {
        "viewBox": box,
        "class": "chart",
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-desc",
    }
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704 - the tree's writer escapes all text


def _written(figure: Figure | None) -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    text = io.StringIO()
    if figure is not None:
        FigureCanvasSVG(figure)
        figure.savefig(text, format="svg", metadata={"Date": None}, transparent=True)
    return text.getvalue()


def _drop(root: ElementTree.Element, *names: str) -> None:
    """Takes elements out: a style among them would be one for the whole page."""
    for parent in root.iter():
        for child in [child for child in parent if child.tag.rpartition("}")[2] in names]:
            parent.remove(child)


def _value(attribute: str, value: str, name: str) -> str:
    """An attribute's value with the page's colours, and with identifiers that are unique on the page."""
    if attribute == "id":
        return f"{name}-{value}"
    if attribute == "href":
        return f"#{name}-{value.removeprefix('#')}"
    value = _FONT.sub("", _URL.sub(rf"url(#{name}-\1)", value))
    for stand_in, variable in _VARIABLES.items():
        value = value.replace(stand_in, variable)
    return value
