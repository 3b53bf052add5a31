"""The second part of the ONNX model: the working frame, or what is made of it, blurred."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from motionveil.export.onnx_average import Graph


def add_blur(graph: Graph, source: str, weights: NDArray[Any]) -> None:
    """Add `source` -> `blurred`: taps along both axes of (h, w, channels), the border replicated.

    Sums of shifted copies and no `Conv`: on some GPUs runtimes round a convolution to 10 bits.

    Args:
        graph: Where to add.
        source: Name of a float32 value.
        weights: Odd in number, symmetric.
    """
    margin = len(weights) // 2
    for distance in range(margin + 1):
        graph.constant(f"weight{distance}", np.float32(weights[margin + distance]))
    pads = graph.constant("margin", np.array([margin, margin, 0] * 2, np.int64))
    padded = graph.add("Pad", "padded", source, pads, mode="edge")
    for k in range(len(weights)):
        graph.constant(f"from{k}", np.array([k], np.int64))
        end = k - len(weights) + 1  # counted from the end; 0 would be the beginning
        graph.constant(f"to{k}", np.array([end or np.iinfo(np.int64).max], np.int64))
    rows = _add_taps(graph, padded, "x", margin, axis=1, output="rows")
    _add_taps(graph, rows, "y", margin, axis=0, output="blurred")


def _add_taps(graph: Graph, padded: str, mark: str, margin: int, *, axis: int, output: str) -> str:
    along = graph.constant(f"{mark}_axis", np.array([axis], np.int64))

    def shifted(k: int) -> str:
        return graph.add("Slice", f"{mark}{k}", padded, f"from{k}", f"to{k}", along)

    total = graph.add("Mul", f"{mark}_part0", shifted(margin), "weight0")
    for distance in range(1, margin + 1):
        pair = graph.add(
            "Add", f"{mark}_pair{distance}", shifted(margin - distance), shifted(margin + distance)
        )
        part = graph.add("Mul", f"{mark}_part{distance}", pair, f"weight{distance}")
        name = output if distance == margin else f"{mark}_sum{distance}"
        total = graph.add("Add", name, total, part)
    return total


def add_nothing_before(graph: Graph, previous: str) -> str:
    """Add a mask of where nothing was before: NaN, or everywhere if sizes differ; return its name.

    Shapes are compared since a `previous` of 1 x 1 pixel would otherwise be spread over the frame
    by the rules of broadcasting, and what comes out be a picture of the scene.
    """
    sizes = (
        graph.add("Shape", "blurred_size", "blurred"),
        graph.add("Shape", "previous_size", previous),
    )
    equal = graph.add("Equal", "sizes_equal", *sizes)
    counted = graph.add("Cast", "sizes_equal_int", equal, to=TensorProto.INT32)
    same = graph.add("ReduceMin", "same_int", counted, keepdims=0)
    same = graph.add("Cast", "same", same, to=TensorProto.BOOL)
    other = graph.add("Not", "other_size", same)
    unset = graph.add("IsNaN", "unset", previous)
    return graph.add("Or", "nothing_before", unset, other)
