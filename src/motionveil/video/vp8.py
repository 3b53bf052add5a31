"""Is a key frame of VP8 whole, as WebP pictures are? Its own code tells.

A decoder makes a picture of whatever the bits say. But an encoder leaves next to nothing over:
when all blocks have been read, the arithmetic code is at the end of its data, give or take the
bytes that flush it (RFC 6386, 7 and 9.5). A changed, lost or added byte shifts what follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from motionveil.video.vp8_tables import MODES, TOKENS, UPDATES

_CUT = "it is cut short"

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

_OVER = 2  # bytes behind the end that a decoder takes in
_LEFT = 4  # bytes that may be left; more are filling if they are all zero
_FOURS, _SPREAD = 4, 4  # the mode of a macroblock whose blocks have modes of their own

_RANGE, _VALUE, _COUNT, _AT = range(4)
_BANDS = np.array([0, 1, 2, 3, 6, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7])
# How the blocks of a macroblock are predicted where it has one mode: DC, V, H, TM.
_ALIKE = np.array([0, 2, 3, 1])
# Tree of a block's mode (11.2): leaves are negative, or 0 for DC.
_TREE = np.array([0, 2, -1, 4, -2, 6, 8, 12, -3, 10, -5, -6, -4, 14, -7, 16, -8, -9])
_EXTRA = np.array(
    [
        [159, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [165, 145, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [173, 148, 140, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [176, 155, 140, 135, 0, 0, 0, 0, 0, 0, 0, 0],
        [180, 157, 141, 134, 130, 0, 0, 0, 0, 0, 0, 0],
        [254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129, 0],
    ]
)
_SENSELESS = "its data make no sense"


def key_frame_damage(data: bytes) -> str | None:
    """Say what is wrong with a frame of VP8; None if nothing, or if it is no key frame."""
    if len(data) < 10:
        return "it is cut short"
    tag = int.from_bytes(data[:3], "little")
    if tag & 1:
        return None
    if data[3:6] != b"\x9d\x01\x2a":
        return "a header is damaged"
    first = tag >> 5
    width = int.from_bytes(data[6:8], "little") & 0x3FFF
    height = int.from_bytes(data[8:10], "little") & 0x3FFF
    if 10 + first > len(data) or not (width and height):
        return "it is cut short"
    header = np.frombuffer(data[10 : 10 + first], np.uint8)
    rest = np.frombuffer(data[10 + first :], np.uint8)
    whole = _read_frame(header, rest, (width + 15) >> 4, (height + 15) >> 4)
    return None if whole else _SENSELESS


@numba.njit(cache=True, nogil=True)
def _begin(state: Ints, data: Bytes) -> None:
    state[:] = (255, 0, 0, 2)
    for n in range(2):
        state[_VALUE] = state[_VALUE] << 8 | (np.int64(data[n]) if n < len(data) else 0)


@numba.njit(cache=True, nogil=True)
def _bit(state: Ints, data: Bytes, probability: int) -> int:
    split = 1 + ((state[_RANGE] - 1) * np.int64(probability) >> 8)
    value, one = state[_VALUE], 0
    if value >= split << 8:
        one, value = 1, value - (split << 8)
        split = state[_RANGE] - split
    while split < 128:
        split <<= 1
        value <<= 1
        state[_COUNT] += 1
        if state[_COUNT] == 8:
            state[_COUNT] = 0
            if state[_AT] < len(data):
                value |= np.int64(data[state[_AT]])
            state[_AT] += 1
    state[_RANGE], state[_VALUE] = split, value
    return one


@numba.njit(cache=True, nogil=True)
def _number(state: Ints, data: Bytes, bits: int) -> int:
    value = 0
    for _ in range(bits):
        value = value << 1 | _bit(state, data, 128)
    return value


@numba.njit(cache=True, nogil=True)
def _maybe(state: Ints, data: Bytes, bits: int) -> None:
    """Read a number that may be left out."""
    if _bit(state, data, 128):
        _number(state, data, bits)


@numba.njit(cache=True, nogil=True)
def _at_end(state: Ints, data: Bytes) -> bool:
    at = state[_AT]
    if at > len(data) + _OVER:
        return False
    return at + _LEFT >= len(data) or not data[at:].any()


@numba.njit(cache=True, nogil=True)
def _read_frame(header: Bytes, rest: Bytes, across: int, down: int) -> bool:
    """Read a key frame (9.2 to 9.11, 19.2); say whether all parts end as they must."""
    h = np.zeros(4, np.int64)
    _begin(h, header)
    _number(h, header, 2)
    segments = np.full(3, 255, np.int64)
    mapped = False
    if _number(h, header, 1):
        mapped = _number(h, header, 1) == 1
        if _number(h, header, 1):
            _number(h, header, 1)
            for n in range(8):
                _maybe(h, header, 8 if n < 4 else 7)
        if mapped:
            for n in range(3):
                if _number(h, header, 1):
                    segments[n] = _number(h, header, 8)
    _number(h, header, 10)
    if _number(h, header, 1) and _number(h, header, 1):
        for _ in range(8):
            _maybe(h, header, 7)
    parts = 1 << _number(h, header, 2)
    _number(h, header, 7)
    for _ in range(5):
        _maybe(h, header, 5)
    _number(h, header, 1)
    tokens = TOKENS.copy()
    for a in range(4):
        for b in range(8):
            for c in range(3):
                for d in range(11):
                    if _bit(h, header, UPDATES[a, b, c, d]):
                        tokens[a, b, c, d] = _number(h, header, 8)
    skipping = _number(h, header, 1)
    skip = _number(h, header, 8) if skipping else 0
    starts = np.zeros(parts + 1, np.int64)
    starts[0] = 3 * (parts - 1)
    for n in range(parts - 1):
        if 3 * n + 2 >= len(rest):
            return False
        size = np.int64(rest[3 * n]) | np.int64(rest[3 * n + 1]) << 8
        starts[n + 1] = starts[n] + (size | np.int64(rest[3 * n + 2]) << 16)
    starts[parts] = len(rest)
    if starts[parts - 1] > len(rest):
        return False
    states = np.zeros((parts, 4), np.int64)
    for n in range(parts):
        _begin(states[n], rest[starts[n] : starts[n + 1]])
    above = np.zeros((across, 9), np.int64)
    modes = np.zeros(4 * across, np.int64)
    for row in range(down):
        part = row % parts
        data, state = rest[starts[part] : starts[part + 1]], states[part]
        left, beside = np.zeros(9, np.int64), np.zeros(4, np.int64)
        for column in range(across):
            if mapped:
                one = _bit(h, header, segments[0])
                _bit(h, header, segments[1 + one])
            skipped = skipping == 1 and _bit(h, header, skip) == 1
            mode = _mode(h, header, modes[4 * column : 4 * column + 4], beside)
            _read_blocks(state, data, tokens, above[column], left, mode != _SPREAD, skipped)
        if h[_AT] > len(header) + 8 or state[_AT] > len(data) + 8:
            return False
    for n in range(parts):
        if not _at_end(states[n], rest[starts[n] : starts[n + 1]]):
            return False
    return _at_end(h, header)


@numba.njit(cache=True, nogil=True)
def _mode(h: Ints, header: Bytes, above: Ints, left: Ints) -> int:
    """Read how a macroblock is predicted (11.2 to 11.4)."""
    if _bit(h, header, 145):
        mode = 2 + _bit(h, header, 128) if _bit(h, header, 156) else _bit(h, header, 163)
        above[:] = left[:] = _ALIKE[mode]
    else:
        mode = _SPREAD
        for y in range(4):
            for x in range(4):
                probabilities = MODES[above[x], left[y]]
                at = 0
                while True:
                    at = _TREE[at + _bit(h, header, probabilities[at >> 1])]
                    if at <= 0:
                        break
                above[x] = left[y] = -at
    if _bit(h, header, 142) and _bit(h, header, 114):
        _bit(h, header, 183)
    return mode


@numba.njit(cache=True, nogil=True)
def _read_blocks(
    state: Ints,
    data: Bytes,
    tokens: Any,
    above: Ints,
    left: Ints,
    whole: bool,
    skipped: bool,
) -> None:
    """Read the coefficients of a macroblock (13); `whole`: it has one mode."""
    if skipped:
        above[:8] = 0
        left[:8] = 0
        if whole:
            above[8] = left[8] = 0
        return
    if whole:
        above[8] = left[8] = _tokens(state, data, tokens[1], above[8] + left[8], 0)
    for y in range(4):
        for x in range(4):
            around = above[x] + left[y]
            some = _tokens(state, data, tokens[0 if whole else 3], around, 1 if whole else 0)
            above[x] = left[y] = some
    for first in (4, 6):
        for y in range(2):
            for x in range(2):
                around = above[first + x] + left[first + y]
                some = _tokens(state, data, tokens[2], around, 0)
                above[first + x] = left[first + y] = some


@numba.njit(cache=True, nogil=True)
def _tokens(state: Ints, data: Bytes, tokens: Any, around: int, first: int) -> int:
    """Read a block; say whether there is anything in it."""
    place, context, check = first, around, True
    while place < 16:
        p = tokens[_BANDS[place], context]
        if check and not _bit(state, data, p[0]):
            break
        place += 1
        if not _bit(state, data, p[1]):
            context, check = 0, False
            continue
        check = True
        if not _bit(state, data, p[2]):
            context = 1
        else:
            context = 2
            if not _bit(state, data, p[3]):
                if _bit(state, data, p[4]):
                    _bit(state, data, p[5])
            else:
                if not _bit(state, data, p[6]):
                    kind = _bit(state, data, p[7])
                else:
                    high = _bit(state, data, p[8])
                    kind = 2 + 2 * high + _bit(state, data, p[9 + high])
                for probability in _EXTRA[kind]:
                    if probability == 0:
                        break
                    _bit(state, data, probability)
        _bit(state, data, 128)
    return 1 if place > first else 0


def webp_damage(data: bytes) -> str | None:
    """Say what is wrong with a WebP file (RFC 9649); None if nothing.

    Of lossless pictures only the sizes are looked at. What follows the file does not matter.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return "it does not begin as WebP"
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        return _CUT
    pictures = 0
    for kind, body in _chunks(data, 12, end):
        parts = [(kind, body)] if kind != b"ANMF" or body is None else _chunks(body, 16, len(body))
        for inner, part in parts:
            if part is None:
                return _CUT
            if inner == b"VP8 ":
                reason = key_frame_damage(part) if part[:1] and not part[0] & 1 else _CUT
                if reason:
                    return reason
            pictures += inner in (b"VP8 ", b"VP8L")
    return None if pictures else "it holds no picture"


def _chunks(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield the parts of a file, each with its name; None for one that goes beyond the end."""
    while at + 8 <= end:
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        whole = at + 8 + size <= end
        yield data[at : at + 4], data[at + 8 : at + 8 + size] if whole else None
        if not whole:
            return
        at += 8 + size + size % 2
