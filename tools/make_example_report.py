"""Makes the example page of the documentation, and the picture of it in the README: the demo's run.

    python tools/make_example_report.py

The picture needs Debian's chromium and the development packages. Paths of the machine are taken out of the page.
"""

import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from assay import demo
from assay.page.report import report
from assay.whole_run.demo import run_demo

DOCS = Path(__file__).parents[1] / "docs"
PAGE, PICTURE = DOCS / "example-report.html", DOCS / "example-report.png"
WIDTH, HEIGHT = 1120, 1330


def main() -> None:
    """Runs the demo in a folder of its own, and writes both files."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder).resolve() / "RUN-demo"
        run_demo(out, command="assay demo -o RUN-demo")
        page = report([out]).path.read_text(encoding="utf-8")
    for path, shown in ((out, "RUN-demo"), (demo.IMAGES.resolve(), "demo/images")):
        page = page.replace(str(path), shown)
    PAGE.write_text(page, encoding="utf-8")
    _take_picture(PAGE, PICTURE)
    print(f"{PAGE.name} {PAGE.stat().st_size:,} bytes, {PICTURE.name} {PICTURE.stat().st_size:,} bytes")


def _take_picture(page: Path, picture: Path) -> None:
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        shown.goto(page.as_uri())
        shown.screenshot(path=picture)
        browser.close()
    Image.open(picture).convert("RGB").save(picture, optimize=True)


if __name__ == "__main__":
    main()
