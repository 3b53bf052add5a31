"""What each attack of an audit found, with every answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from motionveil.files import write_text_atomically
from motionveil.results import Stored, read_stored

Interval = tuple[float, float]


class Measured(Stored):
    """A figure and its 95 % interval, by a bootstrap over recordings.

    Attributes:
        value: The figure.
        interval: Its interval.
    """

    value: float
    interval: Interval


class Judgement(Stored):
    """What an attack's answers show. Which variant counts was chosen on other recordings.

    Attributes:
        clip: Accuracy over clips, softmax averaged over a clip's frames.
        frame: Mean accuracy over frames; for an attack that sees whole clips it equals `clip`.
        balanced: Mean over the classes of the accuracy within the class, by clip.
        floor: Share of the commonest class on the same clips.
        p: How often labels dealt at random are guessed as well (permutation test, by clip).
        bits: Lower bound on the mutual information of a clip and its label.
        entropy: The label's entropy over the same clips, in bits.
        chosen: Names of the variants that count, one or two.
        variants: How many there were to choose from.
        confusion: Rows are true classes, columns guesses: numbers of clips.
    """

    clip: Measured
    frame: Measured
    balanced: float
    floor: float
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


class AttackFinding(Stored):
    """One attack on one kind of video.

    Attributes:
        kind: `"recognise"`.
        name: The attack's name.
        target: `"privacy"` or `"action"`.
        label: Name of the label attacked.
        classes: The label's values, in the order of the classes.
        video: `"raw"` or `"veiled"`.
        attack: Everything that the attacker did, as data.
        judgement: What follows from the answers.
        answers: One for each clip held out.
        trained_on: Number of clips learned from.
        curve: Accuracy in training for each epoch, of the variant that counts for most clips.
        names_frames: Whether its answers are about single frames, in their order.
        picture, picture_with_original: Names of PNGs in the attack's folder, the frames of the
            clips that it was right about and surest of; empty where there are none.
        seconds: Wall time.
    """

    kind: Literal["recognise"] = "recognise"
    name: str
    target: str
    label: str
    classes: list[str]
    video: str
    attack: dict[str, Any]
    judgement: Judgement
    answers: list[ClipAnswer]
    trained_on: int
    curve: list[float] = Field(default_factory=list)
    names_frames: bool = False
    picture: str = ""
    picture_with_original: str = ""
    seconds: float

    def surest(self, most: int) -> list[int]:
        """Return the places of so many answers at most: the right ones, the surest first."""
        right = [place for place, answer in enumerate(self.answers) if answer.right]
        return sorted(right, key=self._sureness)[:most]

    def _sureness(self, place: int) -> tuple[float, str]:
        answer = self.answers[place]
        return -answer.probabilities[answer.truth], answer.clip


class Guessed(Measured):
    """A figure, its 95 % interval, and what one that guesses gets.

    Attributes:
        guessed: That of a ranking, or of a verification, at random.
    """

    guessed: float


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


class RetrievalFinding(Stored):
    """Finding people again whom the attacker's network was not trained on, on one kind of video.

    Attributes:
        kind: `"retrieve"`.
        name, label, classes, video, attack, seconds: As in `AttackFinding`.
        rank_1: Share of queries whose most similar clip shows the same person.
        mean_precision: Mean average precision of the queries' rankings.
        area: Area under the ROC curve of all pairs.
        equal_error: Equal error rate of all pairs.
        p: How often people dealt at random to the queries are found first as often.
        curve: The ROC curve: share of false alarms, share of detections.
        searches: One for each query.
        gallery: Number of clips searched in, for each half of the people.
    """

    kind: Literal["retrieve"] = "retrieve"
    name: str
    label: str
    classes: list[str]
    video: str
    attack: dict[str, Any]
    rank_1: Guessed
    mean_precision: Guessed
    area: Guessed
    equal_error: Guessed
    p: float
    curve: list[tuple[float, float]]
    searches: list[Search]
    gallery: list[int]
    seconds: float


class Likeness(Stored):
    """How like their originals reconstructed clips are; means over clips.

    Attributes:
        clips: Number of clips.
        psnr: Peak signal to noise ratio of the mean square error, in dB.
        ssim: Structural similarity, 1 for equal pictures.
        gmsd: Gradient magnitude similarity deviation, 0 for equal pictures.
        recognised: Share of frames in which a network trained on original video names the person.
        blank_psnr, blank_ssim, blank_gmsd: Of the mean of the clips learned from, which knows
            nothing of the clip: a reconstruction that is no better has shown nothing.
        original_recognised: `recognised` of the original frames.
        faces: Share of frames in which a face is found; None where none was looked for.
        original_faces: The same of the original frames.
        floor: Share of the commonest person.
    """

    clips: int
    psnr: Measured
    ssim: Measured
    gmsd: Measured
    recognised: Measured
    blank_psnr: float
    blank_ssim: float
    blank_gmsd: float
    original_recognised: float
    faces: Measured | None = None
    original_faces: float | None = None
    floor: float


class ReconstructionFinding(Stored):
    """The original video computed from the veiled one.

    Attributes:
        kind: `"reconstruct"`.
        name, label, video, attack, seconds: As in `AttackFinding`.
        known: Of clips held out, of people whom the U-Net has learned from.
        strangers: Of clips of people whom it never saw.
        picture: Name of a PNG in the attack's folder, moments veiled and reconstructed.
        picture_with_original: The same with the originals.
    """

    kind: Literal["reconstruct"] = "reconstruct"
    name: str
    label: str
    video: str
    attack: dict[str, Any]
    known: Likeness
    strangers: Likeness
    picture: str
    picture_with_original: str
    seconds: float


class FaceNaming(Stored):
    """Whose faces a network made elsewhere takes them for, told where they are.

    Attributes:
        clips: Clips with a face in their original frames.
        original, veiled: Share of these of which the right class is named, by those frames and by
            the veiled ones.
        floor: Share of the commonest class.
        p: How often labels dealt at random are named as well from veiled frames.
    """

    clips: int
    original: Measured
    veiled: Measured
    floor: float
    p: float


class FaceFinding(Stored):
    """Faces in the veiled video, at the size at which it was filmed.

    Attributes:
        kind: `"faces"`.
        name, label, video, attack, seconds: As in `AttackFinding`.
        clips: Clips looked at.
        with_faces: How many of them have a face in their original frames.
        original, veiled: Share of frames in which a face is found.
        again: Share of the original's faces that are found at their places in veiled frames; None
            where there are faces in fewer than two recordings.
        naming: Whose faces they are taken for; None without a network for faces, or as `again`.
    """

    kind: Literal["faces"] = "faces"
    name: str
    label: str
    video: str
    attack: dict[str, Any]
    clips: int
    with_faces: int
    original: Measured
    veiled: Measured
    again: Measured | None = None
    naming: FaceNaming | None = None
    seconds: float


Finding = AttackFinding | RetrievalFinding | ReconstructionFinding | FaceFinding
"""What one attack found on one kind of video."""


class _FindingFile(Stored):
    finding: Annotated[Finding, Field(discriminator="kind")]


def write_finding(file: Path, finding: Finding) -> Path:
    """Write what one attack found, whole or not at all, and return the path."""
    text = _FindingFile(finding=finding).model_dump_json(indent=1)
    return write_text_atomically(file, text + "\n")


def read_finding(file: Path) -> Finding:
    """Read what one attack found.

    Raises:
        MotionveilError: The file is missing or is none; names the file and the fault.
    """
    return read_stored(_FindingFile, file, "attack").finding
