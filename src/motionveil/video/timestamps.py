"""Timestamps that strictly ascend from 0 or more, whatever a stream's own clock does."""

from __future__ import annotations

from fractions import Fraction

_ANEW = Fraction(1, 2)  # seconds, or
_FEW = 4  # frames by which a clock must go back to have started anew

LIVE_TIME_BASE = Fraction(1, 90000)
"""Unit of a live source's timestamps, in seconds; that of RTP and MPEG transport streams."""

_SECOND = LIVE_TIME_BASE.denominator
_LEAP = 10 * _SECOND
_JITTER = _SECOND // 2


class StreamClock:
    """Dates the frames of a file or pipe by their own timestamps, in units of its time base.

    - What starts below zero, which no player shows, is moved to start at zero.
    - A clock that goes back by half a second, or by four frames, has started anew, as where files
      were joined or a counter wraps: what follows is moved to come after the frame before.
    - A timestamp that is repeated, or goes back by less, becomes the moment after the one before.
    - A frame without one comes a frame's duration after the one before.

    Args:
        time_base: Seconds that one unit lasts.
    """

    def __init__(self, time_base: Fraction) -> None:
        self._limit = int(_ANEW / time_base)
        self._shift = 0
        self._step = 1  # between the last two frames
        self._last: int | None = None

    def stamp(self, pts: int | None, duration: int | None) -> tuple[int, bool]:
        """Return a frame's timestamp, and whether the clock has started anew.

        Args:
            pts: The stream's own; None where it has none.
            duration: How long the frame is shown, in units; None or 0 where that is not known.
        """
        if self._last is None:
            pts = pts or 0
            self._shift = max(0, -pts)
            self._last = pts + self._shift
            return self._last, False
        step = max(1, duration or self._step)
        stamp = self._last + step if pts is None else pts + self._shift
        back = self._last - stamp
        anew = back >= min(self._limit, _FEW * step) and back > 0
        if anew:
            self._shift += self._last + step - stamp
            stamp = self._last + step
        stamp = max(stamp, self._last + 1)
        self._step, self._last = stamp - self._last, stamp
        return stamp, anew


class LiveClock:
    """Dates the frames of a source that may break off and come back: from 0, strictly ascending.

    Within a connection the stream's own timestamps count, since packets arrive irregularly; the
    wall clock counts between connections, where the stream has no timestamps, and where these
    make no sense: they go back by more than half a second, or leave the wall clock behind by more
    than ten. (A timestamp that goes back by less is moved to just after the one before.)
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._arrived = 0.0
        self._shift: int | None = None
        self._ahead = 0.0  # what the stream's clock was ahead of the wall clock when set
        self._step = 1
        self._begun = False

    def connect(self, rate: Fraction | None) -> None:
        """Begin a connection: its timestamps have nothing to do with those before.

        Args:
            rate: Frames a second, where known. FFmpeg gives the first frame of an RTSP stream no
                timestamp, and the next ones may have come at the same moment.
        """
        self._shift, self._begun = None, False
        self._step = round(_SECOND / rate) if rate else 1

    def stamp(self, pts: Fraction | None, arrived: float, *, paced: bool) -> tuple[int, bool]:
        """Date a frame.

        Args:
            pts: The stream's own timestamp in seconds; None where it has none.
            arrived: Seconds of `time.monotonic()`.
            paced: Frames come in real time, so that the wall clock can judge timestamps.

        Returns:
            The timestamp in units of `LIVE_TIME_BASE`, and whether the stream's clock has jumped.
        """
        ticks = None if pts is None else round(pts * _SECOND)
        if self._last is None:
            waited, stamp = 0, 0
        else:
            waited = max(1, round((arrived - self._arrived) * _SECOND))
            stamp = self._last + waited
        jumped = False
        if ticks is not None:
            if self._shift is not None and self._last is not None:
                own = ticks + self._shift
                leap = paced and own - arrived * _SECOND - self._ahead > _LEAP
                jumped = leap or own < self._last - _JITTER
                if not jumped:
                    stamp = max(own, self._last + 1)
            if self._shift is None or jumped:
                if self._begun and not jumped and self._last is not None:
                    stamp = max(stamp, self._last + self._step)
                self._shift = stamp - ticks
                self._ahead = stamp - arrived * _SECOND
        self._last, self._arrived, self._begun = stamp, arrived, True
        return stamp, jumped
