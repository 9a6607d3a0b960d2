"""When two speeds are comparable: what blocks their ratio, and what is noted beside it."""

from __future__ import annotations

from assay import environment, units
from assay.records import Estimate, OnnxModel, RunRecord, ThroughputKind
from assay.score import figures, statistics
from assay.score.points import POINT_DECIDES, Missing, Point
from assay.score.sides import Side

_OF_RUNS = ("backend", "device", "processor", "precision", "input", "pixels from")
"""The facts that two runs are told apart by; of one backend the settings as well."""
_OF_ANY = ("tool", "device", "precision", "weights", "input size", "pixels", "transfers", "dies a card")
"""The facts that are known of runs and of reported figures alike."""


def obstacle(one: Side, other: Side) -> str | None:
    """Why the two sides' speeds say nothing of each other; None where they do."""
    if one.run is not None and other.run is not None:
        return _between_runs(one.run, other.run)
    for side in (one, other):
        if side.model is None:
            return f"the model of {side.said} is unknown; import it again with model=…"
    if one.model != other.model:
        return f"another model: {one.model} against {other.model}"
    if None not in (one.input_side, other.input_side) and one.input_side != other.input_side:
        return f"another input size: {one.input_side} against {other.input_side}"
    if None not in (one.scenario, other.scenario) and one.scenario != other.scenario:
        return f"another scenario: {one.scenario} against {other.scenario}"
    return None


def differences(one: Side, mine: Point, other: Side, theirs: Point) -> tuple[str, ...]:
    """What a ratio of two points is noted with: facts in which they differ, or that one of them lacks."""
    between_runs = one.run is not None and other.run is not None
    names = _OF_RUNS if between_runs else _OF_ANY
    if between_runs and mine.facts["backend"] == theirs.facts["backend"]:
        names = (*names, "settings")
    pairs = [(name, mine.facts[name], theirs.facts[name]) for name in names]
    noted = [f"{name} {a or 'unknown'} against {b or 'unknown'}" for name, a, b in pairs if a != b]
    if not between_runs:
        noted.append(f"interval missing ({POINT_DECIDES})")
    return (*noted, *other_pixels(one, other), *busy(one, mine), *busy(other, theirs))


def ratio(one: Side, other: Side, kind: ThroughputKind) -> Estimate | Missing:
    """The best throughput of one side over that of another, which may be reported without samples.

    The interval is wide enough for every pair of batch sizes that might have been the best.
    """
    mine, theirs = one.best(kind), other.best(kind)
    if isinstance(mine, Missing):
        return mine
    if isinstance(theirs, Missing):
        return theirs
    (point, own), (his, their_own) = mine, theirs
    if point.performance is not None and his.performance is not None:
        confidence = statistics.confidence_for_best_of(len(one.points) * len(other.points))
        return figures.ratio(point.performance, his.performance, kind, confidence)
    return Estimate(value=own.value / their_own.value, obstacle=POINT_DECIDES)


def other_pixels(one: Side, other: Side) -> tuple[str, ...]:
    """What is noted of two runs whose machines make other pixels of the same files."""
    if one.run is None or other.run is None:
        return ()
    ours, theirs = (side.run.environment.transform_fingerprint for side in (one, other) if side.run is not None)
    if ours is None or theirs is None or ours == theirs:
        return ()
    return (
        f"transform fingerprint {units.short_hash(ours)} against {units.short_hash(theirs)}: the decoders make other "
        "pixels of the same images, which alone may move an accuracy by a point",
    )


def busy(side: Side, point: Point) -> tuple[str, ...]:
    """What is noted of a figure that was measured while others used the machine."""
    performance = point.performance
    if performance is None or performance.machine.busiest <= environment.BUSY_SHARE:
        return ()
    users = sorted(performance.machine.users, key=lambda user: -(user.share or 0.0))
    who = f" ({units.names(tuple(dict.fromkeys(user.name for user in users)))})" if users else ""
    return (f"the machine of {side.said} was {units.share(performance.machine.busiest)} busy with others{who}",)


def _between_runs(run: RunRecord, other: RunRecord) -> str | None:
    ours, theirs = run.model, other.model
    if not _same_model(ours, theirs):
        sides = (f"{model.name} {units.short_hash(model.file.sha256)}" for model in (ours, theirs))
        return f"another model: {' against '.join(sides)}"
    if ours.transform.crop != theirs.transform.crop:
        return f"another input size: {ours.transform.crop} against {theirs.transform.crop}"
    return None


def _same_model(ours: OnnxModel, theirs: OnnxModel) -> bool:
    """The same float32 model, or exports of the same architecture with the same weights; a name alone proves nothing.

    One in 8 bits is the model that it was made from: in which precision it computes is noted.
    """
    if _float_sha256(ours) == _float_sha256(theirs):
        return True
    one, two = ours.checkpoint, theirs.checkpoint
    if one is None or two is None or one.architecture != two.architecture:
        return False
    return (one.file.sha256 if one.file else None) == (two.file.sha256 if two.file else None)


def _float_sha256(model: OnnxModel) -> str:
    return model.quantization.float_model_sha256 if model.quantization else model.sha256
