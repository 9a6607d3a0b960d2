"""Gates on accuracy: by itself, or its drop against figures that are of the same images."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from assay import units
from assay.records import Check, Estimate, Gate, PublishedAccuracy, Reference, RunRecord
from assay.records.reported import IMAGENET_VALIDATION, ReportedRun
from assay.score import comparable, imagenet, statistics
from assay.score.checks import batches, judged, not_comparable
from assay.score.gates import ACCURACIES, DROPS
from assay.score.points import POINT_DECIDES
from assay.score.sides import SUBJECT, Side

_SUSPICIOUS_GAIN = 10.0
"""Points: no deployment makes a model so much better."""


@dataclass(frozen=True)
class _Expected:
    """A reference's accuracy in percent, or what keeps it from being compared."""

    figure: float | None
    obstacle: str | None = None
    whole: int | None = None
    """How many images the figure is of, where the run's are a sample of those."""


def drop(gate: Gate, subject: Side, reference: Reference | None, other: Side | None) -> Check:
    """How far an accuracy fell below that of a reference, whose side is `other` where it is a record.

    Exact on the reference's own images; on a sample of them with the sample's interval.
    """
    k = DROPS[gate.metric]
    name = f"top-{k}"
    if reference is None:
        return not_comparable(gate, _nothing_published(subject, name))
    expected = _expected(reference, other, subject, k)
    if (obstacle := _cannot_count(subject, k) or expected.obstacle) is not None:
        return not_comparable(gate, obstacle, reference=expected.figure)
    if expected.figure is None:
        return not_comparable(gate, f"{reference.described} has no {name} figure")
    values = {point.batch: value for point in subject.points if (value := point.top(k)) is not None}
    worst = min(values.values(), key=lambda value: value.value)
    if expected.whole is not None:
        count = len(_names(subject.run)) if subject.run is not None else 0
        worst = imagenet.of_sample(worst.value / 100 * count, count)
    fallen = _fallen(expected.figure, worst)
    relative = f" ({units.percent(100 * fallen.value / expected.figure)} relative)" if expected.figure else ""
    where = batches(batch for batch, value in values.items() if value.value == worst.value)
    reason = f"{name} drop {units.points(fallen.value)}{relative} at {where}"
    detail = (
        f"{units.percent(worst.value)} against {units.percent(expected.figure)} ({reference.described}), "
        f"allowed {units.points(gate.bound)}"
    )
    check = judged(
        gate,
        fallen,
        reason,
        detail,
        point_decides=expected.whole is None,
    )
    check = msgspec.structs.replace(
        check,
        reference=expected.figure,
        differences=_differences(subject, other, sampled=expected.whole is not None),
    )
    if expected.whole is None:
        return check
    return msgspec.structs.replace(check, detail=f"{detail}; {_of_sample(check, fallen, subject, expected.whole)}")


def suspicion(check: Check) -> str | None:
    """What is odd about a drop that was judged: an accuracy far above its reference; None if nothing is."""
    if check.gate.metric not in DROPS or check.measured is None or check.reference is None:
        return None
    if check.measured > -_SUSPICIOUS_GAIN:
        return None
    name = check.gate.metric.removesuffix("-drop").replace("top", "top-")
    return (
        f"{name} is {units.points(-check.measured)} above its reference of {units.percent(check.reference)}: "
        "check that the reference is a percentage, and of this model on these images"
    )


def by_itself(gate: Gate, subject: Side) -> Check:
    """An accuracy that must hold at every batch size; of these very images, so the counts decide."""
    k = ACCURACIES[gate.metric]
    if (obstacle := _cannot_count(subject, k)) is not None:
        return not_comparable(gate, obstacle)
    # The batch size that is furthest from holding decides.
    values = {point.batch: value for point in subject.points if (value := point.top(k)) is not None}
    furthest = min if gate.operator in (">=", ">") else max
    decides = furthest(values.values(), key=lambda value: value.value)
    asked = f"asked {gate.operator} {units.percent(gate.bound)}"
    reason = f"top-{k} {units.percent(decides.value)} at {batches(values)}, {asked}"
    return judged(gate, decides, reason, "" if subject.run is not None else POINT_DECIDES, point_decides=True)


def _fallen(expected: float, drop: Estimate) -> Estimate:
    low, high = drop.interval or (None, None)
    return Estimate(
        value=expected - drop.value,
        low=None if high is None else expected - high,
        high=None if low is None else expected - low,
    )


