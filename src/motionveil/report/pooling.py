"""What a report compares: the rows of one method, pooled over seeds, folds and runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from motionveil.errors import MotionveilError
from motionveil.results import Accuracy, ClipPrediction, Result, Row

RAW = "raw"
UNTRAINED = "bdq-untrained"
BDQ = "bdq"


@dataclass(frozen=True)
class Run:
    """A stored result and the folder that its pictures and videos lie in."""

    result: Result
    folder: Path


@dataclass(frozen=True)
class Method:
    """One method at one alpha with all the rows measured for it.

    Attributes:
        method, alpha: As in `Row`.
        rows: The rows, in the order of the runs.
        answers: For each distinct clip the predictions of the rows that saw it.
        action: Accuracy of fresh action networks, pooled over the rows.
        frame, clip: The two readings of the privacy networks' accuracy, pooled.
    """

    method: str
    alpha: float | None
    rows: tuple[Row, ...]
    answers: tuple[tuple[ClipPrediction, ...], ...]
    action: Accuracy
    frame: Accuracy
    clip: Accuracy

    @property
    def label(self) -> str:
        """The method's name for people, such as `BDQ, α = 2`."""
        return label(self.method, self.alpha)

    @property
    def adversarial(self) -> bool:
        """Whether the encoder was trained against an adversary (alpha > 0)."""
        return self.alpha is not None and self.alpha > 0


def label(method: str, alpha: float | None) -> str:
    """Return a method's name for people; an unknown method keeps the name it has."""
    name = {RAW: "raw video", UNTRAINED: "BDQ, untrained", BDQ: "BDQ"}.get(method, method)
    return name if alpha is None else f"{name}, α = {alpha:g}"


def pool(results: Sequence[Result]) -> list[Method]:
    """Group the rows of results on the same labels by method and alpha, raw first.

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


def _order(method: Method) -> tuple[int, str, float]:
    known = [RAW, UNTRAINED, BDQ]
    place = known.index(method.method) if method.method in known else len(known)
    return place, method.method, -1.0 if method.alpha is None else method.alpha


def _pooled(method: str, alpha: float | None, rows: list[tuple[str, Row]]) -> Method:
    clips: dict[tuple[str, str], list[ClipPrediction]] = {}
    for data_hash, row in rows:
        for prediction in row.predictions:
            clips.setdefault((data_hash, prediction.clip), []).append(prediction)
    answers = tuple(tuple(seen) for seen in clips.values())
    only = tuple(row for _, row in rows)
    if len(only) == 1:
        privacy = only[0].privacy
        return Method(method, alpha, only, answers, only[0].action, privacy.frame, privacy.clip)
    actions = [answer[0].action for answer in answers]
    identities = [answer[0].privacy for answer in answers]
    return Method(
        method,
        alpha,
        only,
        answers,
        action=Accuracy.of([_mean([action_right(p) for p in a]) for a in answers], actions),
        frame=Accuracy.of([_mean([p.privacy_frames for p in a]) for a in answers], identities),
        clip=Accuracy.of([_mean([_privacy_right(p) for p in a]) for a in answers], identities),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def action_right(prediction: ClipPrediction) -> bool:
    """Return whether the action network's most probable class is the true one."""
    return int(np.argmax(prediction.action_probabilities)) == prediction.action


def _privacy_right(prediction: ClipPrediction) -> bool:
    return int(np.argmax(prediction.privacy_probabilities)) == prediction.privacy


def by_labels(runs: Sequence[Run]) -> list[list[Run]]:
    """Group runs that can stand in one table: the same data set, actions and privacy labels."""
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        data = run.result.dataset
        key = (data.name, tuple(data.actions), data.privacy_label, tuple(data.privacy_names))
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def check(run: Run) -> None:
    """Check what a report relies on and the schema cannot say.

    Raises:
        MotionveilError: There are no rows, or a prediction does not fit the data set's labels.
    """
    file = run.folder / "results.json"
    if not run.result.rows:
        raise MotionveilError(f"{file}: no rows, so there is nothing to report")
    actions, identities = len(run.result.dataset.actions), len(run.result.dataset.privacy_names)
    for row in run.result.rows:
        for p in row.predictions:
            faults = (
                ("action", p.action, p.action_probabilities, actions),
                ("privacy", p.privacy, p.privacy_probabilities, identities),
            )
            for what, index, probabilities, count in faults:
                if not 0 <= index < count or len(probabilities) != count:
                    raise MotionveilError(
                        f"{file}: {label(row.method, row.alpha)}, clip {p.clip}: {what} class"
                        f" {index} with {len(probabilities)} probabilities, the data set names"
                        f" {count} classes"
                    )
