"""The quantiser on processors that permute bytes (AVX-512 VBMI): 64 values at once, no look-up.

A table of thousands of entries can only be read one value at a time. Cut into 256 segments in which
the quantiser is nearly straight, it fits twelve vector registers: each value picks its segment's
height and slope there by a byte permutation. numba offers no such instruction, so this module
writes the loop in LLVM's own language; LLVM, which comes with numba, compiles it when it is first
used. Other processors use the table.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

SEGMENTS = 256
WIDTH = 256
"""Positions in a segment."""

LANES = 64
"""Values that are computed at once."""

_I8, _I16, _I32 = ir.IntType(8), ir.IntType(16), ir.IntType(32)
_BYTES, _WORDS, _LONGS, _FLOATS = (
    ir.VectorType(kind, LANES) for kind in (_I8, _I16, _I32, ir.FloatType())
)


def is_supported() -> bool:
    """Return whether numba compiles for this very processor, and it permutes bytes."""
    config: Any = numba.config
    if config.CPU_NAME or config.CPU_FEATURES:
        return False
    return bool(llvmlite.binding.get_host_cpu_features().get("avx512vbmi", False))


def fit_segments(grey: NDArray[np.float64]) -> tuple[NDArray[np.uint8], int, float]:
    """Replace a quantiser by straight segments.

    In a segment the value is `(height + (slope part * factor >> 16)) >> 8`, `part` being the place
    in it, 0 to 255, and `height` 16 bits, of which 8 come after the point.

    Args:
        grey: Its values at all positions, float64 (65536,), ascending, in grey levels, 0 to 255.

    Returns:
        uint8 (3 * 256,): low bytes of the heights, their high bytes, slopes; the factor; and the
        largest error before rounding, in grey levels.
    """
    pieces = grey.reshape(SEGMENTS, WIDTH) * 256
    part = np.arange(WIDTH)
    rise = (pieces[:, -1] - pieces[:, 0]) / (WIDTH - 1)
    factor = int(np.ceil(rise.max() * 65536 / 255))
    unit = factor / 65536  # what a slope of 1 adds for each position
    slopes = np.rint(rise / unit) if factor else np.zeros(SEGMENTS)
    lines = np.floor(slopes[:, None] * part * unit)
    # Half-way between the largest errors to both sides, which halves them.
    misses = pieces - lines
    heights = np.rint((misses.max(axis=1) + misses.min(axis=1)) / 2)
    error = np.abs(misses - heights[:, None]).max() / 256
    heights = np.clip(heights + 128, 0, 65535).astype(np.uint16)  # the half rounds the shift
    tables = np.concatenate([heights & 255, heights >> 8, slopes]).astype(np.uint8)
    return tables, factor, float(error)


def evaluate_segments(tables: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return what `veil_blocks` computes at every position, uint8 (65536,)."""
    low, high, slopes = tables.astype(np.int64).reshape(3, SEGMENTS, 1)
    rise = (slopes * np.arange(WIDTH) * factor) >> 16
    return ((low + (high << 8) + rise) >> 8).astype(np.uint8).ravel()


def _veil_blocks(
    typing: Any,
    blurred: Any,
    slots: Any,
    start: Any,
    blocks: Any,
    taps: Any,
    tables: Any,
    factor: Any,
    out: Any,
    place: Any,
) -> tuple[Any, Any]:
    """Blur five rows along y and quantise them, 64 values at once.

    Args of the call:
        blurred: Rows blurred along x, float32 (5, n).
        slots: Which of them is two above, above, here, below and two below; five uint64.
        start: uint64, the first value.
        blocks: uint64, how many times 64 values.
        taps: float32 (4,): centre, first and second neighbour of the 5 taps, in positions a grey
            level; the position of zero motion and a half.
        tables: uint8 (3 * 256,), of `fit_segments`.
        factor: int64, likewise.
        out: uint8, contiguous.
        place: uint64, where in its memory the first value goes.
    """
    signature = types.void(blurred, slots, start, blocks, taps, tables, factor, out, place)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        arrays = {
            number: context.make_array(signature.args[number])(context, builder, arguments[number])
            for number in (0, 4, 5, 7)
        }
        length = cgutils.unpack_tuple(builder, arrays[0].shape, 2)[1]
        rows = [
            builder.gep(arrays[0].data, [builder.add(builder.mul(slot, length), arguments[2])])
            for slot in cgutils.unpack_tuple(builder, arguments[1], 5)
        ]
        taps = [
            _splat(builder, builder.load(builder.gep(arrays[4].data, [ir.IntType(64)(n)])), _FLOATS)
            for n in range(4)
        ]
        registers = [_load(builder, arrays[5].data, n * LANES, _BYTES) for n in range(12)]
        factor = _splat(builder, builder.trunc(arguments[6], _I16), _WORDS)
        out = builder.gep(arrays[7].data, [arguments[8]])
        with cgutils.for_range(builder, arguments[3]) as loop:
            start = builder.mul(loop.index, loop.index.type(LANES))
            positions = _positions(builder, rows, start, taps)
            values = _values(builder, positions, registers, factor)
            target = builder.bitcast(builder.gep(out, [start]), _BYTES.as_pointer())
            builder.store(values, target, align=1)
        return context.get_dummy_value()

    return signature, generate


