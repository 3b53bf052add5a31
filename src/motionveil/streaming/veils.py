"""What veils working frames, one after the other: one class for each family of methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from motionveil.errors import MotionveilError
from motionveil.methods import GREY, KERNEL_SIZE, LEVELS, BlurredDifference
from motionveil.plugins import import_object
from motionveil.spec import EncoderSpec
from motionveil.streaming.avx512 import (
    SEGMENTS,
    WIDTH,
    evaluate_segments,
    fit_segments,
    is_supported,
)
from motionveil.streaming.kernel import OVERLAP, RING, veil_rows
from motionveil.streaming.lookup_table import CHUNK

LARGEST_ERROR = 0.003
"""By how many levels of 15 a value may be off, before it is rounded to 8 bits."""

_LEAST_HALF, _MOST_HALF = 4096, 32767
"""Table entries on each side of zero motion: at least, and at most (16 bits number them)."""

_LINE = 64  # bytes of a line of the cache


class FrameVeil(Protocol):
    """Veils frames of one size, uint8 (h, w, 3), RGB; 17 grey levels to a level of 0 to 15."""

    @property
    def neutral(self) -> int | None:
        """Grey value of the output for no motion.

        None where every frame stands alone: there is neither a neutral frame nor anything to guard.
        """

    def start(self, frame: NDArray[np.uint8]) -> None:
        """Take a frame that has none before it; nothing is veiled."""

    def __call__(
        self, frame: NDArray[np.uint8], previous: NDArray[np.uint8], out: NDArray[np.uint8]
    ) -> None:
        """Write the veiled frame to `out`."""


def make_veil(spec: EncoderSpec, *, hard: bool = False) -> FrameVeil:
    """Return what veils an encoder's stream.

    Raises:
        MotionveilError: It cannot veil frame by frame; says why.
    """
    kind = spec.kind
    if kind.stream is None:
        raise MotionveilError(f"{spec.name} cannot veil a stream: {kind.unstreamable}")
    veil: FrameVeil = import_object(kind.stream)(spec, hard=hard)
    return veil


def streams(spec: EncoderSpec) -> bool:
    """Return whether an encoder can veil a stream."""
    try:
        make_veil(spec)
    except MotionveilError:
        return False
    return True


class DifferenceVeil:
    """Methods that are maps of blurred differences, such as BDQ, by the compiled kernel.

    It is right to one 8-bit level; where the map has steps, a value within 1/1000 of a level of a
    step may fall on its other side.

    Args:
        spec: An encoder whose method gives a `BlurredDifference`.
        vectors: Whether to quantise 64 values at once; None where the processor can.

    Raises:
        MotionveilError: Its output depends on frames still to come.
    """

    def __init__(
        self, spec: EncoderSpec, *, hard: bool = False, vectors: bool | None = None
    ) -> None:
        difference = spec.difference(hard=hard)
        self.neutral = difference.neutral
        self._quantiser = make_quantiser(difference, vectors=vectors)
        entries_a_side = (self._quantiser.last + 1) // 2
        scale = entries_a_side / (255 * difference.range)  # entries a grey level of difference
        self._weights = difference.weights[KERNEL_SIZE // 2 :].astype(np.float32)
        self._taps = np.array([*(self._weights * scale), entries_a_side + 0.5], np.float32)
        self._quiet = self._quantiser.quiet(self.neutral, scale)
        self._scratch = _Scratch.of(0)
        self._length = 0

    def start(self, frame: NDArray[np.uint8]) -> None:
        """Do nothing: all that is needed of a frame is the frame."""

    def __call__(
        self, frame: NDArray[np.uint8], previous: NDArray[np.uint8], out: NDArray[np.uint8]
    ) -> None:
        """Veil a frame; all three are contiguous uint8 (h, w, 3)."""
        length = 3 * frame.shape[1]
        if self._length != length:
            self._length, self._scratch = length, _Scratch.of(length)
        quantiser, scratch = self._quantiser, self._scratch
        veil_rows(
            _rows(frame),
            _rows(previous),
            self._weights,
            self._taps,
            quantiser.last,
            quantiser.table,
            quantiser.factor,
            self.neutral,
            self._quiet,
            scratch.differences,
            scratch.blurred,
            scratch.peaks,
            scratch.is_blurred,
            scratch.entries,
            scratch.entry_words,
            scratch.values,
            scratch.value_words,
            _rows(out),
        )


class FilterVeil:
    """Methods that filter every frame along both axes: blur, mosaic, down-sampling.

    They show the scene, so there is nothing to guard.

    Args:
        spec: An encoder whose method gives a `matrix` for an axis.
        hard: Has no meaning here.
    """

    neutral = None

    def __init__(self, spec: EncoderSpec, *, hard: bool = False) -> None:
        self._spec = spec
        self._shape: tuple[int, ...] = ()
        self._rows = self._columns = np.empty((0, 0), np.float32)

    def start(self, frame: NDArray[np.uint8]) -> None:
        """Do nothing: every frame stands alone."""

    def __call__(
        self, frame: NDArray[np.uint8], previous: NDArray[np.uint8], out: NDArray[np.uint8]
    ) -> None:
        """Filter a frame, uint8 (h, w, 3)."""
        if self._shape != frame.shape:
            self._shape = frame.shape
            kind: Any = self._spec.kind
            self._rows, self._columns = (
                kind.matrix(self._spec.settings, size).astype(np.float32)
                for size in frame.shape[:2]
            )
        height, width, _ = frame.shape
        rows = self._rows @ frame.reshape(height, -1).astype(np.float32)
        filtered = self._columns @ rows.reshape(height, width, 3)
        np.copyto(out, np.rint(filtered).clip(0, 255), casting="unsafe")


def _rows(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) as rows (H, 3 W)."""
    return image.reshape(len(image), -1)


