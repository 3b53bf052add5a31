"""The event camera as an encoder: the paper's comparison of section 5.6."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionveil.encoders import functional
from motionveil.encoders.base import Encoder
from motionveil.errors import MotionveilError
from motionveil.events import EventCamera, event_frame
from motionveil.events.camera import LUMA
from motionveil.methods.dvs import EventSettings
from motionveil.spec import EncoderSpec


class DVS(Encoder):
    """Event frames of a simulated event camera (`motionveil.events.EventCamera`).

    Frame t of the output is `7.5 (1 + clip(n, -F, F) / F)`, n the positive minus the negative
    events of a pixel between frames t and t + 1, F the settings' `full_scale`; all three channels
    are the same. Frames are 1 / `rate` apart. Each clip starts afresh: its first frame sets the
    references. Noise depends on the seed and on the clip's first frame, so a clip's output does
    not depend on its neighbours in the batch, but different clips have different noise.

    Nothing is learned, and **there is no gradient to the clip**: the output is a constant to
    autograd. It is computed on the CPU, wherever the clip is.

    An event camera does not hide who is seen by itself: its events can be turned back into
    images (Rebecq et al., "High speed and high dynamic range video with an event camera",
    TPAMI 2021).

    Raises:
        MotionveilError: The spec is of another method, or a threshold is below 0.001.

    Examples:
        >>> from motionveil.spec import load_spec
        >>> DVS(load_spec("dvs-0.4"))(torch.zeros(1, 3, 4, 8, 8)).unique()
        tensor([7.5000])
    """

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        if not isinstance(spec.settings, EventSettings):
            raise MotionveilError(f"DVS needs a spec of method 'dvs', found {spec.method!r}")
        self._spec = spec
        self.settings = spec.settings
        EventCamera(self.settings, 1, 1)  # refuses thresholds that are too small

    def forward(self, clip: Tensor) -> Tensor:
        """Return event frames of clips.

        Args:
            clip: Shape `(B, 3, T, H, W)`, RGB in [0, 1], T >= 2; below 0 counts as 0.

        Returns:
            Shape `(B, 3, T - 1, H, W)`, values in [0, 15], on the clip's device, of its dtype.

        Raises:
            ValueError: The shape, dtype or a value of `clip` is wrong.
        """
        functional.check_clip(clip, least_frames=2)
        lumas = self._luma(clip)
        camera = EventCamera(self.settings, *lumas.shape[2:])
        frames = np.stack([self._event_frames(camera, luma) for luma in lumas])
        veiled = torch.from_numpy(frames).to(device=clip.device, dtype=clip.dtype)
        return veiled.unsqueeze(1).repeat(1, 3, 1, 1, 1)  # (B, 3, T - 1, H, W)

    def operations(self, clip: Tensor) -> int:
        """Count the floating point operations for a clip, events and noise left out.

        Luma takes five, the logarithm two; each step between two frames two comparisons with the
        level at which the next event is due, and one product and sum where it is interpolated.
        Interpolation along the motion is left out too: its steps depend on what moves.

        Args:
            clip: Shape `(B, 3, T, H, W)`.
        """
        pixels = clip.numel() // 3
        steps = self.settings.interpolate
        return pixels * (7 + 2 * steps + (2 * steps if steps > 1 else 0))

    @property
    def spec(self) -> EncoderSpec:
        """The spec it was built from."""
        return self._spec

    def _luma(self, clip: Tensor) -> NDArray[np.float64]:
        """Return the clips' luma as (B, T, H, W) on the CPU."""
        red, green, blue = clip.detach().to(device="cpu", dtype=torch.float64).unbind(1)
        # Not by a matrix product, whose last bits depend on the size of the batch.
        luma = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
        return np.asarray(luma.clamp(min=0).numpy())

    def _event_frames(self, camera: EventCamera, luma: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the event frames of one clip's luma (T, H, W) as (T - 1, H, W)."""
        camera.reset(stream=zlib.crc32(luma[0].tobytes()))
        counts = np.stack([camera.counts(frame) for frame in luma])
        return event_frame(counts[1:], self.settings.full_scale)
