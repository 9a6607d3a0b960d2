from __future__ import annotations

import io
import sys

import pytest

from assay.progress import Lines, Silent, Stopwatch, Terminal, on_standard_error


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_finished_step_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    Lines().finish("prepare", "200 images → 224×224", "resize 256", 0.42)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.split() == ["prepare", "200", "images", "→", "224×224", "resize", "256", "0.4", "s"]
    assert printed.err.count("\n") == 1


def test_a_step_that_was_kept_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    Lines().finish("export", "net → model.onnx", "opset 11", None)
    assert capsys.readouterr().err.rstrip().endswith("kept")


def test_lines_of_steps_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Lines()
    progress.finish("prepare", "2 images", "resize 256", 1.0)
    progress.finish("bench", "2 images at 2 batch sizes", "idle", None)
    first, second = capsys.readouterr().err.splitlines()
    assert first.index("2 images") == second.index("2 images")
    assert first.index("resize") == second.index("idle")
    assert len(first) == len(second)


def test_a_note_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Lines().note("skipped 1 file: README.md")
    assert capsys.readouterr().err == "note     skipped 1 file: README.md\n"


def test_silence_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Silent()
    progress.start("prepare", 3)
    progress.advance()
    progress.finish("prepare", "3 images", "", 1.0)
    progress.note("nothing")
    assert capsys.readouterr() == ("", "")


def test_plain_lines_are_for_what_is_no_terminal() -> None:
    with on_standard_error() as progress:
        assert type(progress) is Lines


def test_a_bar_is_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", _Terminal())
    with on_standard_error() as progress:
        assert isinstance(progress, Terminal)


def test_quiet_is_silent_on_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", _Terminal())
    with on_standard_error(quiet=True) as progress:
        assert type(progress) is Silent


def test_a_terminal_shows_the_line_of_each_step_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with on_standard_error() as progress:
        for step, kept in (("prepare", 1.0), ("bench", None)):
            progress.start(step, 2)
            progress.advance(2)
            progress.finish(step, f"[bold] of {step}", "a detail", kept)
        progress.note("a note, later")
    shown = screen.getvalue()
    for part in ("[bold] of prepare", "[bold] of bench", "1.0 s", "kept", "a note, later"):
        assert part in shown


def test_an_error_takes_the_bar_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")

    def fail_at_work() -> None:
        with on_standard_error() as progress:
            progress.start("prepare", 2)
            raise ValueError("at work")

    with pytest.raises(ValueError, match="at work"):
        fail_at_work()
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    assert screen.getvalue().count(hidden) == screen.getvalue().count(shown) == 1


def test_a_stopwatch_never_runs_backwards() -> None:
    watch = Stopwatch()
    assert 0.0 <= watch.seconds <= watch.seconds
