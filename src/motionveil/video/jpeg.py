"""Is a JPEG picture whole? Its own code tells, where the decoder reads on without a word.

A decoder makes a picture of whatever the bits say. But an encoder leaves no bits over: when all
blocks of a scan have been read, the next thing is a marker. A changed, lost or added byte in the
data shifts what follows, and then too few or too many bits are left (Rec. ITU-T T.81, F.2.2). Of
progressive pictures only the order of the markers is looked at.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import av
import numba
import numpy as np
from numpy.typing import NDArray

_EOI, _SOS, _DHT, _DQT, _DRI = 0xD9, 0xDA, 0xC4, 0xDB, 0xDD
_RESTARTS = range(0xD0, 0xD8)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {_DHT, 0xC8, 0xCC}
_SEQUENTIAL = frozenset({0xC0, 0xC1})  # with Huffman codes
_SIDE = 8  # pixels of a block's side

_LARGEST = 1088  # of a DC coefficient, in eighths of a grey level around 128: 1024, and rounding

_CUT = "it is cut short"

Codes = NDArray[np.uint16]
Code = tuple[bytes, bytes]
"""How many codes of each length there are, and what they mean."""


class _DamageError(Exception):
    """The message says what is wrong."""


class _Component(NamedTuple):
    across: int  # blocks of a unit
    down: int
    steps: int  # number of its table of quantiser steps


class _Picture(NamedTuple):
    width: int
    height: int
    components: dict[int, _Component]


class _Tables(NamedTuple):
    codes: dict[int, Code]
    steps: dict[int, int]  # of the DC coefficients


def jpeg_damage(data: bytes) -> str | None:
    """Say what is wrong with a JPEG picture; None if nothing.

    Args:
        data: The picture, or two of them, the fields of an interlaced one. What follows the last
            does not matter: cameras append things of their own.
    """
    try:
        end = _check_picture(data, 0)
        follows = data[end:].lstrip(b"\0\xff")
        if follows[:1] == b"\xd8":  # the second field; its 0xff went with the filling
            _check_picture(b"\xff" + follows, 0)
    except _DamageError as error:
        return str(error)
    except (IndexError, KeyError, struct.error):
        return "a header is damaged"
    return None


def _check_picture(data: bytes, at: int) -> int:
    """Check one picture and return where it ends."""
    if data[at : at + 2] != b"\xff\xd8":
        raise _DamageError("it does not begin as JPEG")
    at += 2
    tables, restart, scans = _Tables(dict(_usual_codes()), {}), 0, 0
    picture: _Picture | None = None
    sequential = False
    while True:
        kind, at = _marker(data, at)
        if kind == _EOI:
            break
        length = _word(data, at)
        if length < 2 or at + length > len(data):
            raise _DamageError(_CUT)
        body, at = data[at + 2 : at + length], at + length
        if kind == _DHT:
            tables.codes.update(_huffman(body))
        elif kind == _DQT:
            tables.steps.update(_steps(body))
        elif kind == _DRI:
            restart = _word(body, 0)
        elif kind in _FRAMES:
            sequential, picture = kind in _SEQUENTIAL, _frame(body)
        elif kind == _SOS:
            scans += 1
            parts, at = _parts(data, at)
            if sequential and picture is not None and picture.height:
                fault = _scan_damage(parts, picture, body, tables, restart)
                if fault:
                    raise _DamageError(_CUT if at == len(data) else fault)
                if at == len(data):  # a camera may leave out the last marker
                    break
    if picture is None or scans == 0:
        raise _DamageError("it holds no picture")
    return at


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """Return the marker at a place, which fill bytes may precede, and where it ends."""
    if at >= len(data):
        raise _DamageError(_CUT)
    if data[at] != 0xFF:
        raise _DamageError("there is no marker where one must be")
    while at < len(data) and data[at] == 0xFF:
        at += 1
    if at >= len(data):
        raise _DamageError(_CUT)
    return data[at], at + 1


def _word(data: bytes, at: int) -> int:
    return data[at] << 8 | data[at + 1]


def _frame(body: bytes) -> _Picture:
    components = {
        body[6 + 3 * n]: _Component(body[7 + 3 * n] >> 4, body[7 + 3 * n] & 15, body[8 + 3 * n])
        for n in range(body[5])
    }
    if not all(c.across and c.down for c in components.values()):
        raise _DamageError("a header is damaged")
    return _Picture(_word(body, 3), _word(body, 1), components)


def _huffman(body: bytes) -> Iterator[tuple[int, Code]]:
    at = 0
    while at < len(body):
        total = sum(body[at + 1 : at + 17])
        yield body[at], (body[at + 1 : at + 17], body[at + 17 : at + 17 + total])
        at += 17 + total


def _steps(body: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at < len(body):
        wide = body[at] >> 4
        yield body[at] & 15, _word(body, at + 1) if wide else body[at + 1]
        at += 129 if wide else 65


@lru_cache(maxsize=16)  # in a film all pictures share a few
def _look_up(codes: tuple[Code, ...]) -> Codes:
    """Return, for every 16 bits that may follow, the length of the code in them and its symbol.

    Behind these stands the same for 9 bits, in which nearly all codes fit, and which stay in the
    processor's cache; 0 for longer ones.
    """
    table = np.zeros((len(codes), (1 << 16) + (1 << 9)), np.uint16)
    for row, (counts, symbols) in zip(table, codes, strict=True):
        code, at = 0, 0
        for length, count in enumerate(counts, start=1):
            for symbol in symbols[at : at + count]:
                first = code << 16 - length
                row[first : first + (1 << 16 - length)] = length << 8 | symbol
                code += 1
            at += count
            code <<= 1
        short = row[: 1 << 16 : 1 << 7]
        row[1 << 16 :] = np.where(short >> 8 <= 9, short, 0)
    return table


@lru_cache(maxsize=1)
def _usual_codes() -> dict[int, Code]:
    """Return the tables of Annex K, which films leave out: those of the library's own encoder."""
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width = encoder.height = 16
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
    encoder.options = {"huffman": "default"}
    frame = av.VideoFrame(16, 16, "yuvj420p")
    data = b"".join(bytes(p) for p in [*encoder.encode(frame), *encoder.encode(None)])
    found: dict[int, Code] = {}
    at = 2
    while data[at + 1] != _SOS:
        length = _word(data, at + 2)
        if data[at + 1] == _DHT:
            found.update(_huffman(data[at + 4 : at + 2 + length]))
        at += 2 + length
    return found


