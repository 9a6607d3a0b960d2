"""The page in a real browser: nothing is cut off, nothing is said on its console, and everybody can read it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay import units
from assay.page.report import report
from assay.records import Verdict
from assay.steps import compare
from assay.steps.results import load_run
from assay.storage import store
from tests import pages, searches

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian's package of that name)"),
    pytest.mark.xdist_group("browser"),
]
OPTIONS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
SIZES = {"desk": 1280, "phone": 390}

CUT_OFF = """() => {
  const shown = document.documentElement.clientWidth;
  const outside = [...document.querySelectorAll("body *")]
    .filter(element => !element.closest(".scroll") || element.matches(".scroll"))
    .filter(element => !element.closest("defs, title, desc"))
    .filter(element => !element.closest("svg") || element.matches("svg, text"))
    .filter(element => {
      const box = element.getBoundingClientRect();
      const within = element.matches("text") ? element.closest("svg").getBoundingClientRect() : {left: 0, right: shown};
      return box.width > 0 && (box.left < within.left - 1 || box.right > within.right + 1);
    });
  return outside.map(element => element.tagName + " " + element.textContent.trim().slice(0, 60));
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all that a page can show, by hostile names."""
    made = tmp_path_factory.mktemp("RUN")
    searches.beside(made, pages.run(made))
    report([made])
    report([made, Path("guide:310P-tuned"), Path("guide:310"), Path("guide:T4")], out=made / "comparison.html")
    return made


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium with a new, empty profile."""
    with playwright.sync_playwright() as started:
        context = started.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"), executable_path=CHROMIUM, headless=True, args=OPTIONS.split()
        )
        yield context
        context.close()


class _Opened:
    """A page as the browser shows it, and what it said."""

    def __init__(self, browser: Any, file: Path, width: int = 1280, scheme: str = "light") -> None:
        self.page = browser.new_page()
        self.said: list[str] = []
        self.fetched: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", self._on_dialog)
        self.page.on("request", lambda request: self.fetched.append(request.url))
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.emulate_media(color_scheme=scheme)
        self.page.goto(file.as_uri())

    def _on_dialog(self, dialog: Any) -> None:
        self.said.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.page.close()


FILES = pytest.mark.parametrize("name", ["report.html", "comparison.html"])


@pytest.mark.long
@FILES
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_cut_off(browser: Any, folder: Path, name: str, size: str) -> None:
    with _Opened(browser, folder / name, SIZES[size]) as opened:
        assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert opened.page.evaluate(CUT_OFF) == []


@FILES
def test_the_console_stays_empty_and_nothing_is_fetched(browser: Any, folder: Path, name: str) -> None:
    with _Opened(browser, folder / name) as opened:
        opened.page.wait_for_load_state("networkidle")
        assert opened.said == []
        elsewhere = [url for url in opened.fetched if not url.startswith("data:")]
        assert elsewhere == [(folder / name).as_uri()]
        assert opened.page.evaluate("document.scripts.length") == 0


@pytest.mark.long
@FILES
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, folder: Path, name: str, scheme: str) -> None:
    with _Opened(browser, folder / name, scheme=scheme) as opened:
        found = axe.Axe().run(opened.page).response["violations"]
        assert [
            (one["id"], one["impact"], [node["html"][:200] for node in one["nodes"]][:3])
            for one in found
            if one["impact"] in ("serious", "critical")
        ] == []


def test_the_figures_shown_are_those_of_the_record(browser: Any, folder: Path) -> None:
    with _Opened(browser, folder / "report.html") as opened:
        rows = opened.page.locator("section[aria-labelledby=throughput] tbody tr").all()
        figures = compare.figures(load_run(folder))
        assert len(rows) == len(figures)
        for row, found in zip(rows, figures, strict=True):
            shown = row.inner_text()
            assert shown.startswith(str(found.batch))
            assert units.rate(found.end_to_end_throughput.value) in shown
            assert units.rate(found.interface_throughput.value) in shown
            for low, high in filter(None, (found.end_to_end_throughput.interval, found.interface_throughput.interval)):
                assert f"{units.rate(low)} to {units.rate(high)}" in shown


def test_the_accuracies_shown_are_those_of_the_record(browser: Any, folder: Path) -> None:
    record = load_run(folder)
    counted = record.results[0].accuracy
    assert counted is not None
    with _Opened(browser, folder / "report.html") as opened:
        rows = opened.page.locator("[aria-label='Accuracy, top-1 to top-5'] tbody tr").all()
        found = compare.figures(record)[0].top
        assert len(rows) == len(found) == 5
        for k, (row, one) in enumerate(zip(rows, found, strict=True), 1):
            assert one.interval is not None
            low, high = one.interval
            rank, ours, *_ = row.locator("th, td").all_inner_texts()
            assert rank == f"top-{k}"
            assert ours.split("\n") == [
                units.percent(one.value),
                f"{units.percent(low)} to {units.percent(high)}",
                f"{counted.correct_at[k - 1]} of {counted.count}",
            ]
        (tile,) = opened.page.locator(".tile", has_text="top-1").all()
        assert tile.locator(".figure").inner_text() == units.percent(found[0].value)


def test_the_verdict_shown_is_that_of_the_record(browser: Any, folder: Path) -> None:
    record = load_run(folder)
    verdict = store.read(folder / "verdict.json", Verdict)
    with _Opened(browser, folder / "report.html") as opened:
        shown = opened.page.locator(".verdict")
        assert shown.locator(".word").inner_text().endswith(str(verdict.word))
        gates = shown.locator(".gates > li").all()
        assert len(gates) == len(verdict.checks) == 1
        for gate, check in zip(gates, verdict.checks, strict=True):
            text = gate.inner_text()
            for said in (check.verdict, check.reason, check.detail, check.gate.text, *check.differences):
                assert said in text
        hashes = shown.locator(".judged .hash").all_inner_texts()
        assert record.dataset is not None
        judged = (verdict.model_sha256, *verdict.artifact_sha256, record.dataset.fingerprint)
        assert hashes == [units.short_hash(str(one)) for one in judged]


def test_names_are_shown_letter_by_letter(browser: Any, folder: Path) -> None:
    with _Opened(browser, folder / "report.html") as opened:
        shown = opened.page.locator(".picture figcaption > .name").all_inner_texts()
        assert "<script>alert(1)</script>.png" in shown
        assert "{{ 7 * 7 }}&amp;$\\frac{1}$.png" in shown
        assert opened.page.locator("svg text", has_text="preprocess <b>$x$").count() == 2


def test_every_picture_is_drawn(browser: Any, folder: Path) -> None:
    with _Opened(browser, folder / "report.html") as opened:
        widths = opened.page.evaluate("[...document.images].map(image => image.naturalWidth)")
        assert len(widths) == 8
        assert all(widths)


def test_charts_follow_light_and_dark(browser: Any, folder: Path) -> None:
    ink = "getComputedStyle(document.querySelector('svg text[style*=ink]')).fill"
    colours = []
    for scheme in ("light", "dark"):
        with _Opened(browser, folder / "report.html", scheme=scheme) as opened:
            colours.append(opened.page.evaluate(ink))
    assert colours == ["rgb(23, 26, 31)", "rgb(232, 235, 240)"]


@FILES
def test_print_fits_its_paper(browser: Any, folder: Path, name: str) -> None:
    with _Opened(browser, folder / name, 688) as opened:  # A4 between its margins
        opened.page.emulate_media(media="print")
        assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
