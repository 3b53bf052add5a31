"""The encoder as data: the numbers of a trained encoder, where they came from, and their file.

This module is what runs behind a camera shares with what trains on a GPU, so it needs numpy and
pydantic only.
"""

from __future__ import annotations

import hashlib
import os
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)

from motionveil import methods
from motionveil.atomic_write import write_text_atomically
from motionveil.errors import MotionveilError, describe_faults
from motionveil.geometry import Geometry
from motionveil.hub import HubFile, fetch, is_hub_name
from motionveil.limits import packaged_names, read_text
from motionveil.methods import BlurredDifference, Choice, Method, Settings, Start

DEFAULT = "moments"
"""The encoder that veils where none is named."""

FILE_NAME = "encoder.json"

UNTRAINED_NOTE = "untrained: protects nothing"
"""The note in the provenance of an encoder that stands as its training begins."""

_PUBLISHED_RATES = {"actors": 15, "sbu": 15, "kth": 25, "ipn": 30, "ut-interaction": 30}
"""Frames a second of data sets, for encoders written before the geometry was."""


_USUAL_SIZE = 64
"""Short side of frames, in pixels, of which an error names a usual strength."""


class MustBeTrainedError(MotionveilError):
    """The name of a method of which only a training makes an encoder."""


class EncoderSpec(BaseModel):
    """The numbers of one encoder and their provenance; what `encoder.json` holds.

    Attributes:
        method: A name of `motionveil.methods`.
        settings: The method's own; None where it has none.
        weights: Name of the file of learned weights beside `encoder.json`; None where the spec
            says everything.
        geometry: Size and rate at which the encoder was trained and audited, to which every
            source is brought; None for an encoder that was not trained (`blur-4`, `raw`).
        provenance: Where the numbers came from (data, recipe, seed, version); free-form.

    Examples:
        >>> spec = EncoderSpec(method="blur", settings={"sigma": 4})
        >>> spec.name, spec.settings.sigma, spec.geometry
        ('blur-4', 4.0, None)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    method: str = "bdq"
    settings: SerializeAsAny[Settings] | None = None
    weights: str | None = None
    geometry: Geometry | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)
    _origin: str = PrivateAttr(default="")

    @model_validator(mode="before")
    @classmethod
    def _read_settings(cls, values: Any) -> Any:
        """Read settings as the method's own model, and older files."""
        if not isinstance(values, dict):
            return values
        name = values.get("method", "bdq")
        if not isinstance(name, str):
            raise ValueError(f"method: must be a name (found {name!r})")
        try:
            found = methods.method("bdq" if name == "bdq-variant" else name)
        except MotionveilError as error:
            raise ValueError(str(error)) from error
        values = found.read(dict(values))
        settings = values.get("settings")
        if found.settings is None:
            if settings is not None:
                raise ValueError(f"method {name!r} has no settings")
        elif settings is None:
            raise ValueError(
                f"method {name!r} needs settings: {', '.join(found.settings.model_fields)}"
            )
        elif isinstance(settings, dict):
            try:
                values["settings"] = found.settings.model_validate(settings)
            except ValidationError as error:
                raise ValueError(f"settings: {describe_faults(error.errors())}") from error
        elif type(settings) is not found.settings:
            raise ValueError(f"method {name!r} has other settings than {type(settings).__name__}")
        return values

    @model_validator(mode="before")
    @classmethod
    def _date_geometry(cls, values: Any) -> Any:
        """Give an encoder that was written before geometries the one that it was trained at."""
        if not isinstance(values, dict) or values.get("geometry") is not None:
            return values
        origin = values.get("provenance")
        geometry = _trained_geometry(origin) if isinstance(origin, dict) else None
        return values if geometry is None else {**values, "geometry": geometry}

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, value: str | None) -> str | None:
        # A spec may come from a stranger, and must not reach other files.
        if value is not None and (Path(value).name != value or "\\" in value):
            raise ValueError("the weights must be a file beside the encoder")
        return value

    @classmethod
    def untrained(
        cls,
        method: str = "bdq",
        *,
        range: float = 0.25,
        geometry: Geometry | None = None,
        **provenance: Any,
    ) -> EncoderSpec:
        """Return a method as it stands before training; it protects nothing.

        Args:
            method: A name such as `bdq`, `ryoo-28` or `bdq:levels=31`.
            range: r of the blurred differences, where the method has one.
            geometry: Its geometry.
            provenance: Where it comes from.

        Raises:
            MotionveilError: There is no such method, or a setting is missing or out of range.
        """
        choice = methods.choose(method)
        return cls(
            method=choice.method.name,
            settings=_settings(choice, Start(calibrate=lambda: range)),
            geometry=geometry,
            provenance=dict(provenance),
        )

    @property
    def kind(self) -> Method:
        """The method's record."""
        return methods.method(self.method)

    @property
    def name(self) -> str:
        """The method and how much it removes, such as `downsample-28`; else the method."""
        field = self.kind.strength
        return self.method if field is None else f"{self.method}-{getattr(self.settings, field):g}"

    @property
    def is_untrained(self) -> bool:
        """Whether it stands as its training would begin, by its note."""
        return self.kind.learned and self.provenance.get("note") == UNTRAINED_NOTE

    @property
    def multiple(self) -> int:
        """What both sides of a working frame must be multiples of."""
        return self.kind.multiple_of(self.settings)

    @property
    def cell(self) -> int:
        """Pixels of a working frame, along both axes, that have one veiled value."""
        return self.kind.cell(self.settings)

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that tell the encoder from any other, whatever its origin."""
        text = self.model_dump_json(exclude={"provenance"}, exclude_defaults=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def origin(self) -> str:
        """`hf:owner/name@commit` where this process fetched it from the hub; empty otherwise.

        What a file says of itself in its provenance is no proof of it.
        """
        return self._origin

    def fetched(self, file: HubFile, *others: HubFile) -> EncoderSpec:
        """Return the encoder with the files on the hub that it was read from, as its origin."""
        provenance = {**self.provenance, "hub": file.origin(*others)}
        spec = self.model_copy(update={"provenance": provenance})
        spec._origin = file.pinned
        return spec

    def change(self, **settings: Any) -> EncoderSpec:
        """Return the encoder with settings changed, which are checked.

        Examples:
            >>> load_spec("bdq").change(modules="BD").settings.modules
            'BD'
        """
        changed = self.kind.change(self.settings, settings)
        spec = self.model_copy(update={"settings": changed})
        spec._origin = ""  # the hub has no such encoder
        return spec

    def required_geometry(self, otherwise: str = "") -> Geometry:
        """Return the geometry.

        Args:
            otherwise: What else the user can do without one, for the error's text.

        Raises:
            MotionveilError: The encoder has none.
        """
        if self.geometry is None:
            raise MotionveilError(
                "the encoder does not say at which size and rate it was trained, so nothing says"
                ' what it hides: add "geometry": {"size": 96, "rate": 10} (short side in pixels,'
                f" frames per second) to its encoder.json{otherwise}"
            )
        return self.geometry

    def difference(self, *, hard: bool = False) -> BlurredDifference:
        """Return the encoder as a map of blurred differences: what the exports hold.

        Args:
            hard: Quantise in steps instead of sigmoids.

        Raises:
            MotionveilError: It is no such map; says why.
        """
        return self.kind.difference(self.settings, hard=hard)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the spec as JSON, whole or not at all, and return the path."""
        names = ("settings", "weights", "geometry")
        other = {name for name in names if getattr(self, name) is None}
        return write_text_atomically(path, self.model_dump_json(indent=2, exclude=other) + "\n")

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> EncoderSpec:
        """Read and check an `encoder.json`.

        Raises:
            MotionveilError: The file is missing, is not JSON, or a field is wrong; the message
                names the file, the field and the fault.
        """
        try:
            return cls.model_validate_json(read_text(Path(path), "the encoder"))
        except ValidationError as error:
            raise MotionveilError(f"{path}: {describe_faults(error.errors())}") from error