veil_blocks: Any = intrinsic(_veil_blocks)
"""`_veil_blocks`, to be called from compiled code, without `typing`."""


def _positions(builder: Any, rows: list[Any], start: Any, taps: list[Any]) -> Any:
    above2, above, here, below, below2 = (_load(builder, row, start, _FLOATS) for row in rows)
    kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
    fused = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f32")
    position = builder.call(fused, [taps[0], here, taps[3]])
    position = builder.call(fused, [taps[1], builder.fadd(above, below), position])
    position = builder.call(fused, [taps[2], builder.fadd(above2, below2), position])
    # Clamped first, since a narrow range takes positions beyond any whole number.
    lowest, highest = (ir.Constant(_FLOATS, [end] * LANES) for end in (0.0, 65535.0))
    position = builder.select(builder.fcmp_ordered(">", position, lowest), position, lowest)
    position = builder.select(builder.fcmp_ordered("<", position, highest), position, highest)
    return builder.trunc(builder.fptosi(position, _LONGS), _WORDS)


def _values(builder: Any, entries: Any, registers: list[Any], factor: Any) -> Any:
    segment = builder.trunc(builder.lshr(entries, _constant(_WORDS, 8)), _BYTES)
    part = builder.and_(entries, _constant(_WORDS, 255))
    low, high, slope = (
        builder.zext(_pick(builder, segment, registers[4 * n : 4 * n + 4]), _WORDS)
        for n in range(3)
    )
    height = builder.or_(low, builder.shl(high, _constant(_WORDS, 8)))
    product = builder.mul(slope, part)
    total = builder.add(height, _upper_product(builder, product, factor))
    return builder.trunc(builder.lshr(total, _constant(_WORDS, 8)), _BYTES)


def _pick(builder: Any, places: Any, registers: list[Any]) -> Any:
    """Read a table of 256 bytes, held in four registers, at 64 places."""
    kind = ir.FunctionType(_BYTES, [_BYTES] * 3)
    permute = cgutils.get_or_insert_function(
        builder.module, kind, "llvm.x86.avx512.vpermi2var.qi.512"
    )
    lower = builder.call(permute, [registers[0], places, registers[1]])
    upper = builder.call(permute, [registers[2], places, registers[3]])
    is_upper = builder.icmp_signed("<", places, _constant(_BYTES, 0))
    return builder.select(is_upper, upper, lower)


def _upper_product(builder: Any, left: Any, right: Any) -> Any:
    """Multiply unsigned 16-bit numbers and keep the upper halves, by the instruction for it."""
    half = ir.VectorType(_I16, LANES // 2)
    multiply = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(half, [half] * 2), "llvm.x86.avx512.pmulhu.w.512"
    )
    first, second = (
        builder.call(multiply, [_cut(builder, left, lanes), _cut(builder, right, lanes)])
        for lanes in (range(LANES // 2), range(LANES // 2, LANES))
    )
    return builder.shuffle_vector(first, second, _lanes(range(LANES)))


def _cut(builder: Any, vector: Any, lanes: range) -> Any:
    return builder.shuffle_vector(vector, vector, _lanes(lanes))


def _lanes(numbers: range) -> Any:
    return ir.Constant(ir.VectorType(_I32, len(numbers)), list(numbers))


def _load(builder: Any, pointer: Any, start: Any, kind: Any) -> Any:
    place = start if isinstance(start, ir.Value) else ir.IntType(64)(start)
    address = builder.bitcast(builder.gep(pointer, [place]), kind.as_pointer())
    return builder.load(address, align=1)


def _constant(kind: Any, value: int) -> Any:
    return ir.Constant(kind, [value] * LANES)


def _splat(builder: Any, scalar: Any, kind: Any) -> Any:
    vector = ir.Constant(kind, ir.Undefined)
    vector = builder.insert_element(vector, scalar, _I32(0))
    zeros = ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)
    return builder.shuffle_vector(vector, vector, zeros)