def _of_sample(check: Check, fallen: Estimate, subject: Side, whole: int) -> str:
    """How sure a drop is that was measured on a sample, and what would settle it."""
    images = len(subject.run.dataset.names) if subject.run and subject.run.dataset else 0
    said = f"a sample of {images:,} of the {whole:,} images"
    if fallen.interval is not None:
        said += f": {units.points(fallen.interval[0])} to {units.points(fallen.interval[1])}"
    if check.verdict != "INCONCLUSIVE":
        return said
    wanted = statistics.samples_for(fallen, images, check.gate.bound)
    if wanted is None or wanted >= whole:
        return f"{said}; all {whole:,} would settle it"
    return f"{said}; about {units.rounded(wanted - images):,} images more would settle it"


def _expected(reference: Reference, other: Side | None, subject: Side, k: int) -> _Expected:
    if other is None:
        expected = reference.top1 if k == 1 else reference.top5
        if reference.published is None or subject.run is None:
            return _Expected(expected)
        return _of_published(reference.published, subject.run, k, expected)
    figure = _best(other, k)
    if subject.run is not None and other.run is not None:
        target = _Expected(figure, None if _same_data(subject.run, other.run) else _other_images(other))
    else:
        target = _Expected(figure) if figure is None else _of_reported(subject, other, k, figure)
    if target.obstacle is None and figure is None:
        return _Expected(None, f"{other.said} has no top-{k}")
    return target


def _best(side: Side, k: int) -> float | None:
    return max((share.value for point in side.points if (share := point.top(k)) is not None), default=None)


def _same_data(run: RunRecord, other: RunRecord) -> bool:
    ours, theirs = run.dataset, other.dataset
    if ours is None or theirs is None:
        return False
    return ours.fingerprint == theirs.fingerprint and ours.labels == theirs.labels


def _other_images(other: Side) -> str:
    return f"{other.said} is of other images or labels than {SUBJECT}; run both on the same"


def _of_reported(subject: Side, other: Side, k: int, figure: float) -> _Expected:
    """A figure beside one of which one at least was reported; with why, where they are not of the same images."""
    for side in (subject, other):
        if side.reported is not None and side.reported.dataset is None:
            return _Expected(None, f"the data set of {side.said} is unknown; import it again with dataset=…")
        if side.reported is not None and side.reported.images is None:
            unknown = f"the number of images of {side.said} is unknown; import it again with images=…"
            return _Expected(None, unknown)
    if subject.reported is not None and other.reported is not None:
        ours, theirs = _images(subject.reported), _images(other.reported)
        same = ours.casefold() == theirs.casefold()
        return (
            _Expected(figure) if same else _Expected(None, f"{subject.said} is of {ours}, and {other.said} of {theirs}")
        )
    if other.reported is not None and subject.run is not None:
        return _of_the_runs(other.reported, other, subject.run, subject, k, figure)
    if subject.reported is not None and other.run is not None:
        return _of_the_runs(subject.reported, subject, other.run, other, k, figure)
    return _Expected(figure)


def _of_the_runs(of: ReportedRun, reported: Side, run: RunRecord, measured: Side, k: int, figure: float) -> _Expected:
    """Reported figures beside a run: they bind only the same images or a sample of them, and the same weights."""
    known = (of.dataset or "").casefold() == IMAGENET_VALIDATION.casefold()
    # A sample has an interval where it is judged; as a reference it has none.
    sample = known and reported.reported is not None and measured.said == SUBJECT and imagenet.is_part(run)
    if sample and (obstacle := _not_random(run, k)) is not None:
        return _Expected(None, f"{reported.said} is of {_images(of)}; {obstacle}")
    if not known or not (sample or (len(_names(run)) == of.images and imagenet.is_validation(run))):
        how = "others" if known else f"not known to be those; a run's are known only of {IMAGENET_VALIDATION}"
        return _Expected(
            None,
            f"{reported.said} is of {_images(of)}; these {len(_names(run)):,} of {measured.said} are {how}. "
            f"Give a reference top{k}=… to judge them.",
        )
    theirs, ours = of.weights_md5, reported.points[0].facts["weights"]
    if theirs is None:
        unknown = f"the weights of {reported.said} are unknown; give a reference top{k}=… to judge it"
        return _Expected(None, unknown)
    if any(point.facts["weights"] != ours for point in measured.points):
        return _Expected(
            None,
            f"{reported.said} is of weights with {ours}, which those of {measured.said} are not known to be. "
            f"Give the run the published entry of its weights if they are, or a reference top{k}=…",
        )
    return _Expected(figure, whole=of.images if sample else None)


