"""What the built-in kinds of attacks store of what they found."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from motionveil.audit_results.finding import (
    CHANCE,
    Column,
    Finding,
    LabelFinding,
    Measured,
    Renamed,
)
from motionveil.results import Stored


class RecognitionScores(Renamed):
    """What an attack's answers show. Which variant counts was chosen on other recordings.

    Attributes:
        clip: Accuracy over clips, softmax averaged over a clip's frames.
        frame: Mean accuracy over frames; for an attack that sees whole clips it equals `clip`.
        balanced: Mean over the classes of the accuracy within the class, by clip.
        chance_level: Share of the commonest class on the same clips.
        p: p-value of a permutation test, by clip.
        bits: Lower bound on the mutual information of a clip and its label.
        entropy: The label's entropy over the same clips, in bits.
        chosen: Names of the variants that count, one or two.
        variants: How many there were to choose from.
        confusion: Rows are true classes, columns answers: numbers of clips.
    """

    clip: Measured
    frame: Measured
    balanced: float
    chance_level: float
    p: float
    bits: Measured
    entropy: float
    chosen: list[str]
    variants: int
    confusion: list[list[int]]


class ClipAnswer(Stored):
    """The chosen variant's answer for one clip.

    Attributes:
        clip: `path#start-end` as in the manifest.
        recording: The clip's group in the manifest: the recording or session.
        truth: True class.
        probabilities: For each class, mean over the clip's frames.
        frames: Share of the frames on which the answer was right.
        surest: The frame on which the true class was likeliest, from the first veiled one on.
    """

    clip: str
    recording: str
    truth: int
    probabilities: list[float]
    frames: float
    surest: int

    @property
    def right(self) -> bool:
        """Whether the likeliest class is the true one."""
        likeliest = max(range(len(self.probabilities)), key=self.probabilities.__getitem__)
        return likeliest == self.truth


class Recognition(LabelFinding):
    """How well an attacker recognises a label.

    Attributes:
        target: `"privacy"` or `"action"`.
        classes: The label's values, in the order of the classes.
        scores: What follows from the answers.
        answers: One for each clip held out.
        trained_on: Number of clips learned from.
        curve: Accuracy in training for each epoch, of the variant that counts for most clips.
        by_frame: Whether its answers are about single frames, in their order.
    """

    kind: str = "recognise"
    target: str
    classes: list[str]
    scores: RecognitionScores
    answers: list[ClipAnswer]
    trained_on: int
    curve: list[float] = Field(default_factory=list)
    by_frame: bool = False

    @property
    def headline(self) -> Measured:
        """What attackers are compared by: accuracy by clip."""
        return self.scores.clip

    @property
    def training_accuracy(self) -> float | None:
        """Accuracy on its own training clips in the last epoch."""
        return self.curve[-1] if self.curve else None

    def rows(self) -> list[tuple[str, list[Column]]]:
        """Return its row."""
        scores = self.scores
        bits = f"{max(0.0, scores.bits.value):.2f} of {scores.entropy:.2f}"
        return [
            (
                "",
                [
                    Column.share("Clip accuracy, %", scores.clip),
                    Column.share("Frame accuracy, %", scores.frame),
                    Column.share("Balanced, %", scores.balanced),
                    Column.share(CHANCE, scores.chance_level),
                    Column(name="n", value=len(self.answers), digits=0),
                    *self.training_columns(),
                    Column(name="p", value=scores.p, digits=4),
                    Column(name="Bits", value=bits),
                    Column(name="Variants", value=scores.variants, digits=0),
                ],
            )
        ]

    def surest(self, most: int) -> list[int]:
        """Return the places of at most `most` answers: right ones, the surest first."""
        right = [place for place, answer in enumerate(self.answers) if answer.right]
        return sorted(right, key=self._sureness)[:most]

    def _sureness(self, place: int) -> tuple[float, str]:
        answer = self.answers[place]
        return -answer.probabilities[answer.truth], answer.clip


class Search(Stored):
    """The search for one person by one clip.

    Attributes:
        clip, recording: The query, as in `ClipAnswer`.
        truth: Who it shows, as a class.
        found: Who the most similar clip shows.
        precision: Average precision of the whole ranking.
    """

    clip: str
    recording: str
    truth: int
    found: int
    precision: float


class Retrieval(Finding):
    """Re-identification of people whom the attacker's network was not trained on.

    Attributes:
        classes: As in `Recognition`.
        rank_1: Share of queries whose most similar clip shows the same person.
        mean_precision: Mean average precision of the queries' rankings.
        area: Area under the ROC curve of all pairs.
        equal_error: Equal error rate of all pairs.
        p: p-value of a permutation test of `rank_1`.
        curve: The ROC curve: share of false alarms, share of detections.
        searches: One for each query.
        gallery: Number of clips searched in, for each half of the people.
    """

    title: ClassVar[str] = "Re-identification"
    kind: str = "retrieve"
    classes: list[str]
    rank_1: Measured
    mean_precision: Measured
    area: Measured
    equal_error: Measured
    p: float
    curve: list[tuple[float, float]]
    searches: list[Search]
    gallery: list[int]

    def rows(self) -> list[tuple[str, list[Column]]]:
        """Return its row."""
        return [
            (
                "",
                [
                    Column.share("Rank-1, %", self.rank_1),
                    Column.share(CHANCE, self.rank_1.chance_level),
                    Column.share("mAP, %", self.mean_precision),
                    Column.share("Chance mAP, %", self.mean_precision.chance_level),
                    Column.share("ROC area, %", self.area),
                    Column.share("Equal error, %", self.equal_error),
                    Column(name="n", value=len(self.searches), digits=0),
                    *self.training_columns(),
                    Column(name="p", value=self.p, digits=4),
                ],
            )
        ]


class FaceNaming(Renamed):
    """Whose faces a face recogniser takes them for, told where they are.

    Attributes:
        clips: Clips with a face in their original frames.
        original, veiled: Share of these of which the right class is named, by those frames and by
            the veiled ones.
        chance_level: Share of the commonest class.
        p: p-value of a permutation test of `veiled`.
    """

    clips: int
    original: Measured
    veiled: Measured
    chance_level: float
    p: float


class FaceSearch(Finding):
    """Faces in the veiled video, at the size at which it was filmed.

    Attributes:
        clips: Clips looked at.
        with_faces: How many of them have a face in their original frames.
        original, veiled: Share of frames in which a face is detected.
        redetected: Share of the original's faces that are detected at their places in veiled
            frames; None where there are faces in fewer than two recordings.
        naming: Whose faces they are taken for; None without a recogniser, or as `redetected`.
    """

    title: ClassVar[str] = "Faces"
    kind: str = "faces"
    clips: int
    with_faces: int
    original: Measured
    veiled: Measured
    redetected: Measured | None = None
    naming: FaceNaming | None = None

    def rows(self) -> list[tuple[str, list[Column]]]:
        """Return a row for veiled frames, and one for the original."""
        naming = self.naming
        chance = Column.share(CHANCE, naming.chance_level if naming else None)
        return [
            (
                name,
                [
                    Column.share("Frames with a face, %", detected),
                    Column.share("Redetected in place, %", redetected),
                    Column.share("Clips named, %", named),
                    chance,
                    Column(name="n", value=self.clips, digits=0),
                    Column(name="with faces", value=self.with_faces, digits=0),
                ],
            )
            for name, detected, redetected, named in (
                ("veiled", self.veiled, self.redetected, naming.veiled if naming else None),
                ("original", self.original, None, naming.original if naming else None),
            )
        ]
