"""Figures of re-identification: rank-1, average precision, the ROC curve of all pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionveil.statistics import Floats

Same = NDArray[np.bool_]


@dataclass(frozen=True)
class Searches:
    """One search for each query.

    Attributes:
        first: Whether the most similar clip of the gallery shows the same person, (queries,).
        precision: Average precision of each query's ranking, (queries,).
        chance_first, chance_precision: What a ranking at random gives on average, (queries,).
    """

    first: Floats
    precision: Floats
    chance_first: Floats
    chance_precision: Floats


def search(similarity: Floats, same: Same) -> Searches:
    """Rank a gallery for each query.

    Among equally similar clips the wrong ones come first: a veil that makes all clips alike must
    not be searched well by the order in which the gallery happens to lie.

    Args:
        similarity: More is more alike, (queries, gallery).
        same: Whether query and gallery clip show the same person, (queries, gallery).

    Raises:
        ValueError: A query has nobody to be found.
    """
    if not same.any(axis=1).all():
        raise ValueError("a query whose person is not in the gallery cannot be searched")
    first, precision = np.empty(len(same)), np.empty(len(same))
    for row, (alike, right) in enumerate(zip(similarity, same, strict=True)):
        ranked = right[np.lexsort((right, -alike))]  # by similarity, the wrong ones first
        hits = np.flatnonzero(ranked)
        first[row] = ranked[0]
        precision[row] = np.mean(np.arange(1, len(hits) + 1) / (hits + 1))
    sizes, many = same.sum(axis=1), same.shape[1]
    return Searches(
        first,
        precision,
        sizes / many,
        np.array([_expected_precision(int(size), many) for size in sizes]),
    )


def _expected_precision(hits: int, size: int) -> float:
    """Return the mean average precision of a ranking at random (Bestgen, 2015).

    The place i holds a hit with probability m / n; given that, of the i - 1 before it a share of
    (m - 1) / (n - 1) are hits.
    """
    if size == 1:
        return 1.0
    places = np.arange(1, size + 1)
    before = (places - 1) * (hits - 1) / (size - 1)
    return float(np.mean((1 + before) / places))


@dataclass(frozen=True)
class Verification:
    """Telling pairs of the same person from pairs of two, by a threshold on their similarity.

    Attributes:
        false_alarms, detections: The ROC curve: shares of pairs of two people and of pairs of one
            that are taken for one, for every threshold, both rising from 0 to 1.
        area: Under the curve; 0.5 for chance.
        equal_error: Where the share of false alarms equals that of misses; 0.5 for one that
            guesses.
    """

    false_alarms: Floats
    detections: Floats
    area: float
    equal_error: float


def verify(similarity: Floats, same: Same) -> Verification:
    """Return the ROC curve over all pairs.

    Args:
        similarity: More is more alike, any shape.
        same: Whether the pair is one person, of the same shape.

    Raises:
        ValueError: There are no pairs of one person, or none of two.
    """
    scores, right = similarity.ravel(), same.ravel()
    if right.all() or not right.any():
        raise ValueError("a ROC curve needs pairs of one person and pairs of two")
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], right[order]
    # Equally similar pairs pass a threshold together, or the curve would depend on their order.
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    detections = np.concatenate([[0.0], np.cumsum(hits)[ends] / hits.sum()])
    false_alarms = np.concatenate([[0.0], np.cumsum(~hits)[ends] / (~hits).sum()])
    heights = (detections[1:] + detections[:-1]) / 2
    area = float((np.diff(false_alarms) * heights).sum())
    return Verification(false_alarms, detections, area, _equal_error(false_alarms, detections))


def _equal_error(false_alarms: Floats, detections: Floats) -> float:
    """Return where the curve meets the line on which both errors are equal."""
    gap = false_alarms - (1 - detections)  # rises from -1 to 1
    after = int(np.argmax(gap >= 0))
    before = after - 1
    share = -gap[before] / (gap[after] - gap[before])
    return float(false_alarms[before] + share * (false_alarms[after] - false_alarms[before]))