def _trained_geometry(provenance: dict[str, Any]) -> dict[str, float] | None:
    """Return the geometry that a provenance tells of; None where it does not."""
    size, step = provenance.get("size"), provenance.get("frame_step")
    rate = _PUBLISHED_RATES.get(str(provenance.get("data")))
    if not isinstance(size, int) or not isinstance(step, int) or step < 1 or rate is None:
        return None
    return {"size": size, "rate": rate / step}


def shipped_names() -> list[str]:
    """Return the names of the encoders that come with the package."""
    return packaged_names("specs", ".json")


def spec_folder(encoder: str | os.PathLike[str]) -> Path | None:
    """Return the folder of an encoder's file, where its weights lie; None for a name."""
    if is_hub_name(encoder):
        return fetch(encoder, FILE_NAME).path.parent
    path = Path(encoder)
    if path.is_dir():
        return path
    return path.parent if path.is_file() else None


def named_spec(name: str) -> EncoderSpec | None:
    """Return the spec of a name that says everything: `downsample-28`, `flow-untrained`.

    Returns:
        None where the name is no method's.

    Raises:
        MustBeTrainedError: Only a training makes an encoder of it.
        MotionveilError: The method blurs faces in files, or a setting is missing or out of range.
    """
    try:
        choice = methods.choose(name)
    except methods.UnknownMethodError:
        return None
    kind = choice.method
    if kind.blurs_faces:  # as an encoder it would pass everything through
        raise MotionveilError(f"{name} is no encoder: {kind.unstreamable}")
    if kind.learned and not choice.untrained:
        then = f"; even then it cannot veil a stream: {kind.unstreamable}"
        word = kind.usual_name(_USUAL_SIZE) if _lacks_strength(choice) else name
        raise MustBeTrainedError(
            f"{name} must be trained first: motionveil train MANIFEST --method {word}"
            f"{'' if kind.stream else then}"
        )
    provenance = {"note": UNTRAINED_NOTE} if choice.untrained else {}
    settings = _settings(choice, Start(calibrate=lambda: _refuse_calibration(name)))
    return EncoderSpec(method=kind.name, settings=settings, provenance=provenance)


