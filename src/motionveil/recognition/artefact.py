"""What a recogniser is on disk: `recogniser.json`, `action.onnx` and `action.safetensors`."""

from __future__ import annotations

from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from motionveil import hub
from motionveil.atomic_write import write_text_atomically
from motionveil.errors import MotionveilError, describe_faults
from motionveil.geometry import Geometry
from motionveil.limits import read_text
from motionveil.recognition.network_input import NetworkInput
from motionveil.results import Accuracy
from motionveil.spec import FILE_NAME as ENCODER
from motionveil.spec import EncoderSpec

Floats = NDArray[np.float64]

FILE, NETWORK, WEIGHTS = "recogniser.json", "action.onnx", "action.safetensors"
FOLDER = "recogniser"
"""The folder's name within a run."""

DRAWN = frozenset({"actors", "actors-with-pauses"})
"""Names of the built-in data, which show drawn people."""


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NetworkFile(_Stored):
    """The action network's file.

    Attributes:
        architecture: Name of the network.
        sha256: Of `action.onnx`.
        largest_error: Of its logits, against those of the network that was trained.
    """

    architecture: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    largest_error: float = Field(ge=0)


class Calibration(_Stored):
    """What makes of logits a probability and an answer.

    Found on clips of the training part that were left out of a training of their own: neither the
    clips that the network was trained on nor those that it is scored on.

    Attributes:
        temperature: What logits are divided by before the softmax (Guo et al., ICML 2017).
        threshold: Probability from which on an action is named; below it is none of these.
        passing: Share of the correct answers that the threshold lets pass, by design.
        clips: Number of clips that both were found on.
    """

    temperature: float = Field(gt=0)
    threshold: float = Field(ge=0, le=1)
    passing: float = Field(gt=0, le=1)
    clips: int = Field(ge=0)


class NoMotion(_Stored):
    """When nothing moves, as veiled frames tell it.

    Attributes:
        neutral: Grey value of no motion, 0 to 255.
        tolerance: A value that is off by more counts as moved.
        share: Mean share of moved values in the network's input below which nothing moves.
    """

    neutral: int = Field(ge=0, le=255)
    tolerance: int = Field(ge=0, le=255)
    share: float = Field(ge=0, le=1)


class ReliabilityBin(_Stored):
    """Answers of similar probability.

    Attributes:
        n: Number of clips.
        probability: Their mean probability.
        accuracy: Share of right answers among them.
    """

    n: int
    probability: float
    accuracy: float


class RecogniserScores(_Stored):
    """Accuracy and calibration on the held-out clips.

    Attributes:
        accuracy: On one window of each clip, from its middle.
        calibration_error: Expected calibration error with the temperature.
        uncalibrated_error: The same without it.
        named: Share of the clips whose answer reaches the threshold.
        named_accuracy: Share of right answers among those; None where there are none.
        reliability: Accuracy by probability.
        background_named: Share of the held-out background clips that are named as an action; None
            where the data have no background.
    """

    accuracy: Accuracy
    calibration_error: float
    uncalibrated_error: float
    named: float
    named_accuracy: float | None
    reliability: list[ReliabilityBin]
    background_named: float | None = None