def _parts(data: bytes, at: int) -> tuple[list[bytes], int]:
    """Return a scan's data between restart markers, which must count, and where they end.

    That is before a marker, or behind the last byte.
    """
    parts, start, count = [], at, 0
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            parts.append(_plain(data[start:]))
            return parts, len(data)
        follows = data[at + 1]
        if follows == 0:
            at += 2
        elif follows == 0xFF:
            at += 1
        else:
            parts.append(_plain(data[start:at]))
            if follows not in _RESTARTS:
                return parts, at
            if follows != 0xD0 + count % 8:
                raise _DamageError("a restart marker is missing")
            count += 1
            at += 2
            start = at


def _plain(part: bytes) -> bytes:
    """Take fill bytes away, and what keeps data from being markers."""
    return part.rstrip(b"\xff").replace(b"\xff\0", b"\xff")


def _scan_damage(
    parts: list[bytes], picture: _Picture, body: bytes, tables: _Tables, restart: int
) -> str | None:
    """Read all blocks of a scan: each part must end where its last block does."""
    chosen = [(picture.components[body[1 + 2 * n]], body[2 + 2 * n]) for n in range(body[0])]
    most_across = max(c.across for c in picture.components.values())
    most_down = max(c.down for c in picture.components.values())
    if len(chosen) == 1:  # not interleaved: only the blocks that the picture touches
        only = chosen[0][0]
        units = _up(_up(picture.width * only.across, most_across), _SIDE) * _up(
            _up(picture.height * only.down, most_down), _SIDE
        )
        blocks = [0]
    else:
        units = _up(picture.width, _SIDE * most_across) * _up(picture.height, _SIDE * most_down)
        blocks = [n for n, (c, _) in enumerate(chosen) for _ in range(c.across * c.down)]
    reader = _Reader(
        _look_up(tuple(tables.codes[which >> 4] for _, which in chosen)),
        _look_up(tuple(tables.codes[0x10 | which & 15] for _, which in chosen)),
        np.array(blocks),
        np.array([_LARGEST // max(1, tables.steps[c.steps]) + 1 for c, _ in chosen]),
    )
    for number, part in enumerate(parts):
        here = min(restart, units - number * restart) if restart else units
        if here <= 0 or (not restart and number):
            return "it holds more data than blocks"
        fault = _part_damage(part, here, reader)
        if fault:
            return fault
    return "a part of it is missing" if restart and len(parts) * restart < units else None


class _Reader(NamedTuple):
    """What reads a scan: for each component its codes and largest DC; each block's component."""

    dc: Codes
    ac: Codes
    blocks: NDArray[np.int64]
    largest: NDArray[np.int64]


def _part_damage(part: bytes, units: int, reader: _Reader) -> str | None:
    padded = np.frombuffer(part + b"\xff" * 16, np.uint8)
    used = int(_read_blocks(padded, units, *reader))
    if used < 0 or used > 8 * len(part):
        return "its data make no sense"
    # A last byte that is begun is filled up, and some cameras fill up to a whole word.
    rest = part[-(-used // 8) :]
    if rest.strip(b"\0") and rest.strip(b"\xff"):
        return "data are left over behind its last block"
    return None


def _up(number: int, unit: int) -> int:
    return -(-number // unit)


@numba.njit(cache=True, nogil=True)
def _read_blocks(
    data: NDArray[np.uint8],
    units: int,
    dc: Codes,
    ac: Codes,
    blocks: NDArray[np.int64],
    largest: NDArray[np.int64],
) -> int:
    """Return how many bits so many units of blocks take; -1 if there is no such code.

    `data` must end with 16 bytes that do not count, so that no look ahead leaves it.
    """
    have: Any = 0
    bits, at = np.uint64(0), 0
    last = len(data) - 8
    before = np.zeros(len(largest), np.int64)
    for _ in range(units):
        for component in blocks:
            place: Any = 0
            while place < 64:
                if have < 32:
                    if at > last:
                        return -1
                    for _ in range(4):
                        bits = (bits << np.uint64(8)) | np.uint64(data[at])
                        at += 1
                    have += 32
                ahead = (bits >> np.uint64(have - 16)) & np.uint64(0xFFFF)
                codes = ac if place else dc
                entry = np.int64(codes[component, (ahead >> np.uint64(7)) + np.uint64(1 << 16)])
                if entry == 0:
                    entry = np.int64(codes[component, ahead])
                length, run, size = entry >> 8, (entry & 255) >> 4, entry & 15
                if length == 0:
                    return -1
                have -= length + size
                if place == 0:
                    if run:
                        return -1
                    if size:
                        value = np.int64(bits >> np.uint64(have)) & ((1 << size) - 1)
                        if value >> size - 1 == 0:
                            value += 1 - (1 << size)
                        before[component] += value
                        if abs(before[component]) > largest[component]:
                            return -1
                    place = 1
                elif size:
                    place += run + 1
                    if place > 64:
                        return -1
                elif run == 15:
                    place += 16
                elif run == 0:
                    place = 64
                else:
                    return -1
    return 8 * at - have
