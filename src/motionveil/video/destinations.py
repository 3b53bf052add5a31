"""One veiled video to several destinations, each of which may fail alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from types import TracebackType
from typing import Any

import av
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.video.codecs import Encoding
from motionveil.video.packets import Packet, PacketSink
from motionveil.video.types import DestinationState, Sink

_BT709 = 1  # its number as matrix, primaries and transfer (ITU-T H.273)
_LIMITED = 1
_GLOBAL_HEADER = 1 << 22  # AV_CODEC_FLAG_GLOBAL_HEADER

_LONGEST_WAIT = 1.0  # seconds between two frames; a longer gap is not played


class _Output:
    """A destination, and what of it is counted here."""

    def __init__(self, sink: Sink | PacketSink) -> None:
        self.sink = sink
        self.error: MotionveilError | None = None
        self.missed = 0
        self._moment: int | None = None

    def check(self, number: int, time: Fraction) -> None:
        """Refuse a frame at a time, in seconds, that the format would give the one before too."""
        tick: Fraction | None = getattr(self.sink, "tick", None)
        if tick is None:
            return
        moment = round(time / tick)
        if moment == self._moment:
            raise MotionveilError(
                f"{self.sink.name}: frames {number - 1} and {number} come in the same"
                " millisecond, and this format counts milliseconds; write an .mp4"
            )
        self._moment = moment

    def state(self) -> DestinationState:
        dropped = getattr(self.sink, "dropped", 0) + self.missed
        trouble = getattr(self.sink, "trouble", None)
        if self.error is not None:
            trouble = str(self.error).removeprefix(f"{self.sink.name}: ")
        return DestinationState(self.sink.name, self.sink.frames, dropped, trouble)


def _is_realtime(output: _Output) -> bool:
    return isinstance(output.sink, PacketSink) and output.sink.realtime


class Destinations:
    """Writes frames to one or more destinations; a context manager.

    What takes packets with the same encoding is served by one encoder. A destination that fails
    gets no more frames, and the others go on; the error of the only one, or of the last one, is
    raised.

    Args:
        rate: Frames a second; with `pts` given to `write`, a hint only.
        time_base: Seconds that one unit of `pts` lasts.
        aspect: Sample aspect ratio: how much wider than high one pixel is shown.
        pace: Where there is a destination that takes frames at their own time, do not give them
            faster: for a file, which has them all at once.
        notice: Called with one line about a destination that has failed while others go on.

    Raises:
        MotionveilError: No destination can be written any more, no frame was written, or frames do
            not fit together.
    """

    def __init__(
        self,
        sinks: Sequence[Sink | PacketSink],
        *,
        rate: Fraction,
        time_base: Fraction,
        aspect: Fraction = Fraction(1),
        pace: bool = False,
        notice: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.name = ", ".join(sink.name for sink in sinks)
        self.frames = 0
        self._outputs = [_Output(sink) for sink in sinks]
        self._rate, self._time_base, self._aspect = rate, time_base, aspect
        self._encoders: dict[Encoding, FrameEncoder] = {}
        self._pace, self._origin = pace and any(map(_is_realtime, self._outputs)), 0.0
        self._notice = notice
        self._shape: tuple[int, ...] | None = None
        self._last: int | None = None

    def states(self) -> list[DestinationState]:
        """Return what became of the frames so far; any thread may ask."""
        return [output.state() for output in self._outputs]

    def __enter__(self) -> Destinations:
        entered: list[_Output] = []
        try:
            for output in self._outputs:
                output.sink.__enter__()
                entered.append(output)
        except BaseException as error:
            for output in entered:
                output.sink.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def write(self, image: NDArray[np.uint8], pts: int | None = None) -> None:
        """Append a frame.

        Args:
            image: uint8 (H, W, 3), RGB; the first one sets the size.
            pts: Timestamp in units of the time base, from 0 on and above the last one; None for
                the moment that the constant rate gives.

        Raises:
            MotionveilError: See above.
            ValueError: The array is no RGB image.
        """
        if pts is None:
            pts = round(self.frames / self._rate / self._time_base)
        self._check(image, pts)
        self._shape, self._last = image.shape, pts
        if self._pace:
            self._wait(pts)
        encoded: dict[Encoding, list[Packet]] = {}
        for output in self._outputs:
            if output.error is not None:
                output.missed += 1
            else:
                self._give(output, image, pts, encoded)
        self.frames += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        fault = error
        if error is None:
            try:
                self._flush()
            except BaseException as failure:  # the second Ctrl-C may come just here
                fault = failure
        left = [output for output in self._outputs if output.error is None]
        for output in left:
            if isinstance(output.sink, PacketSink):
                output.sink.end()
        # Files first: they finish at once, and a supervisor may not wait long.
        for output in sorted(left, key=_is_realtime):
            try:
                if fault is None:
                    output.sink.__exit__(None, None, None)
                else:
                    output.sink.__exit__(type(fault), fault, fault.__traceback__)
            except MotionveilError as failure:
                output.error = failure
                fault = fault or self._last_error()
            except BaseException as failure:
                fault = fault or failure
        if fault is not None and error is None:
            raise fault

    def _check(self, image: NDArray[np.uint8], pts: int) -> None:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"a frame is uint8 (H, W, 3), not {image.dtype} {image.shape}")
        if pts < 0:
            raise MotionveilError(f"{self.name}: timestamp {pts} of frame {self.frames} is below 0")
        if self._last is not None and pts <= self._last:
            raise MotionveilError(
                f"{self.name}: timestamp {pts} of frame {self.frames} is not after {self._last}"
            )
        if self._shape not in (None, image.shape):
            raise MotionveilError(
                f"{self.name}: frame {self.frames} is {image.shape[1]}x{image.shape[0]},"
                " not of the size of those before it"
            )

    def _wait(self, pts: int) -> None:
        now, due = time.monotonic(), float(pts * self._time_base)
        wait = self._origin + due - now
        if self.frames == 0 or abs(wait) > _LONGEST_WAIT:
            self._origin = now - due
        elif wait > 0:
            time.sleep(wait)

    def _give(
        self,
        output: _Output,
        image: NDArray[np.uint8],
        pts: int,
        encoded: dict[Encoding, list[Packet]],
    ) -> None:
        try:
            output.check(self.frames, pts * self._time_base)
            if isinstance(output.sink, PacketSink):
                encoding = output.sink.encoding
                if encoding not in encoded:
                    encoded[encoding] = self._encoder(output.sink).encode(image, pts)
                self._write_packets(output.sink, encoded[encoding])
            else:
                output.sink.write(image, pts)
        except MotionveilError as error:
            self._fail(output, error)

    def _encoder(self, sink: PacketSink) -> FrameEncoder:
        if sink.encoding not in self._encoders:
            self._encoders[sink.encoding] = FrameEncoder(
                sink.name,
                sink.encoding,
                rate=self._rate,
                time_base=self._time_base,
                aspect=self._aspect,
            )
        return self._encoders[sink.encoding]

    def _write_packets(self, sink: PacketSink, packets: list[Packet]) -> None:
        sink.stream = self._encoders[sink.encoding].stream
        for packet in packets:
            sink.write(packet)

    def _flush(self) -> None:
        held = {encoding: encoder.finish() for encoding, encoder in self._encoders.items()}
        for output in self._outputs:
            sink = output.sink
            if isinstance(sink, PacketSink) and output.error is None and sink.encoding in held:
                try:
                    self._write_packets(sink, held[sink.encoding])
                except MotionveilError as error:
                    self._fail(output, error)

    def _fail(self, output: _Output, error: MotionveilError) -> None:
        """Leave a destination that has failed; raise its error if it was the last one."""
        output.error, output.missed = error, output.missed + 1
        with suppress(MotionveilError):  # the first error is the one to tell
            output.sink.__exit__(type(error), error, error.__traceback__)
        if self._last_error() is not None:
            raise error
        self._notice(f"{error}; it gets no more frames")

    def _last_error(self) -> MotionveilError | None:
        """Return an error if every destination has failed."""
        errors = [output.error for output in self._outputs]
        return None if None in errors else errors[-1]


class FrameEncoder:
    """Encodes frames of one size.

    Args:
        name: What errors call the destination.
        rate: Frames a second; with true timestamps, a hint only.
        time_base: Seconds that one unit of a timestamp lasts.
        aspect: Sample aspect ratio: how much wider than high one pixel is shown. H.264 keeps it;
            for the other codecs a container does, see `matroska.py`.
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
