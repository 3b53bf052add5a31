"""What a video is, and what one frame of it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from threading import Event
from types import TracebackType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""A frame's image: uint8 (H, W, 3), RGB."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video says of itself.

    Attributes:
        width: Width in pixels as displayed, after the rotation that the file asks for.
        height: Height likewise.
        rate: Average frames per second, exact (30000/1001, not 29.97); None if not known.
        time_base: Seconds that one unit of a timestamp lasts.
        frames: Number of frames as declared, None where nothing is declared. A container may
            declare frames that decode to nothing; `count_frames` counts them.
        aspect: Sample aspect ratio: how much wider than high one pixel is shown.
    """

    width: int
    height: int
    rate: Fraction | None
    time_base: Fraction
    frames: int | None
    aspect: Fraction = Fraction(1)


class Frame(NamedTuple):
    """One frame of a video.

    Attributes:
        image: uint8 (H, W, 3), RGB, upright.
        pts: Presentation timestamp in units of `time_base`; strictly ascending in a video.
        time_base: Seconds that one unit of `pts` lasts.
        fresh: What came before is not known: the first frame of a connection, or the first after
            damaged or missing data. It must not be compared with the frame before.
        arrived: `time.monotonic()` at which its data reached this process; None where nothing
            waits for it (a file).
        aspect: Sample aspect ratio: how much wider than high one pixel is shown.
    """

    image: Image
    pts: int
    time_base: Fraction
    fresh: bool = False
    arrived: float | None = None
    aspect: Fraction = Fraction(1)

    @property
    def time(self) -> float:
        """The timestamp in seconds."""
        return float(self.pts * self.time_base)


class Source(Protocol):
    """Something that gives frames, once; see `motionveil.video.open_source`.

    Attributes:
        name: How it was written, for messages; without a password.
        live: Frames come at their own time, whether or not anybody is ready for them, until
            somebody stops the source. A file is not live, nor is a pipe: it waits.
        info: What it is; known at the latest when the first frame has been yielded.
        damaged: Frames left out so far since they, or others before them, were damaged. Of a file
            none is left out: there damage is an error.
    """

    name: str
    live: bool
    info: VideoInfo | None
    damaged: int

    def frames(self, stop: Event) -> Iterator[Frame]:
        """Yield frames of one size and one time base, timestamps strictly ascending.

        Args:
            stop: When set, the iterator ends soon: at once between frames and while it waits to
                connect again, and after at most its time-out within a read.

        Raises:
            MotionveilError: The source cannot be read, or no more.
        """
        ...


class Sink(Protocol):
    """Something that takes frames; a context manager. See `motionveil.video.open_sink`.

    Attributes:
        name: Where the frames go, for messages.
        frames: Frames written so far.
    """

    name: str
    frames: int

    def __enter__(self) -> Sink:
        """Make ready to write."""
        ...

    def write(self, image: Image, pts: int | None = None) -> None:
        """Append a frame, uint8 (H, W, 3), RGB; `pts` in units of the sink's time base."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish, or clear away what was begun."""
        ...


@dataclass(frozen=True)
class DestinationState:
    """What became of the frames for one destination so far.

    Attributes:
        name: Where they go; without a password.
        frames: Frames written.
        dropped: Frames that it did not get.
        trouble: Why it takes none now; None if it does.
    """

    name: str
    frames: int
    dropped: int = 0
    trouble: str | None = None


@runtime_checkable
class Reports(Protocol):
    """A sink that knows what became of the frames for each of its destinations."""

    def states(self) -> list[DestinationState]:
        """Return what became of the frames so far; any thread may ask."""
        ...


class Decoded(NamedTuple):
    """A frame as it leaves the decoder: an `av.VideoFrame`, neither RGB nor upright yet."""

    picture: Any
    pts: int
    time_base: Fraction
    aspect: Fraction = Fraction(1)
    fresh: bool = False
