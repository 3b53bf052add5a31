"""What one attack found, and its row in tables."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from motionveil.results import Stored, Training

Interval = tuple[float, float]

_RENAMED = {
    "floor": "chance_level",
    "guessed": "chance_level",
    "judgement": "scores",
    "names_frames": "by_frame",
    "blank_psnr": "baseline_psnr",
    "blank_ssim": "baseline_ssim",
    "blank_gmsd": "baseline_gmsd",
    "strangers": "unseen",
    "again": "redetected",
}
"""Fields that earlier versions stored under other names."""


class Renamed(Stored):
    """Base of what earlier versions stored under other names."""

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {
            new if (new := _RENAMED.get(name, name)) in cls.model_fields else name: value
            for name, value in data.items()
        }


class Measured(Renamed):
    """A figure and its 95 % interval, by a bootstrap over recordings.

    Attributes:
        value: The figure.
        interval: Its interval.
        chance_level: The figure of a random ranking, where it is not that of the commonest class.
    """

    value: float
    interval: Interval
    chance_level: float | None = None


class Column(Stored):
    """One figure in a finding's row of a table.

    Attributes:
        name: Heading of the column.
        value: The figure or text; None where there is none.
        interval: Its 95 % interval.
        percent: Whether the figure is a share, shown in %.
        digits: Digits after the point.
    """

    name: str
    value: float | str | None
    interval: Interval | None = None
    percent: bool = False
    digits: int = 1

    @classmethod
    def share(cls, name: str, figure: Measured | float | None) -> Column:
        """Return a share in [0, 1] as a column in %."""
        if isinstance(figure, Measured):
            return cls(name=name, value=figure.value, interval=figure.interval, percent=True)
        return cls(name=name, value=figure, percent=True)

    def text(self) -> str:
        """Return the figure as it is printed, without its interval."""
        if not isinstance(self.value, float | int):
            return self.value or "–"
        return f"{self.value * (100 if self.percent else 1):.{self.digits}f}"

    def interval_text(self) -> str:
        """Return the interval, such as `25.0 to 38.1`; empty where there is none."""
        if self.interval is None:
            return ""
        scale = 100 if self.percent else 1
        return " to ".join(f"{scale * end:.{self.digits}f}" for end in self.interval)


CHANCE = "Chance level"
"""Name of the column that holds a finding's chance level."""


class Finding(Renamed):
    """What one attack found on one kind of video.

    A kind of attack that has no class of its own below stores its row in `columns`.

    Attributes:
        kind: The attack's kind.
        name: The attack's name.
        label: Name of the label attacked.
        video: `"raw"` or `"veiled"`.
        attack: The attack's settings.
        description: What attacks of this kind do; one sentence.
        columns: Its row in tables.
        picture, picture_with_original: Names of PNGs in the attack's folder; empty if there are
            none.
        trainings: How each of its networks was trained; empty in older audits, and for other kinds.
        seconds: Wall time.
    """

    title: ClassVar[str] = ""
    """Heading of the kind's section in reports; the kind itself if it is empty."""

    kind: str = ""
    name: str
    label: str
    video: str
    attack: dict[str, Any]
    description: str = ""
    columns: list[Column] = Field(default_factory=list)
    picture: str = ""
    picture_with_original: str = ""
    trainings: list[Training] = Field(default_factory=list)
    seconds: float

    @property
    def training_accuracy(self) -> float | None:
        """Accuracy on its own training clips in the last epoch, the mean over its networks."""
        runs = self.trainings
        return sum(run.accuracy for run in runs) / len(runs) if runs else None

    def training_columns(self) -> list[Column]:
        """Return the training accuracy, and the epochs and learning rate of each network."""
        runs = self.trainings
        epochs, rates = (
            ", ".join(dict.fromkeys(texts)) or None
            for texts in ([str(run.epochs) for run in runs], [f"{run.rate:g}" for run in runs])
        )
        return [
            Column.share("Training, %", self.training_accuracy),
            Column(name="Epochs", value=epochs),
            Column(name="Learning rate", value=rates),
        ]

    @property
    def section(self) -> str:
        """The heading under which its row stands."""
        return self.title or self.kind

    def rows(self) -> list[tuple[str, list[Column]]]:
        """Return its rows, each with what distinguishes it; the main metric first."""
        return [("", self.columns)]

    @property
    def chance_level(self) -> float | None:
        """Score at chance level, in the unit of the main metric."""
        found = (column.value for column in self.rows()[0][1] if column.name == CHANCE)
        return next((float(v) for v in found if isinstance(v, float)), None)


class LabelFinding(Finding):
    """Base of how well a label is recognised, or several attributes at once."""

    @property
    def across(self) -> str:
        """The column whose values it may not go by; empty for any."""
        return str(self.attack.get("across", ""))

    @property
    def section(self) -> str:
        """The label, with the column that it was crossed with."""
        return self.label + (f", crossed with {self.across}" if self.across else "")

    @property
    def headline(self) -> Measured:
        """What attackers are compared by."""
        raise NotImplementedError


def read_finding(value: Any) -> Finding:
    """Return a stored finding as the class of its kind; as a `Finding` where there is none."""
    if isinstance(value, Finding):
        return value
    classes = (*Finding.__subclasses__(), *LabelFinding.__subclasses__())
    kinds = {kind.model_fields["kind"].default: kind for kind in classes}
    known = isinstance(value, dict) and isinstance(value.get("kind"), str)
    return (kinds.get(value["kind"], Finding) if known else Finding).model_validate(value)


AnyFinding = Annotated[SerializeAsAny[Finding], BeforeValidator(read_finding)]
