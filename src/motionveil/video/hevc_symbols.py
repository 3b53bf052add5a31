"""Reads the symbols of HEVC's arithmetic code, and what they say of prediction.

Rec. ITU-T H.265, 9.3; 7.3.8.3 (SAO), 7.3.8.5 and 7.3.8.6 (prediction), 8.4.2 (directions).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from motionveil.video.hevc_tables import FIRST, NARROW, NEXT, RANGES

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

_SAO_MERGE, _SAO_TYPE = FIRST["sao_merge"], FIRST["sao_type"]
_INTRA_LUMA, _INTRA_CHROMA = FIRST["intra_luma"], FIRST["intra_chroma"]
_MERGE, _MERGE_INDEX, _DIRECTION = FIRST["merge"], FIRST["merge_index"], FIRST["direction"]
_REFERENCE, _VECTOR, _PREDICTOR = FIRST["reference"], FIRST["vector"], FIRST["predictor"]

# Places in the decoder's numbers.
_RANGE, _VALUE, _NEEDED, AT, BAD, QP_CODED = range(6)
_DC, _ANGULAR_26 = 1, 26


class Params(NamedTuple):
    """What the parameter sets and the slice's header say."""

    width: int
    height: int
    ctb: int  # binary logarithm of a coding tree block's side
    min_cb: int
    min_tb: int
    max_tb: int
    depth_inter: int
    depth_intra: int
    chroma: int  # ChromaArrayType
    amp: int
    pcm: int
    pcm_min: int
    pcm_max: int
    pcm_bits: int  # of the three samples at a place of 2 by 2, times 4
    sao_bits_luma: int  # the largest offset
    sao_bits_chroma: int
    hiding: int
    transform_skip: int
    qp_delta: int
    qp_size: int  # binary logarithm
    bypass: int
    sync: int
    kind: int  # 0: B, 1: P, 2: I
    sao_luma: int
    sao_chroma: int
    l0: int
    l1: int
    zero_l1: int
    candidates: int


class Picture(NamedTuple):
    """What later blocks must know of earlier ones, and how the picture is laid out."""

    depth: Bytes  # by 8 by 8
    skip: Bytes
    modes: Bytes  # by 4 by 4
    slices: Ints  # of a coding tree block in raster order: where its slice begins
    rs: Ints  # raster numbers of blocks in tile order
    ts: Ints  # the other way
    tile: Ints  # by raster number
    left: Ints  # first column of the tile, by raster number


class State(NamedTuple):
    """A slice that is read: its data, the decoder's numbers, and the contexts."""

    data: Bytes
    now: Ints
    ctx: Bytes


@numba.njit(cache=True, nogil=True)
def begin(s: Any, at: int) -> None:
    """Begin to read at a byte (9.3.2.5)."""
    s.now[_RANGE], s.now[_NEEDED], s.now[AT] = 510, -8, at + 2
    s.now[_VALUE] = 0
    if at + 1 < len(s.data):
        s.now[_VALUE] = np.int64(s.data[at]) << 8 | np.int64(s.data[at + 1])


@numba.njit(cache=True, nogil=True)
def _byte(s: Any) -> Any:
    at = s.now[AT]
    s.now[AT] = at + 1
    return np.int64(s.data[at]) if at < len(s.data) else np.int64(0)


@numba.njit(cache=True, nogil=True)
def bit(s: Any, number: int) -> Any:
    """Read a bit by a context (9.3.4.3.2)."""
    context = s.ctx[number]
    less = RANGES[context >> 1, (s.now[_RANGE] >> 6) & 3]
    rest = s.now[_RANGE] - less
    scaled = rest << 7
    value = s.now[_VALUE]
    if value < scaled:
        s.ctx[number] = NEXT[0, context]
        if rest < 256:
            s.now[_RANGE] = rest << 1
            s.now[_VALUE] = value << 1
            s.now[_NEEDED] += 1
            if s.now[_NEEDED] == 0:
                s.now[_NEEDED] = -8
                s.now[_VALUE] |= _byte(s)
        else:
            s.now[_RANGE] = rest
        return np.int64(context & 1)
    value -= scaled
    shift = 0
    while less < 256:
        less <<= 1
        shift += 1
    value <<= shift
    s.now[_RANGE] = less
    s.now[_NEEDED] += shift
    if s.now[_NEEDED] >= 0:
        value |= _byte(s) << s.now[_NEEDED]
        s.now[_NEEDED] -= 8
    s.now[_VALUE] = value
    s.ctx[number] = NEXT[1, context]
    return np.int64(1 - (context & 1))


