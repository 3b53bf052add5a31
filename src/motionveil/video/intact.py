"""Decoding a stream that may be damaged: whole pictures only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import av

from motionveil.video.h264 import Continuity


class Intact(NamedTuple):
    """A decoded picture (`av.VideoFrame`), and `fresh` and `arrived` as in `Frame`."""

    picture: Any
    fresh: bool
    arrived: float


class IntactDecoder:
    """Decodes packets and passes on only pictures that nothing is known to be wrong with.

    A picture that is decoded from a missing or damaged one is grey mush, or a mixture of two
    moments; its difference to the next good one shows the scene. So after a fault, and at the
    start, everything is left out up to the next keyframe, and the first picture then is fresh.

    What is noticed: data that the container flags (a gap in an MPEG transport stream), what the
    decoder reports, and in H.264 and HEVC pictures that are missing altogether. A changed bit
    that leaves a valid stream is not noticed; transports have checksums against that.

    Args:
        stream: The video stream of an open container, of which nothing has been decoded yet.

    Attributes:
        faults: How many times data were damaged or missing.
    """

    def __init__(self, stream: Any) -> None:
        # Threads by frame would hold back as many pictures as there are threads.
        stream.thread_type = "SLICE"
        self._context = stream.codec_context
        self._context.copy_opaque = True
        is_h264 = self._context.name == "h264"
        self._continuity = Continuity(self._context.extradata) if is_h264 else None
        self._waiting = self._fresh = True
        self._from: int | None = None
        self.faults = 0

    @property
    def waiting(self) -> bool:
        """Whether everything is left out until a keyframe comes."""
        return self._waiting

    def decode(self, packet: Any, arrived: float) -> Iterator[Intact]:
        """Yield the pictures that a packet completes.

        Args:
            packet: An `av.Packet` of the stream; the empty one at its end asks for the rest.
            arrived: Seconds of `time.monotonic()`.
        """
        if packet.size and self._continuity is not None and self._continuity.broken(bytes(packet)):
            self._fault()
        if packet.is_corrupt:
            self._fault()
            return
        if self._waiting:
            if not packet.is_keyframe:
                return
            self._waiting, self._from = False, packet.pts
        packet.opaque = arrived
        try:
            pictures = packet.decode()
        except av.FFmpegError:
            self._fault()
            return
        for picture in pictures:
            if picture.is_corrupt:
                self._fault()
                return
            if self._from is not None and picture.pts is not None and picture.pts < self._from:
                continue  # shown before the keyframe, and built on one that is not there
            came = picture.opaque if isinstance(picture.opaque, float) else arrived
            yield Intact(picture, self._fresh, came)
            self._fresh = False

    def _fault(self) -> None:
        # At the start, missing pictures are no fault.
        self.faults += not (self._waiting and self._fresh)
        self._waiting = self._fresh = True
        if self._context.is_open:
            self._context.flush_buffers()
