"""The event camera's inner loops, compiled by numba.

Arrays of pixels are flat, row by row. Levels are `ln(intensity + eps)`; times are in seconds.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

RED, GREEN, BLUE = 299, 587, 114
"""Thousandths of the luma that each channel gives (ITU-R BT.601)."""

BRIGHTEST = 255 * (RED + GREEN + BLUE)
"""Luma of a white 8-bit pixel in these units: a whole number, so a table gives its logarithm."""

TOUCH = 1e-9
"""Levels that differ by less are equal.

A pixel that darkens and then returns to the very same value touches its last threshold exactly.
That is common in 8-bit video, and rounding must not decide whether it gives an event: it does.
"""

# Whole numbers of numpy's own types throughout: numba makes a float of uint64 with int64.
_U: Any = np.uint64
_GOLDEN = _U(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = _U(0xBF58476D1CE4E5B9), _U(0x94D049BB133111EB)

PHASE_DRAW = 0
"""The draw of a pixel that decides where its leak starts; the later ones time its shot noise."""


@numba.njit(cache=True, nogil=True)
def log_luma(
    frame: NDArray[np.uint8], table: NDArray[np.float64], level: NDArray[np.float64]
) -> None:
    """Look up the level of every pixel.

    Args:
        frame: uint8 (N, 3), RGB.
        table: Level of each luma from 0 to `BRIGHTEST`.
        level: Written, (N,).
    """
    for i in range(frame.shape[0]):
        luma = (
            np.int64(RED) * frame[i, 0]
            + np.int64(GREEN) * frame[i, 1]
            + np.int64(BLUE) * frame[i, 2]
        )
        level[i] = table[luma]


# Unsigned numbers of pixels and no exception for a division by zero (thresholds are none): with
# either, the compiler would make no vector code.
@numba.njit(cache=True, nogil=True, error_model="numpy")
def count_crossings(
    level: NDArray[np.float64],
    reference: NDArray[np.float64],
    positive: NDArray[np.float64],
    negative: NDArray[np.float64],
    leaked: float,
    counts: NDArray[np.int32],
) -> None:
    """Add each pixel's positive minus negative events; no refractory time, no shot noise.

    Between two frames the level goes one way, so nothing needs to be known of the time.

    Args:
        level: At the end of the step, (N,).
        reference: Level from which each pixel measures, (N,); moved.
        positive: Threshold of each pixel's positive events, (N,).
        negative: That of its negative ones, (N,).
        leaked: Thresholds by which the reference sinks during the step.
        counts: Added to, (N,).
    """
    for i in range(_U(level.shape[0])):
        climb = leaked * positive[i]
        rise = level[i] + climb - reference[i]
        threshold = positive[i] if rise > 0 else negative[i]
        size = np.floor((abs(rise) + TOUCH) / threshold)
        count = size if rise > 0 else -size
        reference[i] += count * threshold - climb
        counts[i] += np.int32(count)


@numba.njit(cache=True, nogil=True)
def list_events(
    before: NDArray[np.float64],
    level: NDArray[np.float64],
    reference: NDArray[np.float64],
    positive: NDArray[np.float64],
    negative: NDArray[np.float64],
    leaked: float,
    start: float,
    end: float,
    refractory: float,
    last: NDArray[np.float64],
    shot: float,
    due: NDArray[np.float64],
    drawn: NDArray[np.uint64],
    key: np.uint64,
    most: int,
    times: NDArray[np.int64],
    codes: NDArray[np.int64],
) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """List the events of one step, pixel after pixel, each pixel's in the order of time.

    Args:
        before: Level at the start of the step, (N,).
        level: At its end, (N,); between the two the level is linear in time.
        reference, positive, negative, leaked: As for `count_crossings`.
        refractory: Seconds after an event in which a pixel gives no other.
        last: Time of each pixel's last event, minus infinity for none, (N,); updated.
        shot: Events of shot noise a second and pixel.
        due: Time of each pixel's next one, infinity for none, (N,); updated.
        drawn: Random numbers that each pixel has used, (N,); updated.
        key: Decides all random numbers.
        most: Events, lost ones too, at which it gives up.
        times: Room for the events' times in whole microseconds; at least one element.
        codes: Room for twice the pixel's number, plus 1 for a positive event; of equal length.

    Returns:
        The number of events, -1 if there are too many, and the two rooms: the same arrays, or
        larger ones.
    """
    count = tried = 0
    for i in range(level.shape[0]):
        climb = leaked * positive[i]
        top = level[i] + climb
        while True:
            sign, target, moment = 0, reference[i], np.inf
            if reference[i] + positive[i] <= top + TOUCH:
                sign, target = 1, reference[i] + positive[i]
            elif reference[i] - negative[i] >= top - TOUCH:
                sign, target = -1, reference[i] - negative[i]
            if sign != 0:
                moment = _crossing_time(before[i], top, target, start, end)
            if due[i] <= end and due[i] < moment:  # noise leaves the reference where it is
                moment = due[i]
                number = random_number(key, _U(i), drawn[i])
                sign = 1 if number & _U(1) else -1
                drawn[i] += _U(1)
                due[i] = moment + waiting_time(key, _U(i), drawn[i], shot)
            elif sign == 0:
                break
            else:
                reference[i] = target
            tried += 1
            if tried > most:
                return -1, times, codes
            if moment - last[i] < refractory:
                continue  # lost, though the reference has moved
            last[i] = moment
            if count == times.shape[0]:
                times, codes = _doubled(times), _doubled(codes)
            times[count] = np.int64(np.floor(moment * 1e6 + 0.5))
            codes[count] = 2 * i + (sign > 0)
            count += 1
        reference[i] -= climb
    return count, times, codes


@numba.njit(cache=True, nogil=True)
def start_noise(
    key: np.uint64,
    begin: float,
    leak: float,
    positive: NDArray[np.float64],
    reference: NDArray[np.float64],
    shot: float,
    due: NDArray[np.float64],
    drawn: NDArray[np.uint64],
) -> None:
    """Set the noise of every pixel going.

    With a leak the references start a random part of a threshold lower, as a pixel's would that has
    leaked for long: otherwise all pixels would give their leak events at the same moment.

    Args:
        key: Decides all random numbers.
        begin: Time of the first frame.
        leak: Positive events per second and pixel.
        positive: Threshold of each pixel's positive events, (N,).
        reference: Moved where there is a leak, (N,).
        shot: Events of shot noise a second and pixel.
        due: Written: time of each pixel's first one, infinity for none, (N,).
        drawn: Written: number of each pixel's next random number, (N,).
    """
    for i in range(reference.shape[0]):
        drawn[i] = _U(PHASE_DRAW + 1)
        due[i] = np.inf
        if leak > 0:
            number = random_number(key, _U(i), _U(PHASE_DRAW))
            reference[i] -= positive[i] * (1 - _above_zero(number))
        if shot > 0:
            due[i] = begin + waiting_time(key, _U(i), drawn[i], shot)


@numba.njit(cache=True, nogil=True)
def waiting_time(key: np.uint64, pixel: np.uint64, draw: np.uint64, rate: float) -> float:
    """Return the seconds to the next event of a Poisson process: exponentially distributed."""
    return -np.log(_above_zero(random_number(key, pixel, draw))) / rate


@numba.njit(cache=True, nogil=True)
def random_number(key: np.uint64, pixel: np.uint64, draw: np.uint64) -> np.uint64:
    """Return 64 random bits that depend on the three numbers and on nothing else.

    The mixing function of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
    generators", OOPSLA 2014), once for each. No state, so no order of pixels or frames matters.
    """
    number = _mix(key + _GOLDEN)
    number = _mix(number + _GOLDEN * (pixel + _U(1)))
    return _mix(number + _GOLDEN * (draw + _U(1)))


@numba.njit(cache=True, nogil=True)
def _mix(number: np.uint64) -> np.uint64:
    number = (number ^ (number >> _U(30))) * _MIX_1
    number = (number ^ (number >> _U(27))) * _MIX_2
    return number ^ (number >> _U(31))


@numba.njit(cache=True, nogil=True)
def _above_zero(number: np.uint64) -> float:
    """Return a number in (0, 1] made of the upper 53 bits; the lowest is left for the sign."""
    return (np.float64(number >> _U(11)) + 1.0) * 2.0**-53


@numba.njit(cache=True, nogil=True)
def _crossing_time(before: float, top: float, target: float, start: float, end: float) -> float:
    """Return when a level that goes linearly from `before` to `top` is at `target`."""
    if top == before:
        return end
    share = (target - before) / (top - before)
    return start + min(max(share, 0.0), 1.0) * (end - start)


@numba.njit(cache=True, nogil=True)
def _doubled(room: NDArray[np.int64]) -> NDArray[np.int64]:
    larger = np.empty(2 * room.shape[0], np.int64)
    larger[: room.shape[0]] = room
    return larger
