"""What the answers of several workers make together: the predictions and times of one run.

Answers are in the order of their images, and each image is in one of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from assay.errors import RecordError
from assay.measure import stages as pipeline_stages
from assay.records import Dataset, Predictions, Share, StageTime, WorkerIdentity
from assay.remote.records import ShardAnswer
from assay.remote.shards import Shardable
from assay.storage import store


def predictions(
    answers: Sequence[ShardAnswer], source: Shardable, classes: int, home: Path
) -> tuple[Predictions, Dataset]:
    """All scores in one file below `home`, and the data set with what was learned of it.

    Raises `RecordError` where the answers do not make up the data set.
    """
    images = len(source.names)
    if [one.first for one in answers] != [0, *np.cumsum([one.images for one in answers])[:-1].tolist()]:
        shards = answers[0].scores.file.path.parent
        raise RecordError(f"the shards in {shards} overlap; delete the folder and run it again")
    with store.replacing(home / "scores.npy") as beside, beside.open("wb") as file:
        writer = pipeline_stages.ScoreWriter(file.fileno(), images, classes)
        for one in answers:
            store.verified(one.scores.file)
            writer.write(one.first, np.asarray(one.scores.load()))
            source.took(one.first, one.image_sha256, one.warnings)
    scores = store.array_file(home / "scores.npy", (images, classes), np.float32)
    dataset = source.dataset()
    return Predictions(names=source.names, dataset_fingerprint=dataset.fingerprint, scores=scores), dataset


def calls(answers: Sequence[ShardAnswer]) -> npt.NDArray[np.float64]:
    """Every inference call's start and end, float64 [calls, 2]."""
    return np.array([call for one in answers for call in one.calls], np.float64).reshape(-1, 2)


def stages(answers: Sequence[ShardAnswer], seconds: float, *, hand_out: float, gather: float) -> tuple[StageTime, ...]:
    """The workers' stages, summed, between those of the one who hands out: seconds at work before and behind them."""
    workers = len({one.worker.name.removesuffix(Share.RESUMED) for one in answers})
    images = sum(one.images for one in answers)
    inner = []
    for position, first in enumerate(answers[0].stages):
        parts = [one.stages[position] for one in answers]
        inner.append(
            StageTime(
                name=first.name,
                workers=first.workers * workers,
                items=sum(part.items for part in parts),
                busy_seconds=sum(part.busy_seconds for part in parts),
                span_seconds=seconds,
                waiting_in_seconds=sum(part.waiting_in_seconds for part in parts),
                waiting_out_seconds=sum(part.waiting_out_seconds for part in parts),
                run_seconds=seconds,
            )
        )
    return _end("hand out", images, hand_out, seconds), *inner, _end("gather", images, gather, seconds)


def shares(
    answers: Sequence[ShardAnswer], workers: Sequence[WorkerIdentity], lost: Collection[str]
) -> tuple[Share, ...]:
    """What each of the workers did, and those of an earlier part of the run."""
    by_worker: dict[WorkerIdentity, list[ShardAnswer]] = {worker: [] for worker in workers}
    for answer in answers:
        by_worker.setdefault(answer.worker, []).append(answer)
    return tuple(
        Share(
            worker=worker,
            shards=len(taken),
            images=sum(one.images for one in taken),
            interface_seconds=_union([call for one in taken for call in one.calls]),
            lost=worker.name in lost,
        )
        for worker, taken in by_worker.items()
    )


def _end(name: str, images: int, busy: float, seconds: float) -> StageTime:
    return StageTime(
        name=name,
        workers=1,
        items=images,
        busy_seconds=busy,
        span_seconds=seconds,
        waiting_in_seconds=0.0,
        waiting_out_seconds=0.0,
        run_seconds=seconds,
    )


def _union(calls: Sequence[tuple[float, float]]) -> float:
    """The time in which at least one call was in flight."""
    seconds, ended = 0.0, 0.0
    for begin, end in sorted(calls):
        seconds += max(0.0, end - max(begin, ended))
        ended = max(ended, end)
    return seconds
