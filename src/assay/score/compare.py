"""Judging a run by gates, against figures and other runs: what is comparable, and what was found."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence

from assay import units
from assay.records import BatchResult, Check, Gate, OnnxModel, Reference, RunRecord, Verdict, VerdictWord
from assay.score.gates import ACCURACIES, DROPS, LATENCIES, check

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_THROUGHPUTS: Mapping[str, Callable[[BatchResult], float]] = {
    "throughput": lambda result: result.performance.interface_throughput,
    "interface": lambda result: result.performance.interface_throughput,
    "end-to-end": lambda result: result.performance.end_to_end_throughput,
}


def judge(run: RunRecord, gates: Sequence[Gate], references: Sequence[Reference]) -> Verdict:
    """The verdict on a run: every gate, accuracy first."""
    for gate in gates:
        check(gate, [reference.name for reference in references])
    ordered = sorted(gates, key=lambda gate: gate.metric not in DROPS and gate.metric not in ACCURACIES)
    return Verdict(
        artifact_sha256=tuple(result.compiled.file.sha256 for result in run.results),
        model_sha256=run.model.sha256,
        dataset_fingerprint=run.dataset.fingerprint if run.dataset else None,
        checks=tuple(_check(gate, run, references) for gate in ordered),
    )


def _check(gate: Gate, run: RunRecord, references: Sequence[Reference]) -> Check:
    results = [result for result in run.results if gate.batch in (None, result.batch)]
    if not results:
        measured = ", ".join(str(result.batch) for result in run.results)
        return _verdict(gate, "NOT COMPARABLE", f"batch {gate.batch} was not measured; measured: {measured}")
    if gate.metric in DROPS:
        return _drop(gate, run, results, references)
    if gate.metric in ACCURACIES:
        return _accuracy(gate, run, results)
    if gate.reference is not None and gate.reference not in _THROUGHPUTS:
        return _ratio(gate, run, results, _reference(gate, references))
    return _speed(gate, results)


def _drop(gate: Gate, run: RunRecord, results: Sequence[BatchResult], references: Sequence[Reference]) -> Check:
    k = DROPS[gate.metric]
    reference = _reference(gate, references) if gate.reference else (references[0] if references else None)
    name = f"top-{k}"
    if reference is None:
        return _verdict(gate, "NOT COMPARABLE", _nothing_published(run, name))
    expected, obstacle = _expected_accuracy(reference, run, k)
    if (obstacle := _cannot_count(run, results, k) or obstacle) is not None:
        return _verdict(gate, "NOT COMPARABLE", obstacle, reference=expected)
    if expected is None:
        return _verdict(gate, "NOT COMPARABLE", f"{reference.described} has no {name} figure")
    found = {result.batch: result.accuracy.top(k) for result in results if result.accuracy}
    worst = min(found.values())
    drop = expected - worst
    relative = f" ({units.percent(100 * drop / expected)} relative)" if expected else ""
    where = _batches(batch for batch, value in found.items() if value == worst)
    reason = f"{name} drop {units.points(drop)}{relative} at {where}"
    detail = (
        f"{units.percent(worst)} against {units.percent(expected)} ({reference.described}), "
        f"allowed {units.points(gate.bound)}"
    )
    return _verdict(gate, _holds(gate, drop), reason, detail, measured=drop, reference=expected)


def _accuracy(gate: Gate, run: RunRecord, results: Sequence[BatchResult]) -> Check:
    k = ACCURACIES[gate.metric]
    if (obstacle := _cannot_count(run, results, k)) is not None:
        return _verdict(gate, "NOT COMPARABLE", obstacle)
    # The batch size that is furthest from holding decides.
    values = [result.accuracy.top(k) for result in results if result.accuracy]
    decides = min(values) if gate.operator in (">=", ">") else max(values)
    where = _batches(result.batch for result in results)
    reason = f"top-{k} {units.percent(decides)} at {where}, asked {gate.operator} {units.percent(gate.bound)}"
    return _verdict(gate, _holds(gate, decides), reason, measured=decides)


def _speed(gate: Gate, results: Sequence[BatchResult]) -> Check:
    if gate.metric in LATENCIES:
        field = LATENCIES[gate.metric]
        values = {result.batch: float(getattr(result.performance.latency, field)) for result in results}
        batch = max(values, key=values.__getitem__)
        if gate.operator in (">=", ">"):
            batch = min(values, key=values.__getitem__)
        shown, bound = units.milliseconds(values[batch]), units.milliseconds(gate.bound)
        reason = f"{gate.metric} {shown} at batch {batch}, asked {gate.operator} {bound}"
        return _verdict(gate, _holds(gate, values[batch]), reason, measured=values[batch])
    best = _best(gate.metric, results)
    own = _THROUGHPUTS[gate.metric](best)
    if gate.reference is None:
        reason = (
            f"{gate.metric} {units.rate(own)} at batch {best.batch}, asked {gate.operator} {units.rate(gate.bound)}"
        )
        return _verdict(gate, _holds(gate, own), reason, measured=own)
    other = _THROUGHPUTS[gate.reference](best)
    reason = (
        f"{gate.metric} over {gate.reference} {units.ratio(own / other)} at batch {best.batch}, "
        f"asked {gate.operator} {units.ratio(gate.bound)}"
    )
    detail = f"{units.rate(own)} over {units.rate(other)}"
    return _verdict(gate, _holds(gate, own / other), reason, detail, measured=own / other, reference=other)


def _ratio(gate: Gate, run: RunRecord, results: Sequence[BatchResult], reference: Reference) -> Check:
    other = reference.run
    if other is None:
        return _verdict(gate, "NOT COMPARABLE", f"{reference.described} has no speed")
    theirs = [result for result in other.results if gate.batch in (None, result.batch)]
    obstacle = _blocks_ratio(run, other)
    if not theirs:
        obstacle = f"{reference.described} has no batch {gate.batch}"
    if obstacle is not None:
        return _verdict(gate, "NOT COMPARABLE", obstacle)
    if gate.metric in LATENCIES:
        field = LATENCIES[gate.metric]
        mine, his = min(results, key=lambda r: r.batch), min(theirs, key=lambda r: r.batch)
        if mine.batch != his.batch:
            return _verdict(gate, "NOT COMPARABLE", f"latency at batch {mine.batch} against batch {his.batch}")
        own, against = (
            float(getattr(mine.performance.latency, field)),
            float(getattr(his.performance.latency, field)),
        )
        shown = f"{units.milliseconds(own)} over {units.milliseconds(against)}"
    else:
        mine, his = _best(gate.metric, results), _best(gate.metric, theirs)
        own, against = _THROUGHPUTS[gate.metric](mine), _THROUGHPUTS[gate.metric](his)
        shown = f"{units.rate(own)} over {units.rate(against)}"
    reason = (
        f"{gate.metric} {units.ratio(own / against)} × {reference.described}, "
        f"asked {gate.operator} {units.ratio(gate.bound)}"
    )
    detail = f"{shown}, batch {mine.batch} over batch {his.batch}; single runs, without an interval: the point decides"
    return _verdict(
        gate,
        _holds(gate, own / against),
        reason,
        detail,
        measured=own / against,
        reference=against,
        differences=_differences(mine, his),
    )


def _expected_accuracy(reference: Reference, run: RunRecord, k: int) -> tuple[float | None, str | None]:
    """The reference's accuracy in percent, and what keeps it from being compared."""
    if reference.run is not None:
        other = reference.run
        ours, theirs = run.dataset, other.dataset
        if ours is None or theirs is None or ours.fingerprint != theirs.fingerprint or ours.labels != theirs.labels:
            return (
                None,
                f"{reference.described} is of other images or labels than this run; run both on the same",
            )
        best = [
            result.accuracy.top(k)
            for result in other.results
            if result.accuracy and len(result.accuracy.correct_at) >= k
        ]
        return (max(best), None) if best else (None, f"{reference.described} has no top-{k}")
    expected = reference.top1 if k == 1 else reference.top5
    if reference.published is not None:
        return expected, _not_the_published_images(reference, run, k, expected)
    return expected, None


