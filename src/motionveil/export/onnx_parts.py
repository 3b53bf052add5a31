"""Parts of ONNX models: area averaging of frames, and the blur."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


def add_blur(graph: Graph, source: str, weights: NDArray[Any]) -> None:
    """Add `source` -> `blurred`: taps along both axes of (h, w, channels), the border replicated.

    Sums of shifted copies and no `Conv`: on some GPUs runtimes round a convolution to 10 bits.

    Args:
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
    by the rules of broadcasting, and what comes out be an image of the scene.
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


class Graph:
    """Nodes and constants in the making."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        """Add a constant and return its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operator: str, output: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output and return that name."""
        self.nodes.append(
            helper.make_node(operator, list(inputs), [output], name=output, **attributes)
        )
        return output


def add_average(graph: Graph, size: int, multiple: int) -> None:
    """Add `frame` -> `working`: float32 (h, w, 3), whole numbers in [0, 255].

    What `motionveil.streaming.geometry.area_average` does, as a product of three matrices: overlaps
    of rows, the frame, overlaps of columns. Every number is whole: up to the first product at most
    255 H, below 2^24, then at most 255 H W, below 2^53. So single and then double precision are
    exact, in whatever order a runtime adds, for up to 65,793 rows.

    Args:
        size: Short side of a working frame in pixels.
    """
    for name, number in {
        "int0": 0,
        "int1": 1,
        "int2": 2,
        "size": size,
        "multiple": multiple,
    }.items():
        graph.constant(name, np.int64(number))
    graph.constant("axis1", np.array([1], np.int64))
    graph.constant("half", np.float64(0.5))
    shape = graph.add("Shape", "frame_shape", "frame")
    rows = graph.add("Gather", "H", shape, "int0", axis=0)
    columns = graph.add("Gather", "W", shape, "int1", axis=0)
    short = graph.add("Min", "short_side", rows, columns)
    divisor = graph.add("Mul", "short_sides", short, "multiple")
    _add_overlaps(graph, "y", rows, _add_side(graph, "h", rows, divisor), TensorProto.FLOAT)
    _add_overlaps(graph, "x", columns, _add_side(graph, "w", columns, divisor), TensorProto.DOUBLE)
    sums = _add_products(graph)
    area = graph.add("Mul", "area", rows, columns)
    area = graph.add("Cast", "area_double", area, to=TensorProto.DOUBLE)
    mean = graph.add("Div", "mean", sums, area)
    raised = graph.add("Add", "mean_raised", mean, "half")
    whole = graph.add("Floor", "working_double", raised)
    graph.add("Cast", "working", whole, to=TensorProto.FLOAT)


def _add_side(graph: Graph, name: str, side: str, divisor: str) -> str:
    """Add a side of the working frame, size side / divisor rounded, halves to even, x multiple."""
    dividend = graph.add("Mul", f"{name}_dividend", side, "size")
    quotient = graph.add("Div", f"{name}_quotient", dividend, divisor)
    rest = graph.add("Mod", f"{name}_rest", dividend, divisor)
    twice = graph.add("Mul", f"{name}_twice", rest, "int2")
    odd = graph.add("Mod", f"{name}_odd", quotient, "int2")
    weight = graph.add("Add", f"{name}_weight", twice, odd)
    up = graph.add("Greater", f"{name}_up", weight, divisor)
    up = graph.add("Cast", f"{name}_up_int", up, to=TensorProto.INT64)
    count = graph.add("Add", f"{name}_count", quotient, up)
    return graph.add("Mul", name, count, "multiple")


def _add_overlaps(graph: Graph, axis: str, source: str, target: str, kind: int) -> None:
    """Add `x_overlaps` or `y_overlaps`, (target, source): the part of each source pixel covered.

    A source pixel measures `target`, a pixel of the result `source`; so overlaps are whole.
    """
    starts, ends = {}, {}
    for name, count, length in (("pixel", target, source), ("place", source, target)):
        number = graph.add("Range", f"{axis}_{name}", "int0", count, "int1")
        if name == "pixel":
            number = graph.add("Unsqueeze", f"{axis}_{name}_column", number, "axis1")
        starts[name] = graph.add("Mul", f"{axis}_{name}_start", number, length)
        ends[name] = graph.add("Add", f"{axis}_{name}_end", starts[name], length)
    end = graph.add("Min", f"{axis}_end", ends["pixel"], ends["place"])
    start = graph.add("Max", f"{axis}_start", starts["pixel"], starts["place"])
    length = graph.add("Sub", f"{axis}_length", end, start)
    overlap = graph.add("Max", f"{axis}_overlap", length, "int0")
    graph.add("Cast", f"{axis}_overlaps", overlap, to=kind)


def _add_products(graph: Graph) -> str:
    """Add the sums over each working pixel's area, (h, w, 3)."""
    graph.constant("as_rows", np.array([0, -1], np.int64))
    graph.constant("as_pixels", np.array([0, -1, 3], np.int64))
    pixels = graph.add("Cast", "pixels", "frame", to=TensorProto.FLOAT)
    rows = graph.add("Reshape", "rows_of_frame", pixels, "as_rows")
    sums = graph.add("MatMul", "sums_of_rows", "y_overlaps", rows)
    sums = graph.add("Cast", "sums_of_rows_double", sums, to=TensorProto.DOUBLE)
    sums = graph.add("Reshape", "sums_of_pixels", sums, "as_pixels")
    return graph.add("MatMul", "sums", "x_overlaps", sums)
