"""Which veiled frames would show the scene.

The difference of two frames shows motion only where both show the same scene in the same light.
Across a cut it is a double exposure of two scenes, after a lamp goes on an image of the scene,
after a gap an image of the person at two places. A guard finds such frames by what is about to be
written; what is written in their place is the neutral frame.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motionveil.streaming import guard_thresholds as at
from motionveil.streaming.guard_camera import COARSE, follow, reduce_light
from motionveil.streaming.guard_measure import SIDE, Measures, measure, reduce_frame
from motionveil.streaming.guard_memory import are_equal, differing, find_near, find_off, remember

Reason = Literal[
    "first", "size", "fresh", "gap", "exposure", "cut", "camera", "patch", "jump", "frozen"
]
"""Why an output is the neutral frame.

- `first`: nothing came before; `size`: the frames before had another size;
- `fresh`: the source says that what came before is not known (a new connection, lost data);
- `gap`: the clock leapt, or went back: a stretch was lost or repeated;
- `frozen`: the image moves again after it stood entirely still: a stretch was lost;
- `exposure`: the light or the colours of the whole image changed;
- `cut`: another scene;
- `camera`: the whole image moved, or its sharpness changed;
- `patch`: a part of the image changed at once where nothing had moved: a lamp, damage;
- `jump`: much more moved than just before: an edit, or a stretch lost without a trace.
"""

_BACK = 4  # frames over which the camera's motion adds up
_MEMORY = 4  # frames whose motion counts as just now
_REACH = 8  # short sides are so many times the way that somebody goes in that time
_INTERVALS = 9  # intervals whose median is the usual one


class Guard:
    """Finds the veiled frames of one stream that would show the scene.

    It looks at which cells of the output are off neutral, and at what changed in the frames there
    and all over the image. It remembers where the output was off neutral in the last frames,
    except in blocked frames: an event does not teach it that events are usual.

    The thresholds are in `guard_thresholds`; `docs/streaming.md` says on which real video
    they were found, what they miss, and how often they are wrong.

    **What it cannot do.** A lasting motion of the camera that is small or slow looks like people; a
    change of light that stays within the encoder's flat step at each frame is not seen, and mostly
    not shown; from rest, a lost stretch looks like a start.
    """

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)
        self.restart(None)

    def restart(self, time: float | None) -> None:
        """Take note of a frame that is not to be compared; what motion was like is forgotten.

        Args:
            time: When it was taken, in seconds; None if there is no clock.
        """
        self._shape = ()
        self._motions: deque[float] = deque(maxlen=_MEMORY)
        self._hold = self._blocked = 0
        self._following = 0.0
        self._trusting = self._patched = self._undone = False
        self._damaged = self._moves = 0
        self._still_frames, self._still_since, self._alive = 0, time, 0
        self._time = time

    def check(
        self,
        frame: NDArray[np.uint8],
        previous: NDArray[np.uint8],
        veiled: NDArray[np.uint8],
        neutral: int,
        time: float | None = None,
    ) -> Reason | None:
        """Say why a veiled frame must not be shown; None if it may.

        Args:
            frame: The frame, uint8 (h, w, 3), contiguous.
            previous: The frame before, likewise.
            veiled: What would be written of the two, likewise.
            neutral: The grey value of no motion in `veiled`.
            time: When the frame was taken, in seconds; None if there is no clock.
        """
        gap = self._is_gap(time)
        self._time = time
        thaws = self._thaws(frame, previous, time)
        self._undone = False
        if self._shape != frame.shape:
            self._make_room(frame.shape)
        noise = differing(frame, previous, self._step)
        self._alive = self._alive + 1 if noise > at.ALIVE else 0
        measures = self._measure(frame, previous, veiled, neutral)
        reason: Reason | None = "gap" if gap else "frozen" if thaws else None
        if measures is None:
            self._rest()
        else:
            found = self._judge(measures)
            reason = reason or found
            self._motions.append(measures.motion)
        if self._undone:  # what was shown the frame before was no motion either
            np.copyto(self._age, 255, where=self._off.view(np.bool_))
        remember(self._off, reason is None, self._age)
        return reason

    def _judge(self, measures: Measures) -> Reason | None:
        """Say why what is off neutral is not motion, or None."""
        whole = self._whole(measures)
        moves, lit = self._follows(measures), is_light(measures)
        if moves or lit:
            whole = whole or ("exposure" if lit or measures.one_way > at.ONE_WAY else "camera")
        if whole in ("exposure", "cut"):  # nothing before it tells of the camera any more
            self._seen = 0
            self._following, self._moves = 0.0, 0
        if moves or lit:
            return whole
        reason = whole or self._patch(measures)
        if reason is None and self._jumps(measures):
            self._patched = True  # what goes on from there is shown
            return "jump"  # once: the motion that follows is as large
        if reason is None:
            self._blocked = 0
            return None
        self._blocked += 1
        if self._blocked > at.PATIENCE or self._trusting:
            most = max(
                measures.textured_changed, measures.changed, measures.camera + at.SURELY - at.FIT
            )
            self._trusting = most < at.SURELY
            return None if self._trusting else reason
        return reason

    def _follows(self, measures: Measures) -> bool:
        """Say whether the camera moves, slowly even: all regions follow one change of the whole."""
        follows = measures.following
        self._following += (1 - at.FADES) * (min(follows, at.FOLLOWING) - self._following)
        calm = at.CALM_FOLLOWING if self._moves else 1.0
        moves = follows > calm * at.FOLLOWING or self._following > calm * at.LASTING
        self._moves = at.HOLD if moves else max(0, self._moves - 1)
        return moves

    def _whole(self, measures: Measures) -> Reason | None:
        """Say whether the whole scene changed, and how."""
        texture, cells = measures.textured_changed, measures.changed
        self._hold -= self._hold > 0
        if texture > at.WHOLE or cells > at.ALL:
            self._hold = at.HOLD
        held = self._hold and (texture > at.CALM_WHOLE or cells > at.CALM_ALL)
        most = at.CAMERA if measures.following > at.MOVED_FOLLOWING else at.SURELY_CAMERA
        moved = measures.camera > at.FIT and measures.camera + texture > most
        moved = moved and cells > at.CAMERA_CHANGED
        lit = cells > at.LIT and measures.one_way > at.LIT_ONE_WAY
        lit = lit and (measures.contrast > at.LIT_CONTRAST or texture > at.LIT_WHOLE)
        lit = lit and measures.kept > at.LIT_KEPT
        tinted = cells > at.TINTED and measures.kept > at.TINTED_KEPT
        wide = cells > at.LIT and texture > at.LIT_WHOLE and measures.far > at.STRANGE
        if not (held or moved or lit or tinted or wide):
            return None
        if lit or tinted or wide:
            self._hold = at.HOLD
        if tinted or measures.one_way > at.ONE_WAY:
            return "exposure"
        return "cut" if measures.alike < at.SAME_SCENE else "camera"

    def _patch(self, measures: Measures) -> Reason | None:
        """Say whether a part of the image changed at once where nothing had moved."""
        grows = measures.again > at.AGAIN and measures.off_one_way > 0.9
        before = self._motions[-1] if self._motions else 0.0
        undone = measures.again < at.UNDONE and measures.motion > at.UNDONE_MOTION * before
        self._undone = undone and measures.off > at.PATCH
        self._damaged = at.HOLD if self._undone else max(0, self._damaged - 1)
        patched, self._patched = self._patched, False
        if not ((grows or undone) and measures.off > at.PATCH) and not self._is_patch(measures):
            return None
        goes_on = (
            at.GOES < measures.again < at.GROWS
            and max(measures.far, measures.camera - at.FIT) < at.HUGE
        )
        goes_on = goes_on and abs(measures.contrast) < at.GOES_CONTRAST
        if patched and goes_on:
            return None  # neither the same light again nor the damage that goes: it moves
        self._patched = True
        return "patch"

    def _is_patch(self, measures: Measures) -> bool:
        if measures.far > at.HUGE:
            return True
        if measures.far > at.START and self._alive > _MEMORY and not self._enters(measures, True):
            return True
        just_now = max(self._motions_off, default=0.0)
        self._motions_off.append(measures.off)
        if self._damaged and measures.new > at.PATCH:
            return True
        if measures.far < at.PATCH and measures.new < at.PATCH + at.GROWTH * just_now:
            return False
        if measures.new > at.RECTANGLE and self._fullness(measures) > at.RECTANGLE_FULL:
            return True
        strange = measures.far > at.STRANGE and measures.changed > at.STRANGE_CHANGED
        if strange and measures.alike < at.UNLIKE:
            return True
        contrast = at.CONTRAST if measures.far > at.PATCH else at.NEAR_CONTRAST
        conserved = measures.one_way < at.ONE_WAY and abs(measures.contrast) < contrast
        return not conserved and not self._enters(measures) and not passes(measures)

    def _enters(self, measures: Measures, left_or_right: bool = False) -> bool:
        """Say whether the patch may be somebody who enters at a side, at once."""
        if measures.alike > at.SAME or measures.kept_off > at.ENTRY_KEPT:
            return False
        height, width = self._age.shape
        short, full = min(height, width), self._fullness(measures)
        tall, wide = measures.bottom - measures.top, measures.right - measures.left
        sideways = measures.left <= 1 or measures.right >= width - 1
        upright = (measures.top <= 1 or measures.bottom >= height - 1) and not left_or_right
        if wide > at.OPPOSITE * width or (tall > at.OPPOSITE * height and full > at.FULL):
            return False
        if sideways and wide < at.STRIP * short:
            return True
        depth = min(wide if sideways else np.inf, tall if upright else np.inf)
        return depth < at.ENTRY * short and full < at.FULL

    def _fullness(self, measures: Measures) -> float:
        """Return how much of its bounding box a patch fills."""
        tall, wide = measures.bottom - measures.top, measures.right - measures.left
        return measures.new * self._age.size / max(1.0, tall * wide)

    def _jumps(self, measures: Measures) -> bool:
        just_now = max(self._motions, default=0.0)
        return just_now > at.MOVING and measures.motion > at.JUMP * just_now

    def _rest(self) -> None:
        """Take note of a frame of which nothing is shown."""
        self._motions.append(0.0)
        self._motions_off.append(0.0)
        self._hold -= self._hold > 0
        self._blocked = 0
        self._trusting = self._patched = self._undone = False
        self._damaged -= self._damaged > 0
        self._moves -= self._moves > 0
        self._change.fill(0)
        self._seen = 0
        self._following = 0.0

    def _make_room(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._step = max(1, min(shape[:2]) // SIDE)
        cells = (shape[0] // self._step, shape[1] // self._step)
        self._cells = np.empty((2, *cells, 3), np.uint8)
        self._off, self._near, self._nearby, self._scratch = np.empty((4, *cells), np.uint8)
        self._age = np.full(cells, 255, np.uint8)
        self._light = np.empty((2, *cells), np.int16)
        self._change: NDArray[np.int16] = np.zeros(cells, np.int16)
        self._change_before: NDArray[np.int16] = np.zeros(cells, np.int16)
        self._measured: NDArray[np.float64] = np.empty(len(Measures._fields) - 1)
        coarse = (cells[0] // COARSE, cells[1] // COARSE)
        self._lights: NDArray[np.float64] = np.empty((_BACK + 1, *coarse))
        self._seen = 0
        self._motions_off: deque[float] = deque(maxlen=_MEMORY)

    def _measure(
        self,
        frame: NDArray[np.uint8],
        previous: NDArray[np.uint8],
        veiled: NDArray[np.uint8],
        neutral: int,
    ) -> Measures | None:
        """Measure what is shown; None if it is nothing."""
        if find_off(veiled, neutral, self._step, self._off) <= at.SHOWN * self._off.size:
            return None
        cells, cells_before = frame, previous
        if self._step > 1:
            cells, cells_before = self._cells
            reduce_frame(frame, self._step, cells)
            reduce_frame(previous, self._step, cells_before)
        reach = max(1, min(self._off.shape) // _REACH)
        find_near(self._age, _MEMORY, reach, self._scratch, self._near)
        find_near(self._age, _MEMORY, 2 * reach, self._scratch, self._nearby)
        self._change, self._change_before = self._change_before, self._change
        measure(
            cells,
            cells_before,
            self._off,
            self._near,
            self._nearby,
            self._light,
            self._change,
            self._change_before,
            self._measured,
        )
        return Measures._make([*self._measured.tolist(), self._measure_camera()])

    def _measure_camera(self) -> float:
        """Say how far the image follows one change since the frame before, or since some ago."""
        lights, n = self._lights, _BACK + 1
        if not self._seen:
            reduce_light(self._light[1], lights[0])
            self._seen = 1
        now = lights[self._seen % n]
        reduce_light(self._light[0], now)
        before, first = lights[(self._seen - 1) % n], lights[max(0, self._seen - _BACK) % n]
        self._seen += 1
        return max(follow(now, before, self._off), follow(now, first, self._off))

    def _is_gap(self, time: float | None) -> bool:
        if time is None or self._time is None:
            return False
        interval = time - self._time
        usual = median(self._intervals) if len(self._intervals) >= 3 else None
        if interval > 0:
            self._intervals.append(interval)
        return interval <= 0 or (usual is not None and interval > at.GAP * usual)

    def _thaws(
        self, frame: NDArray[np.uint8], previous: NDArray[np.uint8], time: float | None
    ) -> bool:
        """Count equal frames; say whether this one is the first that differs after many."""
        if are_equal(frame, previous):
            self._still_frames += 1
            return False
        frames, since = self._still_frames, self._still_since
        self._still_frames, self._still_since = 0, time
        if time is None or since is None:
            return frames >= at.FROZEN_FRAMES
        return frames > 1 and time - since > at.FROZEN


def passes(measures: Measures) -> bool:
    """Say whether the patch may be somebody who goes on: what was uncovered is covered again."""
    goes_on = at.GOES < measures.again < at.PASSES and measures.far < at.PASSES_FAR
    return goes_on and abs(measures.kept_off) < at.PASSES_KEPT


def is_light(measures: Measures) -> bool:
    """Say whether what is off neutral keeps the pattern of the gradients: light does."""
    off, kept = measures.off, measures.kept_off
    if off <= at.PATCH:
        return False
    contrast = abs(measures.contrast)
    beside = contrast > at.BESIDE and measures.kept > at.BESIDE_KEPT
    beside = beside and min(measures.one_way, measures.off_one_way) > at.BESIDE_ONE_WAY
    beside = beside or (contrast > at.BESIDE_OFF and kept > at.BESIDE_KEPT_OFF)
    glides = measures.again > at.GLIDES and kept > at.GLIDES_KEPT
    return beside or glides or (kept > at.LIGHT_KEPT and kept + at.LIGHT_OFF * off > at.LIGHT)
