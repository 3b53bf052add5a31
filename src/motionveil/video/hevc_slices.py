"""Reads the data of HEVC slices through, symbol by symbol, without making a picture.

What is read depends on the data alone (Rec. ITU-T H.265, 7.3.8 and 9.3): the end of a slice must
be where its last symbol says so, before nothing but the stop bit.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from motionveil.video.hevc_residual import coefficients, order
from motionveil.video.hevc_symbols import (
    AT,
    BAD,
    QP_CODED,
    Bytes,
    State,
    begin,
    bit,
    candidate,
    end,
    exp_golomb,
    intra,
    known,
    plain,
    sao,
    stopped,
    vectors,
)
from motionveil.video.hevc_tables import FIRST

_SPLIT, _BYPASS, _SKIP = FIRST["split"], FIRST["bypass"], FIRST["skip"]
_QP_DELTA, _PRED_MODE, _PART_MODE = FIRST["qp_delta"], FIRST["pred_mode"], FIRST["part_mode"]
_RESIDUAL, _SPLIT_TRANSFORM = FIRST["residual"], FIRST["split_transform"]
_LUMA, _CHROMA = FIRST["luma"], FIRST["chroma"]
_INTRA_SLICE = 2


@numba.njit(cache=True, nogil=True)
def _transforms(s: Any, p: Any, unit: Any, luma: Any, chroma: Any, log: int) -> None:
    """Read a transform tree (7.3.8.8).

    A list of what is still to be read takes the place of recursion, which numba's cache does not
    stand: for each node its binary logarithm, depth, place among four, the flags of both chroma
    components of the node above, and the place of the quarter at depth 1.
    """
    is_intra, fours, bypass, most, at_once = unit
    todo = np.zeros((24, 6), np.int64)
    todo[0] = (log, 0, 0, 1, 1, 0)
    left = 1
    while left and not s.now[BAD]:
        left -= 1
        log, depth, part, above_cb, above_cr, quarter = todo[left]
        if log <= p.max_tb and log > p.min_tb and depth < most and not (fours and depth == 0):
            split = bit(s, _SPLIT_TRANSFORM + 5 - log) == 1
        else:
            split = log > p.max_tb or (depth == 0 and (fours or at_once))
        cb = cr = 0
        if (log > 2 and p.chroma) or p.chroma == 3:
            two = p.chroma == 2 and (not split or log == 3)
            cb = _coded(s, depth, two) if above_cb else 0
            cr = _coded(s, depth, two) if above_cr else 0
        elif log == 2 and depth > 0 and p.chroma:
            cb, cr = above_cb, above_cr
        if not split:
            some = 1
            if is_intra or depth or cb or cr:
                some = bit(s, _LUMA + (depth == 0))
            if some or cb or cr:
                modes = (luma[quarter if fours else 0], chroma[quarter if p.chroma == 3 else 0])
                _transform(s, p, (is_intra, bypass, modes), log, part, some, (cb, cr))
            continue
        for n in range(3, -1, -1):
            q = n if depth == 0 else quarter
            todo[left] = (log - 1, depth + 1, n, cb, cr, q)
            left += 1


@numba.njit(cache=True, nogil=True)
def _coded(s: Any, depth: int, two: bool) -> int:
    coded = bit(s, _CHROMA + depth)
    return coded | bit(s, _CHROMA + depth) << 1 if two else coded


@numba.njit(cache=True, nogil=True)
def _transform(s: Any, p: Any, unit: Any, log: int, part: int, some: int, coded: Any) -> None:
    """Read a transform unit (7.3.8.10)."""
    is_intra, bypass, modes = unit
    if p.qp_delta and not s.now[QP_CODED]:
        s.now[QP_CODED] = 1
        delta = bit(s, _QP_DELTA)
        while 0 < delta < 5 and bit(s, _QP_DELTA + 1):
            delta += 1
        if delta == 5:
            delta += exp_golomb(s, 0)
        if delta:
            plain(s, 1)
    if some:
        scan = order(p, log, False, modes[0]) if is_intra else 0
        coefficients(s, p, log, False, scan, bypass)
    small = log - 1
    if p.chroma == 3:
        small = log
    elif log == 2:
        if part != 3:
            return
        small = 2
    if p.chroma == 0:
        return
    scan = order(p, small, True, modes[1]) if is_intra else 0
    for component in coded:
        for n in range(2 if p.chroma == 2 else 1):
            if component >> n & 1:
                coefficients(s, p, small, True, scan, bypass)


@numba.njit(cache=True, nogil=True)
def _parts(s: Any, p: Any, log: int) -> int:
    """Return how an inter unit is divided (Table 7-10): 0 not, 1 2NxN, 2 Nx2N, 3 NxN, 4.. AMP."""
    if bit(s, _PART_MODE):
        return 0
    across = bit(s, _PART_MODE + 1)
    if log == p.min_cb:
        if log == 3 or across:
            return 1 if across else 2
        return 2 if bit(s, _PART_MODE + 2) else 3
    if not p.amp or bit(s, _PART_MODE + 3):
        return 1 if across else 2
    return (4 if across else 6) + plain(s, 1)


@numba.njit(cache=True, nogil=True)
def _unit(s: Any, p: Any, m: Any, x: int, y: int, log: int, depth: int) -> None:
    """Read a coding unit (7.3.8.5)."""
    side = 1 << log
    bypass = p.bypass == 1 and bit(s, _BYPASS) == 1
    skipped = False
    if p.kind != _INTRA_SLICE:
        number = 0
        if known(p, m, x - 1, y, x, y) and m.skip[y >> 3, (x - 1) >> 3]:
            number += 1
        if known(p, m, x, y - 1, x, y) and m.skip[(y - 1) >> 3, x >> 3]:
            number += 1
        skipped = bit(s, _SKIP + number) == 1
    m.skip[y >> 3 : (y + side) >> 3, x >> 3 : (x + side) >> 3] = skipped
    m.depth[y >> 3 : (y + side) >> 3, x >> 3 : (x + side) >> 3] = depth
    m.modes[y >> 2 : (y + side) >> 2, x >> 2 : (x + side) >> 2] = 1
    if skipped:
        candidate(s, p)
        return
    is_intra = p.kind == _INTRA_SLICE or bit(s, _PRED_MODE) == 1
    luma, chroma = np.zeros(4, np.int64), np.zeros(4, np.int64)
    fours, divided = False, 0
    if is_intra:
        fours = log == p.min_cb and bit(s, _PART_MODE) == 0
        if not fours and p.pcm and p.pcm_min <= log <= p.pcm_max and end(s):
            if not stopped(s):
                s.now[BAD] = 1
                return
            begin(s, s.now[AT] + (p.pcm_bits << 2 * (log - 1)) // 32)
            return
        chroma = intra(s, p, m, x, y, log, 4 if fours else 1, luma)
    else:
        divided = _parts(s, p, log)
        merged = _predictions(s, p, divided, side, depth)
        # A merged unit in one piece that is not skipped has a residual.
        if not merged and not bit(s, _RESIDUAL):
            return
    most = p.depth_intra + fours if is_intra else p.depth_inter
    at_once = not is_intra and p.depth_inter == 0 and divided > 0
    unit = (is_intra, fours, bypass, most, at_once)
    _transforms(s, p, unit, luma, chroma, log)


@numba.njit(cache=True, nogil=True)
def _predictions(s: Any, p: Any, divided: int, side: int, depth: int) -> bool:
    half, less = side >> 1, side >> 2
    if divided == 0:
        return vectors(s, p, side, side, depth)
    if divided == 3:
        for _ in range(4):
            vectors(s, p, half, half, depth)
        return False
    one = half if divided < 3 else less if divided in (4, 6) else side - less
    for part in (one, side - one):
        if divided in (1, 4, 5):
            vectors(s, p, side, part, depth)
        else:
            vectors(s, p, part, side, depth)
    return False


@numba.njit(cache=True, nogil=True)
def _tree(s: Any, p: Any, m: Any, x: int, y: int) -> None:
    """Read a coding quadtree (7.3.8.4), without recursion as `_transforms`."""
    todo = np.zeros((24, 4), np.int64)
    todo[0] = (x, y, p.ctb, 0)
    left = 1
    while left and not s.now[BAD]:
        left -= 1
        x, y, log, depth = todo[left]
        side = 1 << log
        split = log > p.min_cb
        if x + side <= p.width and y + side <= p.height and split:
            number = 0
            if known(p, m, x - 1, y, x, y) and m.depth[y >> 3, (x - 1) >> 3] > depth:
                number += 1
            if known(p, m, x, y - 1, x, y) and m.depth[(y - 1) >> 3, x >> 3] > depth:
                number += 1
            split = bit(s, _SPLIT + number) == 1
        if log >= p.qp_size:
            s.now[QP_CODED] = 0
        if not split:
            _unit(s, p, m, x, y, log, depth)
            continue
        for n in range(3, -1, -1):
            nx, ny = x + (n & 1) * (side >> 1), y + (n >> 1) * (side >> 1)
            if nx < p.width and ny < p.height:
                todo[left] = (nx, ny, log - 1, depth + 1)
                left += 1


@numba.njit(cache=True, nogil=True)
def read_slice(
    data: Bytes,
    p: Any,
    m: Any,
    address: int,
    slice_: int,
    dependent: bool,
    initial: Bytes,
    stored: Any,
) -> int:
    """Return the number, in tile order, of the block behind a slice segment's last; -1 if none.

    Args:
        data: What follows the header, without emulation prevention and zeros at the end.
        p: A `Params`.
        m: A `Picture`.
        address: Raster number of the first block.
        slice_: That of the slice to which the segment belongs.
        dependent: Whether the segment continues the one before.
        initial: The contexts at the start of a slice.
        stored: Contexts, of which row 0 is kept for the next row of blocks, and row 1 for the
            next segment.
    """
    s = State(data, np.zeros(6, np.int64), initial.copy())
    across = (p.width + (1 << p.ctb) - 1) >> p.ctb
    ts, at, fresh = m.ts[address], 0, True
    while ts < len(m.rs):
        rs = m.rs[ts]
        column, row = rs % across, rs // across
        new_tile = ts == 0 or m.tile[rs] != m.tile[m.rs[ts - 1]]
        new_row = p.sync and column == m.left[rs]
        m.slices[rs] = slice_
        if fresh or new_tile or new_row:
            begin(s, at)
            above = rs - across + 1
            s.ctx[:] = initial
            if new_tile:
                pass
            elif new_row:
                if (
                    row > 0
                    and column + 1 < across
                    and m.slices[above] == slice_
                    and m.tile[above] == m.tile[rs]
                ):
                    s.ctx[:] = stored[0]
            elif fresh and dependent:
                s.ctx[:] = stored[1]
            fresh = False
        x, y = column << p.ctb, row << p.ctb
        if p.sao_luma or p.sao_chroma:
            sao(s, p, known(p, m, x - 1, y, x, y), known(p, m, x, y - 1, x, y))
        _tree(s, p, m, x, y)
        if p.sync and column == m.left[rs] + 1:
            stored[0] = s.ctx
        finished = end(s)
        if s.now[BAD] or s.now[AT] > len(data) + 4:
            return -1
        ts += 1
        if finished:
            stored[1] = s.ctx
            return ts if stopped(s) and s.now[AT] == len(data) else -1
        if ts < len(m.rs):
            next_ = m.rs[ts]
            if m.tile[next_] != m.tile[rs] or (p.sync and next_ % across == m.left[next_]):
                if not end(s) or not stopped(s):
                    return -1
                at = s.now[AT]
    return -1
