from __future__ import annotations

from assay.records import ScoredImage
from assay.render.predictions_csv import predictions_csv


def _image(name: str, classes: tuple[int, ...], scores: tuple[float, ...]) -> ScoredImage:
    return ScoredImage(name=name, label=classes[0], classes=classes, scores=scores)


def test_an_image_is_a_line_with_its_class_and_its_five_best() -> None:
    text = predictions_csv([_image("a.JPEG", (90, 14, 88, 136, 23), (48.341682, 34.05, 32.0, 30.25, 27.125))])
    assert text == (
        "name,label,class1,class2,class3,class4,class5,score1,score2,score3,score4,score5\n"
        "a.JPEG,90,90,14,88,136,23,48.341682,34.050000,32.000000,30.250000,27.125000\n"
    )


def test_a_model_of_two_classes_has_two_columns_of_each() -> None:
    assert predictions_csv([_image("a.png", (1, 0), (0.5, -0.5))]) == (
        "name,label,class1,class2,score1,score2\na.png,1,1,0,0.500000,-0.500000\n"
    )


def test_a_name_keeps_its_spaces_and_commas() -> None:
    text = predictions_csv([_image("space, and ünïcode 图.jpg", (0,), (1.0,))])
    assert text.splitlines()[1] == '"space, and ünïcode 图.jpg",0,0,1.000000'