def _not_the_published_images(reference: Reference, run: RunRecord, k: int, expected: float | None) -> str | None:
    """Why a published figure says nothing about this run; None where it does."""
    published = reference.published
    assert published is not None  # noqa: S101 - the caller has looked
    count = len(run.dataset.names) if run.dataset else 0
    figure = f"published top-{k} {units.percent(expected)}" if expected is not None else f"no top-{k} is published"
    if count != published.images or not _is_imagenet_validation(run):
        return (
            f"{figure} ({published.source}) is of {published.dataset}; these {count:,} are others. "
            f"Give --reference top{k}=… to judge them."
        )
    if not published.matched:
        return (
            f"{figure} is of {published.source}, whose file these weights are not (by their sha256). "
            f"Give --weights-entry if they are, or --reference top{k}=…"
        )
    return None


def _is_imagenet_validation(run: RunRecord) -> bool:
    """Whether the images are the 50,000 of the validation set, by their names and by 50 labels a class."""
    dataset = run.dataset
    if dataset is None or dataset.labels is None:
        return False
    expected = [f"ILSVRC2012_val_{number:08}" for number in range(1, 50_001)]
    stems = sorted(name.rpartition("/")[2].partition(".")[0] for name in dataset.names)
    counts = [0] * 1000
    for label in dataset.labels:
        if not 0 <= label < 1000:
            return False
        counts[label] += 1
    return stems == expected and set(counts) == {50}


