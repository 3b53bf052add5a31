"""A made-up camera: for trying out, measuring and testing without one."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from fractions import Fraction
from threading import Event

import numpy as np
from numpy.typing import NDArray

from motionveil.bind_address import shown
from motionveil.errors import MotionveilError
from motionveil.video.types import Frame, Image, VideoInfo

_WRITTEN = re.compile(r"test(?::(\d{1,5})x(\d{1,5})(?:@(\d{1,6})(?:/(\d{1,5}))?)?)?")
_SMALLEST = 16
_NOISE = 4.0  # standard deviation, in levels: a sensor in good light
_MARGIN = 20  # levels that noise may add or take
_FIELDS = 65521  # different noise fields; a prime


class SyntheticSource:
    """A textured still scene with sensor noise, and two shapes that move through it.

    Frame n is a function of size, rate, seed and n alone. It costs about two copies of the
    picture; noise of different frames is taken from one long row of numbers at different places.

    Args:
        width: Pixels, from 16 on.
        height: Pixels, from 16 on.
        rate: Frames a second.
        frames: How many; None for no end.
        paced: Frames come in real time, as from a camera; otherwise as fast as they are asked
            for, as from a file.
        seed: Of scene and noise.

    Raises:
        MotionveilError: The size or the rate makes no sense.
    """

    def __init__(
        self,
        width: int = 640,
        height: int = 480,
        rate: Fraction | int = 30,
        *,
        frames: int | None = None,
        paced: bool = True,
        seed: int = 0,
    ) -> None:
        if min(width, height) < _SMALLEST or rate <= 0:
            raise MotionveilError(
                f"test:{width}x{height}@{rate}: a test picture is {_SMALLEST}x{_SMALLEST} or more,"
                " at a rate above 0"
            )
        self.name = f"test:{width}x{height}@{rate}"
        self.live = paced
        self.damaged = 0
        self._rate = Fraction(rate)
        self.info: VideoInfo | None = VideoInfo(width, height, self._rate, 1 / self._rate, frames)
        random = np.random.default_rng(seed)
        self._scene = _scene(random, width, height)
        noise = random.normal(0, _NOISE, self._scene.size + _FIELDS).round()
        # Added as bytes that wrap around, which is subtraction for the negative ones; the scene
        # keeps a margin, so nothing wraps in the picture.
        self._noise = noise.clip(-_MARGIN, _MARGIN).astype(np.int8).view(np.uint8)
        self._seed = seed

    def frames(self, stop: Event) -> Iterator[Frame]:
        """Yield the frames; see `Source.frames`. Timestamps are frame numbers from 0.

        A frame's `arrived` is the moment for which it was due; None if not paced.
        """
        assert self.info is not None
        start, number = time.monotonic(), 0
        while not stop.is_set() and number != self.info.frames:
            due = start + float(number / self._rate) if self.live else None
            image = self.picture(number)
            if due is not None and stop.wait(max(0.0, due - time.monotonic())):
                return
            yield Frame(image, number, 1 / self._rate, fresh=number == 0, arrived=due)
            number += 1

    def picture(self, number: int) -> Image:
        """Return the picture of frame `number`, uint8 (H, W, 3), RGB; a new array each time."""
        image = self._scene.copy()
        height, width = image.shape[:2]
        seconds = float(number / self._rate)
        tall, wide = height // 2, width // 8
        left = round(_there_and_back(seconds / 7 + 0.1) * (width - wide))
        image[height // 4 : height // 4 + tall, left : left + wide] = (200, 60, 50)
        size = min(height, width) // 5
        left = round(_there_and_back(seconds / 4 + 0.6) * (width - size))
        top = round(_there_and_back(seconds / 5 + 0.3) * (height - size))
        image[top : top + size, left : left + size][_disc(size)] = (50, 90, 210)
        # 25253: neighbours in time take their noise from places far apart.
        at = (number * 25253 + self._seed) % _FIELDS
        image += self._noise[at : at + image.size].reshape(image.shape)
        return image


def synthetic_source(written: str) -> SyntheticSource | None:
    """Return the source written as `test`, `test:640x480` or `test:640x480@30000/1001`.

    Raises:
        MotionveilError: It starts with `test:` and goes on otherwise.
    """
    if written != "test" and not written.startswith("test:"):
        return None
    found = _WRITTEN.fullmatch(written)
    if found is None or found[4] == "0":
        raise MotionveilError(
            f"{shown(written)}: must look like test:640x480@30 or test:640x480@30000/1001"
        )
    width, height, above, below = found.groups()
    rate = Fraction(int(above or 30), int(below or 1))
    return SyntheticSource(int(width or 640), int(height or 480), rate)


def _scene(random: np.random.Generator, width: int, height: int) -> Image:
    """Return a picture of waves, tiles and grain, with the margin that the noise needs."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    scene = np.empty((height, width, 3), np.float32)
    for channel in range(3):
        a, b = random.uniform(0.01, 0.06, 2)
        scene[..., channel] = 120 + 40 * np.sin(a * x + channel) * np.cos(b * y)
    scene += 25 * ((x // 24 + y // 24) % 2)[..., None]
    scene += random.uniform(-12, 12, (height, width, 1))
    return scene.clip(_MARGIN, 255 - _MARGIN).astype(np.uint8)


def _there_and_back(phase: float) -> float:
    """Return a position from 0 to 1 and back, once for each whole number of the phase."""
    return 1 - abs(2 * (phase % 1) - 1)


def _disc(size: int) -> NDArray[np.bool_]:
    axis = np.arange(size) - (size - 1) / 2
    return axis[:, None] ** 2 + axis**2 <= (size / 2) ** 2
