"""Rows of one method, aggregated over seeds, folds and runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from motionveil.errors import MotionveilError
from motionveil.report.method_style import (
    BDQ,
    RAW,
    REFERENCES,
    UNTRAINED,
    family_and_strength,
    label,
    strength_order,
)
from motionveil.results import PUBLISHED, Accuracy, ClipPrediction, Result, Row
from motionveil.statistics import Floats


@dataclass(frozen=True)
class StoredResult:
    """A stored result and the folder that its images and videos lie in.

    Attributes:
        name: Of the result's file in the folder.
    """

    result: Result
    folder: Path
    name: str = "results.json"

    @classmethod
    def read(cls, path: Path) -> StoredResult:
        """Read a result's file, or the `results.json` of a folder.

        Raises:
            MotionveilError: As `Result.read`.
        """
        result = Result.read(path)
        return cls(result, path) if path.is_dir() else cls(result, path.parent, path.name)

    @property
    def file(self) -> Path:
        """The result's file, as errors name it."""
        return self.folder / self.name


@dataclass(frozen=True)
class MethodAttacker:
    """What one attacker reads off a method's video, pooled over the method's rows.

    Attributes:
        name: As in `Attacker`.
        accuracy: Over the clips that it was asked about.
        scores: For each distinct clip of the method the mean over its rows; None where none asked.
    """

    name: str
    accuracy: Accuracy
    scores: tuple[float | None, ...]


@dataclass(frozen=True)
class Method:
    """One method at one alpha with all the rows measured for it.

    Attributes:
        method, alpha: As in `Row`.
        rows: The rows, in the order of the runs.
        answers: For each distinct clip the predictions of the rows that saw it.
        action: Accuracy of fresh action networks, pooled over the rows.
        frame, clip: The two readings of the privacy networks' accuracy, pooled.
        keys: For each distinct clip the hash of its data set and its name, in the order of
            `answers`: what tells that two methods were scored on the same clip.
        attackers: Those that every row has, pooled.
    """

    method: str
    alpha: float | None
    rows: tuple[Row, ...]
    answers: tuple[tuple[ClipPrediction, ...], ...]
    action: Accuracy
    frame: Accuracy
    clip: Accuracy
    keys: tuple[tuple[str, str], ...] = ()
    attackers: tuple[MethodAttacker, ...] = ()

    @cached_property
    def strongest(self) -> MethodAttacker | None:
        """The most accurate attacker, the published one among them; None without attackers."""
        if not self.attackers:
            return None
        frame, clip = PUBLISHED
        published = (
            MethodAttacker(frame, self.frame, tuple(frame_scores(self.answers))),
            MethodAttacker(clip, self.clip, tuple(clip_scores(self.answers))),
        )
        return max((*self.attackers, *published), key=lambda a: a.accuracy.accuracy)

    @property
    def privacy(self) -> Accuracy:
        """The privacy accuracy compared: the strongest attacker's, or else the one by frame."""
        return self.strongest.accuracy if self.strongest else self.frame

    @property
    def privacy_scores(self) -> list[float | None]:
        """The score of each clip behind `privacy`."""
        return list(self.strongest.scores if self.strongest else frame_scores(self.answers))

    @property
    def row_accuracies(self) -> list[tuple[float, float]]:
        """Action and privacy accuracy, as compared, of each row."""
        return [
            (row.action.accuracy, (strongest_of_row(row) or row.privacy.frame).accuracy)
            if self.attackers
            else (row.action.accuracy, row.privacy.frame.accuracy)
            for row in self.rows
        ]

    def attacker(self, name: str) -> MethodAttacker | None:
        """Return an attacker by its name, if there was one."""
        return next((a for a in self.attackers if a.name == name), None)

    @property
    def label(self) -> str:
        """The method's display name, such as `BDQ, α = 2`."""
        return label(self.method, self.alpha)

    @property
    def adversarial(self) -> bool:
        """Whether the encoder was trained against an adversary (alpha > 0)."""
        return self.alpha is not None and self.alpha > 0

    @property
    def family(self) -> str:
        """The method without its strength: `downsample` of `downsample-28`."""
        return family_and_strength(self.method)[0]

    @property
    def strength(self) -> float | None:
        """The strength in its settings, or else alpha; None where there is neither."""
        own = family_and_strength(self.method)[1]
        return self.alpha if own is None else own

    @property
    def removed(self) -> float:
        """A number that grows with how much the method removes, within its family only."""
        return strength_order(self.family, self.strength)


