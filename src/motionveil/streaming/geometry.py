"""Bringing a source to an encoder's geometry: the one way for everything that veils or is trained.

A working pixel is the mean of the area of the source that it covers, a source pixel at the edge
of two counting in each as far as it lies there. Sums are of whole numbers, so every machine gives
the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from motionveil.geometry import FrameRate, Geometry
from motionveil.video.types import Frame

Image = NDArray[np.uint8]

# Unsigned: see `motionveil.streaming.kernel`.
_U: Any = np.uint64
_MOST_ROWS = 256  # rows of 8 bits whose sum fits 16


def working_frames(
    frames: Iterable[Frame], geometry: Geometry, *, multiple: int = 2
) -> Iterator[Frame]:
    """Yield a source's frames as an encoder works on them: those that are taken, made small.

    Args:
        multiple: What the method needs both sides to be multiples of.

    Yields:
        The frames taken, with their timestamps; `fresh` also where a frame left out was.
    """
    rate, fresh = FrameRate(geometry.rate), False
    for frame in frames:
        fresh = fresh or frame.fresh
        if not rate.takes(frame.time):
            continue
        height, width = frame.image.shape[:2]
        shape = geometry.shape(height, width, frame.aspect, multiple=multiple)
        yield frame._replace(image=area_average(frame.image, shape), fresh=fresh)
        fresh = False


def repeat_pixels(image: Image, times: int, shape: tuple[int, ...] | None = None) -> Image:
    """Return an image with each pixel repeated along both sides.

    Args:
        image: uint8 (..., h, w, 3): one or several.
        shape: Height and width of the result, at most `times` times those of the image, where it
            is to be cut.

    Returns:
        uint8 (..., times * h, times * w, 3), or cut; `image` itself where nothing changes.
    """
    if times > 1:
        image = image.repeat(times, -3).repeat(times, -2)
    if shape is not None and image.shape[-3:-1] != shape[:2]:
        image = np.ascontiguousarray(image[..., : shape[0], : shape[1], :])
    return image


def area_average(frame: Image, shape: tuple[int, int], out: Image | None = None) -> Image:
    """Resize an image by averaging areas; enlarging repeats pixels.

    Args:
        frame: uint8 (H, W, 3).
        out: Where to write, uint8 (height, width, 3), contiguous; a new array if None.

    Returns:
        uint8 (height, width, 3), rounded half up.

    Examples:
        >>> area_average(np.arange(12, dtype=np.uint8).reshape(2, 2, 3), (1, 1)).tolist()
        [[[5, 6, 7]]]
    """
    height, width = shape
    if out is None:
        out = np.empty((height, width, 3), np.uint8)
    rows = np.ascontiguousarray(frame).reshape(frame.shape[0], -1)
    if frame.shape[:2] == shape:
        np.copyto(out, frame)
    else:
        _average(rows, out.reshape(height, -1))
    return out


@numba.njit(cache=True, nogil=True)
def _average(rows: Image, out: Image) -> None:
    """Average areas, in whole numbers.

    With lengths in units in which a source pixel measures `height x width` of the result and a
    pixel of the result `H x W` of the source, every overlap is a whole number, and the weights of
    a pixel of the result add up to H W.

    Args:
        rows: uint8 (H, 3 W), channels interleaved.
        out: uint8 (height, 3 width).
    """
    source_height, length = _U(rows.shape[0]), _U(rows.shape[1])
    source_width = length // _U(3)
    height, width = _U(out.shape[0]), _U(out.shape[1]) // _U(3)
    area = source_height * source_width
    inverse = 1.0 / np.float64(area)
    whole = np.zeros(length, np.uint16)
    column = np.zeros(length, np.uint32)
    for i in range(height):
        begin, end = i * source_height, (i + _U(1)) * source_height
        first, last = begin // height, (end - _U(1)) // height
        _sum_rows(rows, first, last, begin, end, height, whole, column)
        _average_columns(column, source_width, width, area, inverse, out, i)


@numba.njit(cache=True, nogil=True)
def _sum_rows(
    rows: Image,
    first: np.uint64,
    last: np.uint64,
    begin: np.uint64,
    end: np.uint64,
    height: np.uint64,
    whole: NDArray[np.uint16],
    column: NDArray[np.uint32],
) -> None:
    """Sum the rows that a row of the result covers, each by its overlap.

    Args:
        rows: uint8 (H, 3 W).
        last: Last row covered; the rows between lie within.
        begin: Where the row of the result begins, in units of 1 / height of a source row.
        end: Where it ends.
        whole: Scratch, (3 W,): plain sums of rows that lie within.
        column: (3 W,): where the sums go.
    """
    length = _U(rows.shape[1])
    top = np.uint32(min((first + _U(1)) * height, end) - begin)
    if first == last:
        for x in range(length):
            column[x] = np.uint32(top * np.uint32(rows[first, x]))
        return
    bottom = np.uint32(end - last * height)
    for x in range(length):
        column[x] = np.uint32(
            np.uint32(top * np.uint32(rows[first, x]))
            + np.uint32(bottom * np.uint32(rows[last, x]))
        )
    weight = np.uint32(height)
    y = first + _U(1)
    while y < last:
        stop = min(last, y + _U(_MOST_ROWS))
        for x in range(length):
            whole[x] = rows[y, x]
        y += _U(1)
        while y + _U(3) < stop:  # four at once: the sums are loaded and stored less often
            for x in range(length):
                whole[x] += np.uint16(
                    np.uint16(np.uint16(rows[y, x]) + np.uint16(rows[y + _U(1), x]))
                    + np.uint16(np.uint16(rows[y + _U(2), x]) + np.uint16(rows[y + _U(3), x]))
                )
            y += _U(4)
        while y < stop:
            for x in range(length):
                whole[x] += np.uint16(rows[y, x])
            y += _U(1)
        for x in range(length):
            column[x] += np.uint32(weight * np.uint32(whole[x]))


@numba.njit(cache=True, nogil=True)
def _average_columns(
    column: NDArray[np.uint32],
    source_width: np.uint64,
    width: np.uint64,
    area: np.uint64,
    inverse: float,
    out: Image,
    i: int,
) -> None:
    """Average along a row: the columns that each pixel of the result covers, by their overlap.

    Args:
        column: (3 W,): sums along y.
        width: Pixels of a row of the result.
        area: H W, what the weights of a pixel add up to.
        inverse: 1 / area.
        out: uint8 (height, 3 width).
    """
    for k in range(width):
        begin, end = k * source_width, (k + _U(1)) * source_width
        first, last = begin // width, (end - _U(1)) // width
        left = min((first + _U(1)) * width, end) - begin
        right = _U(0) if first == last else end - last * width
        red = green = blue = _U(0)
        for x in range(first + _U(1), last):
            red += _U(column[_U(3) * x])
            green += _U(column[_U(3) * x + _U(1)])
            blue += _U(column[_U(3) * x + _U(2)])
        for channel, within in enumerate((red, green, blue)):
            total = (
                width * within
                + left * _U(column[_U(3) * first + _U(channel)])
                + right * _U(column[_U(3) * last + _U(channel)])
            )
            out[i, _U(3) * k + _U(channel)] = _divided(total + area // _U(2), area, inverse)


@numba.njit(cache=True, nogil=True, inline="always")
def _divided(number: np.uint64, divisor: np.uint64, inverse: float) -> np.uint8:
    """Return `number // divisor` for a quotient below 256, without a slow division."""
    guess = np.int64(np.float64(number) * inverse)
    rest = np.int64(number) - guess * np.int64(divisor)
    if rest < 0:
        guess -= 1
    elif rest >= np.int64(divisor):
        guess += 1
    return np.uint8(guess)
