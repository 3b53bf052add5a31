"""The encoder as one C99 file: whole numbers only, no memory of its own, nothing to link."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

from motionveil._version import __version__
from motionveil.atomic_write import write_text_atomically
from motionveil.export.integer import IntegerNumbers, integer_numbers
from motionveil.geometry import rate_fraction
from motionveil.spec import EncoderSpec

SOURCES = ((1920, 1080), (640, 480))
"""Width and height of cameras whose state sizes are told."""

_TABLE_COLUMNS = 16


def write_c(
    spec: EncoderSpec, path: str | os.PathLike[str], *, hard: bool = False
) -> IntegerNumbers:
    """Write an encoder as a C file, whole or not at all, and return its numbers.

    The file's comment says how it is called, what it needs, and that it does not notice scene cuts.
    What it computes is `motionveil.export.IntegerEncoder`, to the bit.

    Args:
        spec: An encoder that is a map of blurred differences (BDQ in fixed range), with a
            geometry.
        path: Where to write.
        hard: Quantise in steps (4-bit output) instead of sigmoids.

    Raises:
        MotionveilError: It is no such map (says why), it has no geometry, or the file cannot be
            written.
    """
    numbers = integer_numbers(spec, hard=hard)
    write_text_atomically(path, c_source(spec, numbers, name=Path(path).name, hard=hard))
    return numbers


def state_size(width: int, height: int) -> int:
    """Return the bytes of state that the C file needs for working frames; always even."""
    return (3 * width * height + 30 * width + 4 + 1) // 2 * 2


def state_sizes(spec: EncoderSpec) -> list[str]:
    """Return what is told of the bytes of state: for each of some cameras a phrase."""
    geometry, phrases = spec.required_geometry(), []
    for source_width, source_height in SOURCES:
        height, width = geometry.shape(source_height, source_width, multiple=spec.multiple)
        size = f"{state_size(width, height):,}"
        phrases.append(f"{size} for {width} x {height} (of {source_width} x {source_height})")
    return phrases


def c_source(spec: EncoderSpec, numbers: IntegerNumbers, *, name: str, hard: bool) -> str:
    """Return the text of the C file, ASCII.

    Args:
        spec: The encoder, for the record in the comment.
        numbers: What is computed.
        name: What the file will be called, for the example in the comment.
        hard: Whether `numbers` quantise in steps.
    """
    template = (resources.files("motionveil.export") / "encoder.c.in").read_text(encoding="utf-8")
    geometry = spec.required_geometry()
    rate = rate_fraction(geometry.rate)
    total, shift = numbers.sum, numbers.shift
    centre, near, far = numbers.weights
    return Template(template).substitute(
        version=__version__,
        name=_commented(name),
        neutral=numbers.neutral,
        size=geometry.size,
        rate=f"{geometry.rate:.5g}",
        rate_num=rate.numerator,
        rate_den=rate.denominator,
        multiple=spec.multiple,
        state_sizes="\n".join(f" *     {phrase}," for phrase in state_sizes(spec)),
        table_size=len(numbers.table),
        error=f"{numbers.error:.4f}",
        quantisation="in steps (hard)" if hard else "by sigmoids (soft)",
        encoder=_commented(json.dumps(spec.model_dump(mode="json"), indent=2), prefix=" * "),
        sum=total,
        centre=centre,
        near=near,
        far=far,
        shift=shift,
        low=total**2 // 2 - (numbers.zero << shift) - (1 << shift >> 1),
        last=len(numbers.table) - 1,
        table=_rows(numbers.table),
    )


def _commented(text: str, prefix: str = "") -> str:
    """Return text that cannot end a comment, open one or reorder it, whatever stands in it.

    JSON reads `\\u002a` as an asterisk.
    """
    plain = text.replace("*", "\\u002a").encode("ascii", "backslashreplace").decode("ascii")
    return "\n".join(prefix + line for line in plain.splitlines())


def _rows(table: NDArray[np.uint8]) -> str:
    values = [str(value) for value in table.tolist()]
    lines = [values[k : k + _TABLE_COLUMNS] for k in range(0, len(values), _TABLE_COLUMNS)]
    return ",\n".join("    " + ", ".join(line) for line in lines)
