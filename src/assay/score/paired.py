"""Two ways to score the same images, image by image: which flipped, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from assay.errors import DatasetError
from assay.records import PairedAccuracy, Predictions
from assay.score import accuracy, numbers, paired_proportions, statistics

_CHUNK = 2048


def comparable(ours: Predictions, theirs: Predictions) -> bool:
    """Whether two predictions are of the same images by the same classes."""
    return (
        ours.dataset_fingerprint == theirs.dataset_fingerprint
        and ours.names == theirs.names
        and ours.scores.shape == theirs.scores.shape
    )


def compare(ours: Predictions, theirs: Predictions, labels: Sequence[int] | None, reference: str) -> PairedAccuracy:
    """Our first classes beside those of a reference; right and wrong are counted where there are labels.

    McNemar's test: of the images that one of the two alone has right, as many should be ours as theirs. (McNemar, Note
    on the sampling error of the difference between correlated proportions or percentages, 1947.)
    """
    if not comparable(ours, theirs):
        raise DatasetError(f"{reference} did not score the same images by the same classes; run both on the same")
    parts = [_chunk(mine, his) for mine, his in _chunks(ours, theirs)]
    first, other = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    plain = PairedAccuracy(
        reference=reference,
        images=len(ours.names),
        agreement=float(np.mean(first == other)),
        largest_score_change=max(change for _, _, change, _ in parts),
        largest_score=max(largest for _, _, _, largest in parts),
    )
    if labels is None:
        return plain
    wanted = np.asarray(accuracy.fit(ours.names, labels, ours.scores.shape[1], other).labels)
    lost = np.flatnonzero((other == wanted) & (first != wanted))
    won = np.flatnonzero((other != wanted) & (first == wanted))
    low, high = paired_proportions.difference(len(lost), len(won), len(wanted)).interval or (None, None)
    return msgspec.structs.replace(
        plain,
        right_to_wrong=tuple(ours.names[image] for image in lost),
        wrong_to_right=tuple(ours.names[image] for image in won),
        p_value=statistics.mcnemar(len(lost), len(won)),
        exact_p_value=statistics.mcnemar_exact(len(lost), len(won)),
        drop_low=None if low is None else 100 * low,
        drop_high=None if high is None else 100 * high,
    )


_Rows = npt.NDArray[np.float32]


def _chunks(ours: Predictions, theirs: Predictions) -> Iterator[tuple[_Rows, _Rows]]:
    mine, his = ours.scores.load(), theirs.scores.load()
    for start in range(0, len(mine), _CHUNK):
        yield np.asarray(mine[start : start + _CHUNK]), np.asarray(his[start : start + _CHUNK])


def _chunk(mine: _Rows, his: _Rows) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], float, float]:
    """First classes of both, the largest change of a score, and the largest score of the reference."""
    return mine.argmax(axis=1), his.argmax(axis=1), numbers.difference(mine, his), numbers.largest(his)
