"""Decoding so that damage is an error: the one place where decoders are configured to be strict.

A player makes the best of damaged data: FFmpeg fills in what is missing from the picture before,
and often says nothing. Here that would be an image of the scene, since what differs between a
good frame and a patched one is what the scene looks like. So decoders are asked to stop at the
first fault, and what they do not look at is checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import av
from av.stream import Disposition

from motionveil.limits import check_pixels, max_pixels
from motionveil.video.colour import UPRIGHT, orientation
from motionveil.video.h264 import Continuity

# "explode" makes faults errors, "crccheck" compares checksums (PNG, FFV1, HEVC that has them), and
# the others look at what a tolerant decoder does not, such as bits that are left over.
_STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
_OTHERWISE = {
    # Lets dav1d look at what is left over behind the last block.
    "libdav1d": {**_STRICT, "strict": "strict"},
    # A tag that it does not know counts as a fault there, and cameras write such tags.
    "tiff": {"err_detect": "crccheck+bitstream+buffer"},
}
# A cover picture of a song, previews, and the tiles of a large picture are streams by name only.
_NO_FILM = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent
# FFmpeg's own decoder reads on behind the end of damaged data; the reference decoder does not.
_STRICTER = {"vp9": "libvpx-vp9"}


class DamagedError(Exception):
    """A packet is damaged, or one before it is missing; the message says what was noticed."""


def moving_pictures(container: Any, name: str) -> Any:
    """Return the stream of an open container that is to be read; None if there is none.

    It is the first one, but not the still picture of an animation (AVIF) that is there as well. A
    text file opens too, as "tty": the library would draw its letters.

    Args:
        container: As PyAV opens it.
        name: What an error calls it.

    Raises:
        MotionveilError: Its frames have too many pixels.
    """
    if container.format.name == "tty":
        return None
    films = [stream for stream in container.streams.video if not stream.disposition & _NO_FILM]
    film = next((stream for stream in films if stream.frames != 1), films[0] if films else None)
    if film is not None and film.codec_context is not None:
        check_pixels(film.codec_context.width, film.codec_context.height, name)
    return film


class StrictDecoder:
    """Decodes the packets of one stream and refuses what is known to be damaged.

    Args:
        stream: The video stream of an open container, of which nothing has been decoded yet.
        threads: `"AUTO"`, or `"SLICE"` for a stream that is watched as it comes: threads by frame
            would hold back as many pictures as there are threads.

    Raises:
        DamagedError: The codec is not known.
    """

    def __init__(self, stream: Any, *, threads: str) -> None:
        context = stream.codec_context
        if context is None:
            raise DamagedError("its codec is not known")
        self._stricter = _stricter(context)
        if self._stricter is not None:
            threads = "SLICE"  # so that the first packet gives a picture
        for each in (context, self._stricter):
            if each is not None:
                each.thread_type, each.copy_opaque = threads, True
                strict = _OTHERWISE.get(each.name, _STRICT)
                each.options = {**strict, "max_pixels": str(max_pixels())}
        self._context = context
        self._turned: bool | None = None
        self._continuity = Continuity(context.extradata) if context.name == "h264" else None
        self._check = _check_for(context)

    def follows(self, packet: Any) -> bool:
        """Say whether, as far as is known, nothing is missing before a packet."""
        if self._continuity is None or not packet.size:
            return True
        return not self._continuity.broken(bytes(packet))

    def decode(self, packet: Any) -> list[Any]:
        """Return the pictures (`av.VideoFrame`) that a packet completes.

        Args:
            packet: An `av.Packet` of the stream; the empty one at its end asks for the rest.

        Raises:
            DamagedError: It, or a picture before it that comes only now, is known to be damaged.
                At the end of the stream with threads by frame, what comes behind a damaged
                picture may be left out instead.
        """
        if packet.is_corrupt:  # so says the container
            raise DamagedError("data are missing")
        reason = self._check(bytes(packet)) if self._check and packet.size else None
        if reason:
            raise DamagedError(reason)
        try:
            pictures = self._pictures(packet)
        except (av.FFmpegError, OSError) as error:
            raise DamagedError(error.strerror or "it cannot be decoded") from error
        # What the decoder made up for lack of data is no frame of the video.
        if any(picture.is_corrupt for picture in pictures):
            raise DamagedError("a part of a picture cannot be decoded")
        return pictures

    def _pictures(self, packet: Any) -> list[Any]:
        """Decode with the stream's own decoder, a stricter one, or both."""
        if self._stricter is None:
            return list(self._context.decode(packet))
        strict: list[Any] = self._stricter.decode(packet)
        if self._turned is False:
            return strict
        # Only the stream's own decoder knows how the container wants pictures rotated.
        own: list[Any] = self._context.decode(packet)
        if self._turned is None and own:
            self._turned = orientation(own[0]) != UPRIGHT
        return own

    def start_anew(self) -> None:
        """Forget what came before, as after a fault."""
        for context in (self._context, self._stricter):
            if context is not None and context.is_open:
                context.flush_buffers()


def _stricter(context: Any) -> Any:
    """Return a decoder that refuses more than a stream's own one; None if there is none."""
    name = _STRICTER.get(context.name)
    if name is None or name not in av.codecs_available:
        return None
    other: Any = av.CodecContext.create(name, "r")
    other.extradata = context.extradata
    # What the container says of the colours; what the data say comes first.
    other.colorspace, other.color_range = context.colorspace, context.color_range
    other.color_primaries, other.color_trc = context.color_primaries, context.color_trc
    return other


def _check_for(context: Any) -> Callable[[bytes], str | None] | None:
    """Return what looks at a codec's packets before they are decoded; None if nothing does.

    These need numba, which takes its time.
    """
    name = context.name
    if name == "mjpeg":
        from motionveil.video.jpeg import jpeg_damage

        return jpeg_damage
    if name == "hevc":
        from motionveil.video.hevc import HevcCheck

        return HevcCheck(context.extradata).damage
    if name == "webp":
        from motionveil.video.vp8 import webp_damage

        return webp_damage
    if name == "vp8":
        from motionveil.video.vp8 import key_frame_damage

        return key_frame_damage
    if name in ("huffyuv", "ffvhuff", "utvideo"):
        from motionveil.video.huffman import huffyuv_check, utvideo_check

        return (utvideo_check if name == "utvideo" else huffyuv_check)(context)
    return None


def decode_picture(container: Any) -> Any:
    """Decode the first picture of an open container that holds one, such as a PNG file.

    Raises:
        DamagedError: It is damaged, or there is none.
    """
    stream = moving_pictures(container, "the picture")
    if stream is None:
        raise DamagedError("it holds no picture")
    decoder = StrictDecoder(stream, threads="SLICE")
    for packet in container.demux(stream):
        for picture in decoder.decode(packet):
            return picture
    raise DamagedError("it holds no picture")


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