@numba.njit(cache=True, nogil=True)
def plain(s: Any, count: int) -> Any:
    """Read bits that are as likely as not."""
    found: Any = np.int64(0)
    for _ in range(count):
        value = s.now[_VALUE] << 1
        s.now[_NEEDED] += 1
        if s.now[_NEEDED] == 0:
            s.now[_NEEDED] = -8
            value |= _byte(s)
        scaled = s.now[_RANGE] << 7
        one = value >= scaled
        s.now[_VALUE] = value - scaled if one else value
        found = found << 1 | np.int64(one)
    return found


@numba.njit(cache=True, nogil=True)
def end(s: Any) -> bool:
    """Read the bit that says whether something ends (9.3.4.3.5)."""
    s.now[_RANGE] -= 2
    scaled = s.now[_RANGE] << 7
    if s.now[_VALUE] >= scaled:
        return True
    if s.now[_RANGE] < 256:
        s.now[_RANGE] <<= 1
        s.now[_VALUE] <<= 1
        s.now[_NEEDED] += 1
        if s.now[_NEEDED] == 0:
            s.now[_NEEDED] = -8
            s.now[_VALUE] |= _byte(s)
    return False


@numba.njit(cache=True, nogil=True)
def stopped(s: Any) -> bool:
    """Whether the stop bit is where the data end, with nothing behind it in its byte."""
    at = s.now[AT]
    return at <= len(s.data) and (np.int64(s.data[at - 1]) << (8 + s.now[_NEEDED])) & 255 == 128


@numba.njit(cache=True, nogil=True)
def unary(s: Any, most: int) -> int:
    """Count ones up to a zero."""
    count = 0
    while count < most and plain(s, 1):
        count += 1
    return count


@numba.njit(cache=True, nogil=True)
def exp_golomb(s: Any, order: int) -> int:
    """Read an Exp-Golomb number (9.3.3.5)."""
    value = 0
    while plain(s, 1):
        value += 1 << order
        order += 1
        if order > 31:
            s.now[BAD] = 1
            return 0
    return value + plain(s, order)


@numba.njit(cache=True, nogil=True)
def sao(s: Any, p: Any, left: bool, up: bool) -> None:
    """Read a block's sample adaptive offsets; they may be its neighbours' (7.3.8.3)."""
    if left and bit(s, _SAO_MERGE):
        return
    if up and bit(s, _SAO_MERGE):
        return
    kind = 0
    for component in range(3 if p.chroma else 1):
        if not (p.sao_chroma if component else p.sao_luma):
            continue
        if component < 2:
            kind = 0
            if bit(s, _SAO_TYPE):
                kind = 1 + plain(s, 1)
        if kind == 0:
            continue
        some = 0
        for _ in range(4):
            some += unary(s, p.sao_bits_chroma if component else p.sao_bits_luma) > 0
        if kind == 1:
            plain(s, some)
            plain(s, 5)
        elif component < 2:
            plain(s, 2)


@numba.njit(cache=True, nogil=True)
def known(p: Any, m: Any, x: int, y: int, from_x: int, from_y: int) -> bool:
    """Whether a neighbour to the left or above is in the picture, the slice and the tile."""
    if x < 0 or y < 0:
        return False
    across = (p.width + (1 << p.ctb) - 1) >> p.ctb
    there = (y >> p.ctb) * across + (x >> p.ctb)
    here = (from_y >> p.ctb) * across + (from_x >> p.ctb)
    return there == here or (m.slices[there] == m.slices[here] and m.tile[there] == m.tile[here])


