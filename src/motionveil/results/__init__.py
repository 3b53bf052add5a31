"""What an experiment leaves behind: enough to draw every figure without running anything again.

A `Result` is JSON on disk. It holds the recipe, seeds, the data set's hash, versions, curves and
per-clip predictions. Needs numpy and pydantic only, so that a report needs no torch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
)

from motionveil.atomic_write import write_text_atomically
from motionveil.errors import MotionveilError, describe_faults
from motionveil.geometry import Geometry
from motionveil.limits import read_text
from motionveil.methods import present_name
from motionveil.results.scores import (
    Accuracy,
    AttributeScore,
    AttributeScores,
    PrivacyScore,
    Reading,
    Stored,
    attribute_lines,
    score_attributes,
)
from motionveil.spec import EncoderSpec
from motionveil.statistics import Floats

__all__ = [
    "PUBLISHED",
    "Accuracy",
    "Attacker",
    "AttributeScore",
    "AttributeScores",
    "ClipPrediction",
    "Dataset",
    "Order",
    "Privacy",
    "PrivacyScore",
    "Reading",
    "Result",
    "Row",
    "Stored",
    "StoredRecipe",
    "Training",
    "attribute_lines",
    "describe_order",
    "present_field",
    "present_recipe",
    "read_stored",
    "score_attributes",
    "stored_question",
]


_RENAMED = {"game": "adversarial"}
"""Fields of recipes that have been renamed, and their present names."""


def present_field(name: str) -> str:
    """Return the present name of a recipe's field, such as `adversarial.lr` for `game.lr`."""
    first, dot, rest = name.partition(".")
    return f"{_RENAMED.get(first, first)}{dot}{rest}"


def present_recipe(recipe: Any) -> Any:
    """Return a recipe's fields by their present names; what is no dictionary, as it is."""
    if not isinstance(recipe, dict):
        return recipe
    renamed = {old: new for old, new in _RENAMED.items() if new not in recipe}
    return {renamed.get(name, name): value for name, value in recipe.items()}


