"""The veiled video with what was recognised drawn below it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.recognition.answers import Answer
from motionveil.streaming.geometry import repeat_pixels
from motionveil.video import Destination, Sink, check_dest, open_sink
from motionveil.video.destinations import Destinations

Image = NDArray[np.uint8]

_BAND = 40  # rows of the band with label and bar
_LETTERS = 18  # pixels
_MARGIN = 6
_BAR = 6  # rows
_BACKGROUND, _TEXT = (24, 24, 24), (240, 240, 240)
_COLOURS = {"action": (64, 176, 255), "none of these": (150, 150, 150), "no motion": (90, 90, 90)}


class Overlay:
    """Draws answers below veiled frames, and writes both.

    The image itself is left as it is: what is drawn hides nothing of it.

    Args:
        dests: One or several; see `motionveil.video.open_sink`.
        enlarge: How many times each pixel of the working frame is repeated, along both sides.
        cell: How many working pixels a veiled pixel stands for.
        font: A TrueType file; Pillow's own, which has Latin letters, if None.
        live: See `motionveil.video.open_sink`, like the others.

    Raises:
        MotionveilError: The font cannot be read, or the destination is none.
    """

    def __init__(
        self,
        *dests: str | Destination,
        enlarge: int,
        cell: int = 1,
        font: str | None = None,
        live: bool = False,
        pace: bool = False,
        comment: str | None = None,
        notice: Callable[[str], None] = lambda line: None,
    ) -> None:
        check_dest(*dests)
        self._dests, self._times, self._live = dests, enlarge * cell, live
        self._pace, self._comment, self._notice = pace, comment, notice
        self._font = _load_font(font)
        self._answer: Answer | None = None

    def open(self, *, rate: Fraction | None, time_base: Fraction) -> Sink:
        """Return a sink for veiled frames; the answer shown is that of the frame's `show`."""
        inner = open_sink(
            *self._dests,
            rate=rate,
            time_base=time_base,
            live=self._live,
            pace=self._pace,
            comment=self._comment,
            notice=self._notice,
        )
        return _OverlaySink(inner, self)

    def show(self, image: Image, time: float, answer: Answer | None) -> None:
        """Take the newest answer; called before the frame is written."""
        self._answer = answer

    def draw(self, image: Image) -> Image:
        """Return a veiled frame, uint8 (h, w, 3), enlarged, with a band below it."""
        from PIL import Image as PillowImage
        from PIL import ImageDraw

        large = repeat_pixels(image, self._times)
        height, width = large.shape[:2]
        # Even sides: H.264 that every player shows has no others.
        canvas = np.zeros((height + _BAND + height % 2, width + width % 2, 3), np.uint8)
        canvas[:] = _BACKGROUND
        canvas[:height, :width] = large
        answer = self._answer
        if answer is None:
            return canvas
        drawn = PillowImage.fromarray(canvas)
        pen = ImageDraw.Draw(drawn)
        text = answer.label
        if answer.kind == "action":
            text += f"  {answer.probability:.0%}"
        pen.text((_MARGIN, height + 4), text, fill=_TEXT, font=self._font)
        top = height + _BAND - _BAR - 4
        length = round((width - 2 * _MARGIN) * answer.probability)
        pen.rectangle(
            (_MARGIN, top, _MARGIN + max(1, length), top + _BAR), fill=_COLOURS[answer.kind]
        )
        return np.asarray(drawn)


class _OverlaySink:
    """Writes what an overlay draws of each frame."""

    def __init__(self, inner: Destinations, overlay: Overlay) -> None:
        self._inner, self._overlay = inner, overlay
        self.name, self.states = inner.name, inner.states

    @property
    def frames(self) -> int:
        return self._inner.frames

    @frames.setter
    def frames(self, value: int) -> None:
        self._inner.frames = value

    def __enter__(self) -> _OverlaySink:
        self._inner.__enter__()
        return self

    def write(self, image: Image, pts: int | None = None) -> None:
        """Draw and write a frame."""
        self._inner.write(self._overlay.draw(image), pts)

    def __exit__(self, *error: Any) -> None:
        self._inner.__exit__(*error)


def _load_font(file: str | None) -> Any:
    from PIL import ImageFont

    if file is None:
        return ImageFont.load_default(_LETTERS)
    try:
        return ImageFont.truetype(file, _LETTERS)
    except OSError as error:
        raise MotionveilError(f"{file}: cannot be read as a font; give a .ttf or .otf") from error
