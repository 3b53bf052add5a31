"""Who is ahead in the trade-off: the Pareto front, hypervolumes and dominance, with intervals.

A method is a point in the unit square: the action accuracy, which should be high, and the privacy
accuracy by frame, which should be low. All intervals are percentiles of a paired bootstrap: the
methods were scored on the same clips, so recordings are drawn with replacement and every method's
point is computed anew from the same draw. They hold the chance in which recordings were filmed,
not the chance in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.report.pooling import BDQ, Method, action_right, families
from motionveil.statistics import (
    DRAWS,
    Interval,
    bootstrap_means,
    interval_of,
    numbered,
    recording_of,
)

Outcome = Literal["dominates", "dominated", "neither"]


def front(action: Sequence[float], privacy: Sequence[float]) -> list[int]:
    """Return which points no other point dominates, in the order of rising privacy accuracy.

    A point dominates another if its action accuracy is not lower, its privacy accuracy is not
    higher, and one of the two differs. Equal points do not dominate each other.

    Args:
        action, privacy: The points' accuracies in [0, 1].

    Raises:
        ValueError: The two have not the same length.
    """
    points = list(zip(action, privacy, strict=True))
    order = sorted(range(len(points)), key=lambda i: (points[i][1], -points[i][0]))
    kept: list[int] = []
    for i in order:
        # Whoever came before has no higher privacy accuracy: only more action, or an equal
        # point, keeps this one on the front.
        if not kept or points[i][0] > points[kept[-1]][0] or points[i] == points[kept[-1]]:
            kept.append(i)
    return kept


def hypervolume(action: NDArray[np.float64], privacy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area of the unit square that some of the points dominate.

    A place (p, a) of the square is dominated if a point has an action accuracy of a or more and a
    privacy accuracy of p or less. The reference point is action 0 and privacy 1; 1 is a method
    that shows all of the action and nothing else. Guessing the action at a share f without any
    privacy already gives f, so 0 is not what guessing scores.

    Args:
        action, privacy: Accuracies in [0, 1], (..., points), at least one point.

    Returns:
        Areas in [0, 1], (...).
    """
    order = np.argsort(privacy, axis=-1)
    across = np.take_along_axis(privacy, order, axis=-1)
    # Between one point and the next, the best action of all points so far bounds the area.
    best = np.maximum.accumulate(np.take_along_axis(action, order, axis=-1), axis=-1)
    widths = np.diff(across, axis=-1, append=1.0)
    return np.asarray((best * widths).sum(axis=-1))


@dataclass(frozen=True)
class Draws:
    """The methods' points in each draw of the bootstrap.

    Attributes:
        action, privacy: Accuracies in [0, 1], (draws, methods), in the order of the methods.
        observed_action, observed_privacy: The same of the clips as they are, (methods,).
        clips, recordings: How many clips there are, and recordings that were drawn from.
    """

    action: NDArray[np.float64]
    privacy: NDArray[np.float64]
    observed_action: NDArray[np.float64]
    observed_privacy: NDArray[np.float64]
    clips: int
    recordings: int


def obstacle(methods: Sequence[Method]) -> str:
    """Return why there can be no paired bootstrap over these methods; empty where there can."""
    if not all(method.answers for method in methods):
        return "some rows hold no answers clip by clip"
    if len({frozenset(method.keys) for method in methods}) > 1:
        return "the methods were not scored on the same clips"
    if len(set(_recordings(methods[0]))) < 2:
        return "all clips come from one recording"
    return ""


def resample(methods: Sequence[Method], draws: int = DRAWS) -> Draws:
    """Draw recordings with replacement and score all methods on each draw.

    A clip counts with the mean over the rows (seeds) that saw it. All clips of a recording, the
    part of the clip's name before `#`, are drawn together: they are no independent trials.

    Args:
        methods: At least one, all scored on the same clips.
        draws: Number of draws, at least 1. Their seed is fixed: equal results, equal reports.

    Raises:
        MotionveilError: See `obstacle`.
    """
    if reason := obstacle(methods):
        raise MotionveilError(f"no bootstrap: {reason}")
    recordings = numbered(_recordings(methods[0]))
    order = {key: place for place, key in enumerate(methods[0].keys)}
    scores = np.empty((2, len(methods), len(order)))
    for m, method in enumerate(methods):
        places = [order[key] for key in method.keys]
        scores[0, m, places] = _mean_of(method, action=True)
        scores[1, m, places] = _mean_of(method, action=False)
    both = scores.reshape(2 * len(methods), -1)  # all on the same draws
    action, privacy = np.split(bootstrap_means(both.T, recordings, draws=draws), 2, axis=1)
    observed = scores.mean(axis=2)
    return Draws(
        # Rounding must not carry a share out of [0, 1].
        action=np.clip(action, 0, 1),
        privacy=np.clip(privacy, 0, 1),
        observed_action=observed[0],
        observed_privacy=observed[1],
        clips=len(order),
        recordings=int(recordings.max()) + 1,
    )


def _recordings(method: Method) -> list[tuple[str, str]]:
    """Return each clip's recording; equal names in other data are other recordings."""
    return [(data, recording_of(clip)) for data, clip in method.keys]


def _mean_of(method: Method, *, action: bool) -> list[float]:
    """Return each clip's share of right answers, of its action or of its frames' privacy."""
    if action:
        return [float(np.mean([action_right(p) for p in seen])) for seen in method.answers]
    return [float(np.mean([p.privacy_frames for p in seen])) for seen in method.answers]


