"""An event camera (dynamic vision sensor, DVS), simulated from frames; no torch."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.events import kernel
from motionveil.events.motion import MotionInterpolation
from motionveil.methods import GREY, LEVELS
from motionveil.methods.dvs import EventSettings
from motionveil.spec import EncoderSpec

EVENT = np.dtype([("x", np.uint16), ("y", np.uint16), ("t", np.int64), ("p", np.uint8)])
"""One event: column, row, time in microseconds, polarity (1 brighter, 0 darker)."""

LUMA = tuple(part / 1000 for part in (kernel.RED, kernel.GREEN, kernel.BLUE))
"""Shares of R, G and B in the luma (ITU-R BT.601)."""

LEAST_THRESHOLD = 1e-3
"""Smallest contrast threshold: a quarter of the last step of 8-bit video, 0.0039."""

LEAST_SHARE = 0.1
"""Mismatch leaves a pixel at least this share of the nominal threshold."""

MOST_LEVELS = 1 << 28
"""Of all pixels between two frames with `interpolate`: 2 GB."""

MOST_EVENTS = 1 << 26
"""Between two frames: 67 million, which take about 3 GB while they are sorted."""

Events = NDArray[Any]
"""A structured array of `EVENT`."""


class EventCamera:
    """Turns frames into events, pixel by pixel.

    A pixel's level is `L = ln(Y + eps)`, Y the luma (BT.601: 0.299 R + 0.587 G + 0.114 B) of
    intensities in [0, 1] *as the video stores them*, gamma and all. Between two frames L is linear
    in time. The first frame sets the pixel's reference. Whenever L reaches the reference plus
    `threshold` there is a positive event and the reference moves up by it; whenever L reaches the
    reference minus `negative`, likewise down. So two frames may give a pixel many events.

    - `interpolate` n > 1: Y is linear in time instead, in n steps within which L is.
    - `motion`: L is interpolated along the motion instead, in as many steps as keep every motion
      within a pixel, see `motionveil.events.motion`; within a step L is linear.
    - `refractory`: an event within that time of the pixel's last one is lost; the reference moves
      all the same (as in ESIM).
    - `mismatch`: each pixel's two thresholds are drawn once from a normal distribution, at least a
      tenth of the nominal ones.
    - `leak`: references sink steadily; they start at a random part of a threshold.
    - `shot`: a Poisson process per pixel, positive and negative alike; the reference does not move.

    Mismatch depends on the seed and the size, noise on the seed, the pixel, `reset`'s stream and
    time alone: not on the frame rate, nor on how often or by which method the camera is asked.

    Sources: Rebecq et al., "ESIM: an open event camera simulator", CoRL 2018; Gehrig et al.,
    "Video to events", CVPR 2020; for mismatch, leak and shot noise Hu et al., "v2e", CVPRW 2021.

    It holds the levels of the last frame, serves one stream, and protects nobody's privacy by
    itself: images can be reconstructed from events (Rebecq et al., "E2VID", TPAMI 2021).

    Args:
        settings: See `EventSettings`; `full_scale` is not used here.
        height: Pixels, 1 to 65535.
        width: Pixels, 1 to 65535.

    Raises:
        MotionveilError: A threshold is below 0.001, or `interpolate` takes over 2 GB.
        ValueError: The size makes no sense.

    Examples:
        >>> camera = EventCamera(EventSettings(threshold=0.5, eps=0.01), height=1, width=2)
        >>> len(camera.events(np.array([[0.09, 0.5]]), time=0.0))
        0
        >>> camera.events(np.array([[0.19, 0.5]]), time=0.1)["t"].tolist()  # 0.5 of ln 2
        [72135]
    """

    def __init__(self, settings: EventSettings, height: int, width: int) -> None:
        if not (0 < height <= 0xFFFF and 0 < width <= 0xFFFF):
            raise ValueError(f"height and width must be 1 to 65535, found {height} and {width}")
        negative = settings.threshold if settings.negative is None else settings.negative
        for name, value in (("threshold", settings.threshold), ("negative", negative)):
            if value < LEAST_THRESHOLD:
                raise MotionveilError(
                    f"{name} {value:g}: a contrast threshold must be {LEAST_THRESHOLD:g} or more"
                )
        if settings.interpolate * height * width > MOST_LEVELS:
            raise MotionveilError(
                f"interpolate {settings.interpolate}: at most {MOST_LEVELS // (height * width)} for"
                f" frames of {width}x{height}"
            )
        self.settings = settings
        self.height, self.width = height, width
        pixels = height * width
        spread = np.random.default_rng(settings.seed).standard_normal((2, pixels))
        shares = np.maximum(1 + settings.mismatch * spread, LEAST_SHARE)
        self._positive = settings.threshold * shares[0]
        self._negative = negative * shares[1]
        self._table = _level_table(settings.eps)
        self._motion = MotionInterpolation(height, width) if settings.motion else None
        self._reference, self._last, self._due = np.empty((3, pixels))
        self._drawn = np.empty(pixels, np.uint64)
        room = max(pixels // 8, 1)
        self._room = [np.empty(room, np.int64), np.empty(room, np.int64)]  # times and codes
        self.reset()

    def reset(self, stream: int = 0) -> None:
        """Forget all frames: the next one sets the references.

        Args:
            stream: Chooses the noise from here on, >= 0: another number, other noise.
        """
        words = np.random.SeedSequence([self.settings.seed, stream]).generate_state(1, np.uint64)
        self._key = words[0]
        self._frames = 0
        self._time = 0.0
        self._level = self._intensity = np.empty(0)

    def events(self, frame: NDArray[Any], time: float | None = None) -> Events:
        """Take the next frame and return the events since the one before.

        Args:
            frame: uint8 (H, W, 3), RGB; or floating (H, W), luma in [0, 1].
            time: Of the frame, in seconds, ascending; None for its number divided by the
                settings' rate.

        Returns:
            A structured array of `EVENT`, in the order of time, events of one microsecond row by
            row; empty for the first frame. Times are rounded to microseconds.

        Raises:
            MotionveilError: The time does not ascend, or there are over `MOST_EVENTS`.
            ValueError: The frame is of another type or size, or holds a negative value or NaN.
        """
        return _joined([self._sorted(*self._list(step)) for step in self._steps(frame, time)])

    def counts(self, frame: NDArray[Any], time: float | None = None) -> NDArray[np.int32]:
        """Take the next frame and return how many more events were positive than negative.

        The same as counting `events`, and faster; the two can be mixed.

        Args:
            frame: As for `events`.
            time: As for `events`.

        Returns:
            int32 (H, W); zeros for the first frame.

        Raises:
            MotionveilError, ValueError: As `events`.
        """
        counts = np.zeros(self.height * self.width, np.int32)
        timeless = self.settings.refractory == 0 and self.settings.shot == 0
        for step in self._steps(frame, time):
            if timeless:
                leaked = self.settings.leak * (step.end - step.start)
                kernel.count_crossings(
                    step.level, self._reference, self._positive, self._negative, leaked, counts
                )
            else:
                _, codes = self._list(step)
                np.add.at(counts, codes >> 1, (2 * (codes & 1) - 1).astype(np.int32))
        return counts.reshape(self.height, self.width)

    def _steps(self, frame: NDArray[Any], time: float | None) -> list[_Step]:
        """Take a frame in; return the steps from the one before, none for the first."""
        moment = self._frames / self.settings.rate if time is None else float(time)
        if self._frames and not moment > self._time:
            raise MotionveilError(
                f"frame {self._frames}: its time, {moment:g} s, is not after {self._time:g} s"
            )
        levels = self._levels(frame)
        steps = []
        if self._frames == 0:
            self._begin(levels[-1], moment)
        else:
            edges = np.linspace(self._time, moment, len(levels) + 1).tolist()
            starts = [self._level, *levels[:-1]]
            steps = [_Step(*s) for s in zip(starts, levels, edges[:-1], edges[1:], strict=True)]
        self._level, self._time = levels[-1], moment
        self._frames += 1
        return steps

    def _begin(self, level: NDArray[np.float64], moment: float) -> None:
        self._reference[:] = level
        self._last.fill(-np.inf)
        settings = self.settings
        kernel.start_noise(
            self._key,
            moment,
            settings.leak,
            self._positive,
            self._reference,
            settings.shot,
            self._due,
            self._drawn,
        )

    def _levels(self, frame: NDArray[Any]) -> list[NDArray[np.float64]]:
        """Return the levels at the ends of the steps that lead to a frame."""
        is_rgb = frame.dtype == np.uint8 and frame.shape == (self.height, self.width, 3)
        is_luma = np.issubdtype(frame.dtype, np.floating) and frame.shape == (
            self.height,
            self.width,
        )
        if not (is_rgb or is_luma):
            size = f"({self.height}, {self.width}"
            raise ValueError(
                f"a frame is uint8 {size}, 3) or floating {size}), not {frame.dtype} {frame.shape}"
            )
        if is_rgb and self.settings.interpolate == 1 and self._motion is None:
            level = np.empty(self.height * self.width)
            kernel.log_luma(np.ascontiguousarray(frame).reshape(-1, 3), self._table, level)
            return [level]
        intensity = luma(frame).ravel() if is_rgb else frame.astype(np.float64).ravel()
        if not intensity.min() >= 0:
            raise ValueError(f"luma must be 0 or more, found {intensity.min():g}")
        eps, steps = self.settings.eps, self.settings.interpolate
        before, self._intensity = self._intensity, intensity
        if self._motion is not None and self._frames:
            return self._along_motion(before, np.log(intensity + eps))
        shares = [number / steps for number in range(1, steps)] if self._frames else []
        between = [np.log(before + share * (intensity - before) + eps) for share in shares]
        return [*between, np.log(intensity + eps)]

    def _along_motion(
        self, before: NDArray[np.float64], level: NDArray[np.float64]
    ) -> list[NDArray[np.float64]]:
        assert self._motion is not None
        shape = (self.height, self.width)
        luma = (before.reshape(shape), self._intensity.reshape(shape))
        between = self._motion.between(*luma, (self._level.reshape(shape), level.reshape(shape)))
        return [*(one.ravel() for one in between), level]

    def _list(self, step: _Step) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return times and codes of a step's events, pixel after pixel; see the kernel."""
        settings = self.settings
        count, *room = kernel.list_events(
            step.before,
            step.level,
            self._reference,
            self._positive,
            self._negative,
            settings.leak * (step.end - step.start),
            step.start,
            step.end,
            settings.refractory,
            self._last,
            settings.shot,
            self._due,
            self._drawn,
            self._key,
            MOST_EVENTS,
            *self._room,
        )
        self._room = room
        if count < 0:
            raise MotionveilError(
                f"over {MOST_EVENTS} events between {step.start:g} and {step.end:g} s; higher"
                " thresholds, or lower rates of leak and shot noise, give fewer"
            )
        return room[0][:count], room[1][:count]

    def _sorted(self, times: NDArray[np.int64], codes: NDArray[np.int64]) -> Events:
        """Return events in the order of time, those of one moment as they come."""
        events = np.empty(len(times), EVENT)
        if len(times):
            # One number for time and place in the list: faster to sort than times by a stable
            # sort, with the same outcome. Days between two frames would fit.
            bits = len(times).bit_length()
            keys = (times - times.min() << bits) | np.arange(len(times))
            keys.sort()
            order = keys & ((1 << bits) - 1)
            codes = codes[order]
            events["t"] = times[order]
            events["y"], events["x"] = np.divmod(codes >> 1, self.width)
            events["p"] = codes & 1
        return events


