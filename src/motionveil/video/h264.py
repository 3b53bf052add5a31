"""Has a picture of an H.264 stream been lost? Its own numbers tell.

A decoder that misses a reference picture stands in another one without a word, and every picture
up to the next keyframe is then built on a wrong one. Over TCP nothing is lost on the way, but a
camera or a relay that cannot keep up leaves out whole pictures, and no layer below tells; nor does
a file that was put together of what came through. HEVC names the pictures that it refers to, and
its decoder leaves out those it cannot build.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

_SLICES = (1, 2, 5)  # types of NAL units: a slice, the first partition of one, a slice of an IDR
_HEAD = 32  # bytes of a slice, more than its first numbers take
_IDR, _SPS, _PPS = 5, 7, 8
# Profiles whose parameter set says more of the colours (Rec. ITU-T H.264, 7.3.2.1.1).
_HIGH = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})


class _Numbering(NamedTuple):
    """How a sequence numbers its pictures: bits of `frame_num`; whether it may leave some out."""

    bits: int
    gaps: bool
    planes: bool


class Continuity:
    """Follows `frame_num` through a stream (Rec. ITU-T H.264, 7.4.3).

    Pictures that nothing refers to may be lost without being noticed: no other suffers. A loss of
    an exact multiple of 16 or more pictures (where the numbers wrap around) is not noticed.

    Args:
        extradata: The stream's parameter sets as its container gives them; None if none.
    """

    def __init__(self, extradata: bytes | None) -> None:
        self._length = 0  # bytes of a unit's length; 0: units are set apart by start codes
        self._sequences: dict[int, _Numbering] = {}
        self._pictures: dict[int, int] = {}
        self._last: int | None = None
        with suppress(IndexError, ValueError):  # damaged: the decoder will say so
            if extradata and extradata[0] == 1:
                self._length = (extradata[4] & 3) + 1
                self._parameters(_configuration(extradata))
            elif extradata:
                self._parameters(_by_start_codes(extradata))

    def broken(self, data: bytes) -> bool:
        """Say whether a reference picture is missing between the last packet and this one."""
        units = _by_lengths(data, self._length) if self._length else _by_start_codes(data)
        try:
            first = self._parameters(units)
            return first is not None and self._follows(first)
        except (IndexError, ValueError):  # cut short: the decoder will say so
            return True

    def _parameters(self, units: list[bytes]) -> bytes | None:
        """Learn the parameter sets among units; return the first slice."""
        for unit in units:
            kind = unit[0] & 31 if unit else 0
            if kind in _SLICES:
                return unit
            if kind == _SPS:
                number, numbering = _sequence(_Bits(unit[1:]))
                self._sequences[number] = numbering
            elif kind == _PPS:
                bits = _Bits(unit[1:])
                picture = bits.unsigned()
                self._pictures[picture] = bits.unsigned()
        return None

    def _follows(self, unit: bytes) -> bool:
        bits = _Bits(unit[1:_HEAD])
        bits.unsigned(), bits.unsigned()
        numbering = self._sequences.get(self._pictures.get(bits.unsigned(), -1))
        if numbering is None:
            return False
        bits.take(2 if numbering.planes else 0)
        number, last = bits.take(numbering.bits), self._last
        if unit[0] >> 5 & 3:  # others may refer to it
            self._last = number
        if unit[0] & 31 == _IDR or last is None or numbering.gaps:
            return False
        return number not in (last, (last + 1) % (1 << numbering.bits))


class _Bits:
    """Reads the bits of a NAL unit from the left."""

    def __init__(self, data: bytes) -> None:
        plain = data[:512].replace(b"\0\0\3", b"\0\0")  # 3: "this is no start code"
        self._bits = "".join(f"{byte:08b}" for byte in plain)
        self._at = 0

    def take(self, count: int) -> int:
        """Return the next bits as a number."""
        self._at += count
        if self._at > len(self._bits):
            raise IndexError
        return int(self._bits[self._at - count : self._at] or "0", 2)

    def unsigned(self) -> int:
        """Return the next Exp-Golomb number (9.1)."""
        one = self._bits.index("1", self._at)
        zeros, self._at = one - self._at, one
        return self.take(zeros + 1) - 1

    def signed(self) -> int:
        """Return the next signed Exp-Golomb number (9.1.1)."""
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def _sequence(bits: _Bits) -> tuple[int, _Numbering]:
    profile = bits.take(8)
    bits.take(16)
    number, planes = bits.unsigned(), False
    if profile in _HIGH:
        chroma = bits.unsigned()
        planes = chroma == 3 and bits.take(1) == 1
        bits.unsigned(), bits.unsigned(), bits.take(1)
        if bits.take(1):
            for index in range(12 if chroma == 3 else 8):
                _pass_scaling_list(bits, 16 if index < 6 else 64)
    width = bits.unsigned() + 4
    order = bits.unsigned()
    if order == 0:
        bits.unsigned()
    elif order == 1:
        bits.take(1), bits.signed(), bits.signed()
        for _ in range(bits.unsigned()):
            bits.signed()
    bits.unsigned()
    return number, _Numbering(width, bits.take(1) == 1, planes)


def _pass_scaling_list(bits: _Bits, size: int) -> None:
    if not bits.take(1):
        return
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


def _by_start_codes(data: bytes) -> list[bytes]:
    """Take a packet apart (annex B) up to and with its first slice."""
    units = []
    start = data.find(b"\0\0\1")
    while start >= 0:
        end = data.find(b"\0\0\1", start + 3, start + 3 + 512)
        slice_ = start + 3 < len(data) and data[start + 3] & 31 in _SLICES
        if end < 0 and not slice_:
            end = data.find(b"\0\0\1", start + 3)
        units.append(data[start + 3 : end if end >= 0 else start + 3 + 512])
        start = -1 if slice_ else end
    return units


def _by_lengths(data: bytes, length: int) -> list[bytes]:
    """Take a packet apart (ISO/IEC 14496-15, 5.3.3): each unit after its length."""
    units, at = [], 0
    while at + length <= len(data):
        size = int.from_bytes(data[at : at + length], "big")
        units.append(data[at + length : at + length + size])
        at += length + size
    return units


def _configuration(extradata: bytes) -> list[bytes]:
    """Return the parameter sets of an `avcC` box (ISO/IEC 14496-15, 5.3.3.1)."""
    units, at = [], 5
    for mask in (31, 255):
        count = extradata[at] & mask
        at += 1
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2], "big")
            units.append(extradata[at + 2 : at + 2 + size])
            at += 2 + size
    return units