@numba.njit(cache=True, nogil=True)
def vectors(s: Any, p: Any, wide: int, high: int, depth: int) -> bool:
    """Read a prediction unit that is not skipped; say whether it is merged."""
    if bit(s, _MERGE):
        candidate(s, p)
        return True
    direction = 0
    if p.kind == 0:
        if wide + high != 12 and bit(s, _DIRECTION + depth):
            direction = 2
        else:
            direction = bit(s, _DIRECTION + 4)
    for which in range(2):
        if direction == 1 - which:
            continue
        count, number = p.l1 if which else p.l0, 0
        while number < count - 1:
            if not (bit(s, _REFERENCE + number) if number < 2 else plain(s, 1)):
                break
            number += 1
        if not (which and p.zero_l1 and direction == 2):
            x0, y0 = bit(s, _VECTOR), bit(s, _VECTOR)
            x1 = bit(s, _VECTOR + 1) if x0 else 0
            y1 = bit(s, _VECTOR + 1) if y0 else 0
            if x0:
                if x1:
                    exp_golomb(s, 1)
                plain(s, 1)
            if y0:
                if y1:
                    exp_golomb(s, 1)
                plain(s, 1)
        bit(s, _PREDICTOR)
    return False


@numba.njit(cache=True, nogil=True)
def candidate(s: Any, p: Any) -> None:
    """Read which neighbour's motion is taken over."""
    if p.candidates > 1 and bit(s, _MERGE_INDEX):
        unary(s, p.candidates - 2)


@numba.njit(cache=True, nogil=True)
def intra(s: Any, p: Any, m: Any, x: int, y: int, log: int, parts: int, luma: Ints) -> Any:
    """Read the directions of prediction into `luma`; return those of chroma."""
    side = (1 << log) >> (parts == 4)
    flags, chroma = np.zeros(4, np.int64), np.zeros(4, np.int64)
    for n in range(parts):
        flags[n] = bit(s, _INTRA_LUMA)
    for n in range(parts):
        px, py = x + side * (n & 1), y + side * (n >> 1)
        a: Any = _DC
        b: Any = _DC
        if known(p, m, px - 1, py, px, py):
            a = np.int64(m.modes[py >> 2, (px - 1) >> 2])
        if py & ((1 << p.ctb) - 1) and known(p, m, px, py - 1, px, py):
            b = np.int64(m.modes[(py - 1) >> 2, px >> 2])
        if a == b:
            if a < 2:
                c0, c1, c2 = 0, _DC, _ANGULAR_26
            else:
                c0, c1, c2 = a, 2 + (a + 29) % 32, 2 + (a - 1) % 32
        else:
            c0, c1 = a, b
            c2 = _ANGULAR_26
            if a != 0 and b != 0:
                c2 = 0
            elif a != _DC and b != _DC:
                c2 = _DC
        if flags[n]:
            which = unary(s, 2)
            mode = c0 if which == 0 else c1 if which == 1 else c2
        else:
            mode = plain(s, 5)
            low, high = min(c0, c1, c2), max(c0, c1, c2)
            for c in (low, c0 + c1 + c2 - low - high, high):
                mode += mode >= c
        luma[n] = mode
        for row in range(py >> 2, (py + side) >> 2):
            for column in range(px >> 2, (px + side) >> 2):
                m.modes[row, column] = mode
    if p.chroma == 0:
        return chroma
    for n in range(parts if p.chroma == 3 else 1):
        mode = luma[n]
        if bit(s, _INTRA_CHROMA):
            which = plain(s, 2)
            mode = 0 if which == 0 else 26 if which == 1 else 10 if which == 2 else 1
            if mode == luma[n]:
                mode = 34
        chroma[n] = NARROW[mode] if p.chroma == 2 else mode
    if p.chroma != 3 or parts == 1:
        chroma[:] = chroma[0]
    return chroma
