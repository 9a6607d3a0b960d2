from __future__ import annotations

import pytest

from assay.render.text import printable, shortened


@pytest.mark.parametrize("plain", ["", "tabby, cat.png", "猫.png", "é—…", "<script>", "two\nlines\tand a tab"])
def test_what_can_be_shown_is_shown_as_it_is(plain: str) -> None:
    assert printable(plain) == plain


@pytest.mark.parametrize("hidden", ["\x00", "\x1b", "\x85", "\u202e", "\u2066", "\ud800", "\uffff"])
def test_what_hides_or_breaks_a_page_is_made_visible(hidden: str) -> None:
    assert printable(f"a{hidden}b") == "a\ufffdb"


def test_a_long_text_keeps_its_ends() -> None:
    assert shortened("0123456789", 10) == "0123456789"
    assert shortened("0123456789x", 10) == "01234…789x"
    assert all(len(shortened("x" * length, 7)) <= 7 for length in range(30))
