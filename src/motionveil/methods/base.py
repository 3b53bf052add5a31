"""What a method is to motionveil: its record, without torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from motionveil.errors import MotionveilError, describe_faults

LEVELS = 15
"""Largest value of a veiled clip: 2^4 - 1 (paper, section 3.1)."""

GREY = 255 // LEVELS
"""Grey levels on disk that one level of a veiled clip spans: 17."""

KERNEL_SIZE = 5
"""Width of BDQ's Gaussian window in pixels (paper, section 3.1)."""

OLDER_NUMBERS = ("sigma", "boundaries", "hardness", "range_mode", "range")

RangeMode = Literal["fixed", "clip", "batch"]


Sigma = Annotated[float, Field(ge=1e-3, le=1e3)]
"""Standard deviation of a Gaussian in pixels: its weights are numbers, and some of them matter."""


class Settings(BaseModel):
    """Base of all settings: unknown fields are errors, and values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def gaussian(sigma: float, radius: int) -> NDArray[np.float64]:
    """Return the `2 radius + 1` weights of a Gaussian window, float64, sum 1."""
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    return np.asarray(weights / weights.sum())


def even_boundaries(count: int) -> tuple[float, ...]:
    """Return the boundaries before training: 0.5, 1.5, ... (paper, section 3.1)."""
    return tuple(n + 0.5 for n in range(count))


def check_boundaries(row: Sequence[float]) -> None:
    """Refuse boundaries that do not ascend within [0, N].

    Raises:
        ValueError: They do not.
    """
    if list(row) != sorted(row):
        raise ValueError("the boundaries must ascend")
    if row[0] < 0 or row[-1] > len(row):
        raise ValueError(f"the boundaries must lie in [0, {len(row)}]")


def quantise(
    position: NDArray[np.float64], row: Sequence[float], hardness: float, *, hard: bool
) -> NDArray[np.float64]:
    """Map positions in [0, N], any shape, to levels in [0, 15] by N boundaries (equation 4).

    Args:
        position: What is quantised, float64.
        hard: Count the boundaries below instead of summing sigmoids.
    """
    levels = np.zeros_like(position)
    for boundary in row:
        if hard:
            levels += position > boundary
        else:
            levels += 1 / (1 + np.exp(-hardness * (position - boundary)))
    return levels * (LEVELS / len(row))


@dataclass(frozen=True)
class BlurredDifference:
    """The methods that map each blurred difference of two frames to a level, value by value.

    A method that can give this streams by the CPU kernel and exports to ONNX and C.

    Attributes:
        weights: The 5 taps of the separable blur, float64 (5,), symmetric, sum 1.
        range: Blurred differences beyond -range and range (intensities in [0, 1]) have the
            levels of these two.
        levels: From blurred differences, float64 of any shape, to levels in [0, 15].
        steps: Whether the map has steps: it is then right but within a rounding of a step.
    """

    weights: NDArray[np.float64]
    range: float
    levels: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    steps: bool = False

    def bytes_of(self, differences: NDArray[Any]) -> NDArray[np.uint8]:
        """Return `round(17 y)` of blurred differences, uint8 of the same shape."""
        return np.rint(GREY * self.levels(np.asarray(differences, np.float64))).astype(np.uint8)

    @property
    def neutral(self) -> int:
        """The grey value of no motion, 0 to 255."""
        return int(self.bytes_of(np.zeros(1))[0])


@dataclass(frozen=True)
class Start:
    """What a method starts its training from.

    Attributes:
        calibrate: Returns r, the range of the training clips' blurred differences in intensities
            of [0, 1], given the recipe's quantile; reads the clips when called.
        hardness, range_mode: Of the recipe.
        options: The recipe's options of the method, a model of `Method.options`.
        seed: Of everything that is drawn.
    """

    calibrate: Callable[[], float]
    hardness: float = 5.0
    range_mode: RangeMode = "fixed"
    options: Any = None
    seed: int = 0


class Method:
    """One method: everything that motionveil knows of it, in one file.

    A method is a subclass in a module of this folder, or one that the entry point group
    `motionveil.methods` names. Code with torch or a compiler is named as `module:attribute` and
    imported when it is needed.

    Attributes:
        name: As it is stored and typed, such as `"blur"`.
        label: For tables and figures.
        help: One line for `tradeoff --help`.
        settings: Model of its settings; None where it has none.
        options: Model of its options in a recipe; None where it has none.
        strength: The field of `settings` that says how much it removes, given by names such as
            `blur-4`; None where there is none.
        strength_label: Label with the strength, such as `"blur, σ = {}"`.
        weaker_is_larger: Whether a larger strength removes less.
        learned: Whether training sets any of its settings or weights.
        adversarial: Whether it is trained against an adversary: alpha is then its strength.
        after_training: Settings that a name applies to the trained encoder, without training.
        unpublished: Fields of a recipe, such as `adversarial.restart_every`, of which the method's
            publication does not say what they were: a value of ours departs from nothing.
        encoder: Torch module, called with the spec.
        stream: What veils a stream, called with the spec and `hard`; see
            `motionveil.streaming.veils.FrameVeil`.
        unstreamable: Why it cannot stream, where `stream` is None.
        onnx: What adds it to an ONNX model, called with the graph, the spec and `hard`; see
            `motionveil.export.onnx.Part`.
        c: What brings it to whole numbers, called with the spec and `hard`; see
            `motionveil.export.integer.WholeNumbers`. Both defaults need `difference`.
        multiple: What both sides of a working frame must be multiples of; see `multiple_of`.
        guarded: Whether an event of light or camera could put the scene into a veiled frame, so
            that the guard must look at it.
        blurs_faces: Whether it is measured on copies of the videos whose faces are blurred.
        colour, marker: In figures: a colour as #rrggbb and matplotlib's name of a marker.
        renamed: Old names of rows and their present ones.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    help: ClassVar[str]
    settings: ClassVar[type[Settings] | None] = None
    options: ClassVar[type[Settings] | None] = None
    strength: ClassVar[str | None] = None
    strength_label: ClassVar[str] = "{}"
    weaker_is_larger: ClassVar[bool] = False
    learned: ClassVar[bool] = False
    adversarial: ClassVar[bool] = False
    after_training: ClassVar[frozenset[str]] = frozenset()
    unpublished: ClassVar[frozenset[str]] = frozenset()
    encoder: ClassVar[str]
    stream: ClassVar[str | None] = None
    unstreamable: ClassVar[str] = "its output depends on frames still to come"
    onnx: ClassVar[str] = "motionveil.export.onnx:add_difference"
    c: ClassVar[str] = "motionveil.export.difference_integer:integer_numbers"
    multiple: ClassVar[int] = 2
    guarded: ClassVar[bool] = True
    blurs_faces: ClassVar[bool] = False
    colour: ClassVar[str] = "#555555"
    marker: ClassVar[str] = "h"
    renamed: ClassVar[Mapping[str, str]] = {}

    def cell(self, settings: Any) -> int:
        """Return how many pixels of a working frame, along both axes, have one veiled value.

        A frame that leaves is so many times smaller than the working frame. Networks, and
        `motionveil.encoders`, see it enlarged again by repetition.
        """
        return 1

    def multiple_of(self, settings: Any) -> int:
        """Return what both sides of a working frame must be multiples of."""
        return self.multiple

    def usual_strengths(self, size: int) -> list[float]:
        """Return the strengths compared by default, for networks' input of `size` pixels."""
        return []

    def usual_name(self, size: int) -> str:
        """Return the name with the middle one of the usual strengths, such as `blur-4`."""
        strengths = self.usual_strengths(size) if self.strength is not None else []
        return f"{self.name}-{strengths[len(strengths) // 2]:g}" if strengths else self.name

    def start(self, start: Start, changes: Mapping[str, Any]) -> Settings | None:
        """Return the settings before training.

        Args:
            changes: Settings given by name, such as `{"size": 28}`.
        """
        return self.change(None, changes)

    def change(self, settings: Settings | None, changes: Mapping[str, Any]) -> Settings | None:
        """Return settings with some changed as a name says; checks them.

        Raises:
            MotionveilError: The method has no settings.
            pydantic.ValidationError: There is no such setting, or a value is out of range.
        """
        if self.settings is None:
            if changes:
                raise MotionveilError(f"{self.name} has no settings, found {', '.join(changes)}")
            return None
        kept = {} if settings is None else settings.model_dump()
        return self.settings.model_validate(kept | dict(changes))

    def check(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Check settings that a name gives, of which some may be missing; return them typed.

        Raises:
            MotionveilError: There is no such setting, or a value is out of range.
        """
        if self.settings is None:
            self.change(None, changes)
            return {}
        try:
            typed = self.settings.model_validate(dict(changes))
        except ValidationError as error:
            faults = [item for item in error.errors() if item["type"] != "missing"]
            if faults:
                raise MotionveilError(describe_faults(faults)) from error
            return dict(changes)
        return {name: getattr(typed, name) for name in changes}

    def training(self, options: Any) -> dict[str, Any]:
        """Return the recipe's fields that it changes, such as `{"adversarial.adversaries": 4}`."""
        return {}

    def read(self, values: dict[str, Any]) -> dict[str, Any]:
        """Bring the fields of an older `encoder.json` to their present form.

        BDQ's numbers stood beside the settings then, and were null for the other methods.
        """
        return {k: v for k, v in values.items() if v is not None or k not in OLDER_NUMBERS}

    def difference(self, settings: Any, *, hard: bool = False) -> BlurredDifference:
        """Return the method as a map of blurred differences; what is exported by default.

        Args:
            hard: Quantise in steps instead of sigmoids, where it quantises softly.

        Raises:
            MotionveilError: It is no such map; says why.
        """
        raise MotionveilError(
            f"{self.name} cannot be exported: it is no map of the difference of two frames"
        )


@dataclass(frozen=True)
class Choice:
    """One method as it is compared, encoded or trained: what a name such as `blur-4` says.

    Attributes:
        method: The method.
        settings: The settings given, the strength among them.
        alpha: Weight of the adversary; None where none was given, or there is no adversary.
        untrained: Whether it is left as it starts.

    Raises:
        MotionveilError: Alpha is no weight, or a method that is not trained is to be untrained.
    """

    method: Method
    settings: Mapping[str, Any] = field(default_factory=dict)
    alpha: float | None = None
    untrained: bool = False

    def __post_init__(self) -> None:
        if self.untrained and not self.method.learned:
            raise MotionveilError(f"{self.method.name} is not trained, so it is never untrained")
        if self.alpha is None:
            return
        if not isinstance(self.alpha, int | float) or not 0 <= self.alpha < math.inf:
            found = _written(self.alpha)
            raise MotionveilError(f"alpha {found}: the weight must be 0 or more, and finite")
        object.__setattr__(self, "alpha", float(self.alpha))

    @property
    def own_strength(self) -> Any:
        """The strength among the settings; None where there is none."""
        return self.settings.get(self.method.strength or "")

    @property
    def strength(self) -> float | None:
        """The strength: that of the settings, else alpha."""
        return self.alpha if self.own_strength is None else float(self.own_strength)

    @property
    def changes(self) -> dict[str, Any]:
        """The settings given besides the strength."""
        return {k: v for k, v in self.settings.items() if k != self.method.strength}

    @property
    def family(self) -> str:
        """The name without strength: what the methods of one curve share."""
        written = ",".join(f"{k}={_written(v)}" for k, v in sorted(self.changes.items()))
        untrained = "-untrained" if self.untrained else ""
        return f"{self.method.name}{untrained}{':' if written else ''}{written}"

    @property
    def name(self) -> str:
        """The canonical name, without alpha: `downsample-28`, `bdq-untrained`, `bdq:levels=31`."""
        own = self.own_strength
        dash = "" if own is None else f"-{own:g}"
        return self.family.replace(self.method.name, self.method.name + dash, 1)

    @property
    def folder(self) -> str:
        """Name of the folder of its run: `bdq-alpha2`, `downsample-28`."""
        plain = self.name.replace(":", "-").replace(",", "-")
        return plain if self.alpha is None else f"{plain}-alpha{self.alpha:g}"

    @property
    def label(self) -> str:
        """For tables and figures, such as `BDQ, α = 2`."""
        own = self.own_strength
        named = own is not None and self.method.strength_label != "{}"
        parts = [self.method.strength_label.format(f"{own:g}") if named else self.method.label]
        parts += ["untrained"] if self.untrained else []
        parts += [f"{k} {_written(v)}" for k, v in sorted(self.changes.items())]
        parts += [] if self.alpha is None else [f"α = {self.alpha:g}"]
        return ", ".join(parts)

    def __hash__(self) -> int:
        return hash((self.name, self.alpha))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Choice) and (self.name, self.alpha) == (other.name, other.alpha)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
