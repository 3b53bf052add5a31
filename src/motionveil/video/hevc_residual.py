"""Reads the coefficients of HEVC's transform blocks (Rec. ITU-T H.265, 7.3.8.11)."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from motionveil.video.hevc_symbols import BAD, bit, plain, unary
from motionveil.video.hevc_tables import FIRST, NUMBERS, SCANS, SMALL

_TRANSFORM_SKIP = FIRST["transform_skip"]
_LAST_X, _LAST_Y, _GROUP = FIRST["last_x"], FIRST["last_y"], FIRST["group"]
_SIGNIFICANT, _GREATER1, _GREATER2 = (
    FIRST["significant"],
    FIRST["greater_one"],
    FIRST["greater_two"],
)


@numba.njit(cache=True, nogil=True)
def _last(s: Any, first: int, log: int, chroma: bool) -> int:
    offset, shift = 3 * (log - 2) + ((log - 1) >> 2), (log + 1) >> 2
    if chroma:
        offset, shift = 15, log - 2
    most, count = (log << 1) - 1, 0
    while count < most and bit(s, first + offset + (count >> shift)):
        count += 1
    return count


@numba.njit(cache=True, nogil=True)
def _full(s: Any, prefix: int) -> int:
    if prefix < 4:
        return prefix
    length = (prefix >> 1) - 1
    return (1 << length) * (2 + (prefix & 1)) + plain(s, length)


@numba.njit(cache=True, nogil=True)
def coefficients(s: Any, p: Any, log: int, chroma: bool, scan: int, bypass: bool) -> None:
    """Read a block's coefficients (7.3.8.11)."""
    if p.transform_skip and not bypass and log == 2:
        bit(s, _TRANSFORM_SKIP + chroma)
    x_prefix = _last(s, _LAST_X, log, chroma)
    y_prefix = _last(s, _LAST_Y, log, chroma)
    last_x = _full(s, x_prefix)
    last_y = _full(s, y_prefix)
    if scan == 2:
        last_x, last_y = last_y, last_x
    if last_x >> log or last_y >> log:
        s.now[BAD] = 1
        return
    groups = np.zeros((9, 9), np.uint8)
    final = NUMBERS[scan, log - 2, last_y >> 2, last_x >> 2]
    start = NUMBERS[scan, 2, last_y & 3, last_x & 3]
    context = 1
    places = np.zeros(16, np.int64)
    for group in range(final, -1, -1):
        gx, gy = SCANS[scan, log - 2, group, 0], SCANS[scan, log - 2, group, 1]
        right, below = groups[gy, gx + 1], groups[gy + 1, gx]
        coded = True
        if 0 < group < final:
            coded = bit(s, _GROUP + (right | below) + 2 * chroma) == 1
        groups[gy, gx] = coded
        if not coded:
            continue
        count, infer, from_ = 0, 0 < group < final, 15
        if group == final:
            places[0], count, from_ = start, 1, start - 1
        for n in range(from_, -1, -1):
            if n == 0 and infer:
                significant = True
            else:
                x, y = SCANS[scan, 2, n, 0], SCANS[scan, 2, n, 1]
                number = _significance(log, chroma, scan, gx, gy, x, y, right + 2 * below)
                significant = bit(s, _SIGNIFICANT + number) == 1
            if significant:
                places[count] = n
                count, infer = count + 1, False
        if count:
            context = _levels(s, p, places, count, group, group == final, chroma, bypass, context)


@numba.njit(cache=True, nogil=True)
def _significance(
    log: int, chroma: bool, scan: int, gx: int, gy: int, x: int, y: int, around: int
) -> int:
    if log == 2:
        number = SMALL[(y << 2) + x]
    elif gx + gy + x + y == 0:
        number = 0
    else:
        if around == 0:
            number = 2 if x + y == 0 else 1 if x + y < 3 else 0
        elif around == 1:
            number = 2 if y == 0 else 1 if y == 1 else 0
        elif around == 2:
            number = 2 if x == 0 else 1 if x == 1 else 0
        else:
            number = 2
        if chroma:
            number += 9 if log == 3 else 12
        else:
            number += 3 * (gx + gy > 0)
            number += (9 if scan == 0 else 15) if log == 3 else 21
    return 27 + number if chroma else number


@numba.njit(cache=True, nogil=True)
def _levels(
    s: Any,
    p: Any,
    places: Any,
    count: int,
    group: int,
    first: bool,
    chroma: bool,
    bypass: bool,
    context: int,
) -> int:
    """Read the sizes and signs of a group of 16 coefficients."""
    set_ = 0 if group == 0 or chroma else 2
    if not first and context == 0:
        set_ += 1
    context, above = 1, -1
    ones = np.zeros(16, np.int64)
    for n in range(min(count, 8)):
        ones[n] = bit(s, _GREATER1 + 4 * set_ + context + 16 * chroma)
        if ones[n]:
            context = 0
            if above < 0:
                above = n
        elif 0 < context < 3:
            context += 1
    if above >= 0:
        ones[above] += bit(s, _GREATER2 + set_ + 4 * chroma)
    hidden = p.hiding == 1 and not bypass and places[0] - places[count - 1] > 3
    plain(s, count - 1 if hidden else count)
    rice = 0
    for n in range(count):
        base = 1 + ones[n]
        if base != (1 if n >= 8 else 3 if n == above else 2):
            continue
        prefix = unary(s, 32)
        if prefix >= 32:
            s.now[BAD] = 1
            return context
        if prefix <= 3:
            value = (prefix << rice) + plain(s, rice)
        else:
            value = (((1 << (prefix - 3)) + 3 - 1) << rice) + plain(s, prefix - 3 + rice)
        if base + value > 3 << rice:
            rice = min(rice + 1, 4)
    return context


@numba.njit(cache=True, nogil=True)
def order(p: Any, log: int, chroma: bool, mode: int) -> int:
    """Return the scan of an intra block: 0 diagonal, 1 horizontal, 2 vertical (7.4.9.11)."""
    if log == 2 or (log == 3 and (not chroma or p.chroma == 3)):
        if 6 <= mode <= 14:
            return 2
        if 22 <= mode <= 30:
            return 1
    return 0
