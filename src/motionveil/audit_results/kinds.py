"""What the built-in kinds of attacks store of what they found."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from motionveil.audit_results.finding import CHANCE, Column, Finding, Measured, Renamed
from motionveil.results import Stored


class Scores(Renamed):
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


class Recognition(Finding):
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
    scores: Scores
    answers: list[ClipAnswer]
    trained_on: int
    curve: list[float] = Field(default_factory=list)
    by_frame: bool = False

    @property
    def across(self) -> str:
        """The column whose values it may not go by; empty for any."""
        return str(self.attack.get("across", ""))

    @property
    def section(self) -> str:
        """The label, with the column that it was crossed with."""
        return self.label + (f", crossed with {self.across}" if self.across else "")

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


class ImageQuality(Renamed):
    """How similar reconstructed clips are to their originals; means over clips.

    Attributes:
        clips: Number of clips.
        psnr: Peak signal to noise ratio of the mean square error, in dB.
        ssim: Structural similarity, 1 for equal images.
        gmsd: Gradient magnitude similarity deviation, 0 for equal images.
        recognised: Share of frames in which a network trained on original video names the person.
        baseline_psnr, baseline_ssim, baseline_gmsd: Of the mean of the training clips, which
            depends on no clip: a reconstruction that is no better has shown nothing.
        original_recognised: `recognised` of the original frames.
        faces: Share of frames in which a face is detected; None if there was no detector.
        original_faces: The same of the original frames.
        chance_level: Share of the commonest person.
    """

    clips: int
    psnr: Measured
    ssim: Measured
    gmsd: Measured
    recognised: Measured
    baseline_psnr: float
    baseline_ssim: float
    baseline_gmsd: float
    original_recognised: float
    faces: Measured | None = None
    original_faces: float | None = None
    chance_level: float

    def columns(self) -> list[Column]:
        """Return its figures, each followed by its reference."""
        found = []
        for name, figure, baseline, digits in (
            ("PSNR, dB", self.psnr, self.baseline_psnr, 1),
            ("SSIM", self.ssim, self.baseline_ssim, 3),
            ("GMSD", self.gmsd, self.baseline_gmsd, 3),
        ):
            value, interval = figure.value, figure.interval
            found.append(Column(name=name, value=value, interval=interval, digits=digits))
            found.append(Column(name="mean clip", value=baseline, digits=digits))
        found += [
            Column.share("Recognised, %", self.recognised),
            Column.share("original", self.original_recognised),
            Column.share(CHANCE, self.chance_level),
        ]
        if self.faces is not None:
            found += [
                Column.share("Faces, %", self.faces),
                Column.share("original", self.original_faces),
            ]
        return [*found, Column(name="n", value=self.clips, digits=0)]


CONVERGED = 0.02
"""Share by which a U-Net's loss may fall in the third quarter of its epochs."""

_EPOCHS_TO_JUDGE = 8


class Reconstruction(Finding):
    """The original video computed from the veiled one.

    Attributes:
        known: Of clips held out, of people whom the U-Net has learned from.
        unseen: Of clips of people whom it never saw.
        losses: The U-Net's loss in each epoch; empty in older files.
    """

    title: ClassVar[str] = "Reconstruction"
    kind: str = "reconstruct"
    known: ImageQuality
    unseen: ImageQuality
    losses: list[float] = Field(default_factory=list)

    @property
    def still_falling(self) -> float | None:
        """Share by which the loss fell in the third quarter of the epochs; None for few epochs.

        There the learning rate is still a seventh to a half of its height. A U-Net of which it is
        over `CONVERGED` was stopped before it had learned what it can.
        """
        epochs = len(self.losses)
        if epochs < _EPOCHS_TO_JUDGE:
            return None
        return 1 - self.losses[3 * epochs // 4 - 1] / self.losses[epochs // 2 - 1]

    def rows(self) -> list[tuple[str, list[Column]]]:
        """Return a row for each group of people."""
        falling = Column.share("loss fell, %", self.still_falling)
        groups = (("known people", self.known), ("unseen people", self.unseen))
        return [(name, [*found.columns(), falling]) for name, found in groups]


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