class RecogniserSpec(_Stored):
    """A recogniser as data; what `recogniser.json` holds.

    Attributes:
        classes: Names of the actions, in the order of the network's outputs.
        background: The one of them that is no action: what is answered then is none of these.
        frames: Veiled frames of a window.
        geometry: Size and rate at which frames are veiled.
        input: How veiled frames are brought to the network.
        encoder: What veils.
        encoder_hash: The encoder's `fingerprint`.
        network: The network's file.
        calibration: Temperature and threshold.
        no_motion: When nothing moves; None for encoders without a neutral value.
        scores: On held-out clips.
        provenance: Data set, split, seed, epochs, version; free-form.
    """

    classes: tuple[str, ...] = Field(min_length=2)
    background: str | None = None
    frames: int = Field(ge=1, le=4096)
    geometry: Geometry
    input: NetworkInput
    encoder: EncoderSpec
    encoder_hash: str
    network: NetworkFile
    calibration: Calibration
    no_motion: NoMotion | None = None
    scores: RecogniserScores | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)

    @field_validator("classes")
    @classmethod
    def _check_classes(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names) or not all(name.strip() for name in names):
            raise ValueError("class names must differ and must not be empty")
        return names

    @model_validator(mode="after")
    def _check_background(self) -> RecogniserSpec:
        if self.background is not None and self.background not in self.classes:
            raise ValueError(f"background is {self.background!r}, it must be one of the classes")
        return self

    @property
    def actions(self) -> tuple[str, ...]:
        """The classes but for the background, in their order."""
        return tuple(name for name in self.classes if name != self.background)

    def action_probabilities(self, probabilities: Floats) -> Floats:
        """Return those of the `actions`, (..., actions), of those of all classes."""
        return probabilities[..., [name != self.background for name in self.classes]]

    @property
    def seconds(self) -> float:
        """How much of a stream a window covers, at the full rate."""
        return self.frames / self.geometry.rate

    @property
    def knows_drawn_people_only(self) -> bool:
        """Whether it was trained on the built-in data, and has never seen real people."""
        return self.provenance.get("data") in DRAWN

    def stream_spec(self) -> EncoderSpec:
        """Return the encoder at the recogniser's geometry."""
        return self.encoder.model_copy(update={"geometry": self.geometry})

    def check_encoder(self, encoder: EncoderSpec, name: str) -> None:
        """Refuse an encoder on whose output the network was not trained.

        Args:
            name: What the error calls it.

        Raises:
            MotionveilError: It is another encoder, or works at another geometry.
        """
        if encoder.geometry is not None and encoder.geometry != self.geometry:
            raise MotionveilError(
                f"{name}: the encoder works at {encoder.geometry}, the recogniser was trained at"
                f" {self.geometry}"
            )
        if hash_encoder(encoder, self.geometry) != self.encoder_hash:
            raise MotionveilError(
                f"{name}: the recogniser was trained on the output of another encoder"
                f" ({self.encoder.name} {self.encoder_hash}, this is {encoder.name}"
                f" {hash_encoder(encoder, self.geometry)}): validate this one"
            )

    def save(self, folder: str | PathLike[str]) -> Path:
        """Write `recogniser.json` into a folder, whole or not at all, and return its path."""
        return write_text_atomically(Path(folder) / FILE, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def read(cls, file: Path) -> RecogniserSpec:
        """Read and check a `recogniser.json`.

        Raises:
            MotionveilError: The file is missing or wrong; names the file, the field, the fault.
        """
        try:
            spec = cls.model_validate_json(read_text(file, "the recogniser"))
        except ValidationError as error:
            raise MotionveilError(
                f"{file}: not a recogniser: {describe_faults(error.errors())}"
            ) from error
        spec.check_encoder(spec.encoder, str(file))
        return spec


def hash_encoder(encoder: EncoderSpec, geometry: Geometry) -> str:
    """Return what tells an encoder at a geometry from any other, wherever its numbers are from."""
    return encoder.model_copy(update={"geometry": geometry}).fingerprint


def find_recogniser(model: str | PathLike[str]) -> Path:
    """Return the folder that holds a recogniser.

    Args:
        model: The folder, its `recogniser.json`, a run folder with a `recogniser/` in it, or the
            name of one that comes with the package, or one on the hub, `hf:owner/name[@revision]`.

    Raises:
        MotionveilError: There is none.
    """
    if hub.is_hub_name(model):
        return fetch_recogniser(model)[1].path.parent
    path = Path(model)
    if path.is_file() and path.name == FILE:
        return path.parent
    for folder in (path, path / FOLDER):
        if (folder / FILE).is_file():
            return folder
    shipped = Path(str(resources.files("motionveil"))) / "recognisers" / str(model)
    if str(model) in shipped_recognisers():
        return shipped
    reason = f"no {FILE} in it, nor in {FOLDER}/" if path.is_dir() else "no such recogniser"
    names = "".join(f" or {name}" for name in shipped_recognisers())
    raise MotionveilError(
        f"{model}: {reason}; give the folder of a `motionveil validate`, `train` or"
        f" `quickstart`{names}"
    )


def fetch_recogniser(model: str | PathLike[str]) -> tuple[hub.HubFile, hub.HubFile]:
    """Fetch the two files of a recogniser on the hub, in a folder `recogniser/` or at the top.

    Raises:
        MotionveilError: As `motionveil.hub.fetch`.
    """
    numbers = fetch_numbers(model)
    inner = numbers.path.parent.name == FOLDER
    network = hub.fetch(numbers.pinned, f"{FOLDER}/{NETWORK}" if inner else NETWORK)
    if inner:  # the run's encoder beside it, to compare
        hub.optional(numbers.pinned, ENCODER)
    return numbers, network


def fetch_numbers(model: str | PathLike[str]) -> hub.HubFile:
    """Fetch the `recogniser.json` of a recogniser on the hub; see `fetch_recogniser`."""
    return hub.optional(model, f"{FOLDER}/{FILE}") or hub.fetch(model, FILE)


def shipped_recognisers() -> list[str]:
    """Return the names of the recognisers that come with the package."""
    folder = Path(str(resources.files("motionveil"))) / "recognisers"
    return sorted(file.parent.name for file in folder.glob(f"*/{FILE}"))
