"""What an audit leaves behind: every attack with its answers and what follows from them.

An `Audit` is JSON on disk, `audit.json`. Needs numpy and pydantic only, so that a report needs no
torch.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from motionveil.files import write_text_atomically
from motionveil.results import Dataset, Stored, read_stored

FILE_NAME = "audit.json"
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
    names_frames: bool = False
    picture: str = ""
    picture_with_original: str = ""
    seconds: float


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


Finding = AttackFinding | RetrievalFinding | ReconstructionFinding
"""What one attack found on one kind of video."""


class _FindingFile(Stored):
    finding: Annotated[Finding, Field(discriminator="kind")]


class Strongest(Stored):
    """The strongest attack on a label, corrected for having been chosen.

    Attributes:
        accuracy: By clip: for each half of the recordings that of the attack that was best on the
            other half.
        chosen: Names of the attacks chosen, one or two.
        naive: Accuracy of the best attack over all clips, which chance has chosen too.
    """

    accuracy: Measured
    chosen: list[str]
    naive: float


class Confound(Stored):
    """How well another column of the manifest tells a label: whether it can be mistaken for it.

    Attributes:
        label: The label.
        column: The other column; `"group"` for recordings.
        clips: Number of clips held out.
        shared: How many of them show their value of the label under a value of the column under
            which the training clips show it too.
        crossable: How many can be asked about by one who has learned their label under other
            values of the column only.
        tells: Accuracy on the clips held out of one who knows nothing but the column, and guesses
            what is commonest under it in training.
        floor: Share of the commonest value of the label.
    """

    label: str
    column: str
    clips: int
    shared: int
    crossable: int
    tells: float
    floor: float

    @property
    def at_work(self) -> bool:
        """Whether the column alone tells more of the label than guessing."""
        return self.tells > self.floor


class Audit(Stored):
    """Everything an audit leaves behind; `audit.json` on disk.

    Attributes:
        command: The command line that made it.
        encoder: What the encoder was called.
        spec: The encoder as data, where it is one of ours.
        dataset: What it was measured on.
        split: The part held out.
        recipe: The resolved recipe.
        suite: The suite's name.
        seed: The seed.
        environment: Versions, processor, device.
        attacks: The attacks that recognise the privacy label or the action.
        beside: Those that recognise other labels of the manifest.
        crossings: Those that may not go by another column, and their controls.
        confounds: How other columns stand to the privacy label.
        strongest: The strongest of those on the privacy label of veiled video; None where there
            are none.
        retrievals: The attacks that find people again.
        reconstructions: The attacks that compute the original video.
        failed: Names of the attacks that could not be carried out, and why.
        seconds: Wall time of all attacks together.
    """

    command: str
    encoder: str
    spec: dict[str, Any] | None = None
    dataset: Dataset
    split: str
    recipe: dict[str, Any]
    suite: str
    seed: int
    environment: dict[str, str]
    attacks: list[AttackFinding]
    beside: list[AttackFinding] = Field(default_factory=list)
    crossings: list[AttackFinding] = Field(default_factory=list)
    confounds: list[Confound] = Field(default_factory=list)
    strongest: Strongest | None = None
    retrievals: list[RetrievalFinding] = Field(default_factory=list)
    reconstructions: list[ReconstructionFinding] = Field(default_factory=list)
    failed: dict[str, str] = Field(default_factory=dict)
    seconds: float

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write `audit.json` into a folder, whole or not at all, and return its path."""
        return write_text_atomically(
            Path(folder) / FILE_NAME, self.model_dump_json(indent=1) + "\n"
        )

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Audit:
        """Read and check an `audit.json`, or the one in a folder.

        Raises:
            MotionveilError: The file is missing or is no audit; names the file and the fault.
        """
        file = Path(path)
        if file.is_dir():
            file = file / FILE_NAME
        return read_stored(cls, file, "audit")


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
