"""Is an HEVC picture whole? Its own code tells, where the decoder reads on without a word.

A decoder makes a picture of whatever the bits say. But a slice says after each block whether it
was the last one, and then nothing but a stop bit is left; the next slice begins where it ended,
and the last ends with the picture (Rec. ITU-T H.265, 7.4.9.1 and 9.3.2.5). A changed, lost or
added byte shifts what follows, and then a slice ends too early, too late or not at all.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from motionveil.video.hevc_headers import (
    Bits,
    PictureSet,
    Sequence,
    Slice,
    UnsupportedError,
    picture_set,
    sequence_set,
    slice_header,
)
from motionveil.video.hevc_slices import read_slice
from motionveil.video.hevc_symbols import Params, Picture
from motionveil.video.hevc_tables import initial_contexts

_VPS, _SPS, _PPS = 32, 33, 34
_FIRST_KEY, _LAST_KEY = 16, 23  # types of NAL units of pictures at which decoding can begin
_SLICES = frozenset({*range(10), *range(16, 22)})
_MISSING = "a part of a picture is missing"
_SENSELESS = "the data of a picture make no sense"


class HevcCheck:
    """Looks at the packets of a stream, one after the other, before they are decoded.

    What is used by hardly any encoder (extensions for 16 bits, screens, layers) is not looked at.

    Args:
        extradata: The stream's parameter sets as its container gives them; None if none.
    """

    def __init__(self, extradata: bytes | None) -> None:
        self._length = 0  # bytes of a unit's length; 0: units are set apart by start codes
        self._sequences: dict[int, Sequence] = {}
        self._pictures: dict[int, PictureSet] = {}
        self._open: _Open | None = None
        self._proved = False
        units: list[bytes] = []
        with suppress(IndexError, ValueError):  # damaged: the decoder will say so
            if extradata and extradata[0] == 1:
                self._length = (extradata[21] & 3) + 1
                units = _configuration(extradata)
            elif extradata:
                units = _by_start_codes(extradata)
        for unit in units:
            self._learn(unit)

    def damage(self, data: bytes) -> str | None:
        """Say what is wrong with a packet, which holds whole pictures; None if nothing.

        Of tiles, dependent slices and PCM there were no samples to try this on. So in streams that
        may have them nothing is claimed before a first picture has been read through to its end.
        """
        reason = self._damage(data)
        if reason is None:
            self._proved = self._proved or self._open is not None
        elif self._open is not None and self._open.is_untried and not self._proved:
            return None
        return reason

    def _damage(self, data: bytes) -> str | None:
        units = _by_lengths(data, self._length) if self._length else _by_start_codes(data)
        if units is None:
            return "it is cut short"
        self._open = None
        try:
            for unit in units:
                if len(unit) < 3 or unit[0] & 1 or unit[1] >> 3:  # of another layer
                    continue
                if unit[0] >> 1 in _SLICES:
                    self._slice(unit)
                else:
                    self._learn(unit)
            if self._open is not None and not self._open.complete():
                return _MISSING
        except UnsupportedError:
            self._open = None
            return None
        except (IndexError, ValueError):
            return "a header is damaged"
        except _DamageError as error:
            return str(error)
        return None

    def _learn(self, unit: bytes) -> None:
        """Keep a parameter set; forget the one of its number if it cannot be read."""
        if len(unit) < 2:  # of damaged extradata
            return
        kind, bits = unit[0] >> 1, Bits(_plain(unit[2:]))
        if kind == _SPS:
            with suppress(IndexError, ValueError, UnsupportedError):
                number, sequence = sequence_set(bits)
                self._sequences[number] = sequence
                return
            self._sequences.clear()
        elif kind == _PPS:
            with suppress(IndexError, ValueError, UnsupportedError):
                index, picture = picture_set(bits)
                self._pictures[index] = picture
                return
            self._pictures.clear()

    def _slice(self, unit: bytes) -> None:
        kind, data = unit[0] >> 1, _plain(unit[2:])
        bits = Bits(data[:4096])
        first = bits.flag()
        bits.take(_FIRST_KEY <= kind <= _LAST_KEY)
        p = self._pictures.get(bits.unsigned())
        s = self._sequences.get(p.sequence) if p else None
        if p is None or s is None:
            raise UnsupportedError("parameter sets that are not there")
        if first:
            if self._open is not None and not self._open.complete():
                raise _DamageError(_MISSING)
            self._open = _Open(s, p)
        current = self._open
        if current is None:
            raise _DamageError(_MISSING)
        dependent, address = False, 0
        if not first:
            dependent = p.dependent and bits.flag()
            address = bits.take((len(current.picture.rs) - 1).bit_length())
        if not current.continues(address):
            raise _DamageError(_MISSING)
        if not dependent:
            current.begin(slice_header(bits, kind, s, p), address)
        if p.tiles or p.sync:
            count = bits.unsigned()
            if count:
                bits.take((bits.unsigned() + 1) * count)
        if p.extension:
            bits.take(8 * bits.unsigned())
        if not bits.flag() or bits.take(-bits.at % 8):
            raise ValueError
        if not current.read(data[bits.at // 8 :].rstrip(b"\0"), address, dependent):
            raise _DamageError(_SENSELESS)


class _DamageError(Exception):
    """The message says what is wrong."""


class _Open:
    """A picture of which some slices have been read."""

    def __init__(self, s: Sequence, p: PictureSet) -> None:
        self._s, self._p = s, p
        self.is_untried = bool(p.tiles or p.dependent or s.pcm)
        layout = _layout(s.width, s.height, s.ctb, _frozen(p.tiles))
        high, wide = -(-s.height // 8) + 8, -(-s.width // 8) + 8
        self.picture = Picture(
            np.zeros((high, wide), np.uint8),
            np.zeros((high, wide), np.uint8),
            np.ones((2 * high, 2 * wide), np.uint8),
            np.full(len(layout.rs), -1),
            *layout,
        )
        self._next = 0
        self._start = 0
        self._params: Any = None
        self._initial: Any = None
        self._stored = np.zeros((2, len(initial_contexts(0, 26))), np.uint8)

    def complete(self) -> bool:
        """Whether the last block has been read."""
        return self._next == len(self.picture.rs)

    def continues(self, address: int) -> bool:
        """Whether a slice segment that begins at a block follows the one before."""
        return not self.complete() and self.picture.rs[self._next] == address

    def begin(self, header: Slice, address: int) -> None:
        """Begin a slice."""
        self._params = _params(self._s, self._p, header)
        self._initial = initial_contexts(header.init, header.quality)
        self._start = address

    def read(self, data: bytes, address: int, dependent: bool) -> bool:
        """Read a slice segment; say whether it ends as it must."""
        if self._params is None:
            return False
        self._next = int(
            read_slice(
                np.frombuffer(data, np.uint8),
                self._params,
                self.picture,
                address,
                self._start,
                dependent,
                self._initial,
                self._stored,
            )
        )
        return self._next >= 0


def _params(s: Sequence, p: PictureSet, header: Slice) -> Params:
    pcm = s.pcm or (0, 0, 0, 0)
    chroma_samples = (0, 2, 4, 8)[s.chroma]  # at a place of 2 by 2
    return Params(
        width=s.width,
        height=s.height,
        ctb=s.ctb,
        min_cb=s.min_cb,
        min_tb=s.min_tb,
        max_tb=s.max_tb,
        depth_inter=s.depth_inter,
        depth_intra=s.depth_intra,
        chroma=s.chroma,
        amp=int(s.amp),
        pcm=int(s.pcm is not None),
        pcm_min=pcm[2],
        pcm_max=pcm[3],
        pcm_bits=4 * pcm[0] + chroma_samples * pcm[1],
        sao_bits_luma=(1 << min(s.depths[0], 10) - 5) - 1,
        sao_bits_chroma=(1 << min(s.depths[1], 10) - 5) - 1,
        hiding=int(p.hiding),
        transform_skip=int(p.transform_skip),
        qp_delta=int(p.qp_depth is not None),
        qp_size=s.ctb - (p.qp_depth or 0),
        bypass=int(p.bypass),
        sync=int(p.sync),
        kind=header.kind,
        sao_luma=int(header.sao_luma),
        sao_chroma=int(header.sao_chroma),
        l0=header.l0,
        l1=header.l1,
        zero_l1=int(header.zero_l1),
        candidates=header.candidates,
    )


class _Layout(NamedTuple):
    rs: Any
    ts: Any
    tile: Any
    left: Any


_Sizes = tuple[tuple[int, ...], tuple[int, ...]] | tuple[int, int] | None


def _frozen(tiles: Any) -> _Sizes:
    if tiles is None or isinstance(tiles[0], int):
        return tiles
    return tuple(tiles[0]), tuple(tiles[1])


@lru_cache(maxsize=4)
def _layout(width: int, height: int, ctb: int, tiles: _Sizes) -> _Layout:
    """Return the order of the blocks (6.5.1)."""
    across, down = (width + (1 << ctb) - 1) >> ctb, (height + (1 << ctb) - 1) >> ctb
    parts = tiles or (1, 1)
    columns, rows = _bounds(across, parts[0]), _bounds(down, parts[1])
    rs, tile, left = [], np.zeros(across * down, np.int64), np.zeros(across * down, np.int64)
    for row in range(len(rows) - 1):
        for column in range(len(columns) - 1):
            for y in range(rows[row], rows[row + 1]):
                for x in range(columns[column], columns[column + 1]):
                    rs.append(y * across + x)
                    tile[rs[-1]] = row * len(columns) + column
                    left[rs[-1]] = columns[column]
    order = np.array(rs, np.int64)
    return _Layout(order, np.argsort(order), tile, left)


def _bounds(blocks: int, sizes: int | tuple[int, ...]) -> list[int]:
    if isinstance(sizes, int):
        bounds = [n * blocks // sizes for n in range(sizes + 1)]
    else:
        bounds = [sum(sizes[:n]) for n in range(len(sizes) + 1)] + [blocks]
    if any(b <= a for a, b in pairwise(bounds)):
        raise ValueError
    return bounds


def _plain(data: bytes) -> bytes:
    return data.replace(b"\0\0\3", b"\0\0")  # 3: "this is no start code"


def _by_start_codes(data: bytes) -> list[bytes]:
    """Take a packet apart (annex B)."""
    return [unit.rstrip(b"\0") for unit in data.split(b"\0\0\1")[1:]]


def _by_lengths(data: bytes, length: int) -> list[bytes] | None:
    """Take a packet apart (ISO/IEC 14496-15): each unit after its length; None if cut."""
    units, at = [], 0
    while at + length <= len(data):
        size = int.from_bytes(data[at : at + length], "big")
        at += length
        if at + size > len(data):
            return None
        units.append(data[at : at + size])
        at += size
    return units


def _configuration(extradata: bytes) -> list[bytes]:
    """Return the parameter sets of an `hvcC` box (ISO/IEC 14496-15, 8.3.3.1)."""
    units, at = [], 23
    for _ in range(extradata[22]):
        count = int.from_bytes(extradata[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2], "big")
            units.append(extradata[at + 2 : at + 2 + size])
            at += 2 + size
    return units
