"""Decoding a stream that may be damaged: whole pictures only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from motionveil.video.robust_decode import DamagedError, StrictDecoder


class WholeFrame(NamedTuple):
    """A decoded picture (`av.VideoFrame`), and `fresh` and `arrived` as in `Frame`."""

    picture: Any
    fresh: bool
    arrived: float


class ResyncDecoder:
    """Decodes packets and passes on only pictures that nothing is known to be wrong with.

    A picture that is decoded from a missing or damaged one is grey mush, or a mixture of two
    moments; its difference to the next good one shows the scene. So after a fault, and at the
    start, everything is left out up to the next keyframe, and the first picture then is fresh.

    What is noticed is what `StrictDecoder` notices. A changed bit that leaves a valid stream is
    not; transports have checksums against that.

    Args:
        stream: The video stream of an open container, of which nothing has been decoded yet.

    Attributes:
        faults: How many times data were damaged or missing.
        damaged: Packets, each of a picture, that were left out since: damaged ones, and those up
            to the next keyframe.
    """

    def __init__(self, stream: Any) -> None:
        self._decoder = StrictDecoder(stream, threads="SLICE")
        self._waiting = self._fresh = True
        self._from: int | None = None
        self.faults = self.damaged = 0

    @property
    def waiting(self) -> bool:
        """Whether everything is left out until a keyframe comes."""
        return self._waiting

    def decode(self, packet: Any, arrived: float, *, is_whole: bool = True) -> Iterator[WholeFrame]:
        """Yield the pictures that a packet completes.

        Args:
            packet: An `av.Packet` of the stream; the empty one at its end asks for the rest.
            arrived: Seconds of `time.monotonic()`.
            is_whole: False if the container tells that it is damaged.
        """
        if not self._decoder.follows(packet):
            self._fault()
        if not is_whole:
            self._fault()
            self._leave_out(packet)
            return
        if self._waiting:
            if not packet.is_keyframe:
                self._leave_out(packet)
                return
            self._waiting, self._from = False, packet.pts
        packet.opaque = arrived
        try:
            pictures = self._decoder.decode(packet)
        except DamagedError:
            self._fault()
            self._leave_out(packet)
            return
        for picture in pictures:
            if self._from is not None and picture.pts is not None and picture.pts < self._from:
                continue  # shown before the keyframe, and built on one that is not there
            came = picture.opaque if isinstance(picture.opaque, float) else arrived
            yield WholeFrame(picture, self._fresh, came)
            self._fresh = False

    def _leave_out(self, packet: Any) -> None:
        if packet.size and self.faults:  # before the first key frame nothing is damaged
            self.damaged += 1

    def _fault(self) -> None:
        # At the start, missing pictures are no fault.
        self.faults += not (self._waiting and self._fresh)
        self._waiting = self._fresh = True
        self._decoder.start_anew()
