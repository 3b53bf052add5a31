"""Headers of HEVC: parameter sets and slice headers (Rec. ITU-T H.265, 7.3.1 to 7.3.6)."""

from __future__ import annotations

from typing import NamedTuple


class UnsupportedError(Exception):
    """Something that is seldom used, of which nothing can be said."""


class Bits:
    """Reads the bits of a NAL unit, behind its header, from the left."""

    def __init__(self, plain: bytes) -> None:
        self._bits = bin(int.from_bytes(b"\1" + plain, "big"))[3:]
        self.at = 0

    def take(self, count: int) -> int:
        """Return the next bits as a number."""
        self.at += count
        if self.at > len(self._bits):
            raise IndexError
        return int(self._bits[self.at - count : self.at] or "0", 2)

    def flag(self) -> bool:
        """Return the next bit."""
        return self.take(1) == 1

    def unsigned(self) -> int:
        """Return the next Exp-Golomb number (9.2)."""
        one = self._bits.index("1", self.at)
        zeros, self.at = one - self.at, one
        return self.take(zeros + 1) - 1

    def several(self, count: int) -> list[int]:
        """Return the next Exp-Golomb numbers. Signed ones are as long."""
        return [self.unsigned() for _ in range(count)]

    def signed(self) -> int:
        """Return the next signed Exp-Golomb number (9.2.2)."""
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)


References = list[tuple[int, bool]]
"""Distances in picture order, and whether the picture itself refers to them."""


class Sequence(NamedTuple):
    """A sequence parameter set."""

    chroma: int
    width: int
    height: int
    depths: tuple[int, int]
    poc_bits: int
    min_cb: int
    ctb: int
    min_tb: int
    max_tb: int
    depth_inter: int
    depth_intra: int
    amp: bool
    sao: bool
    pcm: tuple[int, int, int, int] | None  # bits of luma and chroma, smallest and largest block
    sets: list[References]
    long_term: list[bool] | None
    temporal_vectors: bool


class PictureSet(NamedTuple):
    """A picture parameter set."""

    sequence: int
    dependent: bool
    output_flag: bool
    extra_bits: int
    hiding: bool
    init_flag: bool
    l0: int
    l1: int
    quality: int
    transform_skip: bool
    qp_depth: int | None
    chroma_offsets: bool
    weighted: bool
    weighted_b: bool
    bypass: bool
    tiles: tuple[list[int], list[int]] | tuple[int, int] | None  # sizes, or how many alike
    sync: bool
    across_slices: bool
    deblocking_override: bool
    deblocking_off: bool
    modification: bool
    extension: bool


def sequence_set(bits: Bits) -> tuple[int, Sequence]:
    """Read a sequence parameter set; return its number and it."""
    bits.take(4)
    layers = bits.take(3)
    bits.take(1)
    bits.take(96)
    present = [bits.take(2) for _ in range(layers)]
    bits.take(2 * (8 - layers) if layers else 0)
    for flags in present:
        bits.take(88 * (flags >> 1) + 8 * (flags & 1))
    number, chroma = bits.unsigned(), bits.unsigned()
    if chroma == 3 and bits.flag():
        raise UnsupportedError("separate colour planes")
    width, height = bits.several(2)
    bits.several(4 if bits.flag() else 0)
    depths = bits.unsigned() + 8, bits.unsigned() + 8
    poc_bits = bits.unsigned() + 4
    bits.several(3 * (layers + 1 if bits.flag() else 1))
    min_cb = bits.unsigned() + 3
    ctb = min_cb + bits.unsigned()
    min_tb = bits.unsigned() + 2
    max_tb = min_tb + bits.unsigned()
    depth_inter, depth_intra = bits.several(2)
    if bits.flag() and bits.flag():
        _pass_scaling_lists(bits)
    amp, sao = bits.flag(), bits.flag()
    pcm = None
    if bits.flag():
        luma, other = bits.take(4) + 1, bits.take(4) + 1
        smallest = bits.unsigned() + 3
        pcm = luma, other, smallest, smallest + bits.unsigned()
        bits.take(1)
    sets: list[References] = []
    count = bits.unsigned()
    for index in range(count):
        sets.append(_reference_set(bits, sets, index, count))
    long_term = None
    if bits.flag():
        long_term = [bits.take(poc_bits + 1) & 1 == 1 for _ in range(bits.unsigned())]
    temporal, _ = bits.flag(), bits.take(1)
    if bits.flag():
        _pass_usability(bits, layers)
    if bits.flag() and bits.take(8):
        raise UnsupportedError("an extension")
    if not (width and height and 3 <= min_cb <= ctb <= 6 and chroma < 4 and min_tb < min_cb):
        raise ValueError
    return number, Sequence(
        chroma, width, height, depths, poc_bits, min_cb, ctb, min_tb, max_tb, depth_inter,
        depth_intra, amp, sao, pcm, sets, long_term, temporal,
    )  # fmt: skip