class _Step(NamedTuple):
    """A stretch of time: levels, (H W,), at its start and its end, and the two in seconds."""

    before: NDArray[np.float64]
    level: NDArray[np.float64]
    start: float
    end: float


@lru_cache(maxsize=4)
def _level_table(eps: float) -> NDArray[np.float64]:
    """Return the level of each luma that 8-bit pixels can have; see `kernel.log_luma`."""
    table = np.log(np.arange(kernel.BRIGHTEST + 1) / kernel.BRIGHTEST + eps)
    table.flags.writeable = False
    return np.asarray(table)


def luma(frame: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the luma (BT.601) in [0, 1] of a frame, uint8 (H, W, 3), as (H, W)."""
    weights = np.array([kernel.RED, kernel.GREEN, kernel.BLUE])
    return np.asarray((frame @ weights) / kernel.BRIGHTEST, np.float64)


def signed_counts(events: Events, height: int, width: int) -> NDArray[np.int32]:
    """Return positive minus negative events of each pixel, int32 (H, W)."""
    pixels = events["y"].astype(np.int64) * width + events["x"]
    positive = np.bincount(pixels[events["p"] == 1], minlength=height * width)
    negative = np.bincount(pixels[events["p"] == 0], minlength=height * width)
    return (positive - negative).astype(np.int32).reshape(height, width)


def event_frame(counts: NDArray[Any], full_scale: int) -> NDArray[np.float32]:
    """Return counts as an image, `7.5 (1 + clip(n, -F, F) / F)`.

    Args:
        counts: Positive minus negative events, whole numbers of any shape.
        full_scale: F, the number at which the image saturates.

    Returns:
        float32 in [0, 15], of the same shape; no event is 7.5.
    """
    share = np.clip(counts, -full_scale, full_scale) / full_scale
    return (LEVELS / 2 * (1 + share)).astype(np.float32)


def _joined(parts: list[Events]) -> Events:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([np.empty(0, EVENT), *parts])


class EventVeil:
    """Event frames of working frames, uint8 (h, w, 3); see `motionveil.encoders.DVS`.

    Args:
        spec: An encoder of the method `dvs`.
        hard: Has no meaning here.

    Raises:
        MotionveilError: A threshold is below 0.001.
    """

    neutral = round(GREY * LEVELS / 2)

    def __init__(self, spec: EncoderSpec, *, hard: bool = False) -> None:
        assert isinstance(spec.settings, EventSettings)
        self._settings = spec.settings
        self._camera = EventCamera(self._settings, 1, 1)
        self._shape: tuple[int, ...] = ()

    def start(self, frame: NDArray[np.uint8]) -> None:
        """Set the pixels' references by a frame."""
        if self._shape != frame.shape:
            self._shape = frame.shape
            self._camera = EventCamera(self._settings, *frame.shape[:2])
        self._camera.reset(stream=zlib.crc32(luma(frame).tobytes()))
        self._camera.counts(frame)

    def __call__(
        self, frame: NDArray[np.uint8], previous: NDArray[np.uint8], out: NDArray[np.uint8]
    ) -> None:
        """Write the event frame of the next frame."""
        events = event_frame(self._camera.counts(frame), self._settings.full_scale)
        out[...] = np.rint(GREY * events)[..., None].astype(np.uint8)
