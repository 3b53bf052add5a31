"""What leaves a camera is compressed: veiled frames through H.264 and back."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from motionveil.data.cache import ClipCache, Frames

QUALITIES = (18, 28, 38)
"""x264's crf: hardly visible loss, a usual camera's, and a poor connection's."""

FORMAT = 1
"""Raised whenever the same quality would leave other frames."""

_RATE = 30  # frames a second; x264's choices hardly depend on it at a constant quality


def compressed_clips(veiled: ClipCache, quality: int, *, workers: int = 1) -> ClipCache:
    """Return veiled clips as they are after H.264; see `compress`."""
    return veiled.derive(
        f"h264 {FORMAT} {quality}",
        lambda frames, times: compress(frames, quality),
        title=f"Compressing, crf {quality}",
        workers=workers,
    )


def compress(frames: Frames, quality: int) -> Frames:
    """Encode frames as H.264 (4:2:0, x264) in memory and decode them again.

    Args:
        frames: uint8 (T, H, W, 3), RGB.
        quality: x264's crf, 0 to 51; more is worse.

    Returns:
        uint8 (T, H, W, 3).

    Raises:
        ValueError: `quality` is out of its range.
    """
    if not 0 <= quality <= 51:
        raise ValueError(f"crf {quality}; x264's is 0 (lossless) to 51 (worst)")
    height, width = frames.shape[1:3]
    # 4:2:0 has no odd sizes: the last row and column are there twice, and cut off again.
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    file = io.BytesIO()
    _write(file, even, quality)
    file.seek(0)
    return np.ascontiguousarray(np.stack(list(_read(file)))[:, :height, :width])


def _write(file: io.BytesIO, frames: Frames, quality: int) -> None:
    with av.open(file, "w", format="matroska") as container:
        # One thread: several clips are compressed at once, and the result does not depend on it.
        options = {"crf": str(quality), "preset": "veryfast", "threads": "1"}
        stream = container.add_stream("libx264", rate=Fraction(_RATE), options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def _read(file: io.BytesIO) -> Iterator[Frames]:
    with av.open(file, "r") as container:
        for picture in container.decode(video=0):
            yield np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