def _pass_scaling_lists(bits: Bits) -> None:
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if not bits.flag():
                bits.unsigned()
            else:
                bits.several(min(64, 1 << 4 + 2 * size) + (size > 1))


def _reference_set(bits: Bits, sets: list[References], index: int, count: int) -> References:
    """Read a short-term reference picture set (7.3.7, 7.4.8)."""
    if index and bits.flag():
        back = bits.unsigned() + 1 if index == count else 1
        sign = bits.flag()
        delta = (bits.unsigned() + 1) * (-1 if sign else 1)
        found: References = []
        before = sets[index - back]
        for distance in [*(d for d, _ in before), 0]:
            used = bits.flag()
            if used or bits.flag():
                found.append((distance + delta, used))
        negative = sorted((r for r in found if r[0] < 0), reverse=True)
        return negative + sorted(r for r in found if r[0] > 0)
    earlier, later = bits.several(2)
    if earlier > 16 or later > 16:
        raise ValueError
    found = []
    for many, step in ((earlier, -1), (later, 1)):
        distance = 0
        for _ in range(many):
            distance += step * (bits.unsigned() + 1)
            found.append((distance, bits.flag()))
    return found


def _pass_usability(bits: Bits, layers: int) -> None:
    """Pass over what is of use for showing only (E.2.1)."""
    if bits.flag() and bits.take(8) == 255:
        bits.take(32)
    bits.take(bits.take(1))
    if bits.flag():
        bits.take(4)
        bits.take(24 * bits.take(1))
    bits.several(2 if bits.flag() else 0)
    bits.take(3)
    bits.several(4 if bits.flag() else 0)
    if bits.flag():
        bits.take(64)
        bits.several(1 if bits.flag() else 0)
        if bits.flag():
            _pass_buffering(bits, layers)
    if bits.flag():
        bits.take(3)
        bits.several(5)


def _pass_buffering(bits: Bits, layers: int) -> None:
    """Pass over the parameters of the reference decoder (E.2.2)."""
    nal, vcl = bits.flag(), bits.flag()
    finer = False
    if nal or vcl:
        finer = bits.flag()
        bits.take(19 if finer else 0)
        bits.take(8)
        bits.take(4 if finer else 0)
        bits.take(15)
    for _ in range(layers + 1):
        fixed = bits.flag() or bits.flag()
        low_delay = False
        if fixed:
            bits.unsigned()
        else:
            low_delay = bits.flag()
        count = 1 if low_delay else bits.unsigned() + 1
        for _ in range((nal + vcl) * count):
            bits.several(4 if finer else 2)
            bits.take(1)


def picture_set(bits: Bits) -> tuple[int, PictureSet]:
    """Read a picture parameter set; return its number and it."""
    number, sequence = bits.several(2)
    dependent, output_flag, extra = bits.flag(), bits.flag(), bits.take(3)
    hiding, init_flag = bits.flag(), bits.flag()
    l0, l1 = bits.unsigned() + 1, bits.unsigned() + 1
    quality = 26 + bits.signed()
    bits.take(1)
    transform_skip = bits.flag()
    qp_depth = bits.unsigned() if bits.flag() else None
    bits.several(2)
    chroma_offsets, weighted, weighted_b, bypass = (bits.flag() for _ in range(4))
    divided, sync = bits.flag(), bits.flag()
    tiles: tuple[list[int], list[int]] | tuple[int, int] | None = None
    if divided:
        columns, rows = bits.unsigned() + 1, bits.unsigned() + 1
        if bits.flag():
            tiles = columns, rows
        else:
            widths = [n + 1 for n in bits.several(columns - 1)]
            tiles = widths, [n + 1 for n in bits.several(rows - 1)]
        bits.take(1)
    across_slices = bits.flag()
    override = off = False
    if bits.flag():
        override, off = bits.flag(), bits.flag()
        bits.several(0 if off else 2)
    if bits.flag():
        _pass_scaling_lists(bits)
    modification = bits.flag()
    bits.unsigned()
    extension = bits.flag()
    if bits.flag() and bits.take(8):
        raise UnsupportedError("an extension")
    return number, PictureSet(
        sequence, dependent, output_flag, extra, hiding, init_flag, l0, l1, quality,
        transform_skip, qp_depth, chroma_offsets, weighted, weighted_b, bypass, tiles, sync,
        across_slices, override, off, modification, extension,
    )  # fmt: skip


