"""The guide's files, byte for byte."""

from __future__ import annotations

import json

from assay.records import Accuracy


def result_json(accuracy: Accuracy) -> str:
    """The guide's `result.json`: the figures are strings, percentages rounded to two decimals as Python prints them.

    The form is that of `imagenet_acc_eval.py`: `47.0%`, not `47.00%`.
    """
    values = [
        {"key": "Number of images", "value": str(accuracy.count)},
        {"key": "Number of classes", "value": str(accuracy.classes)},
        *(
            {"key": f"Top{k} accuracy", "value": f"{round(accuracy.top(k), 2)}%"}
            for k in range(1, len(accuracy.correct_at) + 1)
        ),
    ]
    return json.dumps({"title": "Overall statistical evaluation", "value": values})
