"""Writing to a virtual camera, so that other programs see veiled video where they look for one."""

from __future__ import annotations

import stat
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.video.sinks import DEFAULT_RATE, SinkOptions, register
from motionveil.video.types import Sink


class VirtualCameraSink:
    """Writes frames to a v4l2loopback device (Linux), 4:2:0; a context manager.

    Args:
        device: Such as `/dev/video9`.
        rate: Frames a second that the device declares; 25 if None.

    Raises:
        MotionveilError: There is no such device, or it takes no frames.
    """

    def __init__(self, device: str, *, rate: Fraction | None = None) -> None:
        self.name = device
        self.rate = rate or DEFAULT_RATE
        self.frames = 0
        self._container: Any = None
        self._stream: Any = None
        self._converter = VideoReformatter()

    def __enter__(self) -> VirtualCameraSink:
        path = Path(self.name)
        if not path.exists() or not stat.S_ISCHR(path.stat().st_mode):
            there = ", ".join(sorted(map(str, Path("/dev").glob("video*")))) or "none"
            raise MotionveilError(
                f"{self.name}: no such video device (there: {there}); a virtual camera is made by"
                " v4l2loopback: modprobe v4l2loopback video_nr=9 exclusive_caps=1"
            )
        return self

    def write(self, image: NDArray[np.uint8], pts: int | None = None) -> None:
        """Show a frame, uint8 (H, W, 3), RGB, now; a camera has no use for `pts`."""
        try:
            if self._stream is None:
                self._open(image)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame = self._converter.reformat(frame, format="yuv420p")
            frame.pts, frame.time_base = self.frames, 1 / self.rate
            self._container.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise MotionveilError(
                f"{self.name}: takes no frames ({error.strerror}); is it a v4l2loopback device?"
            ) from error
        self.frames += 1

    def __exit__(self, *error: Any) -> None:
        if self._container is not None:
            with suppress(av.FFmpegError, OSError):
                self._container.close()

    def _open(self, image: NDArray[np.uint8]) -> None:
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            raise MotionveilError(f"{self.name}: a camera's frames have even sizes")
        self._container = av.open(self.name, "w", format="v4l2")
        self._stream = self._container.add_stream("rawvideo", rate=self.rate)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"


@register(
    "/dev/video9",
    "a virtual camera (v4l2loopback)",
    takes=lambda dest: dest.startswith("/dev/video"),
)
def open_virtual_camera(dest: str, options: SinkOptions) -> Sink:
    """Open a virtual camera."""
    if options.aspect != 1:
        raise MotionveilError(
            f"{dest}: a virtual camera's pixels are square, and those of the source are not"
            f" ({options.aspect.numerator}:{options.aspect.denominator}); leave out --native"
        )
    return VirtualCameraSink(dest, rate=options.rate)
