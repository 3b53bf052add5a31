"""Recipes: everything that decides an experiment besides its data, as data."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError, model_validator

from motionveil.atomic_write import write_text_atomically
from motionveil.datasets.cache import Fit
from motionveil.datasets.dataset import SCALES
from motionveil.errors import MotionveilError, describe_faults
from motionveil.limits import packaged_names
from motionveil.methods import Method, RangeMode, Settings, method, method_names
from motionveil.results import Order, present_field, present_recipe
from motionveil.yaml_file import load_yaml, read_yaml


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkRecipe(_Part):
    """A network: its name in the registry, and its weights.

    Attributes:
        name: A name of `motionveil.networks`.
        weights: None for fresh weights, a `.safetensors` file, or `pretrained` (see
            `Recipe.weights`).
    """

    name: str
    weights: str | None = None


class Schedule(_Part):
    """How networks are trained: the learning rate falls along a cosine (paper: SGD).

    Attributes:
        optimizer: `"sgd"`, or `"adamw"` for networks that start from scratch.
        epochs: Passes over the training clips.
        batch: Clips a step.
        lr: Learning rate of the networks at the start.
        warmup: Epochs over which the rate rises linearly before it falls; 0 as in the paper.
        momentum: Momentum of SGD, first beta of AdamW.
        weight_decay: Weight decay of the networks.
        privacy_frames: Frames that the privacy network sees of each clip in a step.
        accumulate: Parts that a batch is computed in, one after the other, to need less memory.
            Gradients add up to the batch's; BatchNorm sees one part at a time.
    """

    optimizer: Literal["sgd", "adamw"] = "sgd"
    epochs: int = Field(default=50, ge=1)
    batch: int = Field(default=16, ge=2)
    lr: float = Field(default=0.001, gt=0)
    warmup: float = Field(default=0.0, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    privacy_frames: int = Field(default=1, ge=1)
    accumulate: int = Field(default=1, ge=1)


class AdversaryRecipe(_Part):
    """An adversary besides the recipe's own privacy network.

    Attributes:
        network: None for the recipe's own: its action network where whole clips are seen, else its
            privacy network.
        view: What it makes of veiled clips before the network sees them, one of
            `motionveil.training.adversary_inputs.VIEWS`.
        temporal: Whether the network sees whole clips (an action network of the registry) or frame
            by frame (a privacy network).
    """

    network: NetworkRecipe | None = None
    view: Literal["plain", "integrated", "stacked", "most-motion"] = "plain"
    temporal: bool = False

    @property
    def seen(self) -> str:
        """What it sees, in words."""
        seen = "whole clips" if self.temporal else "frames"
        return seen if self.view == "plain" else f"{seen}, {self.view}"


class AdversarialSchedule(Schedule):
    """The schedule of the adversarial training.

    Attributes:
        encoder_lr: Learning rate of sigma and the boundaries; None for the networks' own. In few
            steps the 16 numbers hardly move at the networks' rate. An encoder that is a network
            itself is trained as the others are.
        adversaries: Copies of the recipe's privacy network.
        further: Adversaries of other kinds, besides. Of all adversaries the one that is least
            uncertain counts.
        restart_every: After so many steps one adversary, each in turn, gets fresh weights; None for
            never.
        ahead: Epochs in which the action network and the adversaries learn while the encoder stays
            as it starts: against adversaries that see nothing yet it would only learn to show more.
        privacy_steps: Steps of the adversaries (equation 2) to one of the encoder (equation 1), on
            the same clips and other frames.
    """

    encoder_lr: float | None = Field(default=None, gt=0)
    adversaries: int = Field(default=1, ge=1)
    further: tuple[AdversaryRecipe, ...] = ()
    restart_every: int | None = Field(default=None, ge=1)
    ahead: int = Field(default=0, ge=0)
    privacy_steps: int = Field(default=1, ge=1)


class AttackerTraining(_Part):
    """How long an attacker of an audit learns, and at which learning rate.

    The learning rate stays at its height until the accuracy on the training clips is over
    `accuracy`, or has not risen for `patience` epochs, or `longest` is reached; then it falls to 0
    along a cosine (warm-up, stable, decay: Hu et al., "MiniCPM", 2024).

    Attributes:
        accuracy: Training accuracy from which on the attacker has learned its clips.
        patience: Epochs without a new maximum of the training accuracy that end the rise.
        longest: Most epochs before the rate falls, in multiples of the schedule's epochs.
        fall: Epochs over which it falls, as a share of those before; one at least.
        rates: Learning rates to choose from, in multiples of the schedule's.
        trial: Epochs with which each is tried, in multiples of the schedule's.
        held_out: Share of the training clips, in whole recordings, on which the choice is made.
    """

    accuracy: float = Field(default=0.95, gt=0, le=1)
    patience: int = Field(default=8, ge=1)
    longest: float = Field(default=3.0, gt=0)
    fall: float = Field(default=0.25, gt=0)
    rates: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(1.0, 0.3, 3.0), min_length=1)
    trial: float = Field(default=0.5, gt=0)
    held_out: float = Field(default=0.25, gt=0, lt=1)


class Recipe(_Part):
    """One experiment; the defaults are the paper's for SBU (section 4.2).

    Attributes:
        frames: t, consecutive frames of a clip.
        rate: Frames a second that are taken of a video at the most; None for all of them. With
            `size` it becomes the geometry of the encoder that is trained.
        size: Width and height that the networks see, in pixels, and short side at which an encoder
            works.
        order: In which order frames are cut and veiled for the networks of validation. `"camera"`:
            whole frames at the encoder's geometry are veiled and rounded to 8 bits, as they leave
            a camera, and then cut. `"paper"`: frames are cut, and then veiled in floating point
            (section 4.2). An encoder itself is always trained in the paper's order.
        cache_size: Size at which decoded clips are kept for the paper's order, in pixels.
        fit: How frames become squares.
        scales: Sides of the training crop as shares of the short side, in (0, 1].
        alpha: Adversarial weight of equation 1.
        hardness: H of the quantiser.
        range_mode: Normalisation of differences.
        range_quantile: Share of the absolute differences inside the fixed range, which is
            calibrated on the training clips.
        action, privacy: The networks.
        transformer: The video transformer among the attackers.
        attackers: How attackers are trained; see `motionveil.evaluation.suites.attackers`.
        activation_checkpointing: Forget what networks compute inside their blocks, and compute it
            again for the gradients: less memory, a third more time, the same result.
        adversarial: Schedule of the adversarial training.
        validation: Schedule of the fresh networks.
        methods: Options of methods by name, such as `{"ryoo": {"motions": 4}}`; see
            `Method.options`.
        weights: Files that `pretrained` means, by the network's name; else it is downloaded.
    """

    frames: int = Field(default=16, ge=2)
    rate: float | None = Field(default=None, gt=0)
    size: int = Field(default=224, ge=16)
    order: Order = "camera"
    cache_size: int = Field(default=256, ge=16)
    fit: Fit = "short-side"
    scales: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(default=SCALES, min_length=1)
    alpha: float = Field(default=2.0, ge=0)
    hardness: float = Field(default=5.0, gt=0)
    range_mode: RangeMode = "fixed"
    range_quantile: float = Field(default=0.995, gt=0, le=1)
    action: NetworkRecipe = NetworkRecipe(name="resnet50_3d", weights="pretrained")
    privacy: NetworkRecipe = NetworkRecipe(name="resnet50", weights="pretrained")
    transformer: NetworkRecipe = NetworkRecipe(name="small_swin3d")
    attackers: AttackerTraining = AttackerTraining()
    activation_checkpointing: bool = False
    adversarial: AdversarialSchedule = AdversarialSchedule()
    validation: Schedule = Schedule()
    methods: dict[str, SerializeAsAny[Settings]] = Field(default_factory=dict)
    weights: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _as_now(cls, values: Any) -> Any:
        """Read older recipes too: names, and methods' options, once beside the other fields."""
        if not isinstance(values, dict):
            return values
        if "frame_step" in values:
            raise ValueError(
                "frame_step has become rate, the frames per second that are taken:"
                " write rate: 10 for every third of 30"
            )
        values = present_recipe(values)
        older = {name: values[name] for name in ("unet", "ryoo") if name in values}
        given = older | (values.get("methods") or {})
        kept = {name: value for name, value in values.items() if name not in older}
        return kept | {"methods": {name: _options(name, value) for name, value in given.items()}}

    def options_of(self, kind: Method) -> Settings | None:
        """Return a method's options: the recipe's, or the method's defaults."""
        return self.methods.get(kind.name) or (kind.options() if kind.options else None)

    def for_method(self, kind: Method) -> Recipe:
        """Return the recipe with which a method is trained."""
        values = self.model_dump()
        for name, value in kind.training(self.options_of(kind)).items():
            _set(values, name, value)
        return Recipe.model_validate(values)

    def network_of(self, adversary: AdversaryRecipe) -> NetworkRecipe:
        """Return the network of a further adversary."""
        own = self.action if adversary.temporal else self.privacy
        return adversary.network or own

    def with_files(self) -> Recipe:
        """Return the recipe, its networks with its files where they are to be pretrained."""
        own = {n: self.from_file(getattr(self, n)) for n in ("action", "privacy", "transformer")}
        further = [
            a.model_copy(update={"network": a.network and self.from_file(a.network)})
            for a in self.adversarial.further
        ]
        adversarial = self.adversarial.model_copy(update={"further": tuple(further)})
        return self.model_copy(update={**own, "adversarial": adversarial})

    def from_file(self, network: NetworkRecipe) -> NetworkRecipe:
        """Return a network with the recipe's file where it is to be pretrained and has one."""
        file = self.weights.get(network.name) if network.weights == "pretrained" else None
        return network if file is None else network.model_copy(update={"weights": file})

    def further_adversaries(self) -> list[str]:
        """Return what each of `adversarial.further` is: `small3d on whole clips`, and its view."""
        return [f"{self.network_of(a).name} on {a.seen}" for a in self.adversarial.further]

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write every field as YAML, whole or not at all; `load_recipe` reads the same recipe."""
        values = self.model_dump(mode="json")
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
        return write_text_atomically(path, text)


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return packaged_names("recipes", ".yaml")


def load_recipe(
    recipe: str | os.PathLike[str], settings: Mapping[str, Any] | None = None, **changes: Any
) -> Recipe:
    """Load a recipe by name or from a YAML file.

    Args:
        recipe: A shipped name (`"actors"`), or a file; `extends: NAME` there begins with a shipped
            recipe's fields.
        settings: Fields to set, with dots where they are nested: `{"adversarial.lr": 0.003}`.
        changes: Top-level fields to set, such as `alpha=0.0`; None leaves the recipe's value.

    Raises:
        MotionveilError: There is no such recipe, or a field is wrong; names the file, the field
            and the fault, and for an unknown field the nearest known ones.
    """
    path, values = _read(recipe)
    values.update({name: value for name, value in changes.items() if value is not None})
    for name, value in (settings or {}).items():
        _set(values, name, value)
    try:
        return Recipe.model_validate(values).with_files()
    except ValidationError as error:
        raise MotionveilError(f"{path}: " + describe_faults(error.errors(), _unknown)) from error


def _read(recipe: str | os.PathLike[str]) -> tuple[Path, dict[str, Any]]:
    """Return a recipe's file and fields, over those of the shipped recipe that it `extends`."""
    path = Path(recipe)
    if not path.is_file():
        if str(recipe) not in recipe_names():
            raise MotionveilError(
                f"{recipe}: no such recipe; give a YAML file or one of {', '.join(recipe_names())}"
            )
        path = Path(str(resources.files("motionveil") / "recipes" / f"{recipe}.yaml"))
    values = read_yaml(path, "the recipe") or {}
    if not isinstance(values, dict):
        raise MotionveilError(f"{path}: a recipe is a list of `field: value` lines")
    values = present_recipe(values)
    base = values.pop("extends", None)
    return path, values if base is None else _over(_read(base)[1], values)


