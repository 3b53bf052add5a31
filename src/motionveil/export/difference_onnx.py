"""Maps of blurred differences, such as BDQ, in the ONNX model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from motionveil.export.onnx import Part
from motionveil.export.onnx_parts import Graph, add_blur, add_nothing_before
from motionveil.spec import EncoderSpec

HALF = 4096
"""Table entries on each side of zero motion, as in `StreamEncoder`: 1/546 of a level each."""

START = (
    "Start with `previous` filled with NaN (not a number), NEVER WITH ZEROS: the difference to"
    " zeros is a picture of the scene. Where `previous` is NaN the output is the neutral frame; to"
    " start, one pixel of NaN, (1, 1, 3), will do. Feed `blurred` back as the next `previous`."
    " Start again after every scene cut, reconnect and jump of exposure: there too the difference"
    " is a picture of the scene, and this model does not notice. `blurred` is a picture of the"
    " scene itself: keep it in memory, and let nobody have it. Leave out frames that come faster"
    " than `rate` of the metadata's `geometry` a second: what the encoder hides was measured there."
)
"""Instructions for use, written into the model."""


def add_difference(graph: Graph, spec: EncoderSpec, *, hard: bool) -> Part:
    """Add `working`, `previous` -> `veiled`, `blurred`, both of three channels.

    The difference is taken after the blur, as in the paper, and looked up in the table of
    `StreamEncoder`.

    Raises:
        MotionveilError: The encoder is no map of blurred differences (says why).
    """
    difference = spec.difference(hard=hard)
    reach = difference.range
    table = difference.bytes_of(np.arange(-HALF, HALF + 1) * (reach / HALF))
    add_blur(graph, "working", difference.weights)
    nothing = add_nothing_before(graph, "previous")
    unlike = graph.add("Sub", "unlike", "blurred", "previous")
    zero = graph.constant("zero", np.float32(0))
    graph.add("Where", "difference", nothing, zero, unlike)
    _add_quantiser(graph, table, HALF / (255 * reach))
    return Part(int(table[HALF]), difference.steps, 3, 3, START)


def _add_quantiser(graph: Graph, table: NDArray[Any], scale: float) -> None:
    """Add `difference` -> `veiled`: which entry of the table, rounded, clamped, looked up."""
    graph.constant("scale", np.float32(scale))
    # Adding the half turns the truncation of the cast into rounding.
    graph.constant("middle", np.float32(len(table) // 2 + 0.5))
    graph.constant("last", np.float32(len(table) - 1))
    graph.constant("table", table)
    scaled = graph.add("Mul", "scaled", "difference", "scale")
    place = graph.add("Add", "place", scaled, "middle")
    clamped = graph.add("Clip", "clamped", place, "zero", "last")
    entries = graph.add("Cast", "entries", clamped, to=TensorProto.INT32)
    graph.add("Gather", "veiled", "table", entries, axis=0)
