"""Made-up cameras: for trying out, measuring and testing without one."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from fractions import Fraction
from threading import Event
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from motionveil.bind_address import shown
from motionveil.errors import MotionveilError
from motionveil.video.types import Frame, Image, VideoInfo

if TYPE_CHECKING:
    from motionveil.actors.play import Act

_WRITTEN = re.compile(
    r"test(:actors)?(?::(\d{1,5})x(\d{1,5})(?:@(\d{1,6})(?:/(\d{1,5}))?)?)?"
    r"(?::seed=(\d{1,9}))?(:fast)?"
)
_SMALLEST = 16
_NOISE = 4.0  # standard deviation, in levels: a sensor in good light
_MARGIN = 20  # levels that noise may add or take
_PATIENCE = 1.0  # seconds
_FIELDS = 65521  # different noise fields; a prime


class SyntheticSource:
    """A scene with sensor noise: two shapes that move, or drawn people who act.

    Frame n is a function of the arguments and n alone. Noise of different frames is taken from one
    long row of numbers at different places, so a frame costs about two copies of the image, and
    whoever is drawn.

    Args:
        width: Pixels, from 16 on.
        height: Pixels, from 16 on.
        rate: Frames a second.
        frames: How many; None for no end.
        paced: Frames come in real time, as from a camera; otherwise as fast as they are asked
            for, as from a file.
        actors: Show people who do the actions of the built-in data, one after the other; they and
            their room are in no data set. Otherwise a textured still scene with two shapes.

    Attributes:
        acts: Whether people act.

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
        actors: bool = False,
    ) -> None:
        name = f"test:{'actors:' if actors else ''}{width}x{height}@{rate}"
        if min(width, height) < _SMALLEST or rate <= 0:
            raise MotionveilError(
                f"{name}: a test image is {_SMALLEST}x{_SMALLEST} or more, at a rate above 0"
            )
        self.name = f"{name}:seed={seed}" if seed else name
        self.live = paced
        self.damaged = 0
        self._rate = Fraction(rate)
        self.info: VideoInfo | None = VideoInfo(width, height, self._rate, 1 / self._rate, frames)
        random = np.random.default_rng(seed)
        self.acts = actors
        self._scene = _acting(width, height, seed) if actors else _Shapes(random, width, height)
        noise = random.normal(0, self._scene.noise, 3 * width * height + _FIELDS).round()
        # Added as bytes that wrap around, which is subtraction for the negative ones; the scene
        # keeps a margin, so nothing wraps in the image.
        self._noise = noise.clip(-_MARGIN, _MARGIN).astype(np.int8).view(np.uint8)
        self._seed = seed

    def truth(self, seconds: float) -> list[Act]:
        """Return the actions that can be seen in the first so many seconds, in order."""
        return list(self._scene.acts(seconds))

    def frames(self, stop: Event) -> Iterator[Frame]:
        """Yield the frames; see `Source.frames`. Timestamps are frame numbers from 0.

        A frame's `arrived` is the moment for which it was due; None if not paced. Like a camera, a
        paced source loses the frames for which nobody had time for a second.
        """
        assert self.info is not None
        start, number = time.monotonic(), 0
        while not stop.is_set() and (self.info.frames is None or number < self.info.frames):
            due = start + float(number / self._rate) if self.live else None
            if due is not None and time.monotonic() > due + _PATIENCE:
                number = int((time.monotonic() - start) * self._rate)
                continue
            image = self.picture(number)
            if due is not None and stop.wait(max(0.0, due - time.monotonic())):
                return
            yield Frame(image, number, 1 / self._rate, fresh=number == 0, arrived=due)
            number += 1

    def picture(self, number: int) -> Image:
        """Return the image of frame `number`, uint8 (H, W, 3), RGB; a new array each time."""
        image = self._scene.picture(float(number / self._rate))
        # 25253: neighbours in time take their noise from places far apart.
        at = (number * 25253 + self._seed) % _FIELDS
        image += self._noise[at : at + image.size].reshape(image.shape)
        return image


def synthetic_source(written: str) -> SyntheticSource | None:
    """Return the source written as `test` or `test:actors`, with what follows, all of it optional.

    That is its size and rate, `:640x480` or `:640x480@30000/1001`; `:seed=1`; and `:fast`, for
    frames as fast as they are asked for.

    Raises:
        MotionveilError: It starts with `test:` and goes on otherwise.
    """
    if written != "test" and not written.startswith("test:"):
        return None
    found = _WRITTEN.fullmatch(written)
    if found is None or found[5] == "0":
        raise MotionveilError(
            f"{shown(written)}: must look like test:640x480@30, test:640x480@30000/1001,"
            " test:actors or test:actors:320x240@15:seed=1:fast"
        )
    actors, width, height, above, below, seed, fast = found.groups()
    rate = Fraction(int(above or 30), int(below or 1))
    return SyntheticSource(
        int(width or 640),
        int(height or 480),
        rate,
        paced=not fast,
        seed=int(seed or 0),
        actors=bool(actors),
    )


class _Scene(Protocol):
    """What a made-up camera sees, without noise; see `ActingCamera`."""

    noise: float

    def picture(self, seconds: float) -> Image: ...

    def acts(self, seconds: float) -> Iterator[Act]: ...


def _acting(width: int, height: int, seed: int) -> _Scene:
    from motionveil.actors.play import ActingCamera  # numba: needed for this one only

    return ActingCamera(height, width, seed, margin=_MARGIN)


class _Shapes:
    """A textured still scene, and two shapes that move through it."""

    noise = _NOISE

    def __init__(self, random: np.random.Generator, width: int, height: int) -> None:
        self._still = _scene(random, width, height)

    def acts(self, seconds: float) -> Iterator[Act]:
        """Yield nothing: nobody is there."""
        return iter(())

    def picture(self, seconds: float) -> Image:
        """Return what is seen at a time, uint8 (H, W, 3), RGB; a new array."""
        image = self._still.copy()
        height, width = image.shape[:2]
        tall, wide = height // 2, width // 8
        left = round(_there_and_back(seconds / 7 + 0.1) * (width - wide))
        image[height // 4 : height // 4 + tall, left : left + wide] = (200, 60, 50)
        size = min(height, width) // 5
        left = round(_there_and_back(seconds / 4 + 0.6) * (width - size))
        top = round(_there_and_back(seconds / 5 + 0.3) * (height - size))
        image[top : top + size, left : left + size][_disc(size)] = (50, 90, 210)
        return image


def _scene(random: np.random.Generator, width: int, height: int) -> Image:
    """Return an image of waves, tiles and grain, with the margin that the noise needs."""
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
