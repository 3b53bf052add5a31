"""The encoder as one C99 file: whole numbers only, no memory of its own, nothing to link."""

from __future__ import annotations

import json
import os
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from motionveil._version import __version__
from motionveil.atomic_write import write_text_atomically
from motionveil.export.integer import WholeNumbers, whole_numbers
from motionveil.geometry import rate_fraction
from motionveil.limits import packaged_text
from motionveil.spec import EncoderSpec

SOURCES = ((1920, 1080), (640, 480))
"""Width and height of cameras whose state sizes are listed."""

GEOMETRY = {"note": "geometry_note.in", "header": "geometry.h.in", "code": "geometry.c.in"}
"""The files of the part that brings a camera to the encoder's geometry, the same for all."""

_TABLE_COLUMNS, _LINE = 16, 96


def write_c(spec: EncoderSpec, path: str | os.PathLike[str], *, hard: bool = False) -> WholeNumbers:
    """Write an encoder as a C file, whole or not at all, and return its numbers.

    The file's comment says how it is called, what it needs, and that it does not notice scene cuts.
    What it computes is `motionveil.export.IntegerEncoder`, to the bit.

    Args:
        spec: An encoder that can be exported (BDQ in fixed range, the motion field or its
            moments), with a geometry.
        hard: Quantise in steps (4-bit output) instead of sigmoids.

    Raises:
        MotionveilError: It cannot be exported (says why), it has no geometry, or the file cannot be
            written.
    """
    numbers = whole_numbers(spec, hard=hard)
    write_text_atomically(path, c_source(spec, numbers, name=Path(path).name))
    return numbers


def state_sizes(spec: EncoderSpec, numbers: WholeNumbers) -> list[str]:
    """Return the description of the state's size: a phrase for each of some cameras."""
    geometry, phrases = spec.required_geometry(), []
    for source_width, source_height in SOURCES:
        height, width = geometry.shape(source_height, source_width, multiple=spec.multiple)
        size = f"{numbers.state_size(width, height):,}"
        phrases.append(f"{size} for {width} x {height} (of {source_width} x {source_height})")
    return phrases


def c_source(spec: EncoderSpec, numbers: WholeNumbers, *, name: str) -> str:
    """Return the text of the C file, ASCII.

    Args:
        spec: The encoder, for the record in the comment.
        name: What the file will be called, for the example in the comment.
    """
    geometry = spec.required_geometry()
    rate = rate_fraction(geometry.rate)
    values = {
        "size": geometry.size,
        "rate": f"{geometry.rate:.5g}",
        "rate_num": rate.numerator,
        "rate_den": rate.denominator,
        "multiple": spec.multiple,
        "neutral": numbers.neutral,
    }
    shared = {
        f"geometry_{part}": _template(file).substitute(values).rstrip()
        for part, file in GEOMETRY.items()
    }
    own = {key: _text(value) for key, value in numbers.values().items()}
    own |= {
        part: _template(file).substitute(values | own) + "\n"
        for part, file in numbers.parts.items()
    }
    return _template(numbers.template).substitute(
        values
        | shared
        | own
        | {
            "version": __version__,
            "name": _commented(name),
            "state_sizes": "\n".join(f" *     {phrase}," for phrase in state_sizes(spec, numbers)),
            "table_size": len(numbers.table),
            "quantisation": "in steps (hard)" if numbers.steps else "by sigmoids (soft)",
            "encoder": _commented(json.dumps(spec.model_dump(mode="json"), indent=2), prefix=" * "),
            "table": _text(numbers.table),
        }
    )


def _template(file: str) -> Template:
    return Template(packaged_text("motionveil.export", file))


def _text(value: Any) -> Any:
    """Return an array as rows of numbers, anything else as it is."""
    if not isinstance(value, np.ndarray):
        return value
    numbers = [str(number) for number in value.tolist()]
    columns = min(_TABLE_COLUMNS, _LINE // (max(map(len, numbers)) + 2))
    lines = [numbers[k : k + columns] for k in range(0, len(numbers), columns)]
    return ",\n".join("    " + ", ".join(line) for line in lines)


def _commented(text: str, prefix: str = "") -> str:
    """Return text that cannot end a comment, open one or reorder it, whatever stands in it.

    JSON reads `\\u002a` as an asterisk.
    """
    plain = text.replace("*", "\\u002a").encode("ascii", "backslashreplace").decode("ascii")
    return "\n".join(prefix + line for line in plain.splitlines())
