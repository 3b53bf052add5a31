"""Re-identification of people whom the attacker's network has never been trained on.

A network learns, on some people, to place clips of one person near each other; then clips of other
people are searched for among clips of other recordings. Half of the people are left out of the
training, then the other half, so that everybody is searched for once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from motionveil.audit_results import Measured, Retrieval, Search
from motionveil.datasets.dataset import Batch
from motionveil.datasets.manifest import Clip
from motionveil.evaluation.attack import LearningAttack
from motionveil.evaluation.data import AttackData, shuffled_people
from motionveil.evaluation.fit import Learned, Learner, learn
from motionveil.results import Training
from motionveil.statistics import (
    Floats,
    Integers,
    bootstrap_means,
    interval_of,
    numbered,
    permutation_test,
)
from motionveil.training.adversaries import create_network
from motionveil.training.heads import per_input
from motionveil.training.loop import seed_for

Same = NDArray[np.bool_]

SIZE = 64
"""Numbers that describe a clip."""

PAIR_DRAWS = 200
"""Draws of the bootstrap over pairs, of which there are many."""

_SCALE = 16.0  # of the cosines that the softmax sees, as in Wang et al., CosFace (CVPR 2018)


@dataclass(frozen=True)
class RetrievalResult:
    """The searches for one half of the people.

    Attributes:
        people: The people searched for, as places in the label's names.
        queries, gallery: The clips held out, and those of the training part, of these people.
        similarity: Cosines of their descriptions, (queries, gallery).
        training: How the network was trained.
    """

    people: tuple[int, ...]
    queries: tuple[Clip, ...]
    gallery: tuple[Clip, ...]
    similarity: NDArray[np.float64]
    training: Training | None = None


class Retrieve(LearningAttack):
    """Searches for clips of people that its network was not trained on.

    Attributes:
        everyone: Search among the training clips of everybody, those learned from too. The chance
            level is then that of recognition, with which the figure can be compared.
    """

    description: ClassVar[str] = (
        "A network learns to tell half of the people apart; then clips of the other half are"
        " matched to clips of other recordings by the similarity of its outputs."
    )
    needs_people: ClassVar[bool] = True
    kind: str = "retrieve"
    everyone: bool = False

    def run(self, data: AttackData) -> Retrieval:
        """Train, search and score; see `Attack.run`."""
        began = time.monotonic()
        names = data.manifest.names_of(data.label)
        found = retrieval(self.origin(data), self.search(data), names)
        return found.model_copy(update={"seconds": time.monotonic() - began})

    def search(self, data: AttackData) -> list[RetrievalResult]:
        """Train on one half of the people and search for the other, and the other way round.

        Raises:
            MotionveilError: There are fewer than four people with clips in both parts, or a loss
                is not finite.
        """
        people = shuffled_people(data, "retrieval")
        return [
            self._search(data, half, found)
            for half, found in enumerate((people[::2], people[1::2]))
        ]

    def _search(self, data: AttackData, half: int, people: list[str]) -> RetrievalResult:
        manifest = data.manifest
        known = list(manifest.part(data.split, training=True))
        sought = [clip for clip in known if clip.privacy[data.label] in people]
        clips = [clip for clip in known if clip.privacy[data.label] not in people]
        gallery = known if self.everyone else sought
        held_out = manifest.part(data.split, training=False)
        queries = [clip for clip in held_out if clip.privacy[data.label] in people]
        torch.manual_seed(seed_for(data.seed, "audit", self.name, half))
        learned = self._train(data, clips)
        classifier = learned.classifier
        # The attacker has the gallery, if not its names: BatchNorm is estimated again on it.
        classifier.reestimate(data.some(gallery, drawn=False))
        described = [
            normalize(classifier.outputs(data.some(part, drawn=False)).mean(1))
            for part in (queries, gallery)
        ]
        names = manifest.names_of(data.label)
        return RetrievalResult(
            tuple(names.index(person) for person in people),
            tuple(data.as_filmed(queries)),
            tuple(data.as_filmed(gallery)),
            (described[0] @ described[1].T).double().numpy(),
            learned.training,
        )

    def _train(self, data: AttackData, clips: list[Clip]) -> Learned:
        """Train a network to tell people apart by the direction of its output."""
        labels = set(data.some(clips, drawn=False).privacy.tolist())
        known = {label: place for place, label in enumerate(sorted(labels))}

        def make() -> Learner:
            network = create_network(self.network, SIZE, temporal=self.temporal)
            model = _Describer(network, len(known))

            def loss(
                network: nn.Module, seen: Tensor, batch: Batch, epoch: int
            ) -> tuple[Tensor, dict[str, Tensor]]:
                labels = torch.tensor([known[label] for label in batch.privacy.tolist()])
                truth = per_input(labels.to(seen.device), seen)
                cosines = network(seen) @ normalize(model.directions).T
                accuracy = (cosines.argmax(1) == truth).float().mean()
                return cross_entropy(_SCALE * cosines, truth), {"accuracy_privacy": accuracy}

            return Learner(model, "privacy", self.input_format, loss)

        return learn(self.name, make, data, clips, self.schedule, self.until)


class _Describer(nn.Module):
    """A network whose outputs describe, and the people that it learns from as directions."""

    def __init__(self, network: nn.Module, people: int) -> None:
        super().__init__()
        self.network = network
        self.directions = nn.Parameter(torch.randn(people, SIZE))

    def forward(self, frames: Tensor) -> Tensor:
        """Return descriptions of length 1, (N, SIZE)."""
        return normalize(self.network(frames))


def retrieval(
    origin: Mapping[str, Any], results: Sequence[RetrievalResult], classes: Sequence[str]
) -> Retrieval:
    """Return what the searches for each half of the people show.

    Intervals are of a bootstrap over the queries' recordings; the gallery and the people stay.
    The figures of the ROC curve are means over the two halves of the people, whose similarities
    come from two networks and have no common scale.

    Args:
        origin: Fields of the finding that say where it comes from.
        results: The searches, one for each half.

    Raises:
        MotionveilError: All queries come from one recording.
    """
    shown = [_persons(result, classes, origin["label"]) for result in results]
    same = [queries[:, None] == gallery for queries, gallery in shown]
    found = [search(result.similarity, who) for result, who in zip(results, same, strict=True)]
    queries = [clip for result in results for clip in result.queries]
    recordings = numbered([clip.group for clip in queries])
    truth = np.concatenate([who for who, _ in shown])
    halves = np.repeat(np.arange(len(results)), [len(result.queries) for result in results])
    nearest = np.concatenate(
        [
            _nearest(result.similarity, who, gallery)
            for result, who, (_, gallery) in zip(results, same, shown, strict=True)
        ]
    )
    first = np.concatenate([f.first for f in found])
    precision = np.concatenate([f.precision for f in found])
    drawn = bootstrap_means(np.column_stack([first, precision]), recordings)
    pairs = [verify(r.similarity, who) for r, who in zip(results, same, strict=True)]
    areas, errors = _drawn_pairs(results, same)
    chance_first, chance_precision = (
        float(np.concatenate(parts).mean())
        for parts in ([f.chance_first for f in found], [f.chance_precision for f in found])
    )
    area, error = (np.mean([(p.area, p.equal_error) for p in pairs], axis=0)).tolist()
    return Retrieval(
        **origin,
        classes=list(classes),
        rank_1=_measured(float(first.mean()), drawn[:, 0], chance_first),
        mean_precision=_measured(float(precision.mean()), drawn[:, 1], chance_precision),
        area=_measured(area, areas, 0.5),
        equal_error=_measured(error, errors, 0.5),
        # A query may only find people of its own half; and each half has a network of its own.
        p=permutation_test(nearest, truth, recordings, strata=halves),
        curve=_curve(pairs),
        searches=[
            Search(
                clip=clip.key,
                recording=clip.group,
                truth=int(truth[row]),
                found=int(nearest[row]),
                precision=float(precision[row]),
            )
            for row, clip in enumerate(queries)
        ],
        gallery=[len(result.gallery) for result in results],
        trainings=[result.training for result in results if result.training is not None],
        seconds=0.0,
    )


def _persons(
    result: RetrievalResult, classes: Sequence[str], label: str
) -> tuple[Integers, Integers]:
    """Return who each query and each clip of the gallery shows."""
    queries, gallery = (
        np.array([classes.index(clip.privacy[label]) for clip in clips], np.int64)
        for clips in (result.queries, result.gallery)
    )
    return queries, gallery


def _nearest(similarity: Floats, same: Same, gallery: Integers) -> Integers:
    """Return who the most similar clip shows; of equally similar ones, another person."""
    return np.array(
        [gallery[np.lexsort((s, -row))[0]] for row, s in zip(similarity, same, strict=True)],
        np.int64,
    )


def _drawn_pairs(results: Sequence[RetrievalResult], same: Sequence[Same]) -> tuple[Floats, Floats]:
    """Return area and equal error in draws of the queries' recordings, means over the halves."""
    areas, errors = np.empty((2, PAIR_DRAWS, len(results)))
    for half, (result, who) in enumerate(zip(results, same, strict=True)):
        recordings = numbered([clip.group for clip in result.queries])
        rng = np.random.default_rng(half)
        for draw in range(PAIR_DRAWS):
            taken = rng.integers(0, recordings.max() + 1, recordings.max() + 1)
            rows = np.concatenate([np.flatnonzero(recordings == place) for place in taken])
            pairs = verify(result.similarity[rows], who[rows])
            areas[draw, half], errors[draw, half] = pairs.area, pairs.equal_error
    return areas.mean(axis=1), errors.mean(axis=1)


def _measured(value: float, drawn: Floats, chance_level: float) -> Measured:
    return Measured(value=value, interval=interval_of(drawn), chance_level=chance_level)


def _curve(pairs: Sequence[Verification]) -> list[tuple[float, float]]:
    """Return the mean of the halves' ROC curves at a hundred false alarm rates."""
    at = np.linspace(0, 1, 101)
    heights = np.mean([np.interp(at, p.false_alarms, p.detections) for p in pairs], axis=0)
    return [(round(float(x), 4), round(float(y), 4)) for x, y in zip(at, heights, strict=True)]


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

    Among equally similar clips the wrong ones come first: an encoder whose output is
    always the same must not score by the order of the gallery.

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
        equal_error: Where the share of false alarms equals that of misses; 0.5 at chance level.
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