def _settings(choice: Choice, start: Start) -> Settings | None:
    """Return the settings that a choice stands for, as training would begin with them."""
    try:
        return choice.method.start(start, choice.settings)
    except ValidationError as error:
        faults = describe_faults(error.errors())
        usual = choice.method.usual_name(_USUAL_SIZE)
        hint = f"; a name with a strength is {usual}" if _lacks_strength(choice) else ""
        raise MotionveilError(f"{choice.name}: {faults}{hint}") from error


def _lacks_strength(choice: Choice) -> bool:
    return choice.method.strength is not None and choice.own_strength is None


def _refuse_calibration(name: str) -> float:
    raise MotionveilError(
        f"{name}: before training its range is measured on the training clips; give it:"
        f" {name}{',' if ':' in name else ':'}range=0.25"
    )


def _from_hub(encoder: str | os.PathLike[str]) -> EncoderSpec:
    """Fetch an encoder and its weights, and note where they came from in its provenance."""
    file = fetch(encoder, FILE_NAME)
    spec = EncoderSpec.read(file.path)
    weights = [] if spec.weights is None else [fetch(file.pinned, spec.weights)]
    return spec.fetched(file, *weights)


def load_spec(encoder: str | os.PathLike[str] | EncoderSpec) -> EncoderSpec:
    """Load an encoder's numbers by name or from a file; needs no torch.

    Args:
        encoder: A shipped name (`"bdq"`, `"raw"`), a name that says everything
            (`"downsample-28"`, `"flow-untrained"`, see `named_spec`), an `encoder.json`, a folder
            that holds one (a training run), or one on the hub: `"hf:owner/name"`,
            `"hf:owner/name@revision"`. Or the numbers themselves.

    Raises:
        MustBeTrainedError: The name is that of a method that must be trained.
        MotionveilError: There is no such name or file, the file is at fault, or the hub's cannot be
            had (see `motionveil.hub.fetch`).

    Examples:
        >>> load_spec("bdq").method
        'bdq'
    """
    if isinstance(encoder, EncoderSpec):
        return encoder
    if is_hub_name(encoder):
        return _from_hub(encoder)
    path = Path(encoder)
    if not str(encoder):  # as a path it would be the working directory
        raise MotionveilError("the encoder's name is empty")
    if path.is_dir():
        return EncoderSpec.read(path / FILE_NAME)
    if path.exists() or path.suffix == ".json":
        return EncoderSpec.read(path)
    names = shipped_names()
    if str(encoder) in names:
        with resources.as_file(resources.files("motionveil") / "specs" / f"{encoder}.json") as file:
            return EncoderSpec.read(file)
    named = named_spec(str(encoder))
    if named is not None:
        return named
    patterns = ", ".join(
        f"{name}-N"
        for name in methods.method_names()
        if (kind := methods.method(name)).strength and not kind.learned
    )
    raise MotionveilError(
        f"{encoder}: no such encoder; give a file, a run folder, hf:owner/name or one of"
        f" {', '.join(names)}, {patterns}"
    )


def at_geometry(spec: EncoderSpec, native: bool = False) -> EncoderSpec:
    """Return a method that is not trained, and so has no geometry, at the default encoder's."""
    trained = spec.kind.learned and not spec.is_untrained
    if native or spec.geometry is not None or trained or spec.kind.stream is None:
        return spec
    return spec.model_copy(update={"geometry": load_spec(DEFAULT).required_geometry()})
