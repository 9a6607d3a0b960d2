"""Images and runs whose names were chosen to do harm: none steers a terminal, a table, a page, or leads elsewhere."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import assay
from assay import demo
from assay.data.transform import TransformChoice
from assay.render.junit import junit
from assay.steps.compare import compare
from assay.whole_run.request import RunRequest
from tests.endurance import commands
from tests.endurance.test_malice import TRANSFORM

HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What must reach no terminal, table or page: it steers the one, or turns the text of the other."""
NAMES = (
    "<script>alert(1)<\N{FRACTION SLASH}script>.png",
    "red\x1b[31m\x1b]0;title\x07.png",
    "line\nPASS   top-1 drop 0.00 points.png",
    "eight\x9b5m\x85bit.png",
    "turned\u202egnp.exe.png",
    "n" * 251 + ".png",
    "-rf.png",
    "{{ 7 * 7 }} '\"&.png",
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images of such names, with one that is damaged and one that is none, and their run."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "images").mkdir()
    lines = [line.split() for line in demo.LABELS.read_text().splitlines()[: len(NAMES)]]
    for (source, _), name in zip(lines, NAMES, strict=True):
        shutil.copy(demo.IMAGES / source, folder / "images" / name)
    (folder / "images" / "bad\x1b[5m\nPASS.png").write_bytes(b"none")
    (folder / "images" / "note\x1b[5m\nPASS.txt").write_bytes(b"none")
    return folder


def _assert_visible(text: str) -> None:
    found = HIDDEN.search(text)
    assert found is None, f"{found[0]!r} in {text[max(0, found.start() - 80) : found.end() + 80]!r}"


def test_hostile_names_go_the_whole_way_and_reach_no_terminal_table_or_page(hostile: Path) -> None:
    words: list[object] = ["run", demo.ONNX, "--images", "images", *TRANSFORM, "--batch=4", "-o", "RUN"]
    ended = commands.ran(words, hostile)
    assert ended.status == 1
    assert "1 of 9 images in images cannot be used" in ended.said
    assert "  bad\\x1b[5m\\nPASS.png: no image format" in ended.said
    _assert_visible(ended.said)
    ended = commands.ran([*words, "--on-error=skip"], hostile)
    assert ended.status == 0, ended.said
    for text in (ended.out, ended.said):
        _assert_visible(text)
        assert not re.search(r"^PASS", text, re.MULTILINE)
    assert "note\\x1b[5m\\nPASS.txt" in ended.said
    ended = commands.ran([*words, "--on-error=skip", "--json"], hostile)
    _assert_visible(ended.out)
    assert set(json.loads(ended.out)["body"]["run"]["dataset"]["names"]) == set(NAMES)
    page = (hostile / "RUN" / "report.html").read_text(encoding="utf-8")
    _assert_visible(page)
    assert "<script" not in page
    assert {path.name for path in hostile.iterdir()} == {"images", "RUN"}


def test_hostile_names_in_the_tables_of_an_evaluation(hostile: Path, tmp_path: Path) -> None:
    run = tmp_path / "RUN"
    plain = [name for name in NAMES if "\n" not in name and "\x85" not in name]
    (tmp_path / "images").mkdir()
    for name in plain:
        shutil.copy(hostile / "images" / name, tmp_path / "images" / name)
    (tmp_path / "labels.txt").write_text("".join(f"{name} 0\n" for name in plain), encoding="utf-8")
    words = ["run", demo.ONNX, "--images=images", "--labels=labels.txt", *TRANSFORM, "--batch=4", "-o", run]
    ended = commands.ran(words, tmp_path)
    assert ended.status == 0, ended.said
    ended = commands.ran(["evaluate", run, "--labels=labels.txt", "--csv=scores.csv"], tmp_path)
    assert ended.status == 0, ended.said
    _assert_visible(ended.out + ended.said)
    text = (tmp_path / "scores.csv").read_text(encoding="utf-8")
    _assert_visible(text)
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == 1 + len(plain)
    assert "red\\x1b[31m\\x1b]0;title\\x07.png" in {row[0] for row in rows}
    _assert_visible((run / "report.html").read_text(encoding="utf-8"))


def test_hostile_names_of_records_are_visible_in_every_form_of_a_comparison(
    tmp_path: Path, demo_choice: TransformChoice
) -> None:
    name = "RUN\x1b[31m\nPASS <script>\u202e"
    run = tmp_path / name
    assay.run(
        replace(
            RunRequest(
                str(demo.ONNX), images=demo.IMAGES, labels=demo.LABELS, **vars(demo_choice), batch=(16,), out="RUN"
            ),
            out=run,
        )
    )
    words = ["compare", name, "--reference=top1=92.5", "--junit=j.xml", "--gate=throughput>=1000000000"]
    for form in ([], ["--markdown"], ["--json"]):
        ended = commands.ran([*words, *form], tmp_path)
        assert ended.status == 3, ended.said
        _assert_visible(ended.out + ended.said)
        assert not re.search(r"^PASS <", ended.out, re.MULTILINE)
    found = compare([run], reference="top1=92.5")
    _assert_visible(junit(found))
    _assert_visible((tmp_path / "j.xml").read_text(encoding="utf-8"))
    shutil.copytree(run, tmp_path / "OLD")
    ended = commands.ran(["compare", name, "--against", "OLD", "--csv=speed.csv"], tmp_path)
    assert ended.status == 0, ended.said
    _assert_visible(ended.out + ended.said + (tmp_path / "speed.csv").read_text(encoding="utf-8"))


def test_a_name_that_is_no_text_is_said_and_not_stumbled_over(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    shutil.copy(next(demo.IMAGES.iterdir()), folder / os.fsdecode(b"\xff\xfe.png"))
    ended = commands.ran(["prepare", "images", *TRANSFORM, "-o", "P"], tmp_path)
    assert ended.status == 1
    assert ended.said.splitlines()[-2:] == [
        "assay: 1 names of files in images are no UTF-8 text; rename them",
        "  \\udcff\\udcfe.png",
    ]


def test_nothing_beside_a_run_is_touched(hostile: Path, tmp_path: Path) -> None:
    """The folder above holds what a run has no business with: it is as it was, whatever the images are called."""
    shutil.copytree(hostile / "images", tmp_path / "images")
    (tmp_path / "theirs.json").write_text("{}")
    before = _everything(tmp_path)
    commands.ran(
        ["run", demo.ONNX, "--images=images", *TRANSFORM, "--on-error=skip", "--batch=4", "-o", "RUN"], tmp_path
    )
    after = _everything(tmp_path)
    assert {name: content for name, content in after.items() if not name.startswith("RUN/")} == before
    assert np.load(tmp_path / "RUN" / "prepared" / "images-00000.npy", mmap_mode="r").shape[0] == len(NAMES)


def _everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