@dataclass(frozen=True)
class _Scratch:
    """What the kernel needs beside the frames."""

    differences: NDArray[np.int16]
    blurred: NDArray[np.float32]
    peaks: NDArray[np.int16]
    is_blurred: NDArray[np.uint8]
    entries: NDArray[np.uint16]
    entry_words: NDArray[np.uint64]
    values: NDArray[np.uint8]
    value_words: NDArray[np.uint64]

    @classmethod
    def of(cls, length: int) -> _Scratch:
        """Make room for rows of `length` values."""
        chunks = -(-length // CHUNK)
        entries = _aligned((chunks * CHUNK,), np.uint16)
        values = _aligned((chunks * CHUNK,), np.uint8)
        return cls(
            differences=_aligned((RING, chunks * CHUNK + OVERLAP), np.int16),
            blurred=_aligned((RING, chunks * CHUNK), np.float32),
            peaks=_aligned((RING, chunks), np.int16),
            is_blurred=_aligned((RING, chunks), np.uint8),
            entries=entries,
            entry_words=entries.view(np.uint64),
            values=values,
            value_words=values.view(np.uint64),
        )


def _aligned(shape: tuple[int, ...], kind: type[np.generic]) -> NDArray[Any]:
    """Return zeros that start where a line of the cache does: no vector then lies in two lines."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    memory = np.zeros(size + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + size].view(kind).reshape(shape)


@dataclass(frozen=True)
class Quantiser:
    """The quantiser as the kernel computes it.

    Attributes:
        last: The last of the entries, among which the differences from -r to r are shared out;
            zero motion is entry `(last + 1) // 2`.
        table: uint8, the 8-bit value of each entry; or the segments of `vector.fit_segments`.
        factor: That of the segments; -1 for a table.
        error: By how many levels of 15 the soft quantiser is off at most, before rounding to 8
            bits; infinite for a map with steps, which have no slope.
    """

    last: int
    table: NDArray[np.uint8]
    factor: int
    error: float

    def quiet(self, neutral: int, scale: float) -> int:
        """Return up to which blurred difference, in grey levels, the value is surely `neutral`.

        Args:
            scale: Entries that a grey level of difference spans.
        """
        values = self.table if self.factor < 0 else evaluate_segments(self.table, self.factor)
        middle = (self.last + 1) // 2
        moved = np.flatnonzero(values != neutral)
        if not moved.size:
            return 255
        # Two entries less: for the rounding of the entry and of the weights' sum.
        return max(0, int((np.abs(moved - middle).min() - 2) / scale))


def make_quantiser(difference: BlurredDifference, *, vectors: bool | None = None) -> Quantiser:
    """Choose how to compute a map of differences, by its steps and the processor.

    A smooth one is cut into segments where the processor can and they are exact enough. Otherwise
    it is a table with as many entries as keep the error within `LARGEST_ERROR`.

    Args:
        vectors: Whether segments may be used; None where the processor can.

    Raises:
        MotionveilError: The processor has no such vectors.
    """
    if vectors and not is_supported():
        raise MotionveilError("this processor cannot permute bytes (AVX-512 VBMI)")
    samples = difference.levels(
        np.linspace(-difference.range, difference.range, LEVELS * 256 + 1, dtype=np.float64)
    )
    if (np.diff(samples) < 0).any():
        raise MotionveilError("the levels must ascend with the difference")
    steepest = np.inf if difference.steps else float(np.diff(samples).max()) * 256
    if not difference.steps and (is_supported() if vectors is None else vectors):
        entries = SEGMENTS * WIDTH
        tables, factor, error = fit_segments(GREY * _values(difference, entries))
        error = error / GREY + _halved_step(steepest, entries)
        if error <= LARGEST_ERROR:
            return Quantiser(entries - 1, tables, factor, error)
    # A map with steps is off within half an entry of one: 1/1092 of a level.
    wanted = _LEAST_HALF if difference.steps else LEVELS * steepest / (4 * LARGEST_ERROR)
    entries = 2 * int(min(max(np.ceil(wanted), _LEAST_HALF), _MOST_HALF))
    table = np.rint(GREY * _values(difference, entries + 1)).astype(np.uint8)
    return Quantiser(entries, table, -1, _halved_step(steepest, entries))


def _values(difference: BlurredDifference, entries: int) -> NDArray[np.float64]:
    """Return the value of each entry, in levels; entry `entries // 2` is zero motion."""
    half = entries // 2
    places = (np.arange(entries) - half).astype(np.float64)
    return difference.levels(places * (difference.range / half))


def _halved_step(steepest: float, entries: int) -> float:
    """Return the error of taking the nearest entry, in levels."""
    return steepest * LEVELS / entries / 2
