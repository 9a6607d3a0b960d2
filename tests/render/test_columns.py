from __future__ import annotations

from assay.render import columns


def test_a_wide_table_breaks_its_headers_and_texts_and_never_a_figure() -> None:
    headers = ["batch", *(f"guide:310P-tuned-{number}" for number in range(4)), "state"]
    rows = [["16", *["1003.800 ±0.1 %"] * 2, *["1.603"] * 2, "a sentence that goes on and on for a while"]]
    shown = columns.aligned(headers, rows, left={"state"})
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.count("1003.800 ±0.1 %") for line in lines) == 2
    assert "a sentence" in shown
