"""What methods other than BDQ are set to: the `settings` of an `EncoderSpec`, a model a method.

Pixels are those of the frames that the encoder is given, which are the networks' input; times are
in seconds; intensities lie in [0, 1].
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Stages = Literal["B", "D", "Q", "BD", "BQ", "DQ", "BDQ"]
"""Which of BDQ's three modules an encoder has, in their order."""


class Settings(BaseModel):
    """Base of all settings: unknown fields are errors, and nothing changes once it is made."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class BlurSettings(Settings):
    """A plain Gaussian blur.

    Attributes:
        sigma: Standard deviation in pixels, > 0.
    """

    sigma: float = Field(gt=0)


class PixelateSettings(Settings):
    """A mosaic of square blocks.

    Attributes:
        block: Side of a block in pixels, >= 2.
    """

    block: int = Field(ge=2)


class DownsampleSettings(Settings):
    """Down-sampling to a low resolution.

    Attributes:
        size: Width and height of the small frames in pixels, >= 1.
    """

    size: int = Field(ge=1)


class Motion(Settings):
    """One of the image transformations of Ryoo et al.: a small motion of the camera.

    Attributes:
        x, y: Translation in pixels of the small frames; parts of a pixel are meant.
        zoom: Natural logarithm of the scale: 0 keeps it.
        angle: Rotation in radians.
        shear_x, shear_y: Shares by which a step along one axis moves along the other.
    """

    x: float = 0.0
    y: float = 0.0
    zoom: float = 0.0
    angle: float = 0.0
    shear_x: float = 0.0
    shear_y: float = 0.0


class RyooSettings(DownsampleSettings):
    """Down-sampling after learned transformations (Ryoo et al., AAAI 2017).

    Attributes:
        motions: The learned transformations; each gives a low-resolution video of its own.
    """

    motions: tuple[Motion, ...] = Field(min_length=1)


class UnetSettings(Settings):
    """The filter network of Wu et al.; its weights lie beside the spec.

    Attributes:
        widths: Channels at full, half and quarter resolution. With five blocks the default has
            the size of the paper's table 1.
        blocks: Residual blocks at quarter resolution.
    """

    widths: tuple[
        Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]
    ] = (36, 56, 112)
    blocks: int = Field(default=5, ge=0)


class EventSettings(Settings):
    """A simulated event camera.

    Attributes:
        threshold: Contrast threshold of positive events: change of `ln(intensity + eps)`, > 0.
        negative: That of negative events; None for the same.
        eps: Added to intensities before the logarithm, > 0.
        rate: Frames a second of the video, > 0; gives events their time.
        refractory: Seconds after an event in which its pixel gives no other, >= 0.
        mismatch: Standard deviation of the thresholds from pixel to pixel, as a share of them.
        leak: Positive events a second that each pixel gives by itself.
        shot: Events of either sign a second that each pixel gives by chance.
        interpolate: Steps into which the time between two frames is cut, >= 1; the logarithm of
            the intensity is followed linearly between them.
        full_scale: Events between two frames at which an event frame is full, >= 1.
        seed: Of mismatch and noise.
    """

    threshold: float = Field(gt=0)
    negative: float | None = Field(default=None, gt=0)
    eps: float = Field(default=1e-3, gt=0)
    rate: float = Field(default=30.0, gt=0)
    refractory: float = Field(default=0.0, ge=0)
    mismatch: float = Field(default=0.0, ge=0, lt=1)
    leak: float = Field(default=0.0, ge=0)
    shot: float = Field(default=0.0, ge=0)
    interpolate: int = Field(default=1, ge=1)
    full_scale: int = Field(default=3, ge=1)
    seed: int = Field(default=0, ge=0)


class VariantSettings(Settings):
    """BDQ with modules left out, or changed in a way that the paper does not ask about.

    Attributes:
        stages: The modules it has.
        sigma: Standard deviation of the blur in pixels: one number, or one for each of R, G, B.
        kernel_size: Width of the blur's window in pixels, odd.
        learn_sigma: Whether training may change sigma.
        boundaries: The quantiser's boundaries, ascending within [0, their number]: one row, or one
            for each of R, G, B.
        hardness: H of the soft quantiser, > 0.
        range_mode, range: As in `EncoderSpec`; without D frames are taken as they are.
        hard: Count boundaries instead of summing sigmoids.
    """

    stages: Stages = "BDQ"
    sigma: tuple[Annotated[float, Field(gt=0)], ...] = (1.0,)
    kernel_size: int = Field(default=5, ge=1)
    learn_sigma: bool = True
    boundaries: tuple[tuple[float, ...], ...] = (tuple(n + 0.5 for n in range(15)),)
    hardness: float = Field(default=5.0, gt=0)
    range_mode: Literal["fixed", "clip", "batch"] = "fixed"
    range: float | None = Field(default=None, gt=0, le=1)
    hard: bool = False

    @field_validator("kernel_size")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"a window is odd, found {value}")
        return value

    @field_validator("boundaries")
    @classmethod
    def _ascending(cls, rows: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
        for row in rows:
            top = len(row)
            if not row or list(row) != sorted(row) or row[0] < 0 or row[-1] > top:
                raise ValueError(f"boundaries must ascend within [0, {top}], found {list(row)}")
        if len({len(row) for row in rows}) > 1:
            raise ValueError("every channel must have the same number of boundaries")
        return rows

    @model_validator(mode="after")
    def _fits(self) -> VariantSettings:
        for name, rows in (("sigma", self.sigma), ("boundaries", self.boundaries)):
            if len(rows) not in (1, 3):
                raise ValueError(f"{name}: one for all channels or three, found {len(rows)}")
        fixed = "D" in self.stages and self.range_mode == "fixed"
        if fixed != (self.range is not None):
            raise ValueError("a range goes with D and range_mode 'fixed', and only with them")
        return self


METHODS: dict[str, type[Settings]] = {
    "blur": BlurSettings,
    "pixelate": PixelateSettings,
    "downsample": DownsampleSettings,
    "ryoo": RyooSettings,
    "unet": UnetSettings,
    "dvs": EventSettings,
    "bdq-variant": VariantSettings,
}
"""The methods that have settings, and their models."""

STRENGTHS = {
    "blur": "sigma",
    "pixelate": "block",
    "downsample": "size",
    "ryoo": "size",
    "dvs": "threshold",
}
"""The field that says how much a method takes away; a name such as `downsample-28` gives it."""
