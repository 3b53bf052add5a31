"""What an audit leaves behind: what every attack found, with every answer; `audit.json` on disk.

Needs numpy and pydantic only, so that a report needs no torch.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, model_validator

from motionveil.atomic_write import write_text_atomically
from motionveil.audit_results.attributes import (
    ATTRIBUTES,
    AttributeAnswer,
    AttributeRecognition,
    attribute_columns,
    measured_precision,
)
from motionveil.audit_results.finding import (
    CHANCE,
    AnyFinding,
    Column,
    Finding,
    LabelFinding,
    Measured,
    Renamed,
    read_finding,
)
from motionveil.audit_results.kinds import (
    ClipAnswer,
    FaceNaming,
    FaceSearch,
    Recognition,
    RecognitionScores,
    Retrieval,
    Search,
)
from motionveil.audit_results.reconstruction import (
    CONVERGED,
    ImageQuality,
    RebuiltClip,
    Reconstruction,
)
from motionveil.geometry import Geometry
from motionveil.results import (
    AttributeScores,
    Dataset,
    Order,
    Stored,
    StoredRecipe,
    read_stored,
)

__all__ = [
    "ATTRIBUTES",
    "CHANCE",
    "CONVERGED",
    "FILE_NAME",
    "AnyFinding",
    "AttributeAnswer",
    "AttributeRecognition",
    "Audit",
    "ClipAnswer",
    "Column",
    "Confound",
    "FaceNaming",
    "FaceSearch",
    "Finding",
    "ImageQuality",
    "LabelFinding",
    "Measured",
    "RebuiltClip",
    "Recognition",
    "RecognitionScores",
    "Reconstruction",
    "Retrieval",
    "Search",
    "Strongest",
    "attribute_columns",
    "measured_precision",
    "read_finding",
]

FILE_NAME = "audit.json"
F = TypeVar("F", bound=Finding)


class Strongest(Stored):
    """The strongest attack on a label, corrected for having been chosen.

    Attributes:
        accuracy: By clip: for each half of the recordings that of the attack that was best on the
            other half. Of several attributes at once, cMAP of the answers put together so.
        chosen: Names of the attacks chosen, one or two.
        naive: Accuracy, or cMAP, of the best attack over all clips, which chance has chosen too.
        attributes: Of several attributes at once, average precision and F1 of each.
    """

    accuracy: Measured
    chosen: list[str]
    naive: float
    attributes: AttributeScores | None = None


class Confound(Renamed):
    """How well another column of the manifest predicts a label.

    Attributes:
        label: The label.
        column: The other column; `"group"` for recordings.
        clips: Number of clips held out.
        shared: How many of them show their value of the label under a value of the column under
            which the training clips show it too.
        crossable: How many can be asked about by an attacker that has learned their label under
            other values of the column only.
        tells: Accuracy, on the clips held out, of the value of the label that is commonest under
            the clip's value of the column in training.
        chance_level: Share of the commonest value of the label.
    """

    label: str
    column: str
    clips: int
    shared: int
    crossable: int
    tells: float
    chance_level: float

    @property
    def at_work(self) -> bool:
        """Whether the column alone predicts the label better than chance."""
        return self.tells > self.chance_level


_OLD_LISTS = ("attacks", "beside", "crossings", "retrievals", "reconstructions", "faces")


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
        findings: What each attack found.
        confounds: How other columns relate to the privacy label.
        strongest: The strongest recognition of the privacy label in veiled video; None where there
            is none.
        strongest_raw: The same in raw video; None for older audits too.
        failed: Names of the attacks that failed, and why.
        seconds: Wall time of all attacks together.
    """

    command: str
    encoder: str
    spec: dict[str, Any] | None = None
    dataset: Dataset
    split: str
    recipe: StoredRecipe
    suite: str
    seed: int
    frames: int = 0
    order: Order = "camera"
    geometry: Geometry | None = None
    environment: dict[str, str]
    raw_from: str = ""
    findings: list[AnyFinding]
    confounds: list[Confound] = Field(default_factory=list)
    strongest: Strongest | None = None
    strongest_raw: Strongest | None = None
    failed: dict[str, str] = Field(default_factory=dict)
    seconds: float

    @model_validator(mode="before")
    @classmethod
    def _one_list(cls, data: Any) -> Any:
        """Read audits of earlier versions, which had a list for each kind."""
        if not isinstance(data, dict) or "attacks" not in data:
            return data
        rest = {name: value for name, value in data.items() if name not in _OLD_LISTS}
        return rest | {"findings": [f for name in _OLD_LISTS for f in data.get(name, [])]}

    @property
    def attacks(self) -> list[Recognition]:
        """Recognition of the privacy label and the action."""
        return [f for f in self._recognitions if not f.across and not self._is_other(f)]

    def on_label(self, video: str) -> list[Recognition] | list[AttributeRecognition]:
        """Return the recognition of the privacy label in one video, or of its attributes."""
        plain = [f for f in self.attacks if f.target == "privacy" and f.video == video]
        several = [
            found
            for found in self.of(AttributeRecognition)
            if not found.across and found.video == video and not self._is_other(found)
        ]
        return plain or several

    @property
    def other_labels(self) -> list[Recognition]:
        """Recognition of other labels of the manifest."""
        return [f for f in self._recognitions if not f.across and self._is_other(f)]

    @property
    def crossed(self) -> list[Recognition]:
        """Recognition across another column, and its controls."""
        return [f for f in self._recognitions if f.across]

    def of(self, kind: type[F]) -> list[F]:
        """Return the findings of a class."""
        return [found for found in self.findings if isinstance(found, kind)]

    @property
    def _recognitions(self) -> list[Recognition]:
        return self.of(Recognition)

    def _is_other(self, found: LabelFinding) -> bool:
        if isinstance(found, Recognition) and found.target == "action":
            return False
        return found.label != self.dataset.privacy_label

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