def _over(base: Any, values: Any) -> Any:
    """Return `values` in place of the base's, within nested fields too."""
    if not isinstance(base, dict) or not isinstance(values, dict):
        return values
    return base | {name: _over(base.get(name), value) for name, value in values.items()}


def read_setting(text: str) -> tuple[str, Any]:
    """Read `FIELD=VALUE`, the value as in YAML: `adversarial.lr=0.003`, `scales=[1.0, 0.84]`.

    Raises:
        MotionveilError: It has no `=`, the field is unknown (names the nearest), or the value is
            no YAML.
    """
    name, equals, written = text.partition("=")
    name = present_field(name.strip())
    if not equals:
        raise MotionveilError(
            f"{text!r} sets nothing; write FIELD=VALUE, such as adversarial.lr=0.003"
        )
    if name not in field_names():
        raise MotionveilError(_unknown(name))
    return name, load_yaml(written, f"the value of {name}")


def field_names() -> list[str]:
    """Return the recipe's fields, with dots where they are nested: `alpha`, `adversarial.lr`."""
    options = {name: method(name).options for name in method_names()}
    ofs = (_field_names(kind, f"methods.{name}.") for name, kind in options.items() if kind)
    return [*_field_names(Recipe, ""), *chain.from_iterable(ofs)]


