"""Whether an accuracy looks as if the labels, or the pixels, were not this model's."""

from __future__ import annotations

from assay import units
from assay.records import Accuracy
from assay.score.accuracy import SHIFTED

_CHANCE = 0.01
"""A top-1 that guessing reaches more often than this is at the level of chance."""
_LEAST_WRONG = 10
"""So many images at least must be wrong by chance, or a good score could not be told from guessing."""
_BY_LUCK = 0.005
_OFF_BY_ONE = 1 / 3
"""The share of images that must be right with other labels: a few classes in another order reach less by luck."""


def warnings(accuracy: Accuracy, *, trained: bool = True) -> tuple[str, ...]:
    """What to know of an accuracy before trusting it; that of a network that is not `trained` may be any."""
    told = _shift(accuracy)
    if not trained:
        return told
    beside = _beside(accuracy)
    if beside is not None:
        return (*told, beside)
    return (*told, chance) if (chance := _chance(accuracy)) is not None else told


def _shift(accuracy: Accuracy) -> tuple[str, ...]:
    if not accuracy.shift_by_score or accuracy.correct_beside is None:
        return (SHIFTED,) if accuracy.label_shift else ()
    taken, other = ("1 is added to each label", "unchanged")
    if not accuracy.label_shift:
        taken, other = ("labels taken unchanged", "with 1 added")
    return (
        f"the labels name neither the first nor the last of the model's {accuracy.classes} classes, so they may count "
        f"the background or not: {taken} (top-1 {units.percent(accuracy.top(1))}; "
        f"{_percent(accuracy.correct_beside[0 if accuracy.label_shift else 1], accuracy)} {other})",
    )


def _beside(accuracy: Accuracy) -> str | None:
    """Labels that would score far better if each were one more or one less."""
    from scipy import special

    if accuracy.correct_beside is None or accuracy.correct_by_chance is None:
        return None
    correct, guessed = accuracy.correct_at[0], max(accuracy.correct_by_chance / accuracy.count, 1 / accuracy.classes)
    for right, change in zip(accuracy.correct_beside, ("taken from", "added to"), strict=True):
        likely = right > max(2 * correct, _OFF_BY_ONE * accuracy.count)
        if likely and float(special.bdtrc(right - 1, accuracy.count, guessed)) < _BY_LUCK:
            return (
                f"the labels seem to be off by one: top-1 is {units.percent(accuracy.top(1))} as they are, and "
                f"{_percent(right, accuracy)} with 1 {change} every label"
            )
    return None


def _chance(accuracy: Accuracy) -> str | None:
    """A top-1 no better than guessing, by the binomial tail of what guessing gives."""
    from scipy import special

    expected, count, correct = accuracy.correct_by_chance, accuracy.count, accuracy.correct_at[0]
    if expected is None:
        return None
    unlike_half_right = float(special.bdtr(correct, count, 0.5)) < _CHANCE
    if count - expected < _LEAST_WRONG and not unlike_half_right:
        return None
    if correct and float(special.bdtrc(correct - 1, count, expected / count)) <= _CHANCE:
        return None
    return (
        f"top-1 {units.percent(accuracy.top(1))} is no better than guessing ({units.percent(100 * expected / count)}): "
        "check that the labels, the order of classes, the order of channels (RGB) and the normalisation are this "
        "model's"
    )


def _percent(correct: int, accuracy: Accuracy) -> str:
    return units.percent(100 * correct / accuracy.count)
