"""Predictions as a table for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from assay.records import ScoredImage
from assay.units import visible


def predictions_csv(images: Iterable[ScoredImage]) -> str:
    """A line an image, `name,label,class1..5,score1..5`; the name is the file's, suffix and all, made visible."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for number, image in enumerate(images):
        if number == 0:
            ranks = range(1, len(image.classes) + 1)
            writer.writerow(["name", "label", *(f"class{k}" for k in ranks), *(f"score{k}" for k in ranks)])
        scores = (f"{score:.6f}" for score in image.scores)
        writer.writerow([visible(image.name), image.label, *image.classes, *scores])
    return text.getvalue()