def _images(reported: ReportedRun) -> str:
    return f"the {reported.images:,} images of {reported.dataset}"


def _differences(subject: Side, other: Side | None, sampled: bool) -> tuple[str, ...]:
    """What a drop is noted with; two runs on the same images are exact, and a sample has an interval."""
    if other is not None and subject.run is not None and other.run is not None:
        return comparable.other_pixels(subject, other)
    if other is None:
        return () if subject.run is not None else (f"interval missing ({POINT_DECIDES})",)
    pairs = {
        "model": (subject.model, other.model),
        **{name: (subject.points[0].facts[name], other.points[0].facts[name]) for name in ("precision", "weights")},
    }
    noted = [f"{name} {a or 'unknown'} against {b or 'unknown'}" for name, (a, b) in pairs.items() if a != b]
    return tuple(noted) if sampled else (*noted, f"interval missing ({POINT_DECIDES})")


def _cannot_count(subject: Side, k: int) -> str | None:
    """Why the subject's own accuracy cannot be judged."""
    run = subject.run
    if run is None:
        known = any(point.top(k) is not None for point in subject.points)
        return None if known else f"{subject.said} has no top-{k} figure"
    if run.dataset is not None and run.dataset.failures:
        left_out = len(run.dataset.failures)
        total = left_out + len(run.dataset.names)
        return f"{left_out} of {total} images were skipped because they cannot be decoded; mend them and run again"
    if run.model.checkpoint is not None and run.model.checkpoint.file is None:
        return "the weights are random, so there is no accuracy to judge; speed and parity stand"
    sizes = {point.batch for point in subject.points}
    counted = [result.accuracy for result in run.results if result.batch in sizes]
    if run.is_of_speed_alone:
        return "speed alone was measured, so there is no accuracy to judge; bench it over a data set for one"
    if any(accuracy is None for accuracy in counted):
        return "the images have no labels; measure them with labels, or score the predictions with assay evaluate"
    if any(len(accuracy.correct_at) < k for accuracy in counted if accuracy):
        return f"the model has fewer than {k} classes"
    return None


def _nothing_published(subject: Side, name: str) -> str:
    if subject.run is None:
        return f"there is nothing to hold {subject.said} against; give guide:published or another record"
    obstacle = _cannot_count(subject, 1)
    if obstacle is not None:
        return obstacle
    told = subject.run.model.name
    return f"no published {name} is known for {told}. Give a reference {name.replace('-', '')}=… to judge it."


def _of_published(published: PublishedAccuracy, run: RunRecord, k: int, expected: float | None) -> _Expected:
    """A published figure beside a run: it binds only its own images or a sample of them, and the same weights."""
    figure = f"published top-{k} {units.percent(expected)}" if expected is not None else f"no top-{k} is published"
    whole = len(_names(run)) == published.images and imagenet.is_validation(run)
    if not whole and imagenet.is_part(run) and (obstacle := _not_random(run, k)) is not None:
        return _Expected(expected, f"{figure} ({published.source}) is of {published.dataset}; {obstacle}")
    if not whole and not imagenet.is_part(run):
        return _Expected(
            expected,
            f"{figure} ({published.source}) is of {published.dataset}; these {len(_names(run)):,} are others. "
            f"Give a reference top{k}=… to judge them.",
        )
    if not published.matched:
        return _Expected(
            expected,
            f"{figure} is of {published.source}, whose file these weights are not (by their sha256). "
            f"Give their published entry if they are, or a reference top{k}=…",
        )
    return _Expected(expected, whole=None if whole else published.images)


def _not_random(run: RunRecord, k: int) -> str | None:
    """Why some of the ImageNet validation images say nothing of them all; None where they look drawn at random."""
    labels = run.dataset.labels if run.dataset is not None and run.dataset.labels is not None else ()
    if imagenet.looks_random(labels):
        return None
    classes = len(set(labels))
    return (
        f"the {len(labels):,} images cover only {classes:,} class{'' if classes == 1 else 'es'}, so they are not a "
        f"random sample. Draw one at random, or give a reference top{k}=… to judge them."
    )


def _names(run: RunRecord) -> tuple[str, ...]:
    return run.dataset.names if run.dataset else ()