def _cannot_count(run: RunRecord, results: Sequence[BatchResult], k: int) -> str | None:
    """Why the run's own accuracy cannot be judged."""
    if run.dataset is not None and run.dataset.failures:
        left_out = len(run.dataset.failures)
        total = left_out + len(run.dataset.names)
        return f"{left_out} of {total} images were skipped because they cannot be decoded; mend them and run again"
    if run.model.checkpoint is not None and run.model.checkpoint.file is None:
        return "the weights are random, so there is no accuracy to judge; speed and parity stand"
    if any(result.accuracy is None for result in results):
        return "the images have no labels; give --labels FILE"
    if any(len(result.accuracy.correct_at) < k for result in results if result.accuracy):
        return f"the model has fewer than {k} classes"
    return None


def _nothing_published(run: RunRecord, name: str) -> str:
    obstacle = _cannot_count(run, run.results, 1)
    if obstacle is not None:
        return obstacle
    return f"no published {name} is known for {run.model.name}. Give --reference {name.replace('-', '')}=… to judge it."


def _blocks_ratio(run: RunRecord, other: RunRecord) -> str | None:
    """Why the two runs' speeds say nothing of each other; None where they do."""
    ours, theirs = run.model, other.model
    if not _same_model(ours, theirs):
        sides = (f"{model.name} {units.short_hash(model.file.sha256)}" for model in (ours, theirs))
        return f"another model: {' against '.join(sides)}"
    if ours.transform.crop != theirs.transform.crop:
        return f"another input size: {ours.transform.crop} against {theirs.transform.crop}"
    return None


def _same_model(ours: OnnxModel, theirs: OnnxModel) -> bool:
    """The same file, or exports of the same architecture with the same weights; a name alone proves nothing."""
    if ours.file.sha256 == theirs.file.sha256:
        return True
    one, two = ours.checkpoint, theirs.checkpoint
    if one is None or two is None or one.architecture != two.architecture:
        return False
    return (one.file.sha256 if one.file else None) == (two.file.sha256 if two.file else None)


def _differences(mine: BatchResult, other: BatchResult) -> tuple[str, ...]:
    """What a ratio is noted with: facts in which the two sides differ."""
    pairs = {
        "backend": (mine.compiled.options.backend, other.compiled.options.backend),
        "device": (mine.performance.device, other.performance.device),
        "precision": (mine.compiled.options.precision, other.compiled.options.precision),
        "input": (mine.compiled.options.input_kind, other.compiled.options.input_kind),
        "pixels from": (mine.performance.source, other.performance.source),
    }
    return tuple(f"{name} {a} against {b}" for name, (a, b) in pairs.items() if a != b)


def _reference(gate: Gate, references: Sequence[Reference]) -> Reference:
    return next(reference for reference in references if reference.name == gate.reference)


def _best(metric: str, results: Sequence[BatchResult]) -> BatchResult:
    return max(results, key=_THROUGHPUTS[metric])


def _holds(gate: Gate, measured: float) -> VerdictWord:
    # Rounded far below one image of a million, so that 48.0 - 47.0 is not above 1.0 by the last bit.
    return "PASS" if _OPERATORS[gate.operator](round(measured - gate.bound, 9), 0.0) else "FAIL"


def _batches(batches: Iterable[int]) -> str:
    return "batch " + ", ".join(str(batch) for batch in batches)


def _verdict(
    gate: Gate,
    verdict: VerdictWord,
    reason: str,
    detail: str = "",
    *,
    measured: float | None = None,
    reference: float | None = None,
    differences: tuple[str, ...] = (),
) -> Check:
    return Check(
        gate=gate,
        verdict=verdict,
        measured=measured,
        low=None,
        high=None,
        reference=reference,
        reason=reason,
        detail=detail,
        differences=differences,
    )
