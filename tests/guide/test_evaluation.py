from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from assay.errors import DatasetError, UsageError
from assay.guide import dumps
from assay.guide.evaluation import evaluate
from tests.messages import assert_says


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Dumps of three images of three classes: the first is right, the second is right at the second place."""
    made = tmp_path / "dumps"
    made.mkdir()
    for name, scores in {"a": [9, 1, 2], "b": [5, 6, 4], "c": [1, 2, 3]}.items():
        (made / dumps.file_name(name, binary=False)).write_bytes(
            dumps.content(np.array(scores, np.float32), binary=False)
        )
    (tmp_path / "labels.txt").write_text("a.JPEG 0\nb.JPEG 0\nc.JPEG 1\n")
    return made


def test_the_originals_result_is_ours_to_the_last_byte(material: Path, tmp_path: Path) -> None:
    golden = material / "golden"
    evaluate(golden / "dumpOutput_device0", material / "labels" / "val_label.txt", tmp_path / "result.json")
    assert (tmp_path / "result.json").read_bytes() == (golden / "result.json").read_bytes()


def test_hits_are_counted_by_rank(folder: Path) -> None:
    accuracy = evaluate(folder, folder.parent / "labels.txt", folder.parent / "out" / "result.json")
    assert accuracy.correct_at == (1, 3, 3)
    values = json.loads((folder.parent / "out" / "result.json").read_text())["value"]
    assert values[0] == {"key": "Number of images", "value": "3"}
    assert values[2] == {"key": "Top1 accuracy", "value": "33.33%"}


def test_labels_of_1001_classes_are_shifted_by_one(tmp_path: Path) -> None:
    (tmp_path / "dumps").mkdir()
    scores = np.zeros(1001, np.float32)
    scores[8] = 1
    (tmp_path / "dumps" / "a_1.bin").write_bytes(dumps.content(scores, binary=True))
    (tmp_path / "labels.txt").write_text("a.JPEG 7\n")
    accuracy = evaluate(tmp_path / "dumps", tmp_path / "labels.txt", tmp_path / "result.json")
    assert (accuracy.correct_at[0], accuracy.label_shift) == (1, 1)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ("a.JPEG 0\nb.JPEG 0\nc.JPEG 1\nd.JPEG 1\n", ("1 of 4 images", "line 4: d, expected d_1.txt")),
        ("a.JPEG 0\nb.JPEG 0\n", ("1 of 3 dumps", "have no label", "c_1.txt")),
        ("a.JPEG 0\na.png 0\nb 0\nc 1\n", ("1 lines", "line 2: 'a.png' is 'a' up to its first dot, as is line 1")),
        ("a.JPEG 0\nb.JPEG x\nc.JPEG 1\n", ("line 2",)),
        ("a.JPEG 0\nb.JPEG 3\nc.JPEG 1\n", ("labels.txt: 1 of 3 labels", "0 to 2", "line 2: b with class 3")),
    ],
)
def test_images_and_labels_that_do_not_match_are_named_and_nothing_is_written(
    labels: str, said: tuple[str, ...], folder: Path
) -> None:
    path = folder.parent / "labels.txt"
    path.write_text(labels)
    with pytest.raises(DatasetError) as caught:
        evaluate(folder, path, folder.parent / "result.json")
    assert_says(caught, *said)
    assert not (folder.parent / "result.json").exists()


def test_the_result_does_not_go_among_the_dumps(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        evaluate(folder, folder.parent / "labels.txt", folder / "result.json")
    assert_says(caught, "among the dumps")


def test_a_label_of_1000_is_none_of_1001_classes_of_which_one_is_the_background(tmp_path: Path) -> None:
    (tmp_path / "dumps").mkdir()
    (tmp_path / "dumps" / "a_1.bin").write_bytes(dumps.content(np.zeros(1001, np.float32), binary=True))
    (tmp_path / "labels.txt").write_text("a.JPEG 1000\n")
    with pytest.raises(DatasetError) as caught:
        evaluate(tmp_path / "dumps", tmp_path / "labels.txt", tmp_path / "result.json")
    assert_says(caught, "0 to 999", "line 1: a with class 1000")


def test_a_damaged_dump_writes_nothing(folder: Path) -> None:
    (folder / "b_1.txt").write_text("1.0 two 3.0 \n")
    with pytest.raises(DatasetError) as caught:
        evaluate(folder, folder.parent / "labels.txt", folder.parent / "result.json")
    assert_says(caught, "b_1.txt line 1: value 2 is 'two'")
    assert not (folder.parent / "result.json").exists()
