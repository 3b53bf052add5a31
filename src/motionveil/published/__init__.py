"""Published figures with their sources: JSON files that come with the package; no torch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from motionveil.errors import MotionveilError
from motionveil.limits import packaged_names, packaged_text
from motionveil.statistics import wilson_interval

Axis = Literal["action", "privacy"]


class _Published(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PublishedAccuracy(_Published):
    """A published accuracy in [0, 100]; `source` is a key of the publication's `sources`."""

    percent: float = Field(ge=0, le=100)
    source: str

    @property
    def accuracy(self) -> float:
        """The same in [0, 1]."""
        return self.percent / 100

    def interval(self, n: int) -> tuple[float, float]:
        """Return Wilson's 95 % interval for n clips, in [0, 1]."""
        return wilson_interval(self.accuracy, n)


class PublishedRow(_Published):
    """The accuracies of one method.

    Attributes:
        method: As in a result's rows.
        alpha: Adversarial weight that BDQ was trained with; None where none is known.
        action: Accuracy of the action network.
        privacy: Accuracy of the privacy network, read as the publication's `reading` says.
    """

    method: str
    alpha: float | None = None
    action: PublishedAccuracy
    privacy: PublishedAccuracy


class PublishedDataset(_Published):
    """What was measured on one data set, and how.

    Attributes:
        name: The data set's name in a manifest.
        privacy_label: The adversary's label.
        actions, privacy_names: Numbers of classes.
        split: Name of the split, as of `motionveil index`.
        training, validation: Numbers of clips in its two parts.
        n: Clips behind the figures.
        frames: t, frames of a clip.
        cache_size: Short side of the frames before they are cut, open in the publication: ours.
        remark: What has to be known to read the figures.
        rows: One for each method.
    """

    name: str
    privacy_label: str
    actions: int
    privacy_names: int
    split: str
    training: int
    validation: int
    n: int
    frames: int
    cache_size: int
    remark: str
    rows: tuple[PublishedRow, ...]


class NetworkAccuracy(PublishedAccuracy):
    """The accuracy of one more action or privacy network on BDQ's output."""

    dataset: str
    axis: Axis
    network: str


class Complexity(_Published):
    """An encoder's parameters, file size and FLOPs for a clip of 16 frames of 224 x 224."""

    method: str
    parameters: float
    size: str
    flops: float
    source: str


class Answers(_Published):
    """Right answers of participants in percent, and the chance level."""

    percent: float
    chance: float


class Study(_Published):
    """A user study: who are the two people in a veiled video?

    Attributes:
        dataset: The data set's name.
        people, questions, choices: Numbers of participants, of questions and of faces offered.
        both, at_least_one: Answers that had both right, and at least one.
        source: As in `PublishedAccuracy`.
    """

    dataset: str
    people: int
    questions: int
    choices: int
    both: Answers
    at_least_one: Answers
    source: str


class Events(_Published):
    """A finding about event cameras of one event threshold."""

    dataset: str
    threshold: float
    finding: str
    source: str


class Publication(_Published):
    """Everything of a publication that this package compares with.

    Attributes:
        name: The value of `motionveil verify --against`.
        title, page: Title and address.
        sources: The meaning of each source.
        reading: What its privacy figures are: `"frame"` or `"clip"` accuracy.
        reading_note: How that is known.
        protocol: The recipe's fields (with dots) and their published values.
        open: Fields that it leaves open, and their values in our recipes.
        encoders: Settings of encoders by method, as published; `boundaries` is their number.
        datasets: The figures of the trade-off.
        networks: Figures of further networks.
        complexity, complexity_note: Costs of encoders.
        study, events: Further comparisons.
    """

    name: str
    title: str
    page: str
    sources: dict[str, str]
    reading: Literal["frame", "clip"]
    reading_note: str
    protocol: dict[str, Any]
    open: dict[str, Any]
    encoders: dict[str, dict[str, Any]]
    datasets: tuple[PublishedDataset, ...]
    networks: tuple[NetworkAccuracy, ...]
    complexity: tuple[Complexity, ...]
    complexity_note: str
    study: Study
    events: Events

    @model_validator(mode="after")
    def _every_source_is_explained(self) -> Publication:
        rows = [row for dataset in self.datasets for row in dataset.rows]
        used = {accuracy.source for row in rows for accuracy in (row.action, row.privacy)}
        used |= {network.source for network in self.networks}
        used |= {cost.source for cost in self.complexity}
        used |= {self.study.source, self.events.source}
        if unexplained := used - set(self.sources):
            raise ValueError(f"sources without an explanation: {sorted(unexplained)}")
        return self


def publications() -> list[str]:
    """Return the names of the publications that come with the package."""
    return packaged_names("published", ".json")


def load_publication(name: str) -> Publication:
    """Return the figures of a publication.

    Raises:
        MotionveilError: There is no publication of this name.
    """
    if name not in publications():
        raise MotionveilError(f"{name}: no such publication; there is {', '.join(publications())}")
    return Publication.model_validate_json(packaged_text("motionveil.published", f"{name}.json"))