def strongest_of_row(row: Row) -> Accuracy | None:
    """Return the accuracy of a row's most accurate attacker, if there was any."""
    return row.strongest[1] if row.strongest else None


def by_frame(methods: Sequence[Method]) -> list[Method]:
    """Return methods without their attackers, to compare them as the paper does."""
    return [replace(method, attackers=()) for method in methods]


def comparable(methods: Sequence[Method]) -> list[Method]:
    """Return methods to compare by the strongest attacker; by frame where one lacks attackers."""
    return list(methods) if all(m.attackers for m in methods) else by_frame(methods)


def reading(methods: Sequence[Method]) -> str:
    """Return by what privacy accuracy these are compared, in words."""
    return "strongest attacker" if methods[0].attackers else "by frame"


def families(methods: Sequence[Method]) -> dict[str, list[Method]]:
    """Group methods by family, those that remove most last; the references are left out."""
    groups: dict[str, list[Method]] = {}
    for method in methods:
        if method.method not in REFERENCES:
            groups.setdefault(method.family, []).append(method)
    return {family: sorted(group, key=lambda m: m.removed) for family, group in groups.items()}


def pool(results: Sequence[Result]) -> list[Method]:
    """Group the rows of results on the same labels by method and alpha.

    In the order raw, untrained, BDQ by alpha, then the other families by name and strength.

    Several rows of a method are pooled clip by clip: a clip scores the mean over the rows that
    saw it, and the interval counts the distinct clips. So folds add up, and a second seed on the
    same clips does not pretend to be new evidence.

    Args:
        results: Results with the same actions and privacy labels.
    """
    groups: dict[tuple[str, float | None, int], list[tuple[str, Row]]] = {}
    for result in results:
        for row in result.rows:
            # Without per-clip answers there is nothing to pool by: such a row stands alone.
            alone = 0 if row.predictions else id(row)
            groups.setdefault((row.method, row.alpha, alone), []).append((result.dataset.hash, row))
    methods = [_pooled(method, alpha, rows) for (method, alpha, _), rows in groups.items()]
    return sorted(methods, key=_order)


def _order(method: Method) -> tuple[int, str, float, float]:
    known = [RAW, UNTRAINED, BDQ]
    place = known.index(method.method) if method.method in known else len(known)
    strength, alpha = (-1.0 if v is None else v for v in (method.strength, method.alpha))
    return place, method.family, strength, alpha


def _pooled(method: str, alpha: float | None, rows: list[tuple[str, Row]]) -> Method:
    clips: dict[tuple[str, str], list[ClipPrediction]] = {}
    for data_hash, row in rows:
        for prediction in row.predictions:
            clips.setdefault((data_hash, prediction.clip), []).append(prediction)
    answers = tuple(tuple(seen) for seen in clips.values())
    only = tuple(row for _, row in rows)
    if len(only) == 1:
        scores = (only[0].action, only[0].privacy.frame, only[0].privacy.clip)
    else:
        people = np.array([seen[0].privacy for seen in answers])
        scores = (
            Accuracy.of(action_scores(answers), [seen[0].action for seen in answers]),
            Accuracy.of(np.array([_frames_right(seen) for seen in answers]), people),
            Accuracy.of(np.array([_clip_right(seen) for seen in answers]), people),
        )
    attackers = tuple(_pooled_attackers(rows, tuple(clips)))
    return Method(method, alpha, only, answers, *scores, tuple(clips), attackers)


