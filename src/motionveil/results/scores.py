"""Scores with what is needed to judge them: accuracies, average precision and F1 of attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from motionveil.statistics import (
    Floats,
    Integers,
    Interval,
    average_precision,
    f1_score,
    interval_of,
    mean_of_known,
    over_draws,
    wilson_interval,
)


class Stored(BaseModel):
    """Base of what is stored as JSON."""

    # JSON has no NaN: it would be written as null and could not be read again.
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Accuracy(Stored):
    """An accuracy with what is needed to judge it.

    Attributes:
        accuracy: Share of right answers in [0, 1].
        n: Number of clips. For `frame` accuracy too: the frames of one clip are no independent
            trials, so the interval counts clips.
        interval: Wilson's 95 % interval for `n` trials.
        balanced: Mean over the classes of the accuracy within the class.
        chance_level: Share of the commonest class on the same clips, the accuracy of the
            majority-class baseline; `floor` in older files.
    """

    accuracy: float
    n: int
    interval: tuple[float, float]
    balanced: float
    chance_level: float = Field(validation_alias=AliasChoices("chance_level", "floor"))

    @classmethod
    def of(cls, scores: Sequence[float] | Floats, labels: Sequence[int] | Integers) -> Accuracy:
        """Score clips.

        Args:
            scores: For each clip the share of right answers in [0, 1]: 0 or 1 for a clip's
                accuracy, the mean over its frames for `frame` accuracy. (clips,), or
                (clips, attributes), of which every figure is the mean over the attributes.
            labels: The true classes, of the same shape.

        Raises:
            ValueError: There are no clips, or the shapes differ.
        """
        score = np.asarray(scores, np.float64)
        label = np.asarray(labels)
        if score.size == 0 or score.shape != label.shape:
            raise ValueError(f"{score.size} scores for {label.size} labels")
        n = len(score)
        columns = list(zip(score.reshape(n, -1).T, label.reshape(n, -1).T, strict=True))
        accuracy = float(score.mean())
        return cls(
            accuracy=accuracy,
            n=n,
            interval=wilson_interval(min(1.0, max(0.0, accuracy)), n),
            balanced=float(np.mean([_balanced(*column) for column in columns])),
            chance_level=float(
                np.mean([np.unique(of, return_counts=True)[1].max() / n for _, of in columns])
            ),
        )


def _balanced(score: Floats, label: Integers) -> float:
    """Return the mean over the classes of the score within the class."""
    return float(np.mean([score[label == c].mean() for c in np.unique(label)]))


class AttributeScore(Stored):
    """How well an attribute of two values is recognised, or several in the mean.

    Attributes:
        name: The attribute.
        average_precision: Area under the precision-recall curve, as a sum of steps. Its mean over
            attributes is the field's cMAP.
        f1: F1 score of the answers over 1/2; its mean over attributes is the macro F1.
        prevalence: Share of positive clips: what a random ranking scores in average precision.
        f1_chance: F1 score of always answering yes, `2 p / (1 + p)` of the prevalence p.
        average_precision_interval, f1_interval: 95 %, by a bootstrap over recordings.
    """

    name: str
    average_precision: float
    average_precision_interval: Interval
    f1: float
    f1_interval: Interval
    prevalence: float
    f1_chance: float


class AttributeScores(Stored):
    """How well several attributes are recognised by the same answers.

    Attributes:
        mean: cMAP and macro F1.
        each: One for each attribute.
    """

    mean: AttributeScore
    each: list[AttributeScore]

    @property
    def lines(self) -> list[AttributeScore]:
        """The means, then each."""
        return [self.mean, *self.each]

    @classmethod
    def of(
        cls, names: Sequence[str], answers: Floats, labels: Integers, recordings: Integers
    ) -> AttributeScores:
        """Score answers, of clips or of their frames.

        Args:
            names: The attributes.
            answers: Probability of each, (n, attributes).
            labels: 1 where the attribute is there, else 0, (n, attributes).
            recordings: What each is cut from, (n,), as from `motionveil.statistics.numbered`.

        Raises:
            MotionveilError: There are fewer than two recordings.
        """
        measures = (average_precision, f1_score)
        # (measures, attributes, 1 + draws), the first of all as they are
        found = np.array(
            [
                [
                    over_draws(of, *column, recordings)
                    for column in zip(answers.T, labels.T, strict=True)
                ]
                for of in measures
            ]
        )
        prevalence = labels.mean(axis=0)
        chance = 2 * prevalence / (1 + prevalence)

        def score(name: str, values: Floats, share: float, f1_chance: float) -> AttributeScore:
            precision, f1 = values
            return AttributeScore(
                name=name,
                average_precision=float(precision[0]),
                average_precision_interval=interval_of(precision[1:]),
                f1=float(f1[0]),
                f1_interval=interval_of(f1[1:]),
                prevalence=float(share),
                f1_chance=float(f1_chance),
            )

        each = [
            score(name, found[:, place], prevalence[place], chance[place])
            for place, name in enumerate(names)
        ]
        # A draw may have no clip with an attribute: its mean is of the others, as of halves.
        means = mean_of_known(found.swapaxes(0, 1))
        return cls(mean=score("mean", means, prevalence.mean(), chance.mean()), each=each)


Reading = Literal["frame", "clip"]


def score_attributes(
    names: Sequence[str], answers: Sequence[Floats], labels: Integers, recordings: Integers
) -> dict[Reading, AttributeScores]:
    """Score answers about the frames of clips, by frame and averaged over each clip.

    Args:
        names: The attributes.
        answers: For each clip the probabilities (frames, attributes).
        labels, recordings: Of the clips, as for `AttributeScores.of`.
    """
    frames = [len(clip) for clip in answers]
    return {
        "frame": AttributeScores.of(
            names, np.concatenate(answers), labels.repeat(frames, axis=0), recordings.repeat(frames)
        ),
        "clip": AttributeScores.of(
            names, np.stack([clip.mean(axis=0) for clip in answers]), labels, recordings
        ),
    }


def attribute_lines(
    scores: Mapping[Reading, AttributeScores],
) -> list[tuple[AttributeScore, AttributeScore]]:
    """Return the scores by frame and by clip, side by side: of the means, then of each attribute.

    Args:
        scores: As from `score_attributes`, or empty where the label is no attributes.
    """
    if not scores:
        return []
    return list(zip(scores["frame"].lines, scores["clip"].lines, strict=True))


class PrivacyScore(Stored):
    """Both readings of a privacy network's answers over the same clips.

    Attributes:
        frame: Mean over all frames of all clips (what the published figures are).
        clip: Softmax averaged over the clip's frames, then the argmax (what the paper says).
        attributes: Where the label is several attributes, average precision and F1 of the answers
            by `"frame"` and by `"clip"`; `frame` and `clip` are then means over the attributes.
    """

    frame: Accuracy
    clip: Accuracy
    attributes: dict[Reading, AttributeScores] = Field(default_factory=dict)

    @property
    def strength(self) -> float:
        """What the attacker's strongest reading is chosen by: cMAP, or accuracy, by frame."""
        if self.attributes:
            return self.attributes["frame"].mean.average_precision
        return self.frame.accuracy
