"""The encoder as data: the numbers of a trained encoder, where they came from, and their file.

This module is what runs behind a camera shares with what trains on a GPU, so it needs numpy and
pydantic only.
"""

from __future__ import annotations

import hashlib
import json
import os
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)

from motionveil.errors import MotionveilError
from motionveil.files import write_text_atomically
from motionveil.geometry import Geometry
from motionveil.settings import METHODS, STRENGTHS, Settings

LEVELS = 15
"""Largest value of a veiled clip, and the number of boundaries: 2^4 - 1 (paper, section 3.1)."""

KERNEL_SIZE = 5
"""Width of the Gaussian window in pixels (paper, section 3.1)."""

RangeMode = Literal["fixed", "clip", "batch"]

_PUBLISHED_RATES = {"actors": 15, "sbu": 15, "kth": 25, "ipn": 30, "ut-interaction": 30}
"""Frames a second of data sets, for encoders written before the geometry was."""


def untrained_boundaries() -> tuple[float, ...]:
    """Return the boundaries before training: 0.5, 1.5, ..., 14.5 (paper, section 3.1)."""
    return tuple(n + 0.5 for n in range(LEVELS))


class EncoderSpec(BaseModel):
    """The numbers of one encoder and their provenance; what `encoder.json` holds.

    Attributes:
        method: `"bdq"`; `"raw"` for the identity; or one of `motionveil.settings.METHODS`, which
            has `settings` instead of the numbers below.
        sigma: Standard deviation of the 5 x 5 Gaussian blur in pixels, > 0.
        boundaries: The 15 boundaries b_n of the quantiser, ascending, within [0, 15].
        hardness: H, the steepness of the soft quantiser, > 0; the paper uses 5.
        range_mode: How differences are brought to [0, 15]: `"fixed"` (causal, the only one that
            can stream), `"clip"` or `"batch"`.
        range: r of the fixed mode: a difference d in [-r, r], of intensities in [0, 1], becomes
            (d + r) / 2r * 15.
        settings: Of the other methods; a model of `motionveil.settings`.
        weights: Name of the file of learned weights beside `encoder.json`; None where the spec
            says everything.
        geometry: Size and rate at which the encoder was trained and audited, to which every
            source is brought; None for an encoder that was not trained (`blur-4`, `raw`).
        provenance: Where the numbers came from (data, recipe, seed, version); free-form.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    method: Literal[
        "bdq", "raw", "blur", "pixelate", "downsample", "ryoo", "unet", "dvs", "bdq-variant"
    ] = "bdq"
    sigma: float | None = Field(default=None, gt=0)
    boundaries: tuple[float, ...] | None = None
    hardness: float | None = Field(default=None, gt=0)
    range_mode: RangeMode | None = None
    range: float | None = Field(default=None, gt=0, le=1)
    settings: SerializeAsAny[Settings] | None = None
    weights: str | None = None
    geometry: Geometry | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _read_settings(cls, values: Any) -> Any:
        """Read settings as the method's own model."""
        if not isinstance(values, dict) or not isinstance(values.get("settings"), dict):
            return values
        model = METHODS.get(values.get("method", "bdq"))
        if model is None:
            raise ValueError(f"method {values.get('method', 'bdq')!r} has no settings")
        try:
            return {**values, "settings": model.model_validate(values["settings"])}
        except ValidationError as error:
            raise ValueError(f"settings: {describe(error)}") from error

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

    @field_validator("boundaries")
    @classmethod
    def _check_boundaries(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is None:
            return value
        if len(value) != LEVELS:
            raise ValueError(f"{len(value)} boundaries, there must be {LEVELS}")
        if list(value) != sorted(value):
            raise ValueError("the boundaries must ascend")
        if value[0] < 0 or value[-1] > LEVELS:
            raise ValueError(f"the boundaries must lie in [0, {LEVELS}]")
        return value

    @model_validator(mode="after")
    def _check_method(self) -> EncoderSpec:
        numbers = ("sigma", "boundaries", "hardness", "range_mode")
        missing = [name for name in numbers if getattr(self, name) is None]
        if self.method == "bdq" and missing:
            raise ValueError(f"method 'bdq' needs {', '.join(missing)}")
        if self.method != "bdq" and len(missing) < len(numbers):
            raise ValueError(
                f"method {self.method!r} has no sigma, boundaries, hardness or range_mode"
            )
        model = METHODS.get(self.method)
        if type(self.settings) is not (type(None) if model is None else model):
            raise ValueError(
                f"method {self.method!r} has no settings"
                if model is None
                else f"method {self.method!r} needs settings: {', '.join(model.model_fields)}"
            )
        if (self.range is None) == (self.range_mode == "fixed"):
            raise ValueError(
                "range_mode 'fixed' needs a range, the other modes have none"
                f" (range_mode {self.range_mode!r}, range {self.range})"
            )
        return self

    @classmethod
    def untrained(
        cls, *, range: float, geometry: Geometry | None = None, **provenance: Any
    ) -> EncoderSpec:
        """Return BDQ as it stands before training: sigma 1, boundaries 0.5 ... 14.5, H = 5.

        It protects nothing: its quantiser is almost the identity.
        """
        return cls(
            method="bdq",
            sigma=1.0,
            boundaries=untrained_boundaries(),
            hardness=5.0,
            range_mode="fixed",
            range=range,
            geometry=geometry,
            provenance=dict(provenance),
        )

    @property
    def name(self) -> str:
        """The method and how much it takes away, such as `downsample-28`; else the method."""
        strength = STRENGTHS.get(self.method)
        if strength is None:
            return self.method
        return f"{self.method}-{getattr(self.settings, strength):g}"

    @property
    def multiple(self) -> int:
        """What both sides of a working frame must be multiples of."""
        # Wu's filter works at a quarter of the resolution; video has colour for two pixels each.
        return 4 if self.method == "unet" else 2

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that tell the encoder from any other, whatever its origin."""
        text = self.model_dump_json(exclude={"provenance"})
        return hashlib.sha256(text.encode()).hexdigest()[:12]

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
                f" frames a second) to its encoder.json{otherwise}"
            )
        return self.geometry

    def gaussian(self) -> NDArray[np.float64]:
        """Return the 5 weights of the separable Gaussian, normalised to sum 1."""
        assert self.sigma is not None, "only bdq has this blur"
        offsets = np.arange(KERNEL_SIZE) - KERNEL_SIZE // 2
        weights = np.exp(-(offsets**2) / (2 * self.sigma**2))
        return weights / weights.sum()

    def veil_difference(
        self, difference: NDArray[Any], *, hard: bool = False
    ) -> NDArray[np.float64]:
        """Map blurred differences to veiled values: fixed-range normalisation, then quantisation.

        Args:
            difference: Blurred differences of intensities in [0, 1], any shape.
            hard: Count the boundaries below instead of summing sigmoids.

        Returns:
            Values in [0, 15], float64, of the same shape.

        Raises:
            MotionveilError: The range depends on the data (`clip`, `batch`), so no such map exists.
        """
        if self.range is None or self.boundaries is None or self.hardness is None:
            raise MotionveilError(
                f"an encoder with range_mode {self.range_mode!r} cannot work frame by frame:"
                " its output depends on frames still to come; only 'fixed' can stream"
            )
        position = (np.asarray(difference, np.float64) + self.range) / (2 * self.range) * LEVELS
        position = np.clip(position, 0, LEVELS)
        levels = np.zeros_like(position)
        for boundary in self.boundaries:
            if hard:
                levels += position > boundary
            else:
                levels += 1 / (1 + np.exp(-self.hardness * (position - boundary)))
        return levels

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
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
            raise MotionveilError(f"{path}: cannot read the encoder: {reason}") from error
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise MotionveilError(f"{path}: {describe(error)}") from error


def _trained_geometry(provenance: dict[str, Any]) -> dict[str, float] | None:
    """Return the geometry that a provenance tells of; None where it does not."""
    size, step = provenance.get("size"), provenance.get("frame_step")
    rate = _PUBLISHED_RATES.get(str(provenance.get("data")))
    if not isinstance(size, int) or not isinstance(step, int) or step < 1 or rate is None:
        return None
    return {"size": size, "rate": rate / step}


def describe(error: ValidationError) -> str:
    """Say on one line which fields are wrong, how, and what was found; the first five."""
    items = error.errors()
    more = f"; and {len(items) - 5} more" if len(items) > 5 else ""
    return "; ".join(_fault(item) for item in items[:5]) + more


def _fault(item: Any) -> str:
    field = ".".join(str(part) for part in item["loc"])
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "missing" or not field:
        return f"{field}: {message}" if field else message
    return f"{field}: {message} (found {json.dumps(item['input'], default=str)[:80]})"


def shipped_names() -> list[str]:
    """Return the names of the encoders that come with the package."""
    folder = resources.files("motionveil") / "specs"
    return sorted(f.name.removesuffix(".json") for f in folder.iterdir() if f.name[-5:] == ".json")


def spec_folder(encoder: str | os.PathLike[str]) -> Path | None:
    """Return the folder of an encoder's file, where its weights lie; None for a name."""
    path = Path(encoder)
    if path.is_dir():
        return path
    return path.parent if path.is_file() else None


def named_spec(name: str) -> EncoderSpec | None:
    """Return the spec of a name such as `downsample-28`, `blur-4`, `pixelate-8` or `dvs-0.4`.

    Returns:
        None where the name has another form. `ryoo` is not among them: it must be trained.

    Raises:
        MotionveilError: The number is out of range.
    """
    method, dash, strength = name.partition("-")
    if not dash or method not in STRENGTHS or method == "ryoo":
        return None
    try:
        return EncoderSpec.model_validate(
            {"method": method, "settings": {STRENGTHS[method]: strength}}
        )
    except ValidationError as error:
        raise MotionveilError(f"{name}: {describe(error)}") from error


def load_spec(encoder: str | os.PathLike[str]) -> EncoderSpec:
    """Load an encoder's numbers by name or from a file; needs no torch.

    Args:
        encoder: A shipped name (`"bdq"`, `"raw"`), a name that says everything
            (`"downsample-28"`, see `named_spec`), an `encoder.json`, or a folder that holds one
            (a training run).

    Raises:
        MotionveilError: There is no such name or file, or the file is at fault.

    Example:
        >>> load_spec("bdq").hardness
        5.0
    """
    path = Path(encoder)
    if path.is_dir():
        return EncoderSpec.read(path / "encoder.json")
    if path.exists() or path.suffix == ".json":
        return EncoderSpec.read(path)
    names = shipped_names()
    if str(encoder) in names:
        with resources.as_file(resources.files("motionveil") / "specs" / f"{encoder}.json") as file:
            return EncoderSpec.read(file)
    named = named_spec(str(encoder))
    if named is not None:
        return named
    patterns = ", ".join(f"{method}-N" for method in STRENGTHS if method != "ryoo")
    raise MotionveilError(
        f"{encoder}: no such encoder; give a file, a run folder or one of {', '.join(names)},"
        f" {patterns}"
    )
