"""Encoding frames once, for all destinations that take them encoded alike."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.video.codecs import Encoding
from motionveil.video.packets import Packet

_BT709 = 1  # its number as matrix, primaries and transfer (ITU-T H.273)
_LIMITED = 1
_GLOBAL_HEADER = 1 << 22  # AV_CODEC_FLAG_GLOBAL_HEADER


class FrameEncoder:
    """Encodes frames of one size.

    Args:
        name: What errors call the destination.
        encoding: How.
        rate: Frames a second; with true timestamps, a hint only.
        time_base: Seconds that one unit of a timestamp lasts.
        aspect: Sample aspect ratio: how much wider than high one pixel is shown. H.264 keeps it;
            for the other codecs PyAV has no way to write it.
    """

    def __init__(
        self,
        name: str,
        encoding: Encoding,
        *,
        rate: Fraction,
        time_base: Fraction,
        aspect: Fraction,
    ) -> None:
        self.encoding = encoding
        self._name, self._rate, self._time_base, self._aspect = name, rate, time_base, aspect
        self._converter = VideoReformatter()
        self._container: Any = None
        self.stream: Any = None

    def encode(self, image: NDArray[np.uint8], pts: int) -> list[Packet]:
        """Return the packets that are ready after one more frame, uint8 (H, W, 3), RGB.

        Raises:
            MotionveilError: The encoder takes no such frame.
        """
        try:
            if self.stream is None:
                self._open(image)
            return self._packets(self.stream.encode(self._frame(image, pts)))
        except (av.FFmpegError, OSError) as error:
            raise MotionveilError(f"{self._name}: cannot encode: {error.strerror}") from error

    def finish(self) -> list[Packet]:
        """Return the packets that the encoder held back.

        Raises:
            MotionveilError: It cannot make them.
        """
        if self.stream is None:
            return []
        try:
            return self._packets(self.stream.encode(None))
        except (av.FFmpegError, OSError) as error:
            raise MotionveilError(f"{self._name}: cannot encode: {error.strerror}") from error

    def _open(self, image: NDArray[np.uint8]) -> None:
        height, width = image.shape[:2]
        encoding = self.encoding
        # A container that writes nothing: PyAV makes streams for other containers of a stream.
        self._container = av.open(os.devnull, "w", format="null")
        stream = self._container.add_stream(
            encoding.library, rate=self._rate, options=encoding.options
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = encoding.pixel_format(width, height)
        context = stream.codec_context
        context.flags |= _GLOBAL_HEADER
        context.sample_aspect_ratio = self._aspect
        context.time_base = stream.time_base = self._time_base
        if encoding.live:
            context.gop_size = max(1, round(self._rate))
        if not encoding.lossless:
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = _LIMITED
        self._container.start_encoding()
        self.stream = stream

    def _frame(self, image: NDArray[np.uint8], pts: int) -> Any:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame = self._converter.reformat(
            frame,
            format=self.stream.pix_fmt,
            dst_colorspace=None if self.encoding.lossless else Colorspace.ITU709,
        )
        frame.pts, frame.time_base = pts, self._time_base
        return frame

    def _packets(self, encoded: list[Any]) -> list[Packet]:
        return [
            Packet(
                bytes(packet),
                packet.pts,
                packet.dts,
                packet.duration or 0,
                packet.time_base,
                packet.is_keyframe,
            )
            for packet in encoded
        ]
