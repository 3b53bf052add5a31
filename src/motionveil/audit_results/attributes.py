"""What recognition of several attributes at once stores of what it found."""

from __future__ import annotations

from motionveil.audit_results.finding import CHANCE, Column, LabelFinding, Measured
from motionveil.results import AttributeScore, AttributeScores, Reading, Stored, attribute_lines

ATTRIBUTES = "attributes"
"""Kind of what recognition of several attributes finds."""


class AttributeAnswer(Stored):
    """The chosen variant's answer about one clip.

    Attributes:
        clip, recording: As in `ClipAnswer`.
        truth: For each attribute 1 if it is there, else 0.
        probabilities: Of each attribute, mean over the clip's frames.
        frames: Share of the frames on which each attribute was answered right.
    """

    clip: str
    recording: str
    truth: list[int]
    probabilities: list[float]
    frames: list[float]

    @property
    def right(self) -> list[bool]:
        """Whether each attribute is answered right by clip."""
        pairs = zip(self.probabilities, self.truth, strict=True)
        return [(p >= 0.5) == bool(truth) for p, truth in pairs]


class AttributeRecognition(LabelFinding):
    """How well an attacker recognises several attributes at once.

    Attributes:
        classes: The attributes.
        scores: Average precision and F1 by clip and by frame.
        answers: One for each clip held out.
        trained_on: Number of clips learned from.
        by_frame: Whether its answers are about single frames, in their order.
        chosen: Names of the variants that count, one or two.
        p: p-value of a permutation test of cMAP by clip; None in older audits.
    """

    kind: str = ATTRIBUTES
    classes: list[str]
    scores: dict[Reading, AttributeScores]
    answers: list[AttributeAnswer]
    trained_on: int
    by_frame: bool = False
    chosen: list[str]
    p: float | None = None

    @property
    def headline(self) -> Measured:
        """What attackers are compared by: cMAP by clip."""
        return measured_precision(self.scores["clip"])

    def rows(self) -> list[tuple[str, list[Column]]]:
        """Return a row of the means, whose average precision is cMAP, and one per attribute."""
        pairs = attribute_lines(self.scores)
        return [(clip.name, self._columns(clip, frame)) for frame, clip in pairs]

    def _columns(self, clip: AttributeScore, frame: AttributeScore) -> list[Column]:
        precision, chance, f1, always = attribute_columns(clip)
        return [
            precision,
            Column.share("by frame", frame.average_precision),
            chance,
            f1,
            Column.share("by frame", frame.f1),
            always,
            Column(name="n", value=len(self.answers), digits=0),
            *self.training_columns(),
            Column(name="p of the mean", value=self.p, digits=4),
        ]


def measured_precision(scores: AttributeScores) -> Measured:
    """Return cMAP with its interval, and the mean prevalence as its chance level."""
    mean = scores.mean
    return Measured(
        value=mean.average_precision,
        interval=mean.average_precision_interval,
        chance_level=mean.prevalence,
    )


def attribute_columns(score: AttributeScore) -> list[Column]:
    """Return average precision and F1 by clip, each with its chance level."""
    precision, f1 = (
        Measured(value=value, interval=interval)
        for value, interval in (
            (score.average_precision, score.average_precision_interval),
            (score.f1, score.f1_interval),
        )
    )
    return [
        Column.share("Average precision by clip, %", precision),
        Column.share(CHANCE, score.prevalence),
        Column.share("F1 by clip, %", f1),
        Column.share("F1 of always yes", score.f1_chance),
    ]