def _pooled_attackers(
    rows: list[tuple[str, Row]], keys: tuple[tuple[str, str], ...]
) -> Iterator[MethodAttacker]:
    """Yield the attackers that all rows have, in the order of the first."""
    for first in rows[0][1].attackers:
        scores: dict[tuple[str, str], list[float | list[float]]] = {}
        people: dict[tuple[str, str], int | list[int]] = {}
        for data_hash, row in rows:
            same = next((a for a in row.attackers if a.name == first.name), None)
            if same is None:
                break
            for prediction, right in zip(row.predictions, same.right, strict=True):
                if right is not None:
                    scores.setdefault((data_hash, prediction.clip), []).append(right)
                    people[data_hash, prediction.clip] = prediction.privacy
        else:
            means = {key: np.mean(seen, axis=0) for key, seen in scores.items()}
            labels = np.array([people[key] for key in means])
            yield MethodAttacker(
                first.name,
                Accuracy.of(np.array(list(means.values())), labels),
                tuple(float(means[key].mean()) if key in means else None for key in keys),
            )


Answers = Sequence[Sequence[ClipPrediction]]


def action_scores(answers: Answers) -> list[float]:
    """Return for each clip the share of its rows whose action network was right."""
    return [_mean([_action_right(p) for p in seen]) for seen in answers]


def frame_scores(answers: Answers) -> list[float]:
    """Return for each clip the share of frames on which the privacy network was right."""
    return [float(_frames_right(seen).mean()) for seen in answers]


def clip_scores(answers: Answers) -> list[float]:
    """Return for each clip the share of its rows whose privacy network was right by clip."""
    return [float(_clip_right(seen).mean()) for seen in answers]


def _frames_right(seen: Sequence[ClipPrediction]) -> Floats:
    """Return the mean over a clip's rows: 0-dimensional, or of each attribute, (attributes,)."""
    return np.mean([p.privacy_frames for p in seen], axis=0, dtype=np.float64)


def _clip_right(seen: Sequence[ClipPrediction]) -> Floats:
    return np.mean([p.privacy_right for p in seen], axis=0, dtype=np.float64)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _action_right(prediction: ClipPrediction) -> bool:
    return int(np.argmax(prediction.action_probabilities)) == prediction.action


def find(methods: Sequence[Method], name: str, alpha: float | None = None) -> Method | None:
    """Return the method of this name and alpha, if it was measured."""
    return next((m for m in methods if m.method == name and m.alpha == alpha), None)


def main_encoder(methods: Sequence[Method]) -> Method | None:
    """Return the encoder that a summary shows: the trained BDQ of the largest alpha.

    The rule does not depend on the accuracies, so it cannot pick the luckiest row. Where no BDQ
    was trained it is the last encoder measured; None where there is raw video only.
    """
    trained = [m for m in methods if m.method == BDQ and m.alpha is not None]
    others = [m for m in methods if m.method != RAW]
    if trained:
        return max(trained, key=lambda m: m.alpha or 0.0)
    return others[-1] if others else None


def by_labels(runs: Sequence[StoredResult]) -> list[list[StoredResult]]:
    """Group runs that can stand in one table: the same data set, actions and privacy labels."""
    groups: dict[tuple[object, ...], list[StoredResult]] = {}
    for run in runs:
        data = run.result.dataset
        key = (data.name, tuple(data.actions), data.privacy_label, tuple(data.privacy_names))
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def check(run: StoredResult) -> None:
    """Check what a report relies on and the schema cannot say.

    Raises:
        MotionveilError: There are no rows, or a prediction does not fit the data set's labels.
    """
    if not run.result.rows:
        raise MotionveilError(f"{run.file}: no rows, so there is nothing to report")
    actions, identities = len(run.result.dataset.actions), len(run.result.dataset.privacy_names)
    for row in run.result.rows:
        for p in row.predictions:
            faults = (
                ("action", p.action, p.action_probabilities, actions),
                ("privacy", p.privacy, p.privacy_probabilities, identities),
            )
            for what, index, probabilities, count in faults:
                low, high = np.min(index), np.max(index)
                if not (low >= 0 and high < count) or len(probabilities) != count:
                    raise MotionveilError(
                        f"{run.file}: {label(row.method, row.alpha)}, clip {p.clip}: {what} class"
                        f" {index} with {len(probabilities)} probabilities, the data set names"
                        f" {count} classes"
                    )