def _options(name: str, given: Any) -> Settings:
    """Return a method's options as its own model."""
    try:
        kind = method(name).options
    except MotionveilError as error:
        raise ValueError(str(error)) from error
    if kind is None:
        raise ValueError(f"the method {name!r} has no options")
    try:
        return kind.model_validate(given.model_dump() if isinstance(given, Settings) else given)
    except ValidationError as error:
        raise ValueError(f"{name}: {describe_faults(error.errors())}") from error


def _field_names(part: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in part.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, _Part):
            yield from _field_names(field.annotation, f"{prefix}{name}.")


def _set(values: dict[str, Any], name: str, value: Any) -> None:
    """Set a field by its name with dots."""
    *parts, last = present_field(name).split(".")
    for part in parts:
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            return  # the recipe's own fault, which its validation names
        values = inner
    values[last] = value


def _unknown(name: str) -> str:
    """Return what to say of a field that does not exist: which it may have been."""
    known = [*field_names(), *_listed_beside(name)]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    if not near:  # the right name in the wrong place
        last = name.rpartition(".")[2]
        leaves = difflib.get_close_matches(last, {n.rpartition(".")[2] for n in known}, n=1)
        near = [n for n in known if leaves and n.rpartition(".")[2] == leaves[0]]
    near = near or difflib.get_close_matches(name, known, n=1, cutoff=0)
    return f"no field {name!r}; the nearest is {' or '.join(map(repr, near))}"


def _listed_beside(name: str) -> Iterator[str]:
    """Yield the fields of the further adversary that a field is written at, if it is."""
    place = re.match(r"adversarial\.further\.\d+\.", name)
    if place:
        yield from _field_names(AdversaryRecipe, place.group())
        yield from _field_names(NetworkRecipe, f"{place.group()}network.")
