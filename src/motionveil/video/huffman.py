"""Are HuffYUV and Ut Video pictures whole? Their code must end with their data.

Neither has checksums, and a decoder makes a picture of whatever the bits say. But the number of
values is known, and an encoder leaves nothing over but zeros up to a whole word. A changed code of
the same length stays unnoticed, and so do codes that fall in step again. Formats that are seldom
used (10 bits, interlaced 4:2:0 by median) are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]
_SHORT = 12  # bits of a code that are looked up at once
_CUT = "it is cut short"
_SENSELESS = "its data make no sense"


class _Codes(NamedTuple):
    """Lengths of codes: by their first bits (0: not known), and behind which value each ends."""

    short: NDArray[np.uint8]
    bounds: NDArray[np.uint64]


@lru_cache(maxsize=64)
def _codes(lengths: bytes) -> _Codes | None:
    """Return the decoding table; the longest codes begin with zeros. None if they are bad."""
    counts = np.bincount(np.frombuffer(lengths, np.uint8), minlength=256)
    bounds, end = np.zeros(34, np.uint64), 0
    for length in range(32, 0, -1):
        end += int(counts[length]) << 32 - length
        bounds[length] = end
    if end != 1 << 32:
        return None
    starts = np.arange(1 << _SHORT, dtype=np.uint64) << np.uint64(32 - _SHORT)
    first, last = (_lengths(bounds, s) for s in (starts, starts + (1 << 32 - _SHORT) - 1))
    return _Codes(np.where(first == last, first, 0).astype(np.uint8), bounds)


def _lengths(bounds: Any, values: Any) -> Any:
    return 32 - (values[:, None] >= bounds[None, 32:0:-1]).sum(axis=1)


@numba.njit(cache=True, nogil=True)
def _pass(
    words: Words, at: int, short: Any, bounds: Any, pattern: NDArray[np.int64], count: int
) -> int:
    """Return the bit behind so many codes, of kinds that follow a pattern; -1: they leave it."""
    last = 32 * len(words)
    for n in range(count):
        kind = pattern[n % len(pattern)]
        place, shift = at >> 5, at & 31
        if at >= last:
            return -1
        ahead = np.uint64(words[place]) << np.uint64(32)
        if place + 1 < len(words):
            ahead |= np.uint64(words[place + 1])
        ahead = (ahead >> np.uint64(32 - shift)) & np.uint64(0xFFFFFFFF)
        length: Any = np.int64(short[kind, ahead >> np.uint64(32 - _SHORT)])
        if length == 0:
            length = 32
            while length > 1 and ahead >= bounds[kind, length]:
                length -= 1
        at += length
    return at if at <= last else -1


def _stacked(tables: list[_Codes]) -> tuple[Any, Any]:
    return np.stack([t.short for t in tables]), np.stack([t.bounds for t in tables])


def _is_end(words: Words, at: int) -> bool:
    """Whether what follows a bit is filling: zeros."""
    if at < 0:
        return False
    rest = words[at // 32 :]
    return not len(rest) or (not rest[1:].any() and int(rest[0]) & ((1 << 32 - at % 32) - 1) == 0)


def _words(data: bytes) -> Words:
    """Return the words of 32 bits as which both keep their bits."""
    return np.frombuffer(data[: len(data) & ~3], "<u4").astype(np.uint32)


def huffyuv_check(context: Any) -> Callable[[bytes], str | None] | None:
    """Return what says what is wrong with a packet of HuffYUV; None for seldom-used formats.

    Args:
        context: The stream's decoder (`av.CodecContext`).
    """
    head: bytes = context.extradata or b""
    width, height = context.width, context.height
    if len(head) < 8 or head[3] or width % 2:
        return None  # of the first version, or the third
    bits, median = head[1], head[0] & 63 == 2
    if bits == 12 and (height % 2 or (median and (head[2] & 0x30) != 0x20)):
        return None
    if bits == 16:
        rows = [([0, 1, 0, 2], 2 * width * height)]
    elif bits == 12:
        rows = list(_rows(width, height, median))
    elif bits in (24, 32):
        order = [1, 0, 2] if head[0] & 64 else [0, 1, 2]
        pattern = order + [2] * (bits == 32)
        rows = [(pattern, len(pattern) * width * height)]
    else:
        return None
    first = 4 if bits in (12, 16) else len(rows[0][0])  # values that are written in full
    rows[0] = rows[0][0], rows[0][1] - first
    own = head[2] & 0x40 != 0  # each picture brings tables of its own
    shared = None if own else _tables(head[4:])

    def damage(data: bytes) -> str | None:
        if len(data) < 8:
            return _CUT
        words, at, tables = _words(data), 0, shared
        if own:
            tables = _tables(words.astype(">u4").tobytes()[:2048])
            at = tables[1] if tables else 0
        if tables is None:
            return None  # the decoder will say so
        at += 32
        for pattern, count in rows:
            at = int(_pass(words, at, *tables[0], np.array(pattern), count))
            if at < 0:
                return _SENSELESS
        return None if _is_end(words, at) else _SENSELESS

    return damage


def _rows(width: int, height: int, median: bool) -> Iterator[tuple[list[int], int]]:
    """Yield the codes of 4:2:0 lines, in the order in which they are stored."""
    both, luma = ([0, 1, 0, 2], 2 * width), ([0], width)
    y = 1
    yield both
    if median:
        yield both
        y = 2
    for chroma in range(y, height):
        while 2 * chroma > y and y < height:
            yield luma
            y += 1
        if y >= height:
            return
        yield both
        y += 1


def _tables(data: bytes) -> tuple[tuple[Any, Any], int] | None:
    """Read the lengths of three sets of codes; return them and how many bits they take."""
    bits = bin(int.from_bytes(b"\1" + data, "big"))[3:]
    at, found = 0, []
    for _ in range(3):
        lengths: list[int] = []
        while len(lengths) < 256:
            if at + 16 > len(bits) + 8:
                return None
            repeat, value = int(bits[at : at + 3], 2), int(bits[at + 3 : at + 8], 2)
            at += 8
            if repeat == 0:
                repeat = int(bits[at : at + 8] or "0", 2)
                at += 8
            if repeat == 0:
                return None
            lengths += [value] * repeat
        codes = _codes(bytes(lengths))
        if len(lengths) != 256 or codes is None:
            return None
        found.append(codes)
    return _stacked(found), at


# By the code of Ut Video's formats: planes, and shifts of width and height of the later ones.
_PLANES = {
    b"ULY0": (3, 1, 1), b"ULH0": (3, 1, 1), b"ULY2": (3, 1, 0), b"ULH2": (3, 1, 0),
    b"ULY4": (3, 0, 0), b"ULH4": (3, 0, 0), b"ULRG": (3, 0, 0), b"ULRA": (4, 0, 0),
}  # fmt: skip


def utvideo_check(context: Any) -> Callable[[bytes], str | None] | None:
    """Return what says what is wrong with a packet of Ut Video; None for seldom-used formats."""
    head: bytes = context.extradata or b""
    kind = context.codec_tag.encode("latin-1") if context.codec_tag else b""
    if len(head) < 16 or kind not in _PLANES or context.width % 2:
        return None
    flags = int.from_bytes(head[12:16], "little")
    slices, interlaced = (flags >> 24) + 1, int(flags & 0x800 > 0)
    if not flags & 1:
        return None  # not compressed
    planes, right, down = _PLANES[kind]
    pattern = np.zeros(1, np.int64)

    def damage(data: bytes) -> str | None:
        at = 0
        for plane in range(planes):
            width = context.width >> (right if plane else 0)
            height = context.height >> (down if plane else 0)
            even = 1 + 2 * interlaced if plane == 0 and down else interlaced
            ends = np.frombuffer(data[at + 256 : at + 256 + 4 * slices], "<u4").tolist()
            lengths, start = data[at : at + 256], at + 256 + 4 * slices
            if len(ends) < slices or start + ends[-1] > len(data):
                return _CUT
            if sorted(ends) != ends:
                return _SENSELESS
            at = start + ends[-1]
            if 0 in lengths:  # one value everywhere
                continue
            codes = _codes(lengths)
            if codes is None:
                return None  # the decoder will say so
            stacked = _stacked([codes])
            for n in range(slices):
                first, last = (height * k // slices & ~even for k in (n, n + 1))
                if n == slices - 1:
                    last = height
                words = _words(data[start + (ends[n - 1] if n else 0) : start + ends[n]])
                end = int(_pass(words, 0, *stacked, pattern, (last - first) * width))
                if not _is_end(words, end):
                    return _SENSELESS
        return None if at + 4 == len(data) else _SENSELESS

    return damage
