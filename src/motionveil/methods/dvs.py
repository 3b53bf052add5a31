"""A simulated event camera: the paper's comparison of section 5.6."""

from __future__ import annotations

from pydantic import Field, model_validator

from motionveil.methods.base import Method, Settings

FASTEST = 1e6
"""Events a second of a pixel: times are whole microseconds."""


class EventSettings(Settings):
    """A simulated event camera.

    Attributes:
        threshold: Contrast threshold of positive events: change of `ln(intensity + eps)`, > 0.
        negative: Contrast threshold of negative events (default: the same).
        eps: Added to intensities before the logarithm, > 0.
        rate: Frames a second of the video, > 0; gives events their time.
        refractory: Seconds after an event during which its pixel gives no other, >= 0.
        mismatch: Relative standard deviation of the thresholds across pixels.
        leak: Leak events (positive) per second and pixel, at most a million.
        shot: Shot noise events of either sign per second and pixel, likewise.
        interpolate: Steps between two frames, >= 1, at which intensity is interpolated; within a
            step its logarithm is linear.
        motion: Interpolate along the motion instead, in steps of at most a pixel of it; not with
            `interpolate`.
        full_scale: Events between two frames at which an event frame saturates, >= 1.
        seed: Random seed of mismatch and noise.
    """

    threshold: float = Field(gt=0)
    negative: float | None = Field(default=None, gt=0)
    eps: float = Field(default=1e-3, gt=0)
    rate: float = Field(default=30.0, gt=0)
    refractory: float = Field(default=0.0, ge=0)
    mismatch: float = Field(default=0.0, ge=0, lt=1)
    leak: float = Field(default=0.0, ge=0, le=FASTEST)
    shot: float = Field(default=0.0, ge=0, le=FASTEST)
    interpolate: int = Field(default=1, ge=1)
    motion: bool = False
    full_scale: int = Field(default=3, ge=1)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check_interpolation(self) -> EventSettings:
        if self.motion and self.interpolate > 1:
            raise ValueError("interpolate: must be 1 with motion, which chooses the steps itself")
        return self


class DVS(Method):
    """Event frames: positive minus negative events of each pixel between two frames."""

    name = "dvs"
    label = "event camera"
    help = "simulated event camera; the strength is its contrast threshold"
    settings = EventSettings
    strength, strength_label = "threshold", "event camera, threshold {}"
    encoder = "motionveil.encoders.dvs:DVS"
    stream = "motionveil.events.camera:EventVeil"
    colour, marker = "#6A3D9A", "d"

    def usual_strengths(self, size: int) -> list[float]:
        """Return thresholds from many events to few; at the paper's 2.4 there are none."""
        return [0.1, 0.2, 0.4, 0.8]