def stored_question(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe as jobs are asked with it: by the names that stored jobs have it under.

    A job is known by the hash of its question (`motionveil.job_store`), so its names never change.
    `weights` is left out: each network that it means has its file already.
    """
    former = {new: old for old, new in _RENAMED.items()}
    return {former.get(name, name): v for name, v in recipe.items() if name != "weights"}


StoredRecipe = Annotated[dict[str, Any], BeforeValidator(present_recipe)]
"""A stored recipe: its fields, by their present names."""


class Privacy(PrivacyScore):
    """The privacy scores reported: the stronger of the two BatchNorm modes; both are stored.

    Attributes:
        label: The privacy label's name, such as `"identity"`.
        batchnorm: The mode reported: `"eval"` or `"reestimated"`.
        modes: The scores in each mode.
    """

    label: str
    batchnorm: str
    modes: dict[str, PrivacyScore]


Order = Literal["camera", "paper"]
"""What was measured: `"camera"`: frames as they leave a camera, whole, at the encoder's geometry,
in 8 bits, and then cut for the networks; `"paper"`: frames cut first and then encoded in floating
point (section 4.2)."""


class ClipPrediction(Stored):
    """The answers for one validation clip.

    Attributes:
        clip: `path#start-end` as in the manifest.
        action, privacy: True classes, as indices into the data set's label names. Of several
            attributes: for each of them 1 or 0.
        action_probabilities: The action network's softmax.
        privacy_probabilities: The privacy network's softmax, or the attributes' probabilities,
            averaged over the clip's frames.
        privacy_frames: Share of the frames on which the privacy network was right, of each
            attribute where there are several.
    """

    clip: str
    action: int
    privacy: int | list[int]
    action_probabilities: list[float]
    privacy_probabilities: list[float]
    privacy_frames: float | list[float]

    @property
    def privacy_right(self) -> Floats:
        """Whether the answer by clip is right, 0 or 1: 0-dimensional, or (attributes,)."""
        answers = np.asarray(self.privacy_probabilities)
        truth = np.asarray(self.privacy)
        predictions = answers >= 0.5 if truth.ndim else answers.argmax()
        return np.asarray(predictions == truth, np.float64)


PUBLISHED = ("per frame, as published", "by clip, as published")
"""What the two readings of the published privacy network are called among attackers."""


class Training(Stored):
    """How an attacker's network was trained.

    Attributes:
        epochs: Epochs that it took.
        accuracy: Accuracy on its own training clips in the last epoch, by frame for networks that
            see frames.
        rate: Learning rate.
        tried: For each learning rate that was tried the accuracy on clips kept back from its
            training; none of them is a clip held out. Empty where nothing was chosen.
    """

    epochs: int
    accuracy: float
    rate: float
    tried: dict[float, float] = Field(default_factory=dict)


class Attacker(Stored):
    """What one attacker reads off a row's veiled video.

    Attributes:
        name: What it is, such as `"whole clip"`.
        accuracy: Its accuracy on the clips held out; for re-identification the share of clips whose
            most similar clip among all training clips shows the same person.
        right: For each of the row's predictions the share of right answers, of each attribute
            where there are several; None where the attacker was not asked about the clip.
        trainings: One for each network that it trained.
    """

    name: str
    accuracy: Accuracy
    right: list[float | list[float] | None]
    trainings: list[Training]


class Row(Stored):
    """One encoder, validated with fresh networks.

    Attributes:
        method: The encoder's name: `"raw"`, `"bdq-untrained"`, `"bdq"`, `"unet"`, or with how much
            it takes away, such as `"downsample-28"`.
        alpha: Adversarial weight that the encoder was trained with; None where none was.
        seed: Seed of the encoder's training and of the validation.
        split: Name of the split or fold.
        order: What was measured; results older than the field are in the paper's.
        geometry: Size and rate at which frames were veiled; None in the paper's order.
        action: Clip-1 crop-1 accuracy of a fresh action network.
        privacy: Accuracy of a fresh privacy network.
        encoder: The encoder's numbers.
        predictions: Per-clip answers behind the accuracies.
        attackers: What stronger attackers read off the same video, see
            `motionveil.evaluation.suites.attackers`; empty where there were none.
        curves: A dictionary per epoch from the encoder's training; empty where there was none.
        seconds: Wall time of training and validation together.
        picture: Name of an image beside `results.json` of held-out frames as the encoder leaves
            them; None where there is none.
    """

    method: str
    alpha: float | None
    seed: int
    split: str = "split"
    order: Order = "paper"
    geometry: Geometry | None = None
    action: Accuracy
    privacy: Privacy
    encoder: EncoderSpec
    predictions: list[ClipPrediction]
    attackers: list[Attacker] = Field(default_factory=list)
    curves: list[dict[str, float]] = Field(default_factory=list)
    seconds: float
    picture: str | None = None

    @property
    def strongest(self) -> tuple[str, Accuracy] | None:
        """The most accurate attacker, the published one among them; None without attackers."""
        if not self.attackers:
            return None
        found = [(attacker.name, attacker.accuracy) for attacker in self.attackers]
        frame, clip = PUBLISHED
        found += [(frame, self.privacy.frame), (clip, self.privacy.clip)]
        return max(found, key=lambda one: one[1].accuracy)

    @field_validator("method")
    @classmethod
    def _rename(cls, value: str) -> str:
        """Bring names that older versions gave to rows to their present form."""
        return present_name(value)


def describe_order(rows: Sequence[Row]) -> str:
    """Return in which order rows were measured, such as `camera, 64 pixels, 15 frames/s`."""
    told = {f"{r.order}{'' if r.geometry is None else f', {r.geometry}'}": None for r in rows}
    return "; ".join(told)


class Dataset(Stored):
    """The data set that a result was measured on.

    Attributes:
        name: Its name in the manifest.
        hash: The manifest's hash.
        actions: Names of the actions, in the order of the classes.
        privacy_label: The privacy label's name.
        privacy_names: Its values, in the order of the classes; the attributes' names where the
            label is several of them.
        attributes: Whether it is.
        parts: For each split, the number of clips to train on and of those held out.
        split_rule: How the split was made, as the manifest says; empty where it does not.
    """

    name: str
    hash: str
    actions: list[str]
    privacy_label: str
    privacy_names: list[str]
    attributes: bool = False
    parts: dict[str, tuple[int, int]]
    split_rule: str = ""

    @property
    def privacy_classes(self) -> int:
        """Number of classes that an answer about the privacy label chooses from."""
        return 2 if self.attributes else len(self.privacy_names)


class Result(Stored):
    """Everything an experiment leaves behind; `results.json` on disk.

    Attributes:
        kind: The experiment, such as `"quickstart"`.
        command: The command line that made it.
        dataset: What it was measured on.
        recipe: The resolved recipe.
        seed: The seed given on the command line.
        environment: Versions, processor, device.
        weights: What the recipe's `action` and `privacy` networks start from: the data and the
            source of the weights as far as they are known; empty in older files.
        rows: One for each encoder validated.
        collapsed: Encoders without a row, since their training collapsed, and what was said of it.
        media: Names of images and videos beside the file, such as `{"veiled": "veiled.mp4"}`.
        seconds: Wall time of the whole.
    """

    kind: str
    command: str
    dataset: Dataset
    recipe: StoredRecipe
    seed: int
    environment: dict[str, str]
    weights: dict[str, str] = Field(default_factory=dict)
    rows: list[Row]
    collapsed: dict[str, str] = Field(default_factory=dict)
    media: dict[str, str] = Field(default_factory=dict)
    seconds: float

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the result as JSON, whole or not at all, and return the path."""
        return write_text_atomically(path, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Result:
        """Read and check a `results.json`, or the one in a folder.

        Raises:
            MotionveilError: The file is missing or is no result; names the file and the fault.
        """
        file = Path(path)
        if file.is_dir():
            file = file / "results.json"
        return read_stored(cls, file, "results")


Model = TypeVar("Model", bound=BaseModel)


def read_stored(kind: type[Model], file: Path, what: str) -> Model:
    """Read a model from its JSON file.

    Args:
        what: What the file is to hold, for the error.

    Raises:
        MotionveilError: The file is missing or holds something else; names the file and the fault.
    """
    try:
        return kind.model_validate_json(read_text(file, what))
    except ValidationError as error:
        raise MotionveilError(
            f"{file}: not a {what} file: {describe_faults(error.errors())}"
        ) from error
