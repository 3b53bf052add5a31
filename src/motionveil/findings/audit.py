"""An audit: what all its attacks found, and what follows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field

from motionveil.files import write_text_atomically
from motionveil.findings.attacks import (
    AttackFinding,
    FaceFinding,
    Measured,
    ReconstructionFinding,
    RetrievalFinding,
)
from motionveil.geometry import Geometry
from motionveil.results import Dataset, Order, Stored, read_stored

FILE_NAME = "audit.json"


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
        frames: Frames of a clip that attackers saw; 0 where it was not noted.
        order: What was attacked: what leaves a camera. See `motionveil.results.Order`.
        geometry: Size and rate at which it was veiled; None for older audits, which veiled at the
            recipe's `cache_size`.
        environment: Versions, processor, device.
        raw_from: The folder of the audit whose findings on raw video these are; empty where raw
            video was attacked for this audit alone.
        attacks: The attacks that recognise the privacy label or the action.
        beside: Those that recognise other labels of the manifest.
        crossings: Those that may not go by another column, and their controls.
        confounds: How other columns stand to the privacy label.
        strongest: The strongest of those on the privacy label of veiled video; None where there
            are none.
        retrievals: The attacks that find people again.
        reconstructions: The attacks that compute the original video.
        faces: The searches for faces.
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
    frames: int = 0
    order: Order = "camera"
    geometry: Geometry | None = None
    environment: dict[str, str]
    raw_from: str = ""
    attacks: list[AttackFinding]
    beside: list[AttackFinding] = Field(default_factory=list)
    crossings: list[AttackFinding] = Field(default_factory=list)
    confounds: list[Confound] = Field(default_factory=list)
    strongest: Strongest | None = None
    retrievals: list[RetrievalFinding] = Field(default_factory=list)
    reconstructions: list[ReconstructionFinding] = Field(default_factory=list)
    faces: list[FaceFinding] = Field(default_factory=list)
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