class Slice(NamedTuple):
    """What a slice's header says."""

    kind: int  # 0: B, 1: P, 2: I
    sao_luma: bool
    sao_chroma: bool
    l0: int
    l1: int
    zero_l1: bool
    init: int
    candidates: int
    quality: int


def slice_header(bits: Bits, unit: int, s: Sequence, p: PictureSet) -> Slice:
    """Read the header of an independent slice segment, from behind its address up to its offsets.

    Args:
        bits: At `slice_reserved_flag`.
    """
    bits.take(p.extra_bits)
    kind = bits.unsigned()
    if kind > 2:
        raise ValueError
    bits.take(p.output_flag)
    used, temporal = 0, False
    if unit not in (19, 20):
        used, temporal = _references(bits, s)
    luma = s.sao and bits.flag()
    chroma = s.sao and s.chroma > 0 and bits.flag()
    l0, l1, zero_l1, init, candidates = p.l0, p.l1, False, 0, 0
    if kind < 2:
        if bits.flag():
            l0 = bits.unsigned() + 1
            l1 = bits.unsigned() + 1 if kind == 0 else l1
        if max(l0, l1) > 16:
            raise ValueError
        if p.modification and used > 1:
            for count in (l0, l1)[: 2 - kind]:
                bits.take((used - 1).bit_length() * count if bits.flag() else 0)
        zero_l1 = kind == 0 and bits.flag()
        other = p.init_flag and bits.flag()
        init = 2 - kind if not other else 1 + kind
        if temporal:
            first = kind == 1 or bits.flag()
            bits.several(1 if (l0 if first else l1) > 1 else 0)
        if (p.weighted and kind == 1) or (p.weighted_b and kind == 0):
            _pass_weights(bits, s.chroma > 0, (l0, l1)[: 2 - kind])
        candidates = 5 - bits.unsigned()
        if not 1 <= candidates <= 5:
            raise ValueError
    quality = p.quality + bits.signed()
    bits.several(2 if p.chroma_offsets else 0)
    off = p.deblocking_off
    if p.deblocking_override and bits.flag():
        off = bits.flag()
        bits.several(0 if off else 2)
    if p.across_slices and (luma or chroma or not off):
        bits.take(1)
    return Slice(kind, luma, chroma, l0, l1, zero_l1, init, candidates, quality)


def _references(bits: Bits, s: Sequence) -> tuple[int, bool]:
    """Return how many pictures may be referred to, and whether vectors come from one."""
    bits.take(s.poc_bits)
    if not bits.flag():
        near = _reference_set(bits, s.sets, len(s.sets), len(s.sets))
    else:
        near = s.sets[bits.take((len(s.sets) - 1).bit_length())]
    used = sum(u for _, u in near)
    if s.long_term is not None:
        listed = bits.unsigned() if s.long_term else 0
        for index in range(listed + bits.unsigned()):
            if index < listed:
                used += s.long_term[bits.take((len(s.long_term) - 1).bit_length())]
            else:
                used += bits.take(s.poc_bits + 1) & 1
            bits.several(1 if bits.flag() else 0)
    return used, s.temporal_vectors and bits.flag()


def _pass_weights(bits: Bits, chroma: bool, lists: tuple[int, ...]) -> None:
    bits.several(1 + chroma)
    for count in lists:
        luma = [bits.flag() for _ in range(count)]
        both = [chroma and bits.flag() for _ in range(count)]
        for one, other in zip(luma, both, strict=True):
            bits.several(2 * one + 4 * other)