def dominance(draws: Draws, first: int, second: int) -> Outcome:
    """Return whether one method dominates another beyond the intervals.

    `"dominates"`: the first method's action accuracy is not lower and its privacy accuracy not
    higher than the second's, and on at least one of the two axes the 95 % interval of the paired
    difference lies wholly on the first's side of 0. `"dominated"`: the same with the two
    exchanged. Else `"neither"`: where each is ahead on one axis, and where the clips cannot tell
    the two apart.

    So whatever is dominated beyond the intervals is dominated by the figures themselves, and a
    method on the Pareto front never is. `"neither"` does not mean equal: a method that is far
    ahead on one axis and a hair behind on the other dominates nobody. Nothing is corrected for
    the number of pairs.

    Args:
        draws: Of `resample`.
        first, second: Places of the two methods in its order.
    """
    if _wins(draws, first, second):
        return "dominates"
    return "dominated" if _wins(draws, second, first) else "neither"


def _wins(draws: Draws, first: int, second: int) -> bool:
    rounding = 1e-9  # equal accuracies may differ by the order in which clips were added
    seen_action, seen_privacy = draws.observed_action, draws.observed_privacy
    worse = (
        seen_action[first] < seen_action[second] - rounding
        or seen_privacy[first] > seen_privacy[second] + rounding
    )
    if worse:
        return False
    gains = (
        draws.action[:, first] - draws.action[:, second],
        draws.privacy[:, second] - draws.privacy[:, first],
    )
    return any(interval_of(gain)[0] > 0 for gain in gains)


@dataclass(frozen=True)
class Area:
    """A family's hypervolume.

    Attributes:
        family: As in `Method.family`; None for all methods together, raw video too.
        points: Number of its methods.
        hypervolume, interval: In [0, 1]; no interval where there is no bootstrap.
        difference, difference_interval: BDQ's hypervolume less this one's, paired. None for BDQ
            itself, for all together, and where no BDQ was measured.
    """

    family: str | None
    points: int
    hypervolume: float
    interval: Interval | None
    difference: float | None = None
    difference_interval: Interval | None = None


@dataclass(frozen=True)
class Contest:
    """The methods against each other.

    Attributes:
        methods: All of them.
        front: Places of the methods on the Pareto front, by rising privacy accuracy.
        obstacle: Why there are no intervals; empty where there are.
        draws: The bootstrap, None where there is an obstacle.
        areas: The families' hypervolumes, and last that of all methods together.
        outcomes: For each method its `dominance` over each; None without a bootstrap.
    """

    methods: tuple[Method, ...]
    front: list[int]
    obstacle: str
    draws: Draws | None
    areas: list[Area]
    outcomes: list[list[Outcome]] | None

    def places(self, family: str) -> list[int]:
        """Return the places of a family's methods, those that take more away last."""
        mine = families(self.methods).get(family, [])
        return [next(i for i, m in enumerate(self.methods) if m is method) for method in mine]

    def beaten(self, family: str, other: str) -> list[int]:
        """Return the places of the other family's methods that one of this family's dominates."""
        if self.outcomes is None:
            return []
        table = self.outcomes
        mine = self.places(family)
        return [j for j in self.places(other) if any(table[i][j] == "dominates" for i in mine)]

    def family_dominance(self, first: str, second: str) -> Outcome:
        """Return whether a family dominates another beyond the intervals.

        It does if for each of the other's methods it has one that dominates it, see `dominance`.
        Where each does, which intervals can bring about, it is `"neither"`.
        """
        wins = len(self.beaten(first, second)) == len(self.places(second))
        loses = len(self.beaten(second, first)) == len(self.places(first))
        if self.outcomes is None or wins == loses:
            return "neither"
        return "dominates" if wins else "dominated"


def contest(methods: Sequence[Method]) -> Contest:
    """Compare methods by front, hypervolume and dominance.

    Args:
        methods: At least one, as `motionveil.report.pooling.pool` gives them.
    """
    reason = obstacle(methods)
    draws = None if reason else resample(methods)
    outcomes = None
    if draws is not None:
        places = range(len(methods))
        outcomes = [[dominance(draws, i, j) for j in places] for i in places]
    action = [m.action.accuracy for m in methods]
    privacy = [m.frame.accuracy for m in methods]
    return Contest(
        tuple(methods), front(action, privacy), reason, draws, _areas(methods, draws), outcomes
    )


def _areas(methods: Sequence[Method], draws: Draws | None) -> list[Area]:
    groups: dict[str | None, list[int]] = {
        family: [i for i, m in enumerate(methods) if any(m is other for other in group)]
        for family, group in families(methods).items()
    }
    groups[None] = list(range(len(methods)))
    values = {family: _area(methods, places) for family, places in groups.items()}
    samples = {family: _sample(draws, places) for family, places in groups.items()}
    areas = []
    for family, places in groups.items():
        difference, spread = None, None
        if family not in (BDQ, None) and BDQ in groups:
            difference = values[BDQ] - values[family]
            spread = _paired(samples[BDQ], samples[family])
        sample = samples[family]
        interval = None if sample is None else interval_of(sample)
        areas.append(Area(family, len(places), values[family], interval, difference, spread))
    return areas


def _area(methods: Sequence[Method], places: Sequence[int]) -> float:
    action = np.array([methods[i].action.accuracy for i in places])
    privacy = np.array([methods[i].frame.accuracy for i in places])
    return float(hypervolume(action, privacy))


def _sample(draws: Draws | None, places: Sequence[int]) -> NDArray[np.float64] | None:
    """Return the hypervolume of some methods in each draw."""
    if draws is None:
        return None
    return hypervolume(draws.action[:, places], draws.privacy[:, places])


def _paired(a: NDArray[np.float64] | None, b: NDArray[np.float64] | None) -> Interval | None:
    return None if a is None or b is None else interval_of(a - b)
