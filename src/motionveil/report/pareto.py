"""The Pareto front, hypervolumes and dominance of methods, with bootstrap intervals.

A method is a point in the unit square: the action accuracy, which should be high, and the privacy
accuracy, of the strongest attacker or by frame, which should be low. All intervals are percentiles
of a paired bootstrap over recordings: the methods were scored on the same clips, and each draw
scores them all. They hold the sampling of recordings, not the variance of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.report.aggregate import Method, action_scores, families
from motionveil.report.method_style import BDQ
from motionveil.statistics import (
    DRAWS,
    Interval,
    bootstrap_means,
    interval_of,
    numbered,
    recording_of,
)

Floats = NDArray[np.float64]
_ROUNDING = 1e-9  # equal accuracies may differ by the order in which clips were added


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


def hypervolume(action: Floats, privacy: Floats) -> Floats:
    """Return the area of the unit square that some of the points dominate.

    A place (p, a) of the square is dominated if a point has an action accuracy of a or more and a
    privacy accuracy of p or less. The reference point is action 0 and privacy 1.

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

    action: Floats
    privacy: Floats
    observed_action: Floats
    observed_privacy: Floats
    clips: int
    recordings: int


def no_bootstrap(methods: Sequence[Method]) -> str:
    """Return why there can be no paired bootstrap over these methods; empty where there can."""
    if not all(method.answers for method in methods):
        return "some rows hold no answers clip by clip"
    if any(m.attackers and None in m.privacy_scores for m in methods):
        return "an attacker was not asked about every clip"
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
        MotionveilError: See `no_bootstrap`.
    """
    if reason := no_bootstrap(methods):
        raise MotionveilError(f"no bootstrap: {reason}")
    recordings = numbered(_recordings(methods[0]))
    order = {key: place for place, key in enumerate(methods[0].keys)}
    scores = np.empty((2, len(methods), len(order)))
    for m, method in enumerate(methods):
        places = [order[key] for key in method.keys]
        scores[0, m, places] = action_scores(method.answers)
        scores[1, m, places] = method.privacy_scores
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


def dominance(draws: Draws) -> NDArray[np.bool_]:
    """Return which methods dominate which beyond the intervals, (methods, methods).

    True where the action accuracy of the row's method is not lower and its privacy accuracy not
    higher than those of the column's, and on at least one of the two axes the 95 % interval of
    the paired difference lies wholly on its side of 0. Not corrected for multiple comparisons.
    """
    not_worse = _not_worse(draws.observed_action[None], draws.observed_privacy[None])[0]
    better = np.zeros_like(not_worse)
    for scores in (draws.action, -draws.privacy):
        for i, own in enumerate(scores.T):
            better[i] |= np.percentile(own[:, None] - scores, 2.5, axis=0) > 0
    return not_worse & better


def _not_worse(action: Floats, privacy: Floats) -> NDArray[np.bool_]:
    """Return (draws, first, second): whether the first is not worse on either axis."""
    more = action[:, :, None] >= action[:, None, :] - _ROUNDING
    less = privacy[:, :, None] <= privacy[:, None, :] + _ROUNDING
    return np.asarray(more & less)


def dominance_probability(draws: Draws) -> tuple[Floats, Floats]:
    """Return how often methods dominate each other, and are on the front, in the draws.

    Returns:
        (methods, methods): the share of draws in which the row's method dominates the column's;
        (methods,): the share of draws in which no other method dominates it.
    """
    not_worse = _not_worse(draws.action, draws.privacy)
    dominates = not_worse & ~not_worse.transpose(0, 2, 1)
    return dominates.mean(axis=0), 1 - dominates.any(axis=1).mean(axis=0)


@dataclass(frozen=True)
class Hypervolume:
    """A family's hypervolume.

    Attributes:
        family: As in `Method.family`; None for all methods together, raw video too.
        points: Number of its methods.
        value, interval: In [0, 1]; no interval where there is no bootstrap.
        difference, difference_interval: BDQ's hypervolume less this one's, paired. None for BDQ
            itself, for all together, and where no BDQ was measured.
    """

    family: str | None
    points: int
    value: float
    interval: Interval | None
    difference: float | None = None
    difference_interval: Interval | None = None


@dataclass(frozen=True)
class ParetoAnalysis:
    """Methods compared with each other.

    Attributes:
        methods: All of them.
        front: Places of the methods on the Pareto front, by rising privacy accuracy.
        no_bootstrap: Why there are no intervals; empty where there are.
        draws: The bootstrap, None where there is none.
        hypervolumes: Those of the families, and last that of all methods together.
        dominates: As `dominance`; None without a bootstrap.
        probabilities, front_probabilities: As `dominance_probability`; None without a bootstrap.
    """

    methods: tuple[Method, ...]
    front: list[int]
    no_bootstrap: str
    draws: Draws | None
    hypervolumes: list[Hypervolume]
    dominates: NDArray[np.bool_] | None
    probabilities: Floats | None
    front_probabilities: Floats | None

    def dominated_points(self, family: str, other: str) -> int:
        """Return how many of the other family's methods one of this family's dominates."""
        if self.dominates is None:
            return 0
        mine, theirs = (_places(self.methods, name) for name in (family, other))
        return int(self.dominates[np.ix_(mine, theirs)].any(axis=0).sum())


def analyse(methods: Sequence[Method]) -> ParetoAnalysis:
    """Compare methods by front, hypervolume and dominance.

    Args:
        methods: At least one, as `motionveil.report.aggregate.pool` gives them.
    """
    reason = no_bootstrap(methods)
    draws = None if reason else resample(methods)
    probabilities, on_front = dominance_probability(draws) if draws else (None, None)
    action = [m.action.accuracy for m in methods]
    privacy = [m.privacy.accuracy for m in methods]
    return ParetoAnalysis(
        methods=tuple(methods),
        front=front(action, privacy),
        no_bootstrap=reason,
        draws=draws,
        hypervolumes=_hypervolumes(methods, draws),
        dominates=dominance(draws) if draws else None,
        probabilities=probabilities,
        front_probabilities=on_front,
    )


def _places(methods: Sequence[Method], family: str) -> list[int]:
    return [i for i, m in enumerate(methods) if m.family == family]


def _hypervolumes(methods: Sequence[Method], draws: Draws | None) -> list[Hypervolume]:
    groups: dict[str | None, list[int]] = {
        family: _places(methods, family) for family in families(methods)
    }
    groups[None] = list(range(len(methods)))
    action = np.array([m.action.accuracy for m in methods])
    privacy = np.array([m.privacy.accuracy for m in methods])
    values = {f: float(hypervolume(action[i], privacy[i])) for f, i in groups.items()}
    samples = {
        family: hypervolume(draws.action[:, places], draws.privacy[:, places])
        for family, places in groups.items()
        if draws is not None
    }
    found = []
    for family, places in groups.items():
        interval = interval_of(samples[family]) if samples else None
        difference, spread = None, None
        if family not in (BDQ, None) and BDQ in groups:
            difference = values[BDQ] - values[family]
            spread = interval_of(samples[BDQ] - samples[family]) if samples else None
        found.append(Hypervolume(family, len(places), values[family], interval, difference, spread))
    return found
