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
from motionveil.export.integer import IntegerNumbers, integer_numbers
from motionveil.files import write_text_atomically
from motionveil.spec import EncoderSpec

_TABLE_COLUMNS = 16


def write_c(
    spec: EncoderSpec, path: str | os.PathLike[str], *, hard: bool = False
) -> IntegerNumbers:
    """Write an encoder as a C file, whole or not at all, and return its numbers.

    The file's comment says how it is called, what it needs, and that it does not notice scene cuts.
    What it computes is `motionveil.export.IntegerEncoder`, to the bit.

    Args:
        spec: A `"bdq"` encoder in fixed range.
        path: Where to write.
        hard: Quantise in steps (4-bit output) instead of sigmoids.

    Raises:
        MotionveilError: The encoder passes its input through (`"raw"`), its range depends on
            frames still to come (`"clip"`, `"batch"`), or the file cannot be written.
    """
    numbers = integer_numbers(spec, hard=hard)
    write_text_atomically(path, c_source(spec, numbers, name=Path(path).name, hard=hard))
    return numbers


def state_size(width: int, height: int) -> int:
    """Return the bytes of state that the C file needs for frames of a size; always even."""
    return (3 * width * height + 30 * width + 4 + 1) // 2 * 2


def c_source(spec: EncoderSpec, numbers: IntegerNumbers, *, name: str, hard: bool) -> str:
    """Return the text of the C file, ASCII.

    Args:
        spec: The encoder, for the record in the comment.
        numbers: What is computed.
        name: What the file will be called, for the example in the comment.
        hard: Whether `numbers` quantise in steps.
    """
    template = (resources.files("motionveil.export") / "encoder.c.in").read_text(encoding="utf-8")
    total, shift = numbers.sum, numbers.shift
    centre, near, far = numbers.weights
    return Template(template).substitute(
        version=__version__,
        name=_commented(name),
        neutral=numbers.neutral,
        bytes_224=state_size(224, 224),
        bytes_640=state_size(640, 480),
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
